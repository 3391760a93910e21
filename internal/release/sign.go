package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
)

// signedMove is a planned move with its records, before they are written.
type signedMove struct {
	planned
	adoption, entry *journal.Signed // nil where the step has none
}

// sign signs the records of the step. Nothing is written.
func (m *move) sign(ctx context.Context, p planned) (signedMove, error) {
	out := signedMove{planned: p}
	newest, _ := p.view.Journal.Newest()
	if p.step.Adopt {
		r := m.newRecord(tag.ActionAdopt, tag.Target{Version: p.view.Version, Digest: p.view.Digest}, newest)
		last, _ := p.view.Journal.Effective()
		r.From, r.FromVersion, r.Skipped = last.To, last.Version, p.step.Skipped
		adopt, err := m.journal.Sign(ctx, r)
		if err != nil {
			return out, m.unsigned(err)
		}
		newest, out.adoption = adopt.Entry, &adopt
	}
	if !p.step.Write {
		return out, nil
	}
	r := m.newRecord(m.action, p.target, newest)
	r.From, r.FromVersion, r.Closes, r.Skipped, r.Ignores = p.view.Digest, p.view.Version, p.step.Closes, p.step.Skipped, p.step.Ignore
	move, err := m.journal.Sign(ctx, r)
	out.entry = &move
	return out, m.unsigned(err)
}

// unsigned says what helps a rollback when signing is down.
func (m *move) unsigned(err error) error {
	if err == nil || m.action != tag.ActionRollback || registry.Unanswered(err) && errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w (nothing was moved; if signing is down and this cannot wait: --unrecorded)", err)
}

// newRecord is a record behind previous.
func (m *move) newRecord(action tag.Action, to tag.Target, previous tag.Entry) tag.Record {
	at := m.now().UTC().Truncate(time.Millisecond)
	if !at.After(previous.Time) {
		at = previous.Time.Add(time.Millisecond) // another machine's clock is ahead; the order of records is that of the moves
	}
	return tag.Record{Component: m.component.Name, Channel: m.channel.Name, Action: action, Version: to.Version, To: to.Digest, Time: at,
		Actor: m.Actor, RunURL: m.RunURL, Reason: m.Reason, Previous: previous.Digest, PreviousTag: previous.Tag, Sequence: previous.Sequence +
			1, Request: m.Request}
}
