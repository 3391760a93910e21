package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// The screen of a person who works in a split window.
const (
	screenColumns = 80
	screenRows    = 24
	allRows       = 500 // what has left the screen is kept above it
)

// ptyRun is a command in a terminal of its own, with a person at it.
type ptyRun struct {
	keyboard *os.File // what the person types, and what the terminal shows
	cmd      *exec.Cmd
	ended    chan struct{}

	mu     sync.Mutex
	output bytes.Buffer // all that was ever written
	screen vt10x.Terminal
}

// typed starts a command in a terminal of its own.
func (s *sandbox) typed(t *testing.T, args ...string) *ptyRun {
	t.Helper()
	return atTerminal(t, s.command(t.Context(), args...))
}

func atTerminal(t *testing.T, cmd *exec.Cmd) *ptyRun {
	t.Helper()
	keyboard, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: screenColumns, Rows: screenRows})
	if err != nil {
		t.Fatal(err)
	}
	p := &ptyRun{keyboard: keyboard, cmd: cmd, ended: make(chan struct{}), screen: vt10x.New(vt10x.WithSize(screenColumns, allRows))}
	go func() { _, _ = io.Copy(p, keyboard) }()
	go func() { _ = cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		_ = keyboard.Close()
	})
	return p
}

// Write takes what the command shows.
func (p *ptyRun) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.screen.Write(b)
	return p.output.Write(b)
}

// showed reports whether a text was ever written.
func (p *ptyRun) showed(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.output.String(), text)
}

// lines is what the person sees, scrolled up to the beginning.
func (p *ptyRun) lines() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for line := range strings.Lines(p.screen.String() + "\n") {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// sees reports whether a text is on the screen.
func (p *ptyRun) sees(text string) bool { return strings.Contains(p.lines(), text) }

// coloured reports whether the first letter of a text on the screen has a colour.
func (p *ptyRun) coloured(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for y, line := range strings.Split(p.screen.String(), "\n") {
		if before, _, found := strings.Cut(line, text); found {
			cell := p.screen.Cell(len([]rune(before)), y)
			return cell.FG != vt10x.DefaultFG || cell.Mode != 0
		}
	}
	return false
}

func (p *ptyRun) String() string {
	return fmt.Sprintf("exit %d\n%s", p.cmd.ProcessState.ExitCode(), p.lines())
}

// until waits for a condition.
func (p *ptyRun) until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for start := time.Now(); !met(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.ended:
			time.Sleep(20 * time.Millisecond) // the last words
			if met() {
				return
			}
			t.Fatalf("%s: it ended before: %v", what, p)
		default:
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%s: nothing came:\n%s", what, p.lines())
		}
	}
}

// end waits for the command and gives its exit code.
func (p *ptyRun) end(t *testing.T, within time.Duration) int {
	t.Helper()
	start := time.Now()
	select {
	case <-p.ended:
	case <-time.After(within + 20*time.Second):
		t.Fatalf("it does not end:\n%s", p.lines())
	}
	time.Sleep(20 * time.Millisecond) // the last words
	if took := time.Since(start); took > within {
		t.Errorf("it took %s, more than %s: %v", took, within, p)
	} else {
		t.Logf("ended after %s", took.Round(10*time.Millisecond))
	}
	return p.cmd.ProcessState.ExitCode()
}

const ctrlC = "\x03"

func (p *ptyRun) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := p.keyboard.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// echoes reports whether the terminal shows what is typed.
func (p *ptyRun) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(p.keyboard.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0 && state.Lflag&unix.ICANON != 0
}
