package registry

import (
	"context"
	"errors"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Blobs is where blobs are uploaded to.
type Blobs interface {
	// PushBlob uploads a blob unless the repository has it.
	PushBlob(ctx context.Context, desc ocispec.Descriptor, data []byte) error
}

// WithEmptyBlob writes a manifest whose config is the empty object. A repository that has any artifact of ours has that blob already. Where
// the registry misses the blob, it is uploaded, and the manifest is written again.
func WithEmptyBlob(ctx context.Context, blobs Blobs, write func(context.Context) error) error {
	err := write(ctx)
	if !errors.Is(err, ErrMissingBlob) {
		return err
	}
	if err := PushEmptyBlob(ctx, blobs); err != nil {
		return err
	}
	return write(ctx)
}

// PushEmptyBlob uploads the empty object.
func PushEmptyBlob(ctx context.Context, blobs Blobs) error {
	return blobs.PushBlob(ctx, ocispec.DescriptorEmptyJSON, ocispec.DescriptorEmptyJSON.Data)
}
