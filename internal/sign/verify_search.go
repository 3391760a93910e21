package sign

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Search says how the signatures of a digest are read.
type Search struct {
	// Keyless is whether certificates are checked; where they are not, nothing is fetched to check them with. It is asked when
	// the first signature is there, because the answer may have to wait for a key.
	Keyless func() (bool, error)
	Enough  func(Found) bool         // stops the search; nil reads all
	Listed  []ocispec.Descriptor     // the list of signatures, where it was read a moment ago; nil reads it
	Written map[digest.Digest][]byte // manifests that this run has just written, which need not be read
}

// Signatures reads and checks the signatures of a digest. Like Flux 2.8, it looks at cosign v2's tag only where there is
// no bundle.
func (v *Verifier) Signatures(ctx context.Context, repo Repository, artifact digest.Digest, s Search) (Found, error) {
	found, err := v.bundles(ctx, repo, artifact, s)
	if err != nil || found.cut || !found.none() {
		return found, err
	}
	return v.Legacy(ctx, repo, artifact, s)
}

// bundles reads and checks the Sigstore bundles that refer to a digest, first those that this run wrote.
func (v *Verifier) bundles(ctx context.Context, repo Repository, artifact digest.Digest, s Search) (Found, error) {
	var found Found
	list := slices.Clone(s.Listed)
	if list == nil {
		var err error
		if list, err = repo.Referrers(ctx, artifact, bundleType); err != nil {
			return found, err
		}
	}
	slices.SortStableFunc(list, func(a, b ocispec.Descriptor) int {
		return cmp.Compare(len(s.Written[b.Digest]), len(s.Written[a.Digest]))
	})
	for i, desc := range list {
		if found.cut = i == maxSignatures; found.cut {
			break
		}
		signed, err := v.bundle(ctx, repo, desc, artifact, s)
		switch {
		case errors.Is(err, errNoBundle):
			continue
		case errors.Is(err, errUnread):
			return found, err
		}
		if found.add(signed, err); s.Enough != nil && s.Enough(found) {
			break
		}
	}
	return found, nil
}

// errNoBundle is a referrer of another kind, which the registry listed as well, errUnread a fault of the registry.
var (
	errNoBundle = errors.New("no bundle")
	errUnread   = errors.New("read a signature")
)

// bundle reads and checks one. One that is gone, damaged or too large is invalid: whoever can write to the registry can make such
// entries, and they must keep nobody from finding the others.
func (v *Verifier) bundle(ctx context.Context, repo Repository, desc ocispec.Descriptor, artifact digest.Digest, s Search) (Signed, error) {
	raw, err := readBundle(ctx, repo, desc, s.Written[desc.Digest])
	switch {
	case err == nil:
	case errors.Is(err, errNoBundle):
		return Signed{}, err
	case v.opts.NotFound(err):
		return Signed{}, fmt.Errorf("the signature %s is listed, and is gone from the registry", desc.Digest)
	case v.opts.Unanswered(err):
		return Signed{}, fmt.Errorf("%w: %w", errUnread, err)
	default:
		return Signed{}, err
	}
	keyless, err := s.Keyless()
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrCannotCheck, err)
	}
	return v.checkBundle(raw, artifact, keyless)
}

func readBundle(ctx context.Context, repo Repository, desc ocispec.Descriptor, raw []byte) ([]byte, error) {
	if raw == nil {
		var err error
		if _, raw, err = repo.Manifest(ctx, desc.Digest.String()); err != nil {
			return nil, err
		}
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.ArtifactType != bundleType || len(m.Layers) != 1 {
		return nil, errNoBundle
	}
	layer := m.Layers[0]
	if len(layer.Data) > 0 && digest.FromBytes(layer.Data) == layer.Digest {
		return layer.Data, nil
	}
	return repo.Blob(ctx, layer, maxSignature)
}
