package terminal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

func environment(entries ...string) func(string) string {
	return func(name string) string {
		for _, e := range entries {
			if key, value, _ := strings.Cut(e, "="); key == name {
				return value
			}
		}
		return ""
	}
}

// TestColours: the flag decides, then the variables, then what the stream is.
func TestColours(t *testing.T) {
	keyboard, screen, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	defer keyboard.Close()
	defer screen.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		mode      ColourMode
		env       []string
		terminal  bool
		elsewhere bool
	}{
		{ColourAuto, nil, true, false},
		{ColourAuto, []string{"NO_COLOR=1"}, false, false},
		{ColourAuto, []string{"NO_COLOR="}, true, false},
		{ColourAuto, []string{"NO_COLOR=0", "CLICOLOR_FORCE=1"}, false, false},
		{ColourAuto, []string{"CLICOLOR_FORCE=1", "TERM=dumb"}, true, true},
		{ColourAuto, []string{"CLICOLOR_FORCE=0"}, true, false},
		{ColourAuto, []string{"CLICOLOR=0"}, false, false},
		{ColourAuto, []string{"CLICOLOR=1"}, true, false},
		{ColourAuto, []string{"TERM=dumb"}, false, false},
		{ColourAlways, []string{"NO_COLOR=1", "TERM=dumb"}, true, true},
		{ColourNever, []string{"CLICOLOR_FORCE=1"}, false, false},
	} {
		if got := c.mode.Coloured(screen, environment(c.env...)); got != c.terminal {
			t.Errorf("%s %v on a terminal: %t", c.mode, c.env, got)
		}
		for _, w := range []io.Writer{file, &bytes.Buffer{}} {
			if got := c.mode.Coloured(w, environment(c.env...)); got != c.elsewhere {
				t.Errorf("%s %v elsewhere: %t", c.mode, c.env, got)
			}
		}
	}
	if err := ColourMode("blue").Check(); err == nil {
		t.Error("blue is no mode")
	}
}

func TestAsk(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "yes\r\n": true, "YES\n": true, " y \n": true, "\n": false, "n\n": false, "": false,
		"yeah\n": false, "y": false} {
		var out bytes.Buffer
		yes, err := Ask(t.Context(), strings.NewReader(answer), &out, "Move them?")
		if yes != want || err != nil || !strings.HasPrefix(out.String(), "Move them? [y/N] ") {
			t.Errorf("%q: %t %v %q", answer, yes, err, out.String())
		}
	}
	in := strings.NewReader("y\nsecond\n")
	if yes, _ := Ask(t.Context(), in, io.Discard, "?"); !yes {
		t.Error("no")
	}
	if rest, _ := io.ReadAll(in); string(rest) != "second\n" {
		t.Errorf("the answer took more than its line: %q left", rest)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	read, write := io.Pipe()
	defer write.Close()
	if _, err := Ask(ctx, read, io.Discard, "?"); !errors.Is(err, enough) {
		t.Error(err)
	}
}

func TestRows(t *testing.T) {
	for text, want := range map[string]int{"": 0, "a\n": 1, "a\nb": 2, "\n\n": 2,
		strings.Repeat("x", 10) + "\n": 1, strings.Repeat("x", 11) + "\n": 2,
		"\x1b[31m" + strings.Repeat("é", 10) + "\x1b[0m\n": 1, strings.Repeat("x", 30): 3} {
		if got := rowsOf(text, 10); got != want {
			t.Errorf("%q: %d rows, want %d", text, got, want)
		}
	}
}
