package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/stratio/keos-oci/internal/terminal"
)

// progress renders the verbs' log records on stderr: a bar on a terminal, lines otherwise.
type progress struct {
	slog.Handler
	level slog.Level

	mu   *sync.Mutex
	bars *mpb.Progress // nil where there is no terminal
	bar  **mpb.Bar
	out  io.Writer
}

func (a *app) openProgress() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.global.logLevel)); err != nil {
		return fmt.Errorf("--log-level %s is none of debug, info, warn, error", a.global.logLevel)
	}
	p := &progress{level: level, mu: &sync.Mutex{}, bar: new(*mpb.Bar), out: a.err}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}
	switch a.global.logFormat {
	case "json":
		p.Handler = slog.NewJSONHandler(terminal.JSONWriter{W: a.err}, &slog.HandlerOptions{Level: level})
	case "text":
		p.Handler = slog.NewTextHandler(a.err, opts)
		if isTerminal(a.err) {
			p.bars = mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(40))
			p.Handler = slog.NewTextHandler(p.bars, opts)
		}
	default:
		return fmt.Errorf("--log-format %s is neither text nor json", a.global.logFormat)
	}
	a.progress = p
	return nil
}

func (a *app) closeProgress() {
	if a.progress == nil || a.progress.bars == nil {
		return
	}
	if bar := *a.progress.bar; bar != nil {
		bar.Abort(false)
	}
	a.progress.bars.Wait()
	a.progress.bars = nil
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// Enabled implements slog.Handler. A component that is done is a Debug record.
func (p *progress) Enabled(_ context.Context, level slog.Level) bool {
	return level >= min(p.level, slog.LevelDebug)
}

// Handle implements slog.Handler: on a terminal a record that counts components starts the bar, and the end of a component moves it: a
// Debug record, or an Error. The rest, and everything elsewhere, is a line.
func (p *progress) Handle(ctx context.Context, r slog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	silent := r.Level < p.level
	if p.bars == nil {
		if silent {
			return nil
		}
		return p.Handler.Handle(ctx, r)
	}
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == "components":
			*p.bar, silent = p.start(r.Message, a.Value.Int64()), true
		case a.Key == "component" && (r.Level == slog.LevelDebug || r.Level == slog.LevelError) && *p.bar != nil:
			(*p.bar).Increment()
			silent = r.Level < slog.LevelError
		}
		return true
	})
	if silent {
		return nil
	}
	return p.Handler.Handle(ctx, r)
}

func (p *progress) start(verb string, total int64) *mpb.Bar {
	return p.bars.AddBar(total,
		mpb.PrependDecorators(decor.Name(verb, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d"), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)))
}
