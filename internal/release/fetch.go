package release

import (
	"bytes"
	"cmp"
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

// fetch downloads an artifact of c. Of the content digest there is only the manifest's claim, so it is held against the
// layer; that the bytes unpack within the limits is left to pack.Extract.
func (s *Service) fetch(ctx context.Context, c component.Component, t Target) (fetched, error) {
	repo, out := s.Open(c.Repository), fetched{reference: t.reference(c)}
	_, raw, err := repo.Manifest(ctx, cmp.Or(t.Digest.String(), t.Tag))
	if err != nil {
		return out, err
	}
	if out.Artifact, err = pack.ParseArtifact(raw); err != nil {
		return out, fmt.Errorf("%s: %w", out.reference, err)
	}
	desc, ok := out.Layer()
	if !ok {
		return out, fmt.Errorf("%s: %w: it has %d layers where one of Flux's content type is expected",
			out.reference, ErrNotArtifact, len(out.Parsed.Layers))
	}
	if out.layer, err = repo.Blob(ctx, desc, maxLayer); err != nil {
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
