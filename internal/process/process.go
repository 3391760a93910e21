// Package process ends a command: when a signal comes, when its time is over, or when its work is done. A command says what is cleaned up
// at its end, and which parts of its work are finished in spite of a signal.
package process

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// endIn is how long a command may take to end after a signal or its time limit. What does not hear of the end (a prompt, a browser,
	// a build, a key that is being opened) is left behind then.
	endIn = 700 * time.Millisecond
	// finishIn bounds what was begun and is finished in spite of a signal, beyond the limit that it has itself.
	finishIn = 20 * time.Second
)

// Interruption is the end of a command that a signal asked for. It is context.Canceled.
type Interruption struct{ Signal os.Signal }

func (i Interruption) Error() string {
	if i.Signal == os.Interrupt {
		return "interrupted"
	}
	return "interrupted by SIGTERM"
}

// Is makes errors.Is find context.Canceled.
func (i Interruption) Is(target error) bool { return target == context.Canceled }

// Overtime is the end of a command by --timeout. It is context.DeadlineExceeded.
type Overtime time.Duration

func (o Overtime) Error() string {
	return fmt.Sprintf("the command did not end within %s (--timeout)", time.Duration(o))
}

// Is makes errors.Is find context.DeadlineExceeded.
func (o Overtime) Is(target error) bool { return target == context.DeadlineExceeded }

// Run is one command from its begin to its end. The zero value is ready for use.
type Run struct {
	critical critical        // what a signal does not cut
	paging   atomic.Bool     // the pager has the terminal
	ended    <-chan struct{} // is closed when the command ends early
	cause    func() error    // why the command ends early, nil when it does not
	late     func(error)     // is called when the time is over; may be nil
	ending   sync.Mutex
	cleanup  []func()
}

// Supervise runs a command and gives its exit code. The first signal ends the command within a second, unless it finishes what it has
// begun; the second one ends the process at once, with the exit code that shells give for the signal. The error is why a command is left
// behind that is still running; then it has no exit code.
func (r *Run) Supervise(command func(context.Context) int, signals <-chan os.Signal) (int, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	over := make(chan error, 1)
	r.late = func(err error) { over <- err }
	done := make(chan int, 1)
	go func() { done <- command(ctx) }()
	var why error
	for why == nil {
		select {
		case code := <-done:
			return code, nil
		case why = <-over:
		case s := <-signals:
			why = Interruption{s}
		}
		if r.paging.Load() && why != error(Interruption{syscall.SIGTERM}) { //nolint:errorlint // this very one
			why = nil // the command has done its work, and Ctrl-C is for the pager
		}
	}
	cancel(why)
	code, ended := r.await(done, signals)
	if !ended {
		r.End()
		return 0, why
	}
	return code, nil
}

// await waits until the command ends, for as long as that may take. ended is false when the command is still running then.
func (r *Run) await(done <-chan int, signals <-chan os.Signal) (code int, ended bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	asked, idle := time.Now(), time.Now()
	for {
		select {
		case code := <-done:
			return code, true
		case s := <-signals:
			r.End()
			number, _ := s.(syscall.Signal) // all signals are of this type
			return 128 + int(number), true
		case <-tick.C:
		}
		if r.critical.busy() && time.Since(asked) < finishIn {
			idle = time.Now()
		}
		if time.Since(idle) > endIn {
			return 0, false
		}
	}
}

// Begin keeps the context of the command, whose end is an early one.
func (r *Run) Begin(ctx context.Context) {
	r.cause, r.ended = func() error { return context.Cause(ctx) }, ctx.Done()
}

// Ended is closed when the command ends early.
func (r *Run) Ended() <-chan struct{} { return r.ended }

// Cause is why the command ends early, nil when it does not.
func (r *Run) Cause() error {
	if r.cause == nil {
		return nil
	}
	return r.cause()
}

// Limit ends the command after this time.
func (r *Run) Limit(ctx context.Context, after time.Duration) context.Context {
	why := Overtime(after)
	ctx, cancel := context.WithTimeoutCause(ctx, after, why)
	r.Begin(ctx)
	stop := context.AfterFunc(ctx, func() {
		if late := r.late; late != nil && context.Cause(ctx) == error(why) { //nolint:errorlint // this very one
			late(why)
		}
	})
	r.AtEnd(func() { stop(); cancel() })
	return ctx
}

// Page leaves Ctrl-C to the pager until ended is called. The function end ends the pager.
func (r *Run) Page(end func()) (ended func()) {
	r.paging.Store(true)
	r.AtEnd(end)
	return func() { r.paging.Store(false) }
}

// AtEnd keeps what is called when the command ends, the last first.
func (r *Run) AtEnd(f func()) {
	r.ending.Lock()
	defer r.ending.Unlock()
	r.cleanup = append(r.cleanup, f)
}

// End calls what AtEnd kept, once.
func (r *Run) End() {
	for {
		r.ending.Lock()
		n := len(r.cleanup)
		if n == 0 {
			r.ending.Unlock()
			return
		}
		f := r.cleanup[n-1]
		r.cleanup = r.cleanup[:n-1]
		r.ending.Unlock()
		f()
	}
}
