package release

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/tag"
)

// promoteVersion moves the channels that follow versions by themselves. What their rules refuse is a note and no error:
// the version is published.
func (j *job) promoteVersion(ctx context.Context, out PublishedComponent) (PublishedComponent, error) {
	for _, ch := range j.component.Channels.From(component.FromVersion) {
		if ch.Promote != component.PromoteAuto || j.run.NoPromote {
			continue
		}
		var err error
		if out, err = j.promoteTo(ctx, out, ch); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (j *job) promoteTo(ctx context.Context, out PublishedComponent, ch component.Channel) (PublishedComponent, error) {
	m := j.service.newMove(tag.ActionPublish, MoveRequest{Actor: j.run.Actor, RunURL: j.run.RunURL, Request: j.run.Request, Wait: j.run.Wait,
		Anchor: j.run.Anchor}, j.component, ch, j.run.Version)
	m.log = slog.New(slog.DiscardHandler) // the component is reported once, at the end of publish
	if j.run.DryRun {
		m.expected = tag.Target{Version: out.Version, Digest: cmp.Or(out.Digest, "sha256:new")} // no tag points to it yet
		return m.wouldMove(ctx, out), nil
	}
	did, err := m.follow(ctx)
	out.Notes = append(out.Notes, slices.Concat(did.notes, did.failed)...)
	out = out.heldBy(did.planned)
	if err != nil {
		return out, fmt.Errorf("%s is published, but %s did not follow: %w", out.Version, ch.Name, err)
	}
	if did.status() == StatusMoved {
		out.Status = StatusPublished
		out.Tags = append(out.Tags, tag.Move{Tag: ch.Name, From: did.view.Digest, To: did.target.Digest})
	}
	return out, nil
}

// follow moves one channel, from the first look to the anchor.
func (m *move) follow(ctx context.Context) (outcome, error) {
	p, err := m.prepare(ctx)
	out := outcome{signedMove: signedMove{planned: p}}
	if err == nil && p.step.Writes() {
		if out.signedMove, err = m.sign(ctx, p); err == nil {
			out, err = m.act(ctx, out.signedMove)
		}
	}
	if err == nil {
		m.keep(ctx, &out)
	}
	return out, err
}

// wouldMove says in a dry run whether the channel would move, and if not, why.
func (m *move) wouldMove(ctx context.Context, out PublishedComponent) PublishedComponent {
	p, err := m.prepare(ctx)
	switch {
	case err != nil:
		out.note("it is unknown whether %s would move: %v", m.channel.Name, err)
	case p.step.Move:
		out.Tags = append(out.Tags, tag.Move{Tag: m.channel.Name, From: p.view.Digest, To: out.Digest})
		out.note("%s would move to %s", m.channel.Name, out.Version)
	default:
		out.Notes = append(out.Notes, p.notes...)
		return out.heldBy(p)
	}
	return out
}

// heldBy adds why a channel did not move.
func (c PublishedComponent) heldBy(p planned) PublishedComponent {
	if p.step.NotMoved != "" {
		c.Held = append(c.Held, p.step.NotMoved)
	}
	return c
}
