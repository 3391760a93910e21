package release

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/tag"
)

// ActionCancel is how results call what closes moves.
const ActionCancel tag.Action = "cancel"

// Cancel closes unfinished moves. Now closes those of commands that may still run, too.
func (s *Service) Cancel(ctx context.Context, req MoveRequest, now bool) (*MoveResult, error) {
	moves, err := s.moves(ActionCancel, req)
	if err != nil {
		return nil, err
	}
	done := make([]MovedComponent, len(moves))
	s.sideBySide(len(moves), func(i int) {
		closed, err := moves[i].cancel(ctx, now)
		if err != nil {
			moves[i].logFailure(err)
		}
		done[i] = moves[i].closed(closed, err)
	})
	return s.moveResult(ActionCancel, done), nil
}

// closing is the unfinished moves of a channel, and how each ended.
type closing struct {
	notes
	view   tag.View
	open   []tag.Entry
	status string
	record string // tag of the record that closes them
	signer string // of that record
}

// cancel looks, and closes what is open.
func (m *move) cancel(ctx context.Context, now bool) (closing, error) {
	l, err := m.look(ctx)
	if err != nil {
		return closing{notes: l.notes}, err
	}
	c := closing{notes: l.notes, view: m.viewOf(l)}
	c.view.Force = now
	if err := m.readJournal(ctx, &c.view, &l.records, l.versions); err != nil {
		return c, err
	}
	if c.open = c.view.Journal.Unfinished(); len(c.open) == 0 {
		c.status = StatusUnchanged
		c.add("%s has no unfinished move", m.channel.Name)
		return c, nil
	}
	if _, _, err := c.view.Resume(ActionCancel, ""); err != nil {
		return c, err
	}
	return m.close(ctx, c)
}

// close writes the record that closes moves.
func (m *move) close(ctx context.Context, c closing) (closing, error) {
	newest, _ := c.view.Journal.Newest()
	r := m.newRecord(tag.ActionClose, tag.Target{Version: c.view.Version, Digest: c.view.Digest}, newest)
	r.From, r.FromVersion = c.view.Digest, c.view.Version
	for _, e := range c.open {
		r.Closes = append(r.Closes, e.Digest)
		c.add("the unfinished move to %s (%s) is closed", e.Version, e.Tag)
	}
	if m.DryRun {
		c.status = StatusPlanned
		return c, nil
	}
	signed, err := m.journal.Sign(ctx, r)
	if err != nil {
		return c, err
	}
	defer m.finishing(ctx)()
	ctx, end := outlive(ctx, finishIn)
	defer end()
	if err := m.journal.Store(ctx, signed); err != nil {
		return c, err
	}
	c.status, c.record, c.signer = StatusClosed, signed.Tag, signed.Signer
	now, err := resolve(ctx, m.repo, m.channel.Name)
	return c.stillOpen(m.channel.Name, now, err)
}

// stillOpen compares what the channel points to now: a command that was alive may have moved the channel before it saw that it was closed.
func (c closing) stillOpen(channel string, now digest.Digest, err error) (closing, error) {
	switch {
	case err != nil:
		return c, fmt.Errorf("the record is written, and the channel could not be read again: %w", err)
	case now != c.view.Digest:
		c.add("%s points to %s now: a command that was alive moved it meanwhile", channel, now)
	}
	return c, nil
}

// closed is the component's part of the result.
func (m *move) closed(c closing, err error) MovedComponent {
	out := m.part()
	out.From, out.FromVersion, out.To, out.Version = c.view.Digest, c.view.Version, c.view.Digest, c.view.Version
	out.Notes, out.Status, out.Record, out.Signer = c.notes, c.status, c.record, c.signer
	return out.with(err)
}
