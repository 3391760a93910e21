package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// publishVersion gives the run's version to the digest that holds its content: one that the repository has already, so
// that what staging ran is what production gets, or a new one. The release identity adds its signature to it.
func (j *job) publishVersion(ctx context.Context) error {
	if err := j.giveVersion(ctx); err != nil {
		return err
	}
	return j.promoteVersion(ctx)
}

// promoteVersion moves the channels that follow versions by themselves. What their rules refuse is a note and no error:
// the version is published.
func (j *job) promoteVersion(ctx context.Context) error {
	for _, ch := range j.component.Channels.From(component.FromVersion) {
		if ch.Promote != component.PromoteAuto || j.run.NoPromote {
			continue
		}
		if err := j.promoteTo(ctx, ch); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) promoteTo(ctx context.Context, ch component.Channel) error {
	quiet := *j.Service
	quiet.Log = slog.New(slog.DiscardHandler) // the component is told once, at the end of publish
	m := &mover{Service: &quiet, MoveRequest: MoveRequest{Actor: j.run.Actor, RunURL: j.run.RunURL, Request: j.run.Request, Wait: j.run.Wait,
		Anchor: j.run.Anchor}, action: tag.ActionPublish,
		component: j.component, channel: ch, version: j.out.Version, repo: j.repo, out: MovedComponent{Name: j.component.Name}}
	if j.run.DryRun {
		return j.wouldMove(ctx, m)
	}
	m.prepare(ctx)
	if m.out.err == nil && m.step.Writes() {
		if err := m.sign(ctx); err != nil {
			m.fail(err)
		} else {
			m.act(ctx)
		}
	}
	m.keep(ctx)
	j.out.Notes = append(j.out.Notes, m.out.Notes...)
	j.held(m)
	if m.out.err != nil {
		return fmt.Errorf("%s is published, but %s did not follow: %w", j.out.Version, ch.Name, m.out.err)
	}
	if m.out.Status == StatusMoved {
		j.out.Status = StatusPublished
		j.out.Tags = append(j.out.Tags, tag.Move{Tag: ch.Name, From: m.view.Digest, To: m.target.Digest})
	}
	return nil
}

// wouldMove says in a dry run whether the channel would move, and if not, why.
func (j *job) wouldMove(ctx context.Context, m *mover) error {
	m.expected = tag.Target{Version: j.out.Version, Digest: j.out.Digest}
	if j.out.Digest == "" {
		m.expected.Digest = "sha256:new" // which no tag points to yet
	}
	m.prepare(ctx)
	switch {
	case m.out.err != nil:
		j.out.Notes = append(j.out.Notes, fmt.Sprintf("whether %s would move cannot be told: %v", m.channel.Name, m.out.err))
	case m.step.Move:
		j.out.Tags = append(j.out.Tags, tag.Move{Tag: m.channel.Name, From: m.view.Digest, To: j.out.Digest})
		j.out.Notes = append(j.out.Notes, m.channel.Name+" would move to "+j.out.Version)
	default:
		j.out.Notes = append(j.out.Notes, m.out.Notes...)
		j.held(m)
	}
	return nil
}

// held takes over why a channel did not move.
func (j *job) held(m *mover) {
	if m.out.Held != "" {
		j.out.Held = append(j.out.Held, m.out.Held)
	}
}

func (j *job) giveVersion(ctx context.Context) error {
	version := tag.Version(j.run.Version)
	j.out.Version = version
	layer, err := j.pass(ctx)
	if err != nil {
		return err
	}
	if !j.run.DryRun { // whoever may not sign the version burns no number
		if _, err := j.Gate.MaySign(ctx, j.component, []string{version}, ""); err != nil {
			return err
		}
	}
	existing, found, err := j.artifact(ctx, version)
	if err != nil {
		return err
	}
	if found {
		return j.publishedVersion(ctx, existing, layer)
	}
	s, err := j.recorded(ctx, version, layer)
	if err == nil && s.plan == nil {
		s, err = j.find(ctx, layer)
	}
	if err != nil {
		return err
	}
	if s.built == nil && s.found.Manifest == nil {
		j.out.Notes = append(j.out.Notes, "staging never ran this content: it was not published from a branch")
		built, err := j.newArtifact(layer)
		if err != nil {
			return err
		}
		s.built, s.layer = &built, &layer
	}
	d := s.artifact().Descriptor.Digest
	j.out.Digest = d
	s.ours, s.tags = s.layer == nil, []string{version}
	s.plan = func(context.Context) (tag.Plan, bool, error) {
		plan, err := tag.State{}.PlanImmutable(version, d)
		return plan, true, err
	}
	s.before = func(ctx context.Context, pass trust.Pass) error { return j.state(ctx, pass, version, d) }
	if j.run.DryRun {
		return j.dryRun(ctx, s.plan)
	}
	return j.release(ctx, s)
}

// state writes the release record of a version that nobody has taken since it was looked for.
func (j *job) state(ctx context.Context, pass trust.Pass, version string, d digest.Digest) error {
	now, err := resolve(ctx, j.repo, version)
	if err != nil {
		return err
	}
	if _, err := (tag.State{version: now}).PlanImmutable(version, d); err != nil {
		return err
	}
	return j.Gate.Release(ctx, pass, version, j.run.commit.Hash, j.Now())
}

// recorded is what the version's release record says it is: a run that was killed wrote the record, and not the tag. No plan
// means that there is none.
func (j *job) recorded(ctx context.Context, version string, layer pack.Layer) (signing, error) {
	d, err := j.Gate.Released(ctx, j.component, version)
	if err != nil || d == "" {
		return signing{}, err
	}
	a, found, err := j.artifact(ctx, d.String())
	if err != nil {
		return signing{}, err
	}
	var s signing
	ok := false
	if found && a.ContentDigest() == j.tree.ContentDigest {
		if s, ok, err = j.usable(ctx, a, layer, version); err != nil {
			return s, err
		}
	}
	if !ok {
		return s, fmt.Errorf("%s:%s is %w: %s says that it is %s, and this commit has other content, or that artifact is gone; publish under a new version",
			j.component.Repository, version, tag.ErrImmutable, tag.ReleaseTag(version), d)
	}
	s.plan = func(context.Context) (tag.Plan, bool, error) { return nil, true, nil }
	return s, nil
}

// usable lets an artifact with this content through if the gate accepts it for the tag, or if it is what this repository
// published, byte for byte. Its layer is read and hashed first.
func (j *job) usable(ctx context.Context, a pack.Artifact, layer pack.Layer, name string) (signing, bool, error) {
	v := j.Gate.Judge(ctx, j.question(a, name))
	switch {
	case v.Answer == trust.Accepted:
	case j.run.DryRun && errors.Is(v.Err, trust.ErrNoPolicy):
		j.out.Notes = append(j.out.Notes, fmt.Sprintf("%s has this content; whether its signature is accepted cannot be told: %v", name, v.Err))
		return signing{found: a}, true, nil
	case !trust.IsUnsigned(v.Err):
		return signing{}, false, v.Err
	default:
		built, ok := j.rebuilt(ctx, a, layer)
		if !ok {
			j.out.Notes = append(j.out.Notes, fmt.Sprintf("%s has this content under %s, and is refused: %v", a.Descriptor.Digest, name, v.Err))
			return signing{}, false, nil
		}
		return signing{built: &built, layer: &layer, found: a}, true, nil
	}
	if err := j.contentOf(ctx, a); err != nil {
		if trust.IsRefusal(err) || errors.Is(err, pack.ErrLayer) || errors.Is(err, registry.ErrNotFound) {
			j.out.Notes = append(j.out.Notes, fmt.Sprintf("%s (%s) is not reused: %v", a.Descriptor.Digest, name, err))
			return signing{}, false, nil
		}
		return signing{}, false, err
	}
	pass, err := v.Pass()
	return signing{reused: pass, found: a}, err == nil, err
}

// restate writes the release record for the digest that has the version, where this run wrote one for its own digest while
// another run was faster with the tag.
func (j *job) restate(ctx context.Context, version string) error {
	a, found, err := j.artifact(ctx, version)
	if err != nil || !found {
		return err
	}
	q := j.question(a, version)
	q.Unrecorded = true
	pass, err := j.Gate.Judge(ctx, q).Pass()
	if err != nil {
		return nil //nolint:nilerr // what has the version is not accepted, and must not be stated
	}
	return j.Gate.RewriteRelease(ctx, pass, version, j.Now())
}

// sameBases refuses a version whose files a branch published with other remote bases. They moved since, and production would
// get what staging never ran.
func (j *job) sameBases(looked []candidate) error {
	for _, c := range looked {
		if len(j.remote) > 0 && c.Unrendered() == j.unrendered {
			return fmt.Errorf("%s:%s is %w: it holds the same files with what their remote bases were then: %s; name commits in their URLs, or make "+
				"a new commit, publish the branch and tag that", j.component.Repository, c.tag, tag.ErrImmutable, j.movedBases(c.Artifact))
		}
	}
	return nil
}

// movedBases names those that a has otherwise.
func (j *job) movedBases(a pack.Artifact) string {
	was := map[string]digest.Digest{}
	for _, base := range a.RemoteBases() {
		was[base.URL] = base.Digest
	}
	var moved []string
	for _, base := range j.remote {
		if was[base.URL] != base.Digest {
			moved = append(moved, fmt.Sprintf("%s:%d names %s", base.File, base.Line, base.URL))
		}
	}
	return strings.Join(moved, ", ")
}

// publishedVersion is a version that exists: the same content is a run repeated, which may lack its signature or its record;
// other content is refused, because versions never change.
func (j *job) publishedVersion(ctx context.Context, existing pack.Artifact, layer pack.Layer) error {
	version := j.out.Version
	j.out.Digest = existing.Descriptor.Digest
	immutable := func(why string) error {
		return fmt.Errorf("%s:%s is %w: it points to %s %s; publish this content under a new version", j.component.Repository, version,
			tag.ErrImmutable,
			existing.Descriptor.Digest, why)
	}
	if existing.ContentDigest() != j.tree.ContentDigest {
		return immutable("with other content")
	}
	j.out.Status = StatusUnchanged
	if j.run.DryRun {
		return nil
	}
	q := j.question(existing, version)
	v := j.Gate.Judge(ctx, q)
	if v.Answer == trust.Accepted {
		if err := j.contentOf(ctx, existing); err != nil {
			return err
		}
		return j.keep(ctx, v, q)
	}
	if !trust.IsUnsigned(v.Err) || errors.Is(v.Err, trust.ErrRelabelled) {
		return v.Err
	}
	s, ok, err := j.usable(ctx, existing, layer, j.branchTag())
	if err != nil {
		return err
	}
	if !ok {
		return errors.Join(immutable("that this repository did not publish"), v.Err)
	}
	s.ours, s.tags = true, []string{version}
	s.plan = func(context.Context) (tag.Plan, bool, error) { return nil, true, nil }
	s.before = func(ctx context.Context, pass trust.Pass) error {
		return j.state(ctx, pass, version, existing.Descriptor.Digest)
	}
	j.out.Notes = append(j.out.Notes, "the version lacked this run's signature, which was added")
	err = j.release(ctx, s)
	if err == nil {
		j.out.Status = StatusUnchanged
	}
	return err
}

// keep leaves an accepted version as it is, with this run's signature and a release record where it lacks them.
func (j *job) keep(ctx context.Context, v trust.Verdict, q trust.Question) error {
	pass, err := v.Pass()
	if err != nil {
		return err
	}
	added, err := j.addSignature(ctx, pass, q)
	if err != nil {
		return err
	}
	if added {
		j.out.Notes = append(j.out.Notes, "the version lacked this run's signature, which was added")
	}
	return j.Gate.Release(ctx, pass, j.out.Version, j.run.commit.Hash, j.Now())
}

// branchTag is the channel whose clusters run what a branch publishes.
func (j *job) branchTag() string {
	if list := j.component.Channels.From(component.FromBranch); len(list) > 0 {
		return list[0].Name
	}
	return "latest"
}

// find looks for the content under the tags that branches leave: the channel, this commit's, and that of the last commit
// that touched the component; then under the newest versions. Only what the gate accepts for the branch is taken.
func (j *job) find(ctx context.Context, layer pack.Layer) (signing, error) {
	tags, err := j.candidates(ctx)
	if err != nil {
		return signing{}, err
	}
	var looked []candidate
	s, err := j.findAmong(ctx, tags, &looked, layer)
	if err != nil || j.out.Reused != "" {
		return s, err
	}
	if err := j.sameBases(looked); err != nil {
		return signing{}, err
	}
	versions, err := versionTags(ctx, j.repo)
	if err != nil {
		return signing{}, err
	}
	return j.findAmong(ctx, versions[:min(len(versions), maxVersions)], &looked, layer)
}

// candidate is an artifact that may hold a version's content.
type candidate struct {
	tag string
	pack.Artifact
}

// maxVersions is how many versions find reads.
const maxVersions = 10

// findAmong looks at what tags name, each artifact once, and adds it to those that it looked at.
func (j *job) findAmong(ctx context.Context, tags []string, looked *[]candidate, layer pack.Layer) (signing, error) {
	for _, name := range tags {
		a, found, err := j.artifact(ctx, name)
		if err != nil {
			return signing{}, err
		}
		if !found || a.Dirty() || slices.ContainsFunc(*looked, func(c candidate) bool { return c.Descriptor.Digest == a.Descriptor.Digest }) {
			continue
		}
		*looked = append(*looked, candidate{name, a})
		if a.ContentDigest() != j.tree.ContentDigest {
			continue
		}
		s, ok, err := j.usable(ctx, a, layer, j.branchTag())
		if err != nil {
			return signing{}, err
		}
		if ok {
			j.out.Reused = name
			return s, nil
		}
	}
	return signing{}, nil
}

func (j *job) candidates(ctx context.Context) ([]string, error) {
	last, err := j.Checkout.LastCommit(ctx, j.run.commit.Hash, j.paths()...)
	if err != nil && !errors.Is(err, git.ErrShallow) && !errors.Is(err, git.ErrNoCommit) {
		return nil, err
	}
	var list []string
	for _, c := range j.component.Channels.From(component.FromBranch) {
		list = append(list, c.Name, tag.Commit(c.Branch, j.run.commit.Hash))
		if last.Hash != "" && last.Hash != j.run.commit.Hash {
			list = append(list, tag.Commit(c.Branch, last.Hash))
		}
	}
	return list, nil
}
