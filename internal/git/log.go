package git

import (
	"context"
	"log/slog"
)

type logKey struct{}

// WithLog gives a context under which git commands say on log that the run waits for them.
func WithLog(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

// waiting says on the log of ctx that the run waits for a git command. done says that the command has ended.
func waiting(ctx context.Context, command string) (done func()) {
	log, ok := ctx.Value(logKey{}).(*slog.Logger)
	if !ok {
		return func() {}
	}
	what := "git " + command
	log.Debug("waiting", "waits", what)
	return func() { log.Debug("waiting no more", "waited", what) }
}
