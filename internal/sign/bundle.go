package sign

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	cosigntypes "github.com/sigstore/cosign/v2/pkg/types"
	"google.golang.org/protobuf/encoding/protojson"
)

// How cosign v3 and Flux 2.8 find and name bundles.
const (
	bundleType          = "application/vnd.dev.sigstore.bundle.v0.3+json"
	intotoType          = "application/vnd.in-toto+json"
	annotationContent   = "dev.sigstore.bundle.content"
	annotationPredicate = "dev.sigstore.bundle.predicateType"

	annotationAttachment = "com.stratio.keos-oci.attachment"
	predicateType        = cosigntypes.CosignSignPredicateType
)

func (s *Signer) prepareBundle(ctx context.Context, repo Repository, artifact ocispec.Descriptor, sig *Signature,
	counts func(Signed) bool) error {
	list, err := repo.SeenReferrers(ctx, artifact.Digest, bundleType)
	if err != nil {
		return err
	}
	found, err := s.verifier.bundles(ctx, repo, artifact.Digest,
		Search{Keyless: s.keyless, Enough: func(f Found) bool { return f.Has(counts) }, Listed: append([]ocispec.Descriptor{}, list...)})
	if err != nil || found.Has(counts) {
		return err
	}
	raw, err := s.newBundle(ctx, artifact.Digest)
	if err != nil {
		return err
	}
	keyless, err := s.keyless()
	if err != nil {
		return err
	}
	got, err := s.verifier.checkBundle(raw, artifact.Digest, keyless)
	if err != nil {
		return fmt.Errorf("a cluster would refuse the new signature: %w", err)
	}
	if got.Identity != sig.Identity {
		return fmt.Errorf("the new signature is of %s, not of %s", got, sig.Identity)
	}
	s.verifier.fresh.Store(freshBundle{digest.FromBytes(raw), artifact.Digest}, got)
	// The content is in the descriptor, too (image spec, "data"), so that a signature is read in one request.
	layer := ocispec.Descriptor{MediaType: bundleType, Digest: digest.FromBytes(raw), Size: int64(len(raw)), Data: raw}
	if err := repo.PushBlob(ctx, layer, raw); err != nil {
		return err
	}
	sig.attach = append(sig.attach, func(ctx context.Context, alone bool) error {
		return sig.attachBundle(ctx, repo, artifact, layer, alone)
	})
	return nil
}

// newBundle signs an in-toto statement whose subject is the digest and whose predicate only says "signed".
func (s *Signer) newBundle(ctx context.Context, artifact digest.Digest) ([]byte, error) {
	statement, err := protojson.Marshal(&intoto.Statement{
		Type:          intoto.StatementTypeUri,
		PredicateType: predicateType,
		Subject:       []*intoto.ResourceDescriptor{{Digest: map[string]string{artifact.Algorithm().String(): artifact.Encoded()}}},
	})
	if err != nil {
		return nil, err
	}
	return s.bundle(ctx, statement)
}

// attachBundle lists the bundle as a referrer of the artifact. Each attachment is a manifest of its own, even where a key makes the
// same signature twice: writers of the list tell each other apart by it.
func (s *Signature) attachBundle(ctx context.Context, repo Repository, artifact, layer ocispec.Descriptor, alone bool) error {
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: bundleType,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: ocispec.DescriptorEmptyJSON.Digest,
			Size: ocispec.DescriptorEmptyJSON.Size},
		Layers:  []ocispec.Descriptor{layer},
		Subject: &ocispec.Descriptor{MediaType: artifact.MediaType, Digest: artifact.Digest, Size: artifact.Size},
		Annotations: map[string]string{annotationContent: "dsse-envelope", annotationPredicate: predicateType,
			annotationAttachment: rand.Text()},
	})
	if err != nil {
		return err
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
	list, err := repo.AddReferrer(ctx, desc, manifest, alone)
	if err != nil {
		return err
	}
	s.listed, s.written = list, map[digest.Digest][]byte{desc.Digest: manifest}
	return nil
}
