package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// publishVersion gives the run's version to the digest that has its content: one that the repository has already, so
// that what staging ran is what production gets, or a new one. The release identity adds its signature to it.
func (j *job) publishVersion(ctx context.Context, out PublishedComponent) (PublishedComponent, error) {
	out.Version = tag.Version(j.run.Version)
	out, err := j.giveVersion(ctx, out)
	if err != nil {
		return out, err
	}
	return j.promoteVersion(ctx, out)
}

func (j *job) giveVersion(ctx context.Context, out PublishedComponent) (PublishedComponent, error) {
	c, warnings, err := j.pass(ctx)
	out.Warnings = warnings
	if err != nil {
		return out, err
	}
	if !j.run.DryRun { // whoever may not sign the version burns no number
		if _, err := j.gate.MaySign(ctx, j.component, []string{out.Version}, ""); err != nil {
			return out, err
		}
	}
	existing, found, err := readArtifact(ctx, j.repo, out.Version)
	if err != nil {
		return out, err
	}
	if found {
		return j.publishedVersion(ctx, out, existing, c)
	}
	s, out, err := j.stageVersion(ctx, out, c)
	if err != nil {
		return out, err
	}
	d := s.artifact.Descriptor.Digest
	out.Digest = d
	s.ours, s.tags = s.layer == nil, []string{out.Version}
	s.plan = func(context.Context) (tag.Plan, bool, error) {
		plan, err := tag.State{}.PlanImmutable(out.Version, d)
		return plan, true, err
	}
	s.record = func(ctx context.Context, a admitted) error { return j.state(ctx, a, out.Version) }
	return j.finish(ctx, out, s)
}

// stageVersion finds the artifact that gets the version: what its release record says, else one with this content, else a new one.
func (j *job) stageVersion(ctx context.Context, out PublishedComponent, c checked) (staged, PublishedComponent, error) {
	r, ok, err := j.recorded(ctx, (*notes)(&out.Notes), out.Version, c)
	if err == nil && !ok {
		r, ok, err = j.find(ctx, (*notes)(&out.Notes), c)
		out.Reused = r.tag
	}
	if err != nil || ok {
		return r.staged, out, err
	}
	out.note("staging never ran this content: it was not published from a branch")
	built, err := j.newArtifact(c)
	if err != nil {
		return staged{}, out, err
	}
	return j.stage(built, c), out, nil
}

// state writes the release record of a version that nobody has taken since it was looked for.
func (j *job) state(ctx context.Context, a admitted, version string) error {
	now, err := resolve(ctx, j.repo, version)
	if err != nil {
		return err
	}
	if _, err := (tag.State{version: now}).PlanImmutable(version, a.artifact.Descriptor.Digest); err != nil {
		return err
	}
	return j.gate.Release(ctx, a.pass, version, j.run.commit.Hash, j.service.Now())
}

// restate writes the release record for the digest that has the version, where this run wrote one for its own digest while
// another run was faster with the tag.
func (j *job) restate(ctx context.Context, version string) error {
	a, found, err := readArtifact(ctx, j.repo, version)
	if err != nil || !found {
		return err
	}
	q := j.question(a, version)
	q.Unrecorded = true
	pass, err := j.gate.Judge(ctx, q).Pass()
	if err != nil {
		return nil //nolint:nilerr // what has the version is not accepted, and must not be stated
	}
	return j.gate.RewriteRelease(ctx, pass, version, j.service.Now())
}

// publishedVersion is a version that exists: the same content is a run repeated, which may lack its signature or its record;
// other content is refused, because versions never change.
func (j *job) publishedVersion(ctx context.Context, out PublishedComponent, existing pack.Artifact, c checked) (PublishedComponent, error) {
	version := out.Version
	out.Digest = existing.Descriptor.Digest
	if existing.ContentDigest() != j.tree.ContentDigest {
		return out, j.immutable(version, existing.Descriptor.Digest, "with other content")
	}
	out.Status = StatusUnchanged
	if j.run.DryRun {
		return out, nil
	}
	q := j.question(existing, version)
	v := j.gate.Judge(ctx, q)
	if v.Answer == trust.Accepted {
		if err := j.contentOf(ctx, existing); err != nil {
			return out, err
		}
		return j.keep(ctx, out, v, q)
	}
	if !trust.IsUnsigned(v.Err) || errors.Is(v.Err, trust.ErrRelabelled) {
		return out, v.Err
	}
	r, ok, err := j.usable(ctx, (*notes)(&out.Notes), existing, c, j.branchTag())
	if err != nil {
		return out, err
	}
	if !ok {
		return out, errors.Join(j.immutable(version, existing.Descriptor.Digest, "that this repository did not publish"), v.Err)
	}
	s := r.staged
	s.ours, s.tags, s.plan = true, []string{version}, tagged
	s.record = func(ctx context.Context, a admitted) error { return j.state(ctx, a, version) }
	out.note("the version lacked this run's signature, which was added")
	if out, err = j.release(ctx, out, s); err == nil {
		out.Status = StatusUnchanged
	}
	return out, err
}

func (j *job) immutable(version string, d digest.Digest, why string) error {
	return fmt.Errorf("%s:%s is %w: it points to %s %s; publish this content under a new version", j.component.Repository, version,
		tag.ErrImmutable, d, why)
}

// keep leaves an accepted version as it is, with this run's signature and a release record where it lacks them.
func (j *job) keep(ctx context.Context, out PublishedComponent, v trust.Verdict, q trust.Question) (PublishedComponent, error) {
	pass, err := v.Pass()
	if err != nil {
		return out, err
	}
	a, added, err := j.addSignature(ctx, pass, q)
	out = out.signedBy(a)
	if err != nil {
		return out, err
	}
	if added {
		out.note("the version lacked this run's signature, which was added")
	}
	return out, j.gate.Release(ctx, pass, out.Version, j.run.commit.Hash, j.service.Now())
}
