package terminal

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hinshun/vt10x"
)

// lines makes a Progress whose lines have no time.
func newTestProgress(out io.Writer, screen bool, level slog.Level) *Progress {
	return NewProgress(out, screen, level, func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}})
	})
}

// rows is what a screen shows.
func rows(screen vt10x.Terminal) string {
	var b strings.Builder
	for line := range strings.Lines(screen.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// cooked is a terminal that begins a line where a text ends one.
type cooked struct{ vt10x.Terminal }

func (c cooked) Write(b []byte) (int, error) {
	_, err := c.Terminal.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), err
}

func want(t *testing.T, what string, screen vt10x.Terminal, text string) {
	t.Helper()
	if got := rows(screen); got != text {
		t.Errorf("%s: the screen shows\n%s\nwant\n%s", what, got, text)
	}
}

// TestScreen: the status line is the last one, trouble is above it, a prompt has the screen for itself, and nothing of the bar stays.
func TestScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := vt10x.New(vt10x.WithSize(80, 10))
		p := newTestProgress(cooked{screen}, true, slog.LevelInfo)
		log := slog.New(p)
		log.Info("publish", "components", 4)
		want(t, "start", screen, "publish [>                                       ]  0 / 4  0s")
		log.Debug("published", "component", "a")
		log.Warn("dirty work tree", "component", "b")
		time.Sleep(1500 * time.Millisecond)
		want(t, "moves", screen, "msg=\"dirty work tree\" component=b\npublish [==========>                             ]  1 / 4  1s")

		log.Debug("waiting", AttrWaits, "the registry r.example")
		time.Sleep(time.Second)
		want(t, "goes on", screen, "msg=\"dirty work tree\" component=b\npublish [==========>                             ]  1 / 4  2s")
		time.Sleep(3100 * time.Millisecond)
		want(t, "waits", screen, "msg=\"dirty work tree\" component=b\n"+
			"publish [====>           ]  1 / 4  5s  waiting for the registry r.example: 4s")
		log.Debug("waiting no more", AttrWaited, "the registry r.example")
		want(t, "answered", screen, "msg=\"dirty work tree\" component=b\npublish [==========>                             ]  1 / 4  5s")

		resume := p.Pause()
		_, _ = io.WriteString(cooked{screen}, "Password: ")
		log.Error("failed", "component", "c")
		time.Sleep(time.Minute)
		want(t, "prompt", screen, "msg=\"dirty work tree\" component=b\nPassword:")
		_, _ = io.WriteString(cooked{screen}, "\n")
		resume()
		want(t, "resumed", screen, "msg=\"dirty work tree\" component=b\nPassword:\nmsg=failed component=c\n"+
			"publish [====================>                   ]  2 / 4  1m05s")
		p.Close()
		p.Close()
		log.Info("done")
		want(t, "end", screen, "msg=\"dirty work tree\" component=b\nPassword:\nmsg=failed component=c\nmsg=done")
	})
}

// TestStatusFits: the status line never wraps.
func TestStatusFits(t *testing.T) {
	p := newTestProgress(io.Discard, true, slog.LevelInfo)
	now := time.Now()
	p.verb, p.total, p.done, p.began = "promote", 120, 60, now.Add(-time.Hour)
	p.waits["another move of latest-stable of a-component-with-a-long-name"] = &wait{since: now.Add(-time.Minute)}
	for columns := 1; columns < 120; columns++ {
		if line := []rune(p.line(now, columns)); len(line) > columns {
			t.Errorf("%d columns: %q", columns, string(line))
		}
	}
}

// TestPromptOfOthers: a line without an end is a prompt of a library. The status line stays away until the line ends.
func TestPromptOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := vt10x.New(vt10x.WithSize(80, 10))
		p := newTestProgress(cooked{screen}, true, slog.LevelInfo)
		defer p.Close()
		slog.New(p).Info("publish", "components", 1)
		_, _ = io.WriteString(p, "Enter verification code: ")
		time.Sleep(10 * time.Second)
		want(t, "prompt", screen, "Enter verification code:")
		_, _ = io.WriteString(p, "\n")
		want(t, "after", screen, "Enter verification code:\npublish [>                                       ]  0 / 1  10s")
	})
}

// TestWaitLines: without a terminal a wait of 5 s is a line, and one more every 30 s, once for all who wait for the same.
func TestWaitLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newTestProgress(&out, false, slog.LevelInfo)
		log := slog.New(p)
		log.Debug("waiting", AttrWaits, "git status")
		time.Sleep(4 * time.Second)
		log.Debug("waiting no more", AttrWaited, "git status")
		log.Debug("waiting", AttrWaits, "Rekor at log.example", AttrSince, time.Now().Add(-time.Second))
		log.Debug("waiting", AttrWaits, "Rekor at log.example")
		time.Sleep(10 * time.Second)
		log.Debug("waiting no more", AttrWaited, "Rekor at log.example")
		time.Sleep(30 * time.Second)
		log.Debug("waiting no more", AttrWaited, "Rekor at log.example")
		time.Sleep(time.Hour)
		want := "msg=\"still waiting for Rekor at log.example: 5 s\"\nmsg=\"still waiting for Rekor at log.example: 35 s\"\n"
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		p.Close()
	})
}

// TestQuiet: whoever wants warnings alone sees neither bar nor waits.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, screen := range []bool{true, false} {
			var out bytes.Buffer
			p := newTestProgress(&out, screen, slog.LevelWarn)
			log := slog.New(p)
			log.Info("publish", "components", 4)
			log.Debug("published", "component", "a")
			log.Debug("waiting", AttrWaits, "Rekor at log.example")
			time.Sleep(time.Hour)
			log.Warn("dirty")
			p.Close()
			if got := out.String(); got != "msg=dirty\n" {
				t.Errorf("%q", got)
			}
		}
	})
}
