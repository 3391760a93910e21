package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/vbauerster/mpb/v8"
)

// TestProgress: elsewhere every record is a line, but not what the result has as well; on a terminal components move a bar and only trouble makes lines.
func TestProgress(t *testing.T) {
	feed := func(h slog.Handler) {
		log := slog.New(h)
		log.Info("publish", "components", 2)
		log.Debug("published", "component", "a")
		log.Warn("dirty work tree", "component", "b")
		log.Error("failed", "component", "b", "code", "refused")
	}
	var lines bytes.Buffer
	a := &app{err: &lines, global: globalFlags{logLevel: "info", logFormat: "text"}}
	if err := a.openProgress(); err != nil {
		t.Fatal(err)
	}
	feed(a.progress)
	a.closeProgress()
	if got := strings.Count(lines.String(), "\n"); got != 3 || strings.Contains(lines.String(), "published") {
		t.Errorf("%d lines:\n%s", got, &lines)
	}

	var terminal bytes.Buffer
	bars := mpb.New(mpb.WithOutput(&terminal), mpb.WithAutoRefresh(), mpb.WithWidth(40))
	a.progress = &progress{Handler: slog.NewTextHandler(bars, nil), mu: &sync.Mutex{}, bars: bars, bar: new(*mpb.Bar)}
	feed(a.progress)
	a.closeProgress()
	for text, want := range map[string]bool{"2 / 2": true, "msg=failed component=b": true, "dirty work tree": true, "msg=published": false} {
		if strings.Contains(terminal.String(), text) != want {
			t.Errorf("%q on the terminal: want %v:\n%s", text, want, &terminal)
		}
	}
}

func TestLogFlags(t *testing.T) {
	for _, g := range []globalFlags{{logLevel: "loud", logFormat: "text"}, {logLevel: "info", logFormat: "xml"}} {
		if err := (&app{err: &bytes.Buffer{}, global: g}).openProgress(); err == nil {
			t.Errorf("%+v was accepted", g)
		}
	}
}
