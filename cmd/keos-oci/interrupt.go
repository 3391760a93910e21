package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stratio/keos-oci/internal/release"
)

const (
	// endIn is how long a command may take to end after a signal or its --timeout. What does not hear of the end (a prompt, a browser,
	// a build, a key that is being opened) is left behind then.
	endIn = 700 * time.Millisecond
	// finishIn bounds what was begun and is finished in spite of a signal, beyond the limit that it has itself.
	finishIn = 20 * time.Second
)

// interruption is the end of a command that a signal asked for. It is context.Canceled.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string {
	if i.signal == os.Interrupt {
		return "interrupted"
	}
	return "interrupted by SIGTERM"
}

// Is makes errors.Is find context.Canceled.
func (i interruption) Is(target error) bool { return target == context.Canceled }

// overtime is the end of a command by --timeout. It is context.DeadlineExceeded.
type overtime time.Duration

func (o overtime) Error() string {
	return fmt.Sprintf("the command did not end within %s (--timeout)", time.Duration(o))
}

// Is makes errors.Is find context.DeadlineExceeded.
func (o overtime) Is(target error) bool { return target == context.DeadlineExceeded }

// supervise runs one command line and gives the exit code. The first signal ends the command within a second, unless it finishes what
// it has begun; the second one ends the process at once, with the exit code that shells give for the signal.
func (a *app) supervise(args []string, signals <-chan os.Signal) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan int, 1)
	go func() { done <- a.run(ctx, args) }()
	over := a.overtime()
	var why error
	for why == nil {
		select {
		case code := <-done:
			return code
		case why = <-over:
		case s := <-signals:
			why = interruption{s}
		}
		if a.paging.Load() && why != error(interruption{syscall.SIGTERM}) { //nolint:errorlint // this very one
			why = nil // the command has done its work, and Ctrl-C is for the pager
		}
	}
	cancel(why)
	code, ended := a.await(done, signals)
	if !ended {
		a.end()
		a.closeProgress()
		a.say(why)
	}
	return code
}

// interrupted puts one short error in the place of all that say only where the signal met the command.
func (a *app) interrupted(errs []error) []error {
	if a.cause == nil {
		return errs
	}
	var by interruption
	cause := a.cause()
	if !errors.As(cause, &by) {
		return errs
	}
	left := slices.DeleteFunc(slices.Clone(errs), func(err error) bool {
		return a.known(err).Code == "canceled" && !release.InDoubt(err) && strings.HasSuffix(err.Error(), cause.Error())
	})
	if len(left) < len(errs) {
		left = append(left, cause)
	}
	return left
}

// await waits until the command ends, for as long as that may take. ended is false when the command is still running then.
func (a *app) await(done <-chan int, signals <-chan os.Signal) (code int, ended bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	asked, idle := time.Now(), time.Now()
	for {
		select {
		case code := <-done:
			return code, true
		case s := <-signals:
			a.end()
			if number, ok := s.(syscall.Signal); ok {
				return 128 + int(number), true
			}
			return exitFailed, true
		case <-tick.C:
		}
		if a.critical.busy() && time.Since(asked) < finishIn {
			idle = time.Now()
		}
		if time.Since(idle) > endIn {
			return exitFailed, false
		}
	}
}

// overtime gives the channel on which the error arrives when --timeout is over.
func (a *app) overtime() <-chan error {
	over := make(chan error, 1)
	a.late = func(err error) { over <- err }
	return over
}

// limit bounds the command by --timeout.
func (a *app) limit(ctx context.Context) context.Context {
	why := overtime(a.global.timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, a.global.timeout, why)
	a.cause, a.ended = func() error { return context.Cause(ctx) }, ctx.Done()
	stop := context.AfterFunc(ctx, func() {
		if late := a.late; late != nil && context.Cause(ctx) == error(why) { //nolint:errorlint // this very one
			late(why)
		}
	})
	a.atEnd(func() { stop(); cancel() })
	return ctx
}

// critical counts the parts of a command that are finished in spite of a signal.
type critical struct {
	mu    sync.Mutex
	parts int
	said  bool
}

func (c *critical) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts > 0
}

// enter says that such a part begins, and gives what says that it has ended.
func (c *critical) enter() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.parts--
	})
}

// once reports whether it is asked for the first time.
func (c *critical) once() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.said
	c.said = true
	return first
}

// finishing counts a part of a move that begins and is finished in spite of a signal, and warns when a signal comes.
func (a *app) finishing(ctx context.Context) func() {
	end := a.critical.enter()
	stop := context.AfterFunc(ctx, func() {
		if a.critical.once() {
			slog.New(a.progress).Warn("the move that was begun is being finished, which takes 15 s at most; Ctrl-C ends at once")
		}
	})
	return func() { stop(); end() }
}

// atEnd says what is cleaned up when the command ends, the last first.
func (a *app) atEnd(f func()) {
	a.ending.Lock()
	defer a.ending.Unlock()
	a.cleanup = append(a.cleanup, f)
}

// end cleans up, once.
func (a *app) end() {
	for {
		a.ending.Lock()
		n := len(a.cleanup)
		if n == 0 {
			a.ending.Unlock()
			return
		}
		f := a.cleanup[n-1]
		a.cleanup = a.cleanup[:n-1]
		a.ending.Unlock()
		f()
	}
}
