package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/stratio/keos-oci/internal/terminal"
)

// openProgress makes what renders the verbs' log records on stderr.
func (a *app) openProgress() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.global.logLevel)); err != nil {
		return fmt.Errorf("--log-level %s is none of debug, info, warn, error", a.global.logLevel)
	}
	switch a.global.logFormat {
	case "json":
		a.progress = terminal.NewProgress(a.err, false, level, func(w io.Writer) slog.Handler {
			return slog.NewJSONHandler(terminal.JSONWriter{W: w}, &slog.HandlerOptions{Level: level})
		})
	case "text":
		a.progress = terminal.NewProgress(a.err, terminal.Escapes(a.err), level, func(w io.Writer) slog.Handler {
			return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime})
		})
	default:
		return fmt.Errorf("--log-format %s is neither text nor json", a.global.logFormat)
	}
	return nil
}

func (a *app) closeProgress() {
	if a.progress != nil {
		a.progress.Close()
	}
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
