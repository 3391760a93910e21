package release

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
)

// writing is an attempt to move a channel, whose record is written already, unless the move is without one.
type writing struct {
	*move
	signedMove
	trouble *notes
}

// alone lists the tags until the own record is among them, and looks for records of moves that were not there when this move
// was prepared. If there is one, this move gives way, whichever came first. It answers with when the list was asked for.
func (w writing) alone(ctx context.Context) (time.Time, error) {
	deadline := w.now().Add(seenIn)
	for {
		asked := w.now()
		tags, err := w.journal.Relist(ctx, w.records)
		if err != nil {
			if err = w.tolerate(w.trouble, "the list of tags", err); err != nil {
				return asked, w.withdraw(ctx, false, fmt.Errorf("%w; nothing was moved", err))
			}
			return asked, nil
		}
		if err := w.yield(ctx, tags); err != nil {
			return asked, err
		}
		if tags.Has(w.entry.Tag) {
			return asked, nil
		}
		if w.now().After(deadline) {
			return asked, w.withdraw(ctx, false, fmt.Errorf("the registry took the record %s and does not list it after %s: nothing was moved",
				w.entry.Tag, seenIn))
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return asked, err
		}
	}
}

// yield gives way to moves that began meanwhile. A record that closes this move ends it.
func (w writing) yield(ctx context.Context, tags journal.Tags) error {
	var list []tag.Entry
	for _, name := range tag.RecordTags(tags.Names, w.channel.Name) {
		if w.knows(name) {
			continue
		}
		e, err := w.journal.Entry(ctx, name, tags)
		if err = w.tolerate(w.trouble, "record "+name, err); err != nil {
			return w.withdraw(ctx, false, fmt.Errorf("%w; nothing was moved", err))
		}
		if e.Err == nil && slices.Contains(e.Closes, w.entry.Digest) {
			return fmt.Errorf("%w: record %s closed this move before it was made", tag.ErrClosed, e.Tag)
		}
		list = append(list, e)
	}
	for _, e := range list {
		closed := slices.ContainsFunc(list, func(other tag.Entry) bool { return other.Err == nil && slices.Contains(other.Closes, e.Digest) })
		if e.Moves() && !closed && (e.Err == nil || e.Unchecked && !w.insists()) {
			return w.withdraw(ctx, false, fmt.Errorf("%w (record %s of %s)", errYield, e.Tag, cmp.Or(e.Actor, e.Signer)))
		}
	}
	return nil
}

// knows reports whether a record was there when the move was prepared, or is its own.
func (w writing) knows(name string) bool {
	return w.records.Has(name) || w.entry != nil && name == w.entry.Tag || w.adoption != nil && name == w.adoption.Tag
}

// withdraw says by a record that this move does not take effect, and gives back why.
func (w writing) withdraw(ctx context.Context, failed bool, why error) error {
	r := w.newRecord(tag.ActionWithdraw, w.target, w.entry.Entry)
	r.From, r.FromVersion, r.Closes, r.Failed = w.view.Digest, w.view.Version, []digest.Digest{w.entry.Digest}, failed
	signed, err := w.journal.Sign(ctx, r)
	if err == nil {
		err = w.journal.Store(ctx, signed)
	}
	if err != nil {
		w.trouble.add("record %s could not be withdrawn, and counts as begun until it is %s old: %v", w.entry.Tag, tag.DeadAge, err)
	}
	return why
}

// point makes the channel point to where it may go. Registries have no compare-and-swap, so the channel is read right before and right
// after.
func (w writing) point(ctx context.Context, to verified, listed time.Time) error {
	var lost error
	for n := 0; ; n++ {
		now, err := resolve(ctx, w.repo, w.channel.Name)
		switch {
		case err != nil && lost == nil:
			return w.giveUp(ctx, false, err)
		case err != nil:
			return fmt.Errorf("%w: %w", errUnknown, err)
		case now == to.target.Digest && lost != nil:
			return nil
		case now != w.view.Digest:
			return w.giveUp(ctx, false, w.conflict("was moved to %s while this move was prepared", now))
		case n == attempts:
			return w.giveUp(ctx, false, fmt.Errorf("%w; %s was not moved", lost, w.channel.Name))
		}
		if w.now().Sub(listed) < listedAgo {
			sent := w.now()
			err := w.write(ctx, to)
			switch {
			case err == nil:
				return w.readBack(ctx, to)
			case !registry.Unanswered(err):
				return w.giveUp(ctx, true, err)
			}
			lost = err
			if done, err := w.settle(ctx, to, n, sent, lost); done || err != nil {
				return err
			}
		}
		if listed, err = w.again(ctx); err != nil {
			return err
		}
	}
}

// settle waits after a request whose answer was lost until it has ended, and reports whether it took effect. One that the
// registry answered has ended.
func (w writing) settle(ctx context.Context, to verified, n int, sent time.Time, lost error) (done bool, err error) {
	until := sent.Add(tagIn)
	if registry.Answered(lost) {
		until = w.now().Add(time.Duration(n) * 300 * time.Millisecond)
	}
	for {
		now, err := resolve(ctx, w.repo, w.channel.Name)
		switch {
		case err != nil:
			return false, fmt.Errorf("%w: %w", errUnknown, err)
		case now == to.target.Digest:
			return true, nil
		case !w.now().Before(until):
			return false, nil
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return false, fmt.Errorf("%w: %w", errUnknown, lost)
		}
	}
}

// again lists once more, after an answer was lost or because the last list is too old.
func (w writing) again(ctx context.Context) (time.Time, error) {
	if w.Unrecorded {
		return w.now(), pause(ctx, time.Second)
	}
	return w.alone(ctx)
}

// giveUp withdraws the record, where there is one.
func (w writing) giveUp(ctx context.Context, failed bool, why error) error {
	if w.Unrecorded {
		return why
	}
	return w.withdraw(ctx, failed, why)
}

// readBack is what makes a move done.
func (w writing) readBack(ctx context.Context, to verified) error {
	now, err := resolve(ctx, w.repo, w.channel.Name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUnknown, err)
	case now != to.target.Digest:
		return w.giveUp(ctx, false, w.conflict("was moved on to %s by another run", now))
	}
	return nil
}

// write sends the one request that moves the channel.
func (w writing) write(ctx context.Context, to verified) error {
	ctx, cancel := context.WithTimeout(ctx, tagIn)
	defer cancel()
	return w.gate.WriteOnce(ctx, to.pass, w.channel.Name)
}

func (w writing) conflict(format string, now digest.Digest) error {
	return fmt.Errorf("%w: %s "+format+"; see keos-oci history %s", tag.ErrConflict, w.channel.Name, orNothing(now), w.component.Name)
}
