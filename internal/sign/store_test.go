package sign

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// store is a repository in memory, for what needs no registry.
type store struct {
	manifests map[string][]byte
	blobs     map[digest.Digest][]byte
	referrers []ocispec.Descriptor
}

var errMissing = errors.New("missing")

func newStore() *store {
	return &store{manifests: map[string][]byte{}, blobs: map[digest.Digest][]byte{}}
}

func (s *store) Manifest(_ context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	raw, ok := s.manifests[ref]
	if !ok {
		return ocispec.Descriptor{}, nil, errMissing
	}
	return ocispec.Descriptor{}, raw, nil
}

func (s *store) Blob(_ context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	raw, ok := s.blobs[desc.Digest]
	if !ok || int64(len(raw)) > limit {
		return nil, errMissing
	}
	return raw, nil
}

func (s *store) Referrers(context.Context, digest.Digest, string) ([]ocispec.Descriptor, error) {
	return s.referrers, nil
}

func (s *store) SeenReferrers(context.Context, digest.Digest, string) ([]ocispec.Descriptor, error) {
	return s.referrers, nil
}

func (s *store) PushBlob(_ context.Context, desc ocispec.Descriptor, data []byte) error {
	s.blobs[desc.Digest] = data
	return nil
}

func (s *store) PushManifest(_ context.Context, desc ocispec.Descriptor, raw []byte) error {
	s.manifests[desc.Digest.String()] = raw
	s.referrers = append(s.referrers, desc)
	return nil
}

func (s *store) AddReferrer(ctx context.Context, desc ocispec.Descriptor, raw []byte, _ bool) ([]ocispec.Descriptor, error) {
	return s.referrers, s.PushManifest(ctx, desc, raw)
}

func (s *store) Tag(_ context.Context, desc ocispec.Descriptor, raw []byte, tag string) error {
	s.manifests[tag] = raw
	return nil
}
