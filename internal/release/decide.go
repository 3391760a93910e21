package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// waitStep is how often a move of another command is looked at.
const waitStep = 2 * time.Second

// planned is what a move does. Where it cannot be done, an error goes with it, and it has what is known so far.
type planned struct {
	observed
	step   tag.Step
	target tag.Target
	to     verified // zero for a step that writes nothing new
}

// prepare looks, observes and decides; nothing is written. It waits for a move of another command that is under way, as long as the
// request says.
func (m *move) prepare(ctx context.Context) (planned, error) {
	began, seen := m.now(), map[string]time.Time{}
	p, err := m.plan(ctx, seen)
	underWay := func() bool {
		return errors.Is(err, tag.ErrConflict) && p.view.MoveUnderWay() && m.now().Sub(began) < m.Wait
	}
	if underWay() {
		defer m.waiting()()
	}
	for underWay() && ctx.Err() == nil && pause(ctx, waitStep) == nil {
		p, err = m.plan(ctx, seen)
	}
	if p.step.Note != "" {
		p.add("%s", p.step.Note)
	}
	if err != nil {
		m.logFailure(err)
	}
	return p, err
}

// waiting logs that the run waits for a move of another command. done logs that this is over.
func (m *move) waiting() (done func()) {
	what := fmt.Sprintf("another move of %s of %s", m.channel.Name, m.component.Name)
	m.log.Info("wait for another move", "component", m.component.Name, "channel", m.channel.Name, "waits", what)
	return func() { m.log.Debug("waiting no more", "waited", what) }
}

func (m *move) logFailure(err error) {
	m.log.Error("failed", "component", m.component.Name, "code", code(err))
}

// plan reads the channel once and decides. seen is since when this command sees open moves.
func (m *move) plan(ctx context.Context, seen map[string]time.Time) (planned, error) {
	l, err := m.look(ctx)
	if err != nil {
		return planned{observed: observed{looked: l, view: tag.View{Digest: l.digest}}, target: l.asked.Target}, err
	}
	o, err := m.observe(ctx, l, seen)
	if err != nil {
		return planned{observed: o, target: l.asked.Target}, err
	}
	p, err := m.decide(ctx, o)
	for _, e := range o.view.Journal.Unfinished() {
		if _, known := seen[e.Tag]; !known {
			seen[e.Tag] = m.now()
		}
	}
	return p, err
}

// decide plans what is to be done, and demands the gate's verdict about where the channel goes.
func (m *move) decide(ctx context.Context, o observed) (planned, error) {
	p := planned{observed: o, target: o.asked.Target}
	if m.Unrecorded {
		p.step = tag.Step{Move: p.target.Digest != p.view.Digest}
		return m.permit(ctx, p, o.verdict)
	}
	step, done, err := p.view.Resume(m.action, m.named())
	if m.action == tag.ActionPublish && errors.Is(err, tag.ErrClosed) {
		step, err = tag.Step{NotMoved: fmt.Sprintf("%s stays where it is: %v", m.channel.Name, err)}, nil
	}
	if done || err != nil {
		p.step = step
		return p, err
	}
	if m.version == nil {
		return m.previous(ctx, p)
	}
	if p.view.Rank, err = m.rank(ctx, o); err != nil {
		return p, err
	}
	if p.step, err = m.stepTo(p.view, p.target); err != nil || !p.step.Writes() {
		return p, m.stays(err, o.verdict)
	}
	if m.expected.Digest != "" {
		return p, nil
	}
	return m.permit(ctx, p, o.verdict)
}

// stepTo plans the step to the requested version.
func (m *move) stepTo(v tag.View, t tag.Target) (tag.Step, error) {
	switch m.action {
	case tag.ActionPromote:
		return v.Promote(t)
	case tag.ActionPublish:
		return v.Publish(t)
	default:
		return v.Rollback(t, m.Prereleases)
	}
}

// stays is the answer where nothing is to be done. Who asks for a version that the gate refuses gets that error: clusters
// refuse the version as well.
func (m *move) stays(err error, v judged) error {
	if err == nil && m.action != tag.ActionPublish && trust.IsRefusal(v.err) {
		return v.err
	}
	return err
}

// previous finds where a rollback without a version goes. It skips what the gate refuses, and notes that.
func (m *move) previous(ctx context.Context, p planned) (planned, error) {
	if step, ok := p.view.Interrupted(); ok {
		p.step, p.target = step, tag.Target{Version: p.view.Version, Digest: p.view.Digest}
		return p, nil
	}
	list, err := p.view.Previous()
	if err != nil {
		return p, err
	}
	var refused []error
	for _, t := range list {
		if p, err = m.goesTo(ctx, p, t); err == nil {
			return p, nil
		}
		if !trust.IsUnsigned(err) && !errors.Is(err, registry.ErrNotFound) && !errors.Is(err, tag.ErrPrerelease) {
			return p, err
		}
		p.add("%s is passed by: %v", cmp.Or(t.Version, t.Digest.String()), err)
		refused = append(refused, err)
	}
	none := fmt.Errorf("%w: %s cannot go back to any version that it had before; say which version: keos-oci rollback %s VERSION",
		tag.ErrNoPrevious, m.channel.Name, m.component.Name)
	return p, errors.Join(append([]error{none}, refused...)...)
}

// goesTo plans a rollback to where the channel was, if the gate lets it.
func (m *move) goesTo(ctx context.Context, p planned, t tag.Target) (planned, error) {
	a, found, err := readArtifact(ctx, m.repo, t.Digest.String())
	if err == nil && !found {
		err = fmt.Errorf("%s@%s: %w: the channel pointed to it before, but the registry does not have it any more",
			m.component.Repository, t.Digest, registry.ErrNotFound)
	}
	if err != nil {
		return p, err
	}
	p.target = t
	if p.step, err = p.view.Rollback(t, m.Prereleases); err != nil {
		return p, err
	}
	p.verdict = m.judge(ctx, aim{t, a})
	p.notes = append(p.notes, p.verdict.Notes...)
	return m.permit(ctx, p, p.verdict)
}

// rank looks among the version tags above the target for the highest that points to what the channel points to, and that the gate
// accepts: then the channel is at that version, whatever its record says. "" is none.
func (m *move) rank(ctx context.Context, o observed) (string, error) {
	if o.view.Digest == "" || m.action == tag.ActionRollback {
		return "", nil
	}
	for batch := range slices.Chunk(tag.Above(m.version, o.versions), 16) {
		found, err := resolveAll(ctx, m.repo, batch)
		if err != nil {
			return "", err
		}
		for i, version := range batch {
			if found[i] != o.view.Digest {
				continue
			}
			ok, err := m.accepts(ctx, version, o.view.Digest)
			if err != nil {
				return version, err
			}
			if ok {
				return version, nil
			}
		}
	}
	return "", nil
}
