package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// planner plans the tags. shared says that the artifact has tags already: then others may be signing it, too.
type planner func(context.Context) (plan tag.Plan, shared bool, err error)

// tagged is the plan of an artifact that has its tags already.
func tagged(context.Context) (tag.Plan, bool, error) { return nil, true, nil }

// staged is an artifact on its way to its tags: one that was built, or one of the repository that the gate let through.
type staged struct {
	artifact pack.Artifact
	pass     trust.Pass  // to sign it
	layer    *pack.Layer // nil where the content is in the repository
	ours     bool        // the repository has an artifact of ours, and so its config blob
	tags     []string    // that the signature is for
	ref      string      // Git ref of a tag that names a commit
	plan     planner
	record   func(context.Context, admitted) error // last thing before the tags; may be nil
}

// stage is an artifact that was built.
func (j *job) stage(b pack.Built, c checked) staged {
	return staged{artifact: b.Artifact(), pass: j.gate.Built(j.component, b), layer: &c.layer}
}

// uploaded is an artifact whose content and signature are in the repository. Nobody sees the signature yet.
type uploaded struct {
	staged
	moves     tag.Plan
	shared    bool
	signature *sign.Signature
}

// admitted is an artifact that the gate lets have its tags, with its visible signature. Only admit makes one, and tags are written only
// with one.
type admitted struct {
	artifact pack.Artifact
	pass     trust.Pass
	by       sign.Identity
}

// finish releases what is staged. In a dry run it says what would be written.
func (j *job) finish(ctx context.Context, out PublishedComponent, s staged) (PublishedComponent, error) {
	if !j.run.DryRun {
		return j.release(ctx, out, s)
	}
	moves, _, err := s.plan(ctx)
	if err != nil {
		return out, err
	}
	out.Status, out.Tags = StatusPlanned, append(out.Tags, moves...)
	return out, nil
}

// release writes in this order: content by digest, then its signature, then the gate's verdict on it, then tags.
func (j *job) release(ctx context.Context, out PublishedComponent, s staged) (PublishedComponent, error) {
	who, err := j.gate.MaySign(ctx, j.component, s.tags, s.ref)
	if err != nil {
		return out, err // with nothing uploaded
	}
	j.run.signs.Do(func() { j.service.Log.Info("sign", "as", who.String()) })
	up, err := j.upload(ctx, s)
	if err != nil {
		return out, err
	}
	q := trust.Question{Component: j.component, Tags: s.tags, Ref: s.ref, Artifact: s.artifact}
	a, err := j.admit(ctx, up.signature, q, s.layer != nil && !up.shared)
	if err != nil {
		return out, err
	}
	out = out.signedBy(a)
	if s.record != nil {
		if err := s.record(ctx, a); err != nil {
			return out, err
		}
	}
	done, err := up.moves.Apply(ctx, func(ctx context.Context, name string) error {
		note, err := j.stillNewer(ctx, name, up.moves)
		out.Notes = append(out.Notes, note...)
		if err != nil {
			return err
		}
		return j.write(ctx, a, name)
	})
	out.Tags, out.Status = append(out.Tags, done...), StatusPublished
	return out, err
}

// upload uploads content and signature side by side. The signature becomes visible only after the content, and tags only after both.
func (j *job) upload(ctx context.Context, s staged) (uploaded, error) {
	up := uploaded{staged: s}
	group, gctx := errgroup.WithContext(ctx)
	if s.layer != nil {
		group.Go(func() error { return j.pushContent(gctx, s.artifact, *s.layer, s.ours) })
	}
	planned := make(chan struct{})
	group.Go(func() (err error) {
		up.moves, up.shared, err = s.plan(gctx)
		close(planned)
		return err
	})
	group.Go(func() (err error) {
		if !s.ours {
			<-planned // its listing of the tags spares look-ups
		}
		up.signature, err = j.gate.Prepare(gctx, s.pass, s.tags, s.ref)
		return err
	})
	return up, group.Wait()
}

// admit makes a signature visible and asks the gate, as a cluster would, whether the artifact may have its tags now.
func (j *job) admit(ctx context.Context, signature *sign.Signature, q trust.Question, alone bool) (admitted, error) {
	if err := signature.Attach(ctx, alone); err != nil {
		return admitted{}, err
	}
	q.Signed, q.Unrecorded = signature, true
	pass, err := j.gate.Judge(ctx, q).Pass()
	if err != nil {
		return admitted{}, fmt.Errorf("%s is signed, but may not have the tags %s: %w", q.Artifact.Descriptor.Digest,
			strings.Join(q.Tags, ", "), err)
	}
	return admitted{q.Artifact, pass, signature.Identity}, nil
}

// signedBy adds the identity that signed.
func (c PublishedComponent) signedBy(a admitted) PublishedComponent {
	if a.by != (sign.Identity{}) {
		c.Signatures = append(c.Signatures, a.by)
	}
	return c
}

// stillNewer looks once more at a channel that follows the branch: while this run signed, another one may have moved it to a newer commit.
func (j *job) stillNewer(ctx context.Context, name string, moves tag.Plan) (notes, error) {
	i := slices.IndexFunc(moves, func(m tag.Move) bool { return m.Tag == name })
	if j.run.Version != nil || j.run.AllowOlder || !slices.Contains(j.follows().names(), name) || moves[i].From == "" {
		return nil, nil
	}
	now, err := resolve(ctx, j.repo, name)
	if err != nil || now == moves[i].From || now == "" {
		return nil, err
	}
	current, found, err := readArtifact(ctx, j.repo, now.String())
	if err != nil || !found {
		return nil, err
	}
	return j.refuseOlder(ctx, current, name)
}

// write moves one tag. A version is looked at once more: signing may have taken seconds, and another run may have given
// the version to other content meanwhile.
func (j *job) write(ctx context.Context, a admitted, name string) error {
	if j.run.Version != nil {
		now, err := resolve(ctx, j.repo, name)
		if err != nil {
			return err
		}
		if _, err := (tag.State{name: now}).PlanImmutable(name, a.artifact.Descriptor.Digest); err != nil {
			return errors.Join(err, j.restate(ctx, name))
		}
	}
	return j.gate.Write(ctx, a.pass, name)
}

// pushContent uploads layer, config and manifest. A repository that has an artifact of ours has the config.
func (j *job) pushContent(ctx context.Context, a pack.Artifact, layer pack.Layer, ours bool) error {
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return j.repo.PushBlob(gctx, a.Parsed.Layers[0], layer.Bytes) })
	if !ours {
		group.Go(func() error { return registry.PushEmptyBlob(gctx, j.repo) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	push := func(ctx context.Context) error { return j.repo.PushManifest(ctx, a.Descriptor, a.Manifest) }
	if !ours {
		return push(ctx)
	}
	return registry.WithEmptyBlob(ctx, j.repo, push)
}

// addSignature signs an artifact that is in the repository and has its tags already; added reports whether this identity had
// not signed it before.
func (j *job) addSignature(ctx context.Context, pass trust.Pass, q trust.Question) (_ admitted, added bool, err error) {
	signature, err := j.gate.Prepare(ctx, pass, q.Tags, q.Ref)
	if err != nil {
		return admitted{}, false, err
	}
	a, err := j.admit(ctx, signature, q, false)
	return a, err == nil && signature.New(), err
}
