package sign

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	cosignbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	cosigntypes "github.com/sigstore/cosign/v2/pkg/types"
	"github.com/sigstore/rekor/pkg/tle"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// legacyTag is where cosign v2 keeps all signatures of a digest, as the layers of one manifest.
func legacyTag(d digest.Digest) string { return d.Algorithm().String() + "-" + d.Encoded() + ".sig" }

func (s *Signer) prepareLegacy(ctx context.Context, repo Repository, artifact ocispec.Descriptor, reference string, sig *Signature,
	counts func(Signed) bool) error {
	search := Search{Keyless: s.keyless}
	found, err := s.verifier.Legacy(ctx, repo, artifact.Digest, search)
	if err != nil || found.Has(counts) {
		return err
	}
	layer, body, err := s.newLegacy(ctx, reference)
	if err != nil {
		return err
	}
	keyless, err := s.keyless()
	if err != nil {
		return err
	}
	if _, err := s.verifier.checkLegacy(ctx, layer, body, artifact.Digest, keyless); err != nil {
		return fmt.Errorf("a cluster would refuse the new signature: %w", err)
	}
	if err := repo.PushBlob(ctx, layer, body); err != nil {
		return err
	}
	sig.attach = append(sig.attach, func(ctx context.Context, _ bool) error { return s.attachLegacy(ctx, repo, artifact.Digest, layer) })
	return nil
}

// attachLegacy adds the layer to the manifest that all writers share, and looks again until it is there: registries have no
// compare-and-swap.
func (s *Signer) attachLegacy(ctx context.Context, repo Repository, artifact digest.Digest, layer ocispec.Descriptor) error {
	for range 5 {
		_, manifest, err := s.verifier.legacyManifest(ctx, repo, artifact)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(manifest.Layers, func(l ocispec.Descriptor) bool {
			return maps.Equal(l.Annotations, layer.Annotations) && l.Digest == layer.Digest
		}) {
			return nil
		}
		config, err := appendLegacy(&manifest, layer)
		if err != nil {
			return err
		}
		if err := repo.PushBlob(ctx, manifest.Config, config); err != nil {
			return err
		}
		raw, err := json.Marshal(manifest)
		if err != nil {
			return err
		}
		desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
		if err := repo.Tag(ctx, desc, raw, legacyTag(artifact)); err != nil {
			return err
		}
	}
	return fmt.Errorf("the signature was dropped from %s five times by another writer: run the same command again", legacyTag(artifact))
}

// newLegacy signs cosign's simple signing payload, which names the digest, and logs the signature.
func (s *Signer) newLegacy(ctx context.Context, reference string) (ocispec.Descriptor, []byte, error) {
	ref, err := name.NewDigest(reference)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	body, err := payload.Cosign{Image: ref}.MarshalJSON()
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	var keys sign.Keypair = s.key
	var opts []static.Option
	var pem []byte
	if s.key == nil {
		c, err := s.authority.credential(ctx)
		if err != nil {
			return ocispec.Descriptor{}, nil, err
		}
		keys, pem = c.keys, c.leafPEM
		opts = append(opts, static.WithCertChain(c.leafPEM, c.chainPEM))
	} else if s.log != nil {
		pub, err := s.key.GetPublicKeyPem()
		if err != nil {
			return ocispec.Descriptor{}, nil, err
		}
		pem = []byte(pub)
	}
	sig, _, err := keys.SignData(ctx, body)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if s.log != nil {
		logged, err := s.logLegacy(ctx, sig, body, pem)
		if err != nil {
			return ocispec.Descriptor{}, nil, err
		}
		opts = append(opts, static.WithBundle(logged))
	}
	return legacyLayer(body, sig, opts)
}

func (s *Signer) logLegacy(ctx context.Context, sig, body, pem []byte) (*cosignbundle.RekorBundle, error) {
	if s.ends.rekorVersion != 1 {
		return nil, fmt.Errorf("signing.format both needs a Rekor v1 log, and %s is of version %d: use format bundle", s.ends.rekor,
			s.ends.rekorVersion)
	}
	h := sha256.New()
	h.Write(body)
	entry, err := cosign.TLogUpload(ctx, s.log, sig, h, pem)
	if err == nil {
		_, err = tle.GenerateTransparencyLogEntry(*entry) // which looks at all of it
	}
	if err != nil {
		return nil, logFault(s.ends.rekor, err)
	}
	return cosignbundle.EntryToBundle(entry), nil
}

func legacyLayer(body, sig []byte, opts []static.Option) (ocispec.Descriptor, []byte, error) {
	signed, err := static.NewSignature(body, base64.StdEncoding.EncodeToString(sig), opts...)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	annotations, err := signed.Annotations()
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	annotations[static.SignatureAnnotationKey] = base64.StdEncoding.EncodeToString(sig)
	return ocispec.Descriptor{MediaType: cosigntypes.SimpleSigningMediaType, Digest: digest.FromBytes(body), Size: int64(len(body)),
		Annotations: annotations}, body, nil
}

// appendLegacy adds a layer to what others signed before and gives the config blob that lists all layers.
func appendLegacy(m *ocispec.Manifest, layer ocispec.Descriptor) ([]byte, error) {
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
	m.Layers = append(m.Layers, layer)
	config := ocispec.Image{RootFS: ocispec.RootFS{Type: "layers"}}
	for _, l := range m.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Digest)
	}
	raw, err := json.Marshal(config)
	m.Config = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	return raw, err
}

// legacyManifest reads the manifest with the cosign v2 signatures of a digest, empty when there are none.
func (v *Verifier) legacyManifest(ctx context.Context, repo Repository, artifact digest.Digest) (found bool, m ocispec.Manifest,
	err error) {
	_, raw, err := repo.Manifest(ctx, legacyTag(artifact))
	if err != nil {
		if v.opts.NotFound(err) {
			err = nil
		}
		return false, m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return false, m, fmt.Errorf("signatures of %s: %w", artifact, err)
	}
	return true, m, nil
}

// Legacy reads and checks cosign v2's signatures of a digest, whether there are bundles or not.
func (v *Verifier) Legacy(ctx context.Context, repo Repository, artifact digest.Digest, s Search) (Found, error) {
	var found Found
	some, m, err := v.legacyManifest(ctx, repo, artifact)
	if err != nil || !some {
		return found, err
	}
	keyless, err := s.Keyless()
	if err != nil {
		return found, fmt.Errorf("%w: %w", ErrCannotCheck, err)
	}
	for i, layer := range m.Layers {
		if found.cut = i == maxSignatures; found.cut {
			break
		}
		body, err := repo.Blob(ctx, layer, maxSignature)
		if err != nil && v.opts.Unanswered(err) {
			return found, err
		}
		var signed Signed
		if err == nil {
			signed, err = v.checkLegacy(ctx, layer, body, artifact, keyless)
		}
		if found.add(signed, err); s.Enough != nil && s.Enough(found) {
			break
		}
	}
	return found, nil
}

// parseLegacy reads certificate and log entry from where cosign v2 keeps them: the layer's annotations.
func parseLegacy(layer ocispec.Descriptor, body []byte) (oci.Signature, error) {
	var opts []static.Option
	if cert := layer.Annotations[static.CertificateAnnotationKey]; cert != "" {
		opts = append(opts, static.WithCertChain([]byte(cert), []byte(layer.Annotations[static.ChainAnnotationKey])))
	}
	if raw := layer.Annotations[static.BundleAnnotationKey]; raw != "" {
		var logged cosignbundle.RekorBundle
		if err := json.Unmarshal([]byte(raw), &logged); err != nil {
			return nil, fmt.Errorf("log entry: %w", err)
		}
		opts = append(opts, static.WithBundle(&logged))
	}
	return static.NewSignature(body, layer.Annotations[static.SignatureAnnotationKey], opts...)
}

// checkLegacy verifies one layer of the .sig manifest. The claim verifier is what makes the signature one of *this*
// digest and not of whatever its payload names.
func (v *Verifier) checkLegacy(ctx context.Context, layer ocispec.Descriptor, body []byte, artifact digest.Digest, keyless bool) (Signed, error) {
	signed, err := parseLegacy(layer, body)
	if err != nil {
		return Signed{}, err
	}
	hash, err := v1.NewHash(artifact.String())
	if err != nil {
		return Signed{}, err
	}
	opts := cosign.CheckOpts{Offline: true, ClaimVerifier: cosign.SimpleClaimVerifier}
	cert, err := signed.Cert()
	if err != nil {
		return Signed{}, err
	}
	if cert == nil {
		return v.checkLegacyKey(ctx, signed, hash, opts)
	}
	if !keyless {
		return Signed{}, fmt.Errorf("signed keyless by %s, and only keys are accepted", claimedBy(cert))
	}
	if opts.TrustedMaterial, err = v.trust.load(); err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrCannotCheck, err)
	}
	opts.Identities = []cosign.Identity{{IssuerRegExp: ".*", SubjectRegExp: ".*"}} // whose it is, the policy judges later
	if _, err := cosign.VerifyImageSignature(ctx, signed, hash, &opts); err != nil {
		return Signed{}, err
	}
	who, err := certificateOf(cert)
	if err != nil {
		return Signed{}, err
	}
	logged, err := signed.Bundle()
	if err == nil && logged != nil {
		who.Time = time.Unix(logged.Payload.IntegratedTime, 0)
	}
	who.Format = Both
	return who, err
}

func (v *Verifier) checkLegacyKey(ctx context.Context, signed oci.Signature, hash v1.Hash, opts cosign.CheckOpts) (Signed, error) {
	keys, err := v.keys()
	if err != nil {
		return Signed{}, err
	}
	if err := v.otherKey(keys, ""); err != nil {
		return Signed{}, err
	}
	var failed error
	for _, k := range keys {
		_, verifier, err := keyMaterial(k.PublicKey)
		if err != nil {
			return Signed{}, fmt.Errorf("%w: %w", ErrCannotCheck, err)
		}
		opts.SigVerifier, opts.IgnoreTlog = verifier, true
		if _, err = cosign.VerifyImageSignature(ctx, signed, hash, &opts); err == nil {
			return Signed{Identity: Identity{Key: k.name}, Format: Both}, nil
		}
		failed = errors.Join(failed, err)
	}
	return Signed{}, keyFault(keys, failed)
}
