package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Page is what a result is written on.
type Page struct {
	W        io.Writer
	Aside    io.Writer      // for remarks where what is on W is for another program; nil is W
	Width    int            // of the terminal, in columns; 0 is no limit
	Terminal bool           // somebody looks at it: what is copied as it is must not steer it either
	Colour   bool           // the page shows colours
	CI       bool           // the page is a log of GitHub Actions: no line of others may pass for a command
	Now      time.Time      // what ages count from
	Zone     *time.Location // of the times; nil is UTC
}

// Say is fmt.Fprintf onto the page: an argument that is not Shown already is made printable.
func (p *Page) Say(format string, args ...any) { Say(p.W, format, args...) }

// Line writes one line that others wrote. Tabs stay.
func (p *Page) Line(colour Colour, text string) {
	if p.CI {
		text = NoCommand(text)
	}
	fmt.Fprintln(p.W, string(p.Paint(colour, text)))
}

// Paragraph is a text of several lines. None of them passes for a command to the CI system: names and messages may be what the author of
// a pull request made up.
func (p *Page) Paragraph(text string) Shown {
	var lines []string
	for line := range strings.Lines(text) {
		line = Printable(strings.TrimSuffix(line, "\n"))
		if len(lines) > 0 && p.CI {
			line = NoCommand(line)
		}
		lines = append(lines, line)
	}
	return Shown(strings.Join(lines, "\n"))
}

// Remark is a paragraph that begins with a word such as note. On a terminal its lines end between words, and go on indented.
func (p *Page) Remark(colour Colour, word, text string) {
	lines := strings.Split(string(p.Paragraph(word+": "+text)), "\n")
	for i, line := range lines {
		lines[i] = wrap(line, p.Width)
	}
	all := strings.Join(lines, "\n")
	fmt.Fprintln(p.W, string(p.Paint(colour, word))+strings.TrimPrefix(all, word))
}

// wrap breaks a line between words where it is wider than a terminal; 0 is no limit. What has no spaces stays whole, so that a digest can
// be copied.
func wrap(line string, width int) string {
	if width == 0 || widthOf(line) <= width {
		return line
	}
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(line, " ") {
		n := widthOf(word)
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n  ")
			column = 2
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// Time is a time of day where the reader is: 2026-11-24 14:00:12 CET.
func (p *Page) Time(t time.Time) string {
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2006-01-02 15:04:05 MST")
}

// Age is how long ago a time was: "now" within the last minute, else such as "3 h ago".
func (p *Page) Age(t time.Time) string {
	d := p.Now.Sub(t)
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d d ago", int(d.Hours()/24))
}
