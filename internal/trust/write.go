package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// Warm says that something will be signed.
func (g *Gate) Warm() { g.signer.Warm() }

// MaySign says why this run's signature would not let an artifact of c have tags, nil when it would: what verify will ask is
// asked before anything is written. A former name of the repository signs nothing new, even before its last day. The error is
// ErrNoPolicy when nothing says whose signature is expected. ref is as in Question.
func (g *Gate) MaySign(ctx context.Context, c component.Component, tags []string, ref string) (sign.Signed, error) {
	who, err := g.signer.Identity(ctx)
	if err != nil {
		return who, err
	}
	needs, err := g.needs(c, tags, "", ref)
	if err != nil {
		return who, err
	}
	for _, n := range needs {
		accepted := n.accepted.ForNewSignatures()
		if err := accepted.Judge(who); err != nil {
			return who, fmt.Errorf("%w: this run signs as %s, and clusters expect %s for %s: %w", sign.ErrWrongIdentity, who, accepted, n.tag, err)
		}
	}
	return who, nil
}

// Prepare signs what a Pass is about and uploads the signature; Attach makes it visible. A signature of this run's identity that
// lets the artifact have tags already is left alone.
func (g *Gate) Prepare(ctx context.Context, p Pass, tags []string, ref string) (*sign.Signature, error) {
	who, err := g.MaySign(ctx, p.component, tags, ref)
	if err != nil {
		return nil, err
	}
	needs, err := g.needs(p.component, tags, "", ref)
	if err != nil {
		return nil, err
	}
	counts := func(s sign.Signed) bool {
		return s.Identity == who.Identity && !slices.ContainsFunc(needs, func(n need) bool { return n.accepted.Judge(s) != nil })
	}
	artifact := p.artifact.Descriptor
	return g.signer.Prepare(ctx, g.repository(p.component.Repository), artifact,
		p.component.Repository.Digest(artifact.Digest.String()).String(), counts)
}

// Write lets the artifact have a tag that it was judged for.
func (g *Gate) Write(ctx context.Context, p Pass, name string) error {
	if !slices.Contains(p.tags, name) {
		return fmt.Errorf("%s was not judged for the tag %s", p.artifact.Descriptor.Digest, name)
	}
	return g.repository(p.component.Repository).Tag(ctx, p.artifact.Descriptor, p.artifact.Manifest, name)
}

// WriteOnce is Write with one request, which is not repeated.
func (g *Gate) WriteOnce(ctx context.Context, p Pass, name string) error {
	if !slices.Contains(p.tags, name) {
		return fmt.Errorf("%s was not judged for the tag %s", p.artifact.Descriptor.Digest, name)
	}
	return g.repository(p.component.Repository).TagOnce(ctx, p.artifact.Descriptor, p.artifact.Manifest, name)
}

// Released is the digest that the record of a version says it is, "" where no valid record says.
func (g *Gate) Released(ctx context.Context, c component.Component, version string) (digest.Digest, error) {
	record, err := g.releases(c, version).ReadRelease(ctx, version)
	if recordless(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("release record %s: %w", tag.ReleaseTag(version), err)
	}
	return record.Digest, nil
}

// Release states that a version is the digest that a Pass is about, unless that is on record already. A record of another
// digest is ErrRelabelled.
func (g *Gate) Release(ctx context.Context, p Pass, version, commit string, now time.Time) error {
	log := g.releases(p.component, version)
	record, err := log.ReadRelease(ctx, version)
	if recordless(err) {
		record, err = log.WriteRelease(ctx, p.release(version, commit, now))
	}
	if err != nil {
		return fmt.Errorf("release record %s: %w", tag.ReleaseTag(version), err)
	}
	if record.Digest != p.artifact.Descriptor.Digest {
		return fmt.Errorf("%w: %s says that %s is %s, and this run would make it %s", ErrRelabelled, tag.ReleaseTag(version), version,
			record.Digest, p.artifact.Descriptor.Digest)
	}
	return nil
}

// RewriteRelease writes the record of a version again for the digest that has it, after this run's record took its place.
func (g *Gate) RewriteRelease(ctx context.Context, p Pass, version string, now time.Time) error {
	_, err := g.releases(p.component, version).WriteRelease(ctx, p.release(version, "", now))
	return err
}

func (p Pass) release(version, commit string, now time.Time) journal.Release {
	return journal.Release{Component: p.component.Name, Version: version, Digest: p.artifact.Descriptor.Digest, Commit: commit,
		Time: now.UTC().Truncate(time.Second)}
}

// recordless reports whether there is no release record that counts here. One that another key signed does not.
func recordless(err error) bool {
	return errors.Is(err, journal.ErrNoRecord) || errors.Is(err, journal.ErrInvalidRecord) || errors.Is(err, sign.ErrOtherKey)
}
