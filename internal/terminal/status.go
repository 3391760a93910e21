package terminal

import (
	"fmt"
	"strings"
	"time"
)

// erase takes the status line off the screen.
func (p *Progress) erase() {
	if p.status != "" {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.status = ""
	}
}

// draw shows the status line.
func (p *Progress) draw() {
	if !p.screen || p.closed || p.partial || p.pauses > 0 {
		return
	}
	columns, _ := Screen(p.out)
	status := p.line(time.Now(), columns-len(" ^C")) // the terminal shows Ctrl-C where the line ends
	if status == p.status {
		return
	}
	if status == "" {
		p.erase()
		return
	}
	fmt.Fprint(p.out, "\r"+status+"\x1b[K")
	p.status = status
}

// line is the status line: the bar, and what the run waits for when nothing else goes on.
func (p *Progress) line(now time.Time, columns int) string {
	waits := p.longest(now)
	if p.verb == "" {
		return shorten(waits, columns)
	}
	counts := fmt.Sprintf("%d / %d  %s", p.done, p.total, clock(now.Sub(p.began)))
	if waits != "" {
		counts += "  " + waits
	}
	width := columns - widthOf(p.verb+counts) - len(" []  ")
	return shorten(p.verb+" "+bar(p.done, p.total, min(max(width, minBar), maxBar))+"  "+counts, columns)
}

// longest is the oldest wait, "" when the run went on not long ago.
func (p *Progress) longest(now time.Time) string {
	var what string
	var oldest time.Time
	for name, w := range p.waits {
		if what == "" || w.since.Before(oldest) || w.since.Equal(oldest) && name < what {
			what, oldest = name, w.since
		}
	}
	last := oldest
	if p.advanced.After(last) {
		last = p.advanced
	}
	if what == "" || now.Sub(last) < idle {
		return ""
	}
	return fmt.Sprintf("waiting for %s: %s", Printable(what), clock(now.Sub(oldest)))
}

// The widths of a bar.
const (
	minBar = 10
	maxBar = 40
)

// bar is how much is done, as a picture.
func bar(done, total, width int) string {
	full := width * done / max(total, 1)
	head := ""
	if full < width {
		head = ">"
	}
	return "[" + strings.Repeat("=", full) + head + strings.Repeat(" ", width-full-len(head)) + "]"
}

// clock is a short time such as 7s or 2m05s.
func clock(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
