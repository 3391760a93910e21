package release

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// judged is the gate's verdict about where a channel is to go. err is why it may not, with the artifact's name.
type judged struct {
	trust.Verdict
	err error
}

// signatures are the valid ones that the gate read.
func (j judged) signatures() []sign.Identity {
	var list []sign.Identity
	for _, s := range j.Signed {
		list = append(list, s.Identity)
	}
	return list
}

// verified is where a channel may go. Only permit makes one, and a channel is written only with one.
type verified struct {
	target tag.Target
	pass   trust.Pass
}

// judge asks the gate whether the channel may point to an artifact.
func (m *move) judge(ctx context.Context, to aim) judged {
	v := m.gate.Judge(ctx, trust.Question{Component: m.component, Tags: []string{m.channel.Name}, Version: to.Version,
		Artifact: to.artifact, Lenient: m.insists()})
	j := judged{Verdict: v}
	if v.Err != nil {
		j.err = fmt.Errorf("%s@%s (%s): %w", m.component.Repository, to.Digest, to.Version, v.Err)
	}
	return j
}

// permit gives the right to make the planned step. It checks that something signed says which digest the version is: else whoever
// can write to the registry chooses it.
func (m *move) permit(ctx context.Context, p planned, v judged) (planned, error) {
	if v.err != nil {
		return p, v.err
	}
	if !m.bound(ctx, &p, v) {
		return p, fmt.Errorf("%w: %s has no release record, and no Git ref in its signature says that %s is %s: "+
			"publish %s of %s again with equal content, which writes the record",
			trust.ErrUnbound, p.target.Version, p.target.Version, p.target.Digest, p.target.Version, m.component.Name)
	}
	pass, err := v.Pass()
	p.to = verified{p.target, pass}
	return p, err
}

// bound reports whether something signed says which digest the target is. Going back is possible to what a record of a move says as well:
// for that it may read more of the journal.
func (m *move) bound(ctx context.Context, p *planned, v judged) bool {
	back := m.action == tag.ActionRollback
	switch {
	case v.Bound || p.target.Version == "":
		return true
	case (back || !p.step.Move) && p.view.Journal.Moved(p.target.Version, p.target.Digest):
		return true
	case !back || !p.view.Journal.Partial:
		return false
	}
	all, err := m.journal.Read(ctx, &p.records, journal.Enough, p.view.Digest)
	return err == nil && all.Moved(p.target.Version, p.target.Digest)
}

// accepts asks the gate whether a version tag may point to what the channel points to.
func (m *move) accepts(ctx context.Context, version string, d digest.Digest) (bool, error) {
	a, found, err := readArtifact(ctx, m.repo, d.String())
	if err != nil || !found {
		return false, err
	}
	v := m.gate.Judge(ctx, trust.Question{Component: m.component, Tags: []string{version}, Artifact: a})
	if v.Answer != trust.Accepted && !trust.IsRefusal(v.Err) {
		return false, v.Err
	}
	return v.Answer == trust.Accepted, nil
}
