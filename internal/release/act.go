package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
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

// signedMove is the records of a move, before they are written.
type signedMove struct {
	adopt, move *journal.Signed
}

// sign signs the records of the step. Nothing is written.
func (m *mover) sign(ctx context.Context) error {
	m.signed = signedMove{}
	newest, _ := m.view.Journal.Newest()
	if m.step.Adopt {
		r := m.newRecord(tag.ActionAdopt, tag.Target{Version: m.view.Version, Digest: m.view.Digest}, newest)
		last, _ := m.view.Journal.Effective()
		r.From, r.FromVersion, r.Skipped = last.To, last.Version, m.step.Skipped
		adopt, err := m.journal.Sign(ctx, r)
		if err != nil {
			return m.unsigned(err)
		}
		newest, m.signed.adopt = adopt.Entry, &adopt
	}
	if !m.step.Write {
		return nil
	}
	r := m.newRecord(m.action, m.target, newest)
	r.From, r.FromVersion, r.Closes, r.Skipped, r.Ignores = m.view.Digest, m.view.Version, m.step.Closes, m.step.Skipped, m.step.Ignore
	move, err := m.journal.Sign(ctx, r)
	m.signed.move = &move
	return m.unsigned(err)
}

// unsigned says what helps a rollback when signing is down.
func (m *mover) unsigned(err error) error {
	if err == nil || m.action != tag.ActionRollback || registry.Unanswered(err) && errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w (nothing was moved; if signing is down and this cannot wait: --unrecorded)", err)
}

// newRecord is a record behind previous.
func (m *mover) newRecord(action tag.Action, to tag.Target, previous tag.Entry) tag.Record {
	at := m.Now().UTC().Truncate(time.Millisecond)
	if !at.After(previous.Time) {
		at = previous.Time.Add(time.Millisecond) // another machine's clock is ahead; the order of records is that of the moves
	}
	return tag.Record{Component: m.component.Name, Channel: m.channel.Name, Action: action, Version: to.Version, To: to.Digest, Time: at,
		Actor: m.Actor, RunURL: m.RunURL, Reason: m.Reason, Previous: previous.Digest, PreviousTag: previous.Tag, Sequence: previous.Sequence +
			1, Request: m.Request}
}

// act moves the channel by the protocol of moves (docs/guides/moves.md). Who meets a move that began at the same time gives way, waits a
// random moment and begins again.
func (m *mover) act(ctx context.Context) {
	err := m.attempt(ctx)
	for n := 1; errors.Is(err, errYield) && n < attempts; n++ {
		if pause(ctx, time.Duration(n)*200*time.Millisecond+rand.N(time.Duration(n)*800*time.Millisecond)) != nil {
			break
		}
		if m.prepare(ctx); m.out.err != nil {
			return
		}
		if !m.step.Writes() {
			return
		}
		if err = m.sign(ctx); err == nil {
			err = m.attempt(ctx)
		}
	}
	switch {
	case err != nil:
		m.fail(err)
		return
	case m.step.Move:
		m.out.Status = StatusMoved
	default:
		m.out.Status = StatusUnchanged
	}
	m.Log.Debug(m.out.Status, "component", m.component.Name, "version", m.target.Version) // the result has it
}

// attempt is steps 2 to 5 of the protocol. They are finished even when a signal comes, within finishIn.
func (m *mover) attempt(ctx context.Context) error {
	if !m.step.Writes() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err // nothing is begun yet
	}
	defer m.finishing(ctx)()
	ctx, end := outlive(ctx, finishIn)
	defer end()
	for _, e := range m.view.Journal.Unmarked() {
		if err := m.journal.MarkRead(ctx, e); err != nil {
			m.note("record %s could not be marked as done: %v", e.Tag, err)
		}
	}
	if m.Unrecorded {
		if m.view.MoveUnderWay() {
			m.note("a move of another command may be under way, which can move %s again: look with keos-oci status %s", m.channel.Name,
				m.component.Name)
		}
		m.note("nothing is on record: when signing works again, say keos-oci rollback %s %s, which records it", m.component.Name,
			m.target.Version)
		return m.point(ctx, m.Now())
	}
	if m.signed.adopt != nil {
		if err := m.journal.Store(ctx, *m.signed.adopt); err != nil {
			return err
		}
		m.out.Record, m.out.Signer = m.signed.adopt.Tag, m.signed.adopt.Signer
	}
	if m.signed.move == nil {
		return nil
	}
	if err := m.journal.Store(ctx, *m.signed.move); err != nil {
		return fmt.Errorf("write the record of the move: %w; nothing was moved", err)
	}
	m.out.Record, m.out.Signer = m.signed.move.Tag, m.signed.move.Signer
	listed, err := m.alone(ctx)
	if err != nil || !m.step.Move {
		return err
	}
	if err := m.point(ctx, listed); err != nil {
		return err
	}
	if err := m.journal.Mark(ctx, *m.signed.move); err != nil {
		m.note("%s was moved; its record could not be marked as done, which the next move does: %v", m.channel.Name, err)
	}
	return nil
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

// alone lists the tags until the own record is among them, and looks for records of moves that were not there when this move
// was prepared. If there is one, this move gives way, whichever came first. It answers with when the list was asked for.
func (m *mover) alone(ctx context.Context) (time.Time, error) {
	deadline := m.Now().Add(seenIn)
	for {
		asked := m.Now()
		tags, err := m.journal.Relist(ctx, m.records)
		if err != nil {
			if err = m.tolerate("the list of tags", err); err != nil {
				return asked, m.withdraw(ctx, false, fmt.Errorf("%w; nothing was moved", err))
			}
			return asked, nil
		}
		if err := m.yield(ctx, tags); err != nil {
			return asked, err
		}
		if tags.Has(m.signed.move.Tag) {
			return asked, nil
		}
		if m.Now().After(deadline) {
			return asked, m.withdraw(ctx, false, fmt.Errorf("the registry took the record %s and does not list it after %s: nothing was moved",
				m.signed.move.Tag, seenIn))
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return asked, err
		}
	}
}

// yield gives way to moves that began meanwhile. A record that closes this move ends it.
func (m *mover) yield(ctx context.Context, tags journal.Tags) error {
	var list []tag.Entry
	for _, name := range tag.RecordTags(tags.Names, m.channel.Name) {
		if m.knows(name) {
			continue
		}
		e, err := m.journal.Entry(ctx, name, tags)
		if err = m.tolerate("record "+name, err); err != nil {
			return m.withdraw(ctx, false, fmt.Errorf("%w; nothing was moved", err))
		}
		if e.Err == nil && slices.Contains(e.Closes, m.signed.move.Digest) {
			return fmt.Errorf("%w: record %s closed this move before it was made", tag.ErrClosed, e.Tag)
		}
		list = append(list, e)
	}
	for _, e := range list {
		closed := slices.ContainsFunc(list, func(other tag.Entry) bool { return other.Err == nil && slices.Contains(other.Closes, e.Digest) })
		if e.Moves() && !closed && (e.Err == nil || e.Unchecked && !m.insists()) {
			return m.withdraw(ctx, false, fmt.Errorf("%w (record %s of %s)", errYield, e.Tag, cmp.Or(e.Actor, e.Signer)))
		}
	}
	return nil
}

// knows reports whether a record was there when the move was prepared, or is its own.
func (m *mover) knows(name string) bool {
	return m.records.Has(name) || m.signed.move != nil && name == m.signed.move.Tag || m.signed.adopt != nil && name == m.signed.adopt.Tag
}

// withdraw says by a record that this move does not take effect, and gives back why.
func (m *mover) withdraw(ctx context.Context, failed bool, why error) error {
	r := m.newRecord(tag.ActionWithdraw, m.target, m.signed.move.Entry)
	r.From, r.FromVersion, r.Closes, r.Failed = m.view.Digest, m.view.Version, []digest.Digest{m.signed.move.Digest}, failed
	signed, err := m.journal.Sign(ctx, r)
	if err == nil {
		err = m.journal.Store(ctx, signed)
	}
	if err != nil {
		m.note("record %s could not be withdrawn, and counts as begun until it is %s old: %v", m.signed.move.Tag, tag.DeadAge, err)
	}
	return why
}

// point makes the channel point to the target. Registries have no compare-and-swap, so the channel is read right before and right after.
func (m *mover) point(ctx context.Context, listed time.Time) error {
	var lost error
	for n := 0; ; n++ {
		now, err := resolve(ctx, m.repo, m.channel.Name)
		switch {
		case err != nil && lost == nil:
			return m.giveUp(ctx, false, err)
		case err != nil:
			return fmt.Errorf("%w: %w", errUnknown, err)
		case now == m.target.Digest && lost != nil:
			return nil
		case now != m.view.Digest:
			return m.giveUp(ctx, false, m.conflict("was moved to %s while this move was prepared", now))
		case n == attempts:
			return m.giveUp(ctx, false, fmt.Errorf("%w; %s was not moved", lost, m.channel.Name))
		}
		if m.Now().Sub(listed) < listedAgo {
			sent := m.Now()
			err := m.write(ctx)
			switch {
			case err == nil:
				return m.readBack(ctx)
			case !registry.Unanswered(err):
				return m.giveUp(ctx, true, err)
			}
			lost = err
			if done, err := m.settle(ctx, n, sent, lost); done || err != nil {
				return err
			}
		}
		if listed, err = m.again(ctx); err != nil {
			return err
		}
	}
}

// settle waits after a request whose answer was lost until it has ended, and reports whether it took effect. One that the
// registry answered has ended.
func (m *mover) settle(ctx context.Context, n int, sent time.Time, lost error) (done bool, err error) {
	until := sent.Add(tagIn)
	if registry.Answered(lost) {
		until = m.Now().Add(time.Duration(n) * 300 * time.Millisecond)
	}
	for {
		now, err := resolve(ctx, m.repo, m.channel.Name)
		switch {
		case err != nil:
			return false, fmt.Errorf("%w: %w", errUnknown, err)
		case now == m.target.Digest:
			return true, nil
		case !m.Now().Before(until):
			return false, nil
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return false, fmt.Errorf("%w: %w", errUnknown, lost)
		}
	}
}

// again lists once more, after an answer was lost or because the last list is too old.
func (m *mover) again(ctx context.Context) (time.Time, error) {
	if m.Unrecorded {
		return m.Now(), pause(ctx, time.Second)
	}
	return m.alone(ctx)
}

// giveUp withdraws the record, where there is one.
func (m *mover) giveUp(ctx context.Context, failed bool, why error) error {
	if m.Unrecorded {
		return why
	}
	return m.withdraw(ctx, failed, why)
}

// readBack is what makes a move done.
func (m *mover) readBack(ctx context.Context) error {
	now, err := resolve(ctx, m.repo, m.channel.Name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUnknown, err)
	case now != m.target.Digest:
		return m.giveUp(ctx, false, m.conflict("was moved on to %s by another run", now))
	}
	return nil
}

// write sends the one request that moves the channel.
func (m *mover) write(ctx context.Context) error {
	pass, err := m.verdict.Pass()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tagIn)
	defer cancel()
	return m.Gate.WriteOnce(ctx, pass, m.channel.Name)
}

func (m *mover) conflict(format string, now digest.Digest) error {
	return fmt.Errorf("%w: %s "+format+"; see keos-oci history %s", tag.ErrConflict, m.channel.Name, orNothing(now), m.component.Name)
}
