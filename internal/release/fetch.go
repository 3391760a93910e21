package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/pack"
)

// ErrNotArtifact reports a manifest that is not a Flux artifact of one layer.
var ErrNotArtifact = errors.New("not a Flux artifact")

// fetched is an artifact with its layer, both equal to their digests.
type fetched struct {
	pack.Artifact
	reference string
	layer     []byte
}

// fetch downloads an artifact of c, of which nobody has judged who made it.
func (s *Service) fetch(ctx context.Context, c component.Component, t Target) (fetched, error) {
	a, err := readTarget(ctx, s.Open(c.Repository), c, t)
	if err != nil {
		return fetched{}, err
	}
	return s.fetchLayer(ctx, c, t, a)
}

// fetchLayer downloads the layer of an artifact that was read as t. Of the content digest there is only the manifest's claim, so it
// is held against the layer; that the bytes unpack within the limits is left to pack.Extract.
func (s *Service) fetchLayer(ctx context.Context, c component.Component, t Target, a pack.Artifact) (fetched, error) {
	out := fetched{Artifact: a, reference: t.reference(c)}
	desc, ok := out.Layer()
	if !ok {
		return out, fmt.Errorf("%s: %w: it has %d layers where one of Flux's content type is expected",
			out.reference, ErrNotArtifact, len(out.Parsed.Layers))
	}
	var err error
	if out.layer, err = s.Open(c.Repository).Blob(ctx, desc, maxLayer); err != nil {
		return out, err
	}
	return out, out.checkContent()
}

func (f fetched) checkContent() error {
	claimed := f.ContentDigest()
	if claimed == "" {
		return nil // another tool's, such as flux push artifact
	}
	got, err := pack.Digest(bytes.NewReader(f.layer), pack.Limits{})
	if err == nil && got != claimed {
		err = fmt.Errorf("%w: its content is %s, and its manifest says %s", pack.ErrLayer, got, claimed)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.reference, err)
	}
	return nil
}

// maxLayer bounds a compressed layer that is read.
const maxLayer = 128 << 20
