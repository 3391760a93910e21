package terminal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// A record with the attribute AttrWaits says that the run begins to wait for what the value says, and one with AttrWaited that this wait
// is over. Most are Debug records: Progress decides when a wait is long enough for people to read of it. AttrSince is when the wait
// began, if not when the record was made.
const (
	AttrWaits  = "waits"
	AttrWaited = "waited"
	AttrSince  = "since"
)

const (
	idle      = 2 * time.Second        // without progress, until the terminal shows what is waited for
	firstLine = 5 * time.Second        // of a wait, until there is a line where there is no terminal
	nextLine  = 30 * time.Second       // until the next line
	redraw    = 100 * time.Millisecond // between two pictures of the status line
)

// Progress shows what a run does. It is the handler of the run's log: on a terminal the records of components move a bar, which is the
// last line of the screen, and everything else is a line above it; elsewhere each record is a line.
type Progress struct {
	slog.Handler // makes lines
	level        slog.Level
	out          io.Writer
	screen       bool

	mu       sync.Mutex
	verb     string // "" before the first component is counted
	total    int
	done     int
	began    time.Time
	advanced time.Time // when the last component was done
	waits    map[string]*wait
	pauses   int           // prompts that are open
	held     bytes.Buffer  // lines for when they are closed
	partial  bool          // the last line has no end: it is a prompt
	status   string        // what the last line of the screen shows
	stop     chan struct{} // ends the clock of the status line; nil while there is none
	closed   bool
}

// wait is something that the run waits for, once for all who wait for it.
type wait struct {
	waiting int
	since   time.Time
	line    *time.Timer // nil on a terminal
}

// NewProgress makes a Progress that writes to out. lines makes the handler that writes records as lines. screen is true when out is a
// terminal that obeys escape sequences.
func NewProgress(out io.Writer, screen bool, level slog.Level, lines func(io.Writer) slog.Handler) *Progress {
	p := &Progress{level: level, out: out, screen: screen, waits: map[string]*wait{}}
	p.Handler = lines(p)
	return p
}

// Enabled implements slog.Handler. Waits are Debug records.
func (p *Progress) Enabled(_ context.Context, level slog.Level) bool {
	return level >= min(p.level, slog.LevelDebug)
}

// attributes are those of a record that Progress knows.
type attributes struct {
	waits, waited string
	since         time.Time
	components    int
	component     bool
}

func attributesOf(r slog.Record) attributes {
	at := attributes{since: r.Time}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case AttrWaits:
			at.waits = a.Value.String()
		case AttrWaited:
			at.waited = a.Value.String()
		case AttrSince:
			at.since = a.Value.Time()
		case "components":
			at.components = int(a.Value.Int64())
		case "component":
			at.component = true
		}
		return true
	})
	return at
}

// Handle implements slog.Handler.
func (p *Progress) Handle(ctx context.Context, r slog.Record) error {
	at := attributesOf(r)
	switch {
	case at.waits != "":
		p.begin(at.waits, at.since)
	case at.waited != "":
		p.end(at.waited)
	}
	if p.screen && p.moves(r, at) || r.Level < p.level {
		return nil
	}
	return p.Handler.Handle(ctx, r)
}

// moves shows a record on the status line, and reports whether that is enough. The end of a component is a Debug record, or an Error.
func (p *Progress) moves(r slog.Record, at attributes) bool {
	switch {
	case at.waits+at.waited != "":
		return true
	case at.components > 0 && r.Level >= p.level:
		p.count(r.Message, at.components)
		return true
	case at.component && (r.Level == slog.LevelDebug || r.Level == slog.LevelError):
		return p.advance() && r.Level < slog.LevelError
	}
	return false
}

// Write writes a line above the status line, or keeps it while a prompt is open. After a line without an end, which is a prompt, there is
// no status line until the end comes.
func (p *Progress) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pauses > 0 {
		return p.held.Write(line)
	}
	p.erase()
	p.partial = !bytes.HasSuffix(line, []byte("\n"))
	defer p.draw()
	return p.out.Write(line)
}

// Pause makes room for a prompt: until resume is called, nothing is shown but the prompt.
func (p *Progress) Pause() (resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.pauses++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pauses--
		p.advanced = time.Now() // a person's time is nobody else's wait
		p.flush()
		p.draw()
	})
}

// Close takes the status line away. What is written after it is written as it comes.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.erase()
	p.closed = true
	if p.stop != nil {
		close(p.stop)
	}
	for _, w := range p.waits {
		w.stop()
	}
	if p.pauses > 0 {
		p.pauses = 0
		fmt.Fprintln(p.out) // the prompt's line has no end
	}
	p.flush()
}

func (p *Progress) flush() {
	if p.pauses > 0 || p.held.Len() == 0 {
		return
	}
	_, _ = p.held.WriteTo(p.out)
}

// count starts the bar.
func (p *Progress) count(verb string, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.verb, p.total, p.done, p.began, p.advanced = verb, total, 0, now, now
	p.tick()
	p.draw()
}

// advance moves the bar, and reports whether there is one.
func (p *Progress) advance() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.verb == "" {
		return false
	}
	p.done, p.advanced = min(p.done+1, p.total), time.Now()
	p.draw()
	return true
}

// begin notes a wait.
func (p *Progress) begin(what string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.level > slog.LevelInfo {
		return
	}
	if w := p.waits[what]; w != nil {
		w.waiting++
		return
	}
	w := &wait{waiting: 1, since: since}
	p.waits[what] = w
	if p.screen {
		p.tick()
		return
	}
	w.line = time.AfterFunc(firstLine-time.Since(since), func() { p.tell(what, w) })
}

// end forgets a wait when nobody waits for it any more.
func (p *Progress) end(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.waits[what]
	if w == nil {
		return
	}
	if w.waiting--; w.waiting == 0 {
		w.stop()
		delete(p.waits, what)
		p.draw()
	}
}

func (w *wait) stop() {
	if w.line != nil {
		w.line.Stop()
	}
}

// tell writes a line about a long wait, and comes back.
func (p *Progress) tell(what string, w *wait) {
	p.mu.Lock()
	over := p.closed || p.waits[what] != w
	if !over {
		w.line.Reset(nextLine)
	}
	p.mu.Unlock()
	if over {
		return
	}
	text := fmt.Sprintf("still waiting for %s: %.0f s", what, time.Since(w.since).Seconds())
	_ = p.Handler.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelInfo, text, 0))
}

// tick keeps the status line up to date.
func (p *Progress) tick() {
	if p.stop != nil || p.closed {
		return
	}
	stop := make(chan struct{})
	p.stop = stop
	go func() {
		ticker := time.NewTicker(redraw)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				p.mu.Lock()
				p.draw()
				p.mu.Unlock()
			}
		}
	}()
}
