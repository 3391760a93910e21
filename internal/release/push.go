package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// planner plans the tags. shared says that the artifact has tags already: then others may be signing it, too.
type planner func(context.Context) (plan tag.Plan, shared bool, err error)

func (j *job) dryRun(ctx context.Context, plan planner) error {
	moves, _, err := plan(ctx)
	if err != nil {
		return err
	}
	j.out.Status, j.out.Tags = StatusPlanned, append(j.out.Tags, moves...)
	return nil
}

// signing is an artifact on its way to its tags: one that was built, or one of the repository that the gate let through.
type signing struct {
	built  *pack.Built
	reused trust.Pass
	found  pack.Artifact // that reused is about
	layer  *pack.Layer   // nil where the content is in the repository
	ours   bool          // the repository has an artifact of ours, and so its config blob
	tags   []string      // that the signature is for
	ref    string        // Git ref of a tag that names a commit
	plan   planner
	before func(context.Context, trust.Pass) error // last thing before the tags; may be nil
}

func (s signing) artifact() pack.Artifact {
	if s.built != nil {
		return s.built.Artifact()
	}
	return s.found
}

// release writes in this order: content by digest, then its signature, then the gate's verdict on it, then tags. Content and signature
// are uploaded side by side, but the signature becomes visible only after the content, and tags only after both.
func (j *job) release(ctx context.Context, s signing) error {
	who, err := j.Gate.MaySign(ctx, j.component, s.tags, s.ref)
	if err != nil {
		return err // with nothing uploaded
	}
	j.run.signs.Do(func() { j.Log.Info("sign", "as", who.String()) })
	pass := s.reused
	if s.built != nil {
		pass = j.Gate.Built(j.component, *s.built)
	}
	a := s.artifact()
	var moves tag.Plan
	var shared bool
	var signature *sign.Signature
	group, gctx := errgroup.WithContext(ctx)
	if s.layer != nil {
		group.Go(func() error { return j.pushContent(gctx, a, *s.layer, s.ours) })
	}
	planned := make(chan struct{})
	group.Go(func() (err error) {
		moves, shared, err = s.plan(gctx)
		close(planned)
		return err
	})
	group.Go(func() (err error) {
		if !s.ours {
			<-planned // its listing of the tags spares look-ups
		}
		signature, err = j.Gate.Prepare(gctx, pass, s.tags, s.ref)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	pass, err = j.attach(ctx, signature, trust.Question{Component: j.component, Tags: s.tags, Ref: s.ref, Artifact: a}, s.built != nil && !shared)
	if err != nil {
		return err
	}
	if s.before != nil {
		if err := s.before(ctx, pass); err != nil {
			return err
		}
	}
	done, err := moves.Apply(ctx, func(ctx context.Context, name string) error {
		if err := j.stillNewer(ctx, name, moves); err != nil {
			return err
		}
		return j.write(ctx, pass, a, name)
	})
	j.out.Tags, j.out.Status = append(j.out.Tags, done...), StatusPublished
	return err
}

// attach makes a signature visible and asks the gate, as a cluster would, whether the artifact may have its tags now.
func (j *job) attach(ctx context.Context, signature *sign.Signature, q trust.Question, alone bool) (trust.Pass, error) {
	if err := signature.Attach(ctx, alone); err != nil {
		return trust.Pass{}, err
	}
	q.Signed, q.Unrecorded = signature, true
	pass, err := j.Gate.Judge(ctx, q).Pass()
	if err != nil {
		return pass, fmt.Errorf("%s is signed, but may not have the tags %s: %w", q.Artifact.Descriptor.Digest, strings.Join(q.Tags, ", "), err)
	}
	j.out.Signatures = append(j.out.Signatures, signature.Identity)
	return pass, nil
}

// stillNewer looks once more at a channel that follows the branch: while this run signed, another one may have moved it to a newer commit.
func (j *job) stillNewer(ctx context.Context, name string, moves tag.Plan) error {
	i := slices.IndexFunc(moves, func(m tag.Move) bool { return m.Tag == name })
	if j.run.Version != nil || j.run.AllowOlder || !slices.Contains(j.follows().names(), name) || moves[i].From == "" {
		return nil
	}
	now, err := resolve(ctx, j.repo, name)
	if err != nil || now == moves[i].From || now == "" {
		return err
	}
	current, found, err := j.artifact(ctx, now.String())
	if err != nil || !found {
		return err
	}
	return j.refuseOlder(ctx, current, name)
}

// write moves one tag. A version is looked at once more: signing may have taken seconds, and another run may have given
// the version to other content meanwhile.
func (j *job) write(ctx context.Context, pass trust.Pass, a pack.Artifact, name string) error {
	if j.run.Version != nil {
		now, err := resolve(ctx, j.repo, name)
		if err != nil {
			return err
		}
		if _, err := (tag.State{name: now}).PlanImmutable(name, a.Descriptor.Digest); err != nil {
			return errors.Join(err, j.restate(ctx, name))
		}
	}
	return j.Gate.Write(ctx, pass, name)
}

// pushContent uploads layer, config and manifest. Where the repository holds an artifact of ours, it holds the config.
func (j *job) pushContent(ctx context.Context, a pack.Artifact, layer pack.Layer, ours bool) error {
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return j.repo.PushBlob(gctx, a.Parsed.Layers[0], layer.Bytes) })
	if !ours {
		group.Go(func() error { return j.pushConfig(gctx, a) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	err := j.repo.PushManifest(ctx, a.Descriptor, a.Manifest)
	if ours && errors.Is(err, registry.ErrMissingBlob) {
		if err := j.pushConfig(ctx, a); err != nil {
			return err
		}
		return j.repo.PushManifest(ctx, a.Descriptor, a.Manifest)
	}
	return err
}

func (j *job) pushConfig(ctx context.Context, a pack.Artifact) error {
	return j.repo.PushBlob(ctx, a.Parsed.Config, ocispec.DescriptorEmptyJSON.Data)
}

// addSignature signs an artifact that is in the repository and has its tags already; added reports whether this identity had
// not signed it before.
func (j *job) addSignature(ctx context.Context, pass trust.Pass, q trust.Question) (added bool, err error) {
	signature, err := j.Gate.Prepare(ctx, pass, q.Tags, q.Ref)
	if err != nil {
		return false, err
	}
	if _, err := j.attach(ctx, signature, q, false); err != nil {
		return false, err
	}
	return signature.New(), nil
}
