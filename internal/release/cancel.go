package release

import (
	"context"
	"fmt"

	"github.com/stratio/keos-oci/internal/tag"
)

// ActionCancel is how results call what closes moves.
const ActionCancel tag.Action = "cancel"

// Cancel closes moves that were begun and not finished. Now closes those of commands that may still run, too.
func (s *Service) Cancel(ctx context.Context, req MoveRequest, now bool) (*MoveResult, error) {
	movers, err := s.movers(ActionCancel, req)
	if err != nil {
		return nil, err
	}
	s.sideBySide(len(movers), func(i int) {
		m := movers[i]
		m.view.Force = now
		if err := m.cancel(ctx); err != nil {
			m.fail(err)
		}
	})
	return s.moveResult(ActionCancel, movers, req.DryRun), nil
}

func (m *mover) cancel(ctx context.Context) error {
	if err := m.read(ctx); err != nil {
		return err
	}
	m.view.Component, m.view.Name, m.view.Request, m.view.Now = m.component.Name, m.channel.Name, m.Request, m.Now()
	err := m.readJournal(ctx)
	m.target = tag.Target{Version: m.view.Version, Digest: m.view.Digest}
	m.out.From, m.out.FromVersion, m.out.To, m.out.Version = m.view.Digest, m.view.Version, m.view.Digest, m.view.Version
	if err != nil {
		return err
	}
	open := m.view.Journal.Unfinished()
	if len(open) == 0 {
		m.out.Status = StatusUnchanged
		m.note("no move of %s was begun and not finished", m.channel.Name)
		return nil
	}
	if _, _, err := m.view.Resume(ActionCancel, ""); err != nil {
		return err
	}
	return m.close(ctx, open)
}

// close writes the record that closes moves.
func (m *mover) close(ctx context.Context, open []tag.Entry) error {
	newest, _ := m.view.Journal.Newest()
	r := m.newRecord(tag.ActionClose, m.target, newest)
	r.From, r.FromVersion = m.view.Digest, m.view.Version
	for _, e := range open {
		r.Closes = append(r.Closes, e.Digest)
		m.note("the move to %s that was begun and not finished (%s) is closed", e.Version, e.Tag)
	}
	if m.DryRun {
		m.out.Status = StatusPlanned
		return nil
	}
	signed, err := m.journal.Sign(ctx, r)
	if err != nil {
		return err
	}
	defer m.finishing(ctx)()
	ctx, end := outlive(ctx, finishIn)
	defer end()
	if err := m.journal.Store(ctx, signed); err != nil {
		return err
	}
	m.out.Status, m.out.Record, m.out.Signer = StatusClosed, signed.Tag, signed.Signer
	return m.stillOpen(ctx)
}

// stillOpen looks once more: a command that was alive may have moved the channel before it saw that it was closed.
func (m *mover) stillOpen(ctx context.Context) error {
	now, err := resolve(ctx, m.repo, m.channel.Name)
	switch {
	case err != nil:
		return fmt.Errorf("the record is written, and the channel could not be read again: %w", err)
	case now != m.view.Digest:
		m.note("%s points to %s now: a command that was alive moved it meanwhile", m.channel.Name, now)
	}
	return nil
}
