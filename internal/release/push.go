package release

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

func (j *job) dryRun(ctx context.Context, plan func(context.Context) (tag.Plan, error)) error {
	moves, err := plan(ctx)
	if err != nil {
		return err
	}
	j.out.Status, j.out.Tags = StatusPlanned, append(j.out.Tags, moves...)
	return nil
}

// release is promise 1: content by digest, then its signature, then tags. Content and signature are uploaded side by
// side, but the signature becomes visible only after the content, and tags only after both. A nil layer means that the
// content is in the repository already.
func (j *job) release(ctx context.Context, a pack.Artifact, layer *pack.Layer, ours bool, plan func(context.Context) (tag.Plan, error), policy sign.Policy) error {
	if err := j.identify(ctx, policy); err != nil {
		return err // with nothing uploaded
	}
	var moves tag.Plan
	var signature *sign.Signature
	group, gctx := errgroup.WithContext(ctx)
	if layer != nil {
		group.Go(func() error { return j.pushContent(gctx, a, *layer, ours) })
	}
	planned := make(chan struct{})
	group.Go(func() (err error) {
		moves, err = plan(gctx)
		close(planned)
		return err
	})
	group.Go(func() (err error) {
		if !ours {
			<-planned // its listing of the tags spares look-ups
		}
		signature, err = j.prepareSignature(gctx, a)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := signature.Attach(ctx); err != nil {
		return err
	}
	j.out.Signatures = append(j.out.Signatures, signature.Identity)
	done, err := moves.Apply(ctx, func(ctx context.Context, name string) error { return j.write(ctx, a, name) })
	j.out.Tags, j.out.Status = append(j.out.Tags, done...), StatusPublished
	return err
}

// write moves one tag. A version is looked at once more: signing may have taken seconds, and another run may have given
// the version to other content meanwhile.
func (j *job) write(ctx context.Context, a pack.Artifact, name string) error {
	if j.run.Version != nil {
		now, err := resolve(ctx, j.repo, name)
		if err != nil {
			return err
		}
		if _, err := (tag.State{name: now}).Fix(name, a.Descriptor.Digest); err != nil {
			return err
		}
	}
	return j.repo.Tag(ctx, a.Descriptor, a.Manifest, name)
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

// identify finds out who signs, and refuses whom the policy of the channel would refuse.
func (j *job) identify(ctx context.Context, policy sign.Policy) error {
	id, err := j.Signer.Identity(ctx)
	if err == nil && policy.IsZero() && id.Issuer == githubIssuer {
		policy, err = j.defaultPolicy(ctx)
	}
	if err != nil {
		return err
	}
	if !policy.IsZero() && !policy.Allows(id) {
		return fmt.Errorf("%w: this run signs as %s, and clusters expect %s", sign.ErrWrongIdentity, id, policy)
	}
	return nil
}

// defaultPolicy is what clusters expect of a repository on GitHub that configures nothing. It keeps a run of another ref,
// such as a manual one with --ref, from publishing what they would refuse.
func (j *job) defaultPolicy(ctx context.Context) (sign.Policy, error) {
	t := Target{Tag: j.out.Version}
	if t.Tag == "" {
		channels := j.follows()
		if len(channels) == 0 {
			return sign.Policy{}, nil // no cluster follows this branch
		}
		t.Tag = channels.first()
	}
	policy, err := j.policyFor(ctx, j.Signer.Verifier(), j.component, t, sign.Policy{})
	if errors.Is(err, ErrNoPolicy) {
		return sign.Policy{}, nil
	}
	return policy, err
}

func (j *job) prepareSignature(ctx context.Context, a pack.Artifact) (*sign.Signature, error) {
	return j.Signer.Prepare(ctx, j.repo, a.Descriptor, j.component.Repository.Digest(a.Descriptor.Digest.String()).String())
}

// addSignature signs an artifact that is in the repository; new tells whether this identity had not signed it before.
func (j *job) addSignature(ctx context.Context, a pack.Artifact, policy sign.Policy) (added bool, err error) {
	if err := j.identify(ctx, policy); err != nil {
		return false, err
	}
	signature, err := j.prepareSignature(ctx, a)
	if err != nil {
		return false, err
	}
	if err := signature.Attach(ctx); err != nil {
		return false, err
	}
	j.out.Signatures = append(j.out.Signatures, signature.Identity)
	return signature.New(), nil
}
