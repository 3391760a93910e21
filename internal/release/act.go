package release

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stratio/keos-oci/internal/tag"
)

// How long the parts of a move may take. What is assumed of a registry: a request ends by its deadline, and a list or read
// shows writes that have ended.
const (
	finishIn  = 15 * time.Second // what was begun, after a signal
	seenIn    = 10 * time.Second // the own record, in the list of tags
	tagIn     = 10 * time.Second // the request that writes the channel
	listedAgo = 5 * time.Second  // the list, when that request is sent
	attempts  = 4                // of one move, when others move at the same time
)

// errYield says that another move began at the same time, and that this one gave way.
var errYield = fmt.Errorf("%w: another move began at the same time", tag.ErrConflict)

// errUnknown says that it is not known whether the channel was moved.
var errUnknown = errors.New("cannot tell whether the channel was moved")

// InDoubt reports whether an error leaves open what the registry has now.
func InDoubt(err error) bool { return errors.Is(err, errUnknown) }

// outcome is what a move did. Where it failed, an error goes with it, and it has what was done until then.
type outcome struct {
	signedMove        // of the last attempt
	record     string // tag of the newest record that was written
	signer     string // of that record
	acted      bool   // the last attempt wrote all it had to write
	failed     notes  // what did not work, and is no error
}

// act moves the channel by the protocol of moves (docs/guides/moves.md). Who meets a move that began at the same time gives way, waits a
// random moment and begins again.
func (m *move) act(ctx context.Context, s signedMove) (outcome, error) {
	out, err := m.attempt(ctx, outcome{signedMove: s})
	for n := 1; errors.Is(err, errYield) && n < attempts; n++ {
		if pause(ctx, time.Duration(n)*200*time.Millisecond+rand.N(time.Duration(n)*800*time.Millisecond)) != nil {
			break
		}
		out.failed = nil
		if out.planned, err = m.prepare(ctx); err != nil || !out.step.Writes() {
			return out, err // prepare logs what it could not do
		}
		if out.signedMove, err = m.sign(ctx, out.planned); err == nil {
			out, err = m.attempt(ctx, out)
		}
	}
	if err != nil {
		m.logFailure(err)
		return out, err
	}
	out.acted = true
	m.log.Debug(out.status(), "component", m.component.Name, "version", out.target.Version) // the result has it
	return out, nil
}

// status says what happened to the channel.
func (o outcome) status() string {
	if o.acted && o.step.Move {
		return StatusMoved
	}
	return StatusUnchanged
}

// attempt is steps 2 to 5 of the protocol. They are finished even when a signal comes, within finishIn. The outcome may have the record of
// an attempt before.
func (m *move) attempt(ctx context.Context, out outcome) (outcome, error) {
	if !out.step.Writes() {
		return out, nil
	}
	if err := ctx.Err(); err != nil {
		return out, err // nothing is begun yet
	}
	defer m.finishing(ctx)()
	ctx, end := outlive(ctx, finishIn)
	defer end()
	for _, e := range out.view.Journal.Unmarked() {
		if err := m.journal.MarkRead(ctx, e); err != nil {
			out.failed.add("record %s could not be marked as done: %v", e.Tag, err)
		}
	}
	if m.Unrecorded {
		return m.pointUnrecorded(ctx, out)
	}
	if out.adoption != nil {
		if err := m.journal.Store(ctx, *out.adoption); err != nil {
			return out, err
		}
		out.record, out.signer = out.adoption.Tag, out.adoption.Signer
	}
	if out.entry == nil {
		return out, nil
	}
	if err := m.journal.Store(ctx, *out.entry); err != nil {
		return out, fmt.Errorf("write the record of the move: %w; nothing was moved", err)
	}
	out.record, out.signer = out.entry.Tag, out.entry.Signer
	w := writing{move: m, signedMove: out.signedMove, trouble: &out.failed}
	listed, err := w.alone(ctx)
	if err != nil || !out.step.Move {
		return out, err
	}
	if err := w.point(ctx, out.to, listed); err != nil {
		return out, err
	}
	if err := m.journal.Mark(ctx, *out.entry); err != nil {
		out.failed.add("%s was moved; its record could not be marked as done, which the next move does: %v", m.channel.Name, err)
	}
	return out, nil
}

// pointUnrecorded moves the channel without a record.
func (m *move) pointUnrecorded(ctx context.Context, out outcome) (outcome, error) {
	if out.view.MoveUnderWay() {
		out.failed.add("a move of another command may be under way, which can move %s again: look with keos-oci status %s", m.channel.Name,
			m.component.Name)
	}
	out.failed.add("nothing is on record: when signing works again, say keos-oci rollback %s %s, which records it", m.component.Name,
		out.target.Version)
	w := writing{move: m, signedMove: out.signedMove, trouble: &out.failed}
	return out, w.point(ctx, out.to, m.now())
}

// outlive is a context that ends that long after ctx.
func outlive(ctx context.Context, by time.Duration) (context.Context, func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, func() { cancel(context.Cause(ctx)) }) })
	return longer, func() { stop(); cancel(nil) }
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
