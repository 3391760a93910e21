package process

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// signalled gives the channel of signals on which one has arrived.
func signalled(s os.Signal) chan os.Signal {
	signals := make(chan os.Signal, 2)
	signals <- s
	return signals
}

// TestSuperviseDone: a command that ends by itself has its own exit code.
func TestSuperviseDone(t *testing.T) {
	var r Run
	if code, why := r.Supervise(func(context.Context) int { return 3 }, nil); code != 3 || why != nil {
		t.Errorf("%d, %v", code, why)
	}
}

// TestSuperviseSignal: a command hears of the signal and ends with an exit code of its own.
func TestSuperviseSignal(t *testing.T) {
	var r Run
	code, why := r.Supervise(func(ctx context.Context) int {
		r.Begin(ctx)
		<-r.Ended()
		var by Interruption
		if err := r.Cause(); !errors.As(err, &by) || !errors.Is(err, context.Canceled) || err.Error() != "interrupted by SIGTERM" {
			t.Errorf("cause = %v", err)
		}
		return 1
	}, signalled(syscall.SIGTERM))
	if code != 1 || why != nil {
		t.Errorf("%d, %v", code, why)
	}
}

// TestSuperviseDeaf: a command that does not hear of the signal is left behind, and everything is cleaned up.
func TestSuperviseDeaf(t *testing.T) {
	var r Run
	var cleaned []int
	r.AtEnd(func() { cleaned = append(cleaned, 1) })
	r.AtEnd(func() { cleaned = append(cleaned, 2) })
	stop := make(chan struct{})
	defer close(stop)
	_, why := r.Supervise(func(context.Context) int { <-stop; return 0 }, signalled(os.Interrupt))
	if why != error(Interruption{os.Interrupt}) { //nolint:errorlint // this very one
		t.Errorf("why = %v", why)
	}
	if r.End(); !slices.Equal(cleaned, []int{2, 1}) {
		t.Errorf("cleaned up: %v", cleaned)
	}
}

// TestSuperviseCritical: what was begun is finished, though it takes longer than a command has after a signal.
func TestSuperviseCritical(t *testing.T) {
	var r Run
	warned := make(chan bool, 2)
	code, why := r.Supervise(func(ctx context.Context) int {
		defer r.Finishing(ctx, func() { warned <- true })()
		defer r.Finishing(ctx, func() { warned <- true })()
		<-ctx.Done()
		time.Sleep(endIn + 200*time.Millisecond)
		return 3
	}, signalled(os.Interrupt))
	if code != 3 || why != nil || len(warned) != 1 {
		t.Errorf("%d, %v, %d warnings", code, why, len(warned))
	}
}

// TestSuperviseTwice: the second signal ends the process at once, even in a critical part.
func TestSuperviseTwice(t *testing.T) {
	var r Run
	signals := signalled(os.Interrupt)
	stop := make(chan struct{})
	defer close(stop)
	code, why := r.Supervise(func(ctx context.Context) int {
		defer r.Critical()()
		<-ctx.Done()
		signals <- os.Interrupt
		<-stop
		return 0
	}, signals)
	if code != 130 || why != nil {
		t.Errorf("%d, %v", code, why)
	}
}

// TestSupervisePager: Ctrl-C is for the pager while it has the terminal.
func TestSupervisePager(t *testing.T) {
	var r Run
	signals := make(chan os.Signal)
	code, why := r.Supervise(func(ctx context.Context) int {
		defer r.Page(func() {})()
		signals <- os.Interrupt
		time.Sleep(100 * time.Millisecond)
		if ctx.Err() != nil {
			t.Error("the command has ended, not the pager")
		}
		return 0
	}, signals)
	if code != 0 || why != nil {
		t.Errorf("%d, %v", code, why)
	}
}

// TestLimit: a command that does not end in its time is left behind with an error that says so.
func TestLimit(t *testing.T) {
	var r Run
	stop := make(chan struct{})
	defer close(stop)
	_, why := r.Supervise(func(ctx context.Context) int {
		ctx = r.Limit(ctx, 10*time.Millisecond)
		<-ctx.Done()
		<-stop
		return 0
	}, nil)
	if !errors.Is(why, context.DeadlineExceeded) || why.Error() != "the command did not end within 10ms (--timeout)" {
		t.Errorf("why = %v", why)
	}
}
