package sign

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// ErrUnsigned reports an artifact without any valid signature, ErrWrongIdentity one that only others have signed.
var (
	ErrUnsigned      = errors.New("unsigned")
	ErrWrongIdentity = errors.New("not signed by the expected identity")
)

// What is read of a digest's signatures: a registry may hold any number of them, of any size.
const (
	maxSignatures = 64
	maxSignature  = 1 << 20
)

// VerifierOptions of a Verifier.
type VerifierOptions struct {
	Services  Services
	PublicKey crypto.PublicKey // nil checks certificates
	NotFound  func(error) bool // says of a Repository's error that the thing is not there
}

// Verifier checks signatures as a cluster would: offline against a trusted root, or with a public key. It is safe for
// concurrent use.
type Verifier struct {
	opts  VerifierOptions
	trust trust
	ready func() error // opens what opts.PublicKey comes from; nil when it is there
}

// NewVerifier makes a Verifier. keyFile, if not "", is a PEM public key.
func NewVerifier(o VerifierOptions, keyFile string) (*Verifier, error) {
	if keyFile != "" {
		pub, err := loadPublicKey(keyFile)
		if err != nil {
			return nil, err
		}
		o.PublicKey = pub
	}
	return &Verifier{opts: o, trust: trust{services: o.Services}}, nil
}

// KeyPolicy is the policy of the public key that v checks with, zero when it checks certificates.
func (v *Verifier) KeyPolicy() (Policy, error) {
	if err := v.open(); err != nil {
		return Policy{}, err
	}
	if v.opts.PublicKey == nil {
		return Policy{}, nil
	}
	key, err := fingerprint(v.opts.PublicKey)
	return Policy{Key: key}, err
}

// open waits until the key is there. Everything that checks calls it first, and nothing that only reads from a registry.
func (v *Verifier) open() error {
	if v.ready == nil {
		return nil
	}
	return v.ready()
}

// Signed is one valid signature.
type Signed struct {
	Identity
	Format Format `json:"format"`
}

// Found is what is known of a digest's signatures.
type Found struct {
	Valid   []Signed
	Invalid []error
}

func (f *Found) add(id Identity, format Format, err error) {
	if err != nil {
		f.Invalid = append(f.Invalid, err)
		return
	}
	f.Valid = append(f.Valid, Signed{id, format})
}

func (f Found) by(id Identity) bool {
	for _, s := range f.Valid {
		if s.Identity == id {
			return true
		}
	}
	return false
}

// Signatures reads and checks the signatures of a digest. Like Flux 2.8, it looks at cosign v2's tag only where there is
// no bundle.
func (v *Verifier) Signatures(ctx context.Context, repo Repository, artifact digest.Digest) (Found, error) {
	found, err := v.bundles(ctx, repo, artifact)
	if err != nil || len(found.Valid)+len(found.Invalid) > 0 {
		return found, err
	}
	found, _, err = v.legacy(ctx, repo, artifact)
	return found, err
}

// Verify demands a valid signature that policy allows and gives all valid ones. The error is ErrUnsigned or
// ErrWrongIdentity when the answer is no.
func (v *Verifier) Verify(ctx context.Context, repo Repository, artifact digest.Digest, policy Policy) ([]Signed, error) {
	return v.VerifyLate(ctx, repo, artifact, func() (Policy, error) { return policy, nil })
}

// VerifyLate is Verify for a policy that is known only once the key is open: the signatures are fetched meanwhile.
func (v *Verifier) VerifyLate(ctx context.Context, repo Repository, artifact digest.Digest, late func() (Policy, error)) ([]Signed, error) {
	found, err := v.Signatures(ctx, repo, artifact)
	if err != nil {
		return nil, err
	}
	policy, err := late()
	if err == nil {
		err = policy.Validate()
	}
	if err != nil {
		return nil, err
	}
	for _, s := range found.Valid {
		if policy.Allows(s.Identity) {
			return found.Valid, nil
		}
	}
	return found.Valid, found.refusal(policy)
}

func (f Found) refusal(policy Policy) error {
	if len(f.Valid) == 0 {
		if len(f.Invalid) > 0 {
			return fmt.Errorf("%w: no signature is valid: %w", ErrUnsigned, errors.Join(f.Invalid...))
		}
		return ErrUnsigned
	}
	var who []string
	for _, s := range f.Valid {
		who = append(who, s.String())
	}
	return fmt.Errorf("%w: expected %s, signed by %s", ErrWrongIdentity, policy, strings.Join(who, ", "))
}

// bundles reads and checks the Sigstore bundles that refer to a digest.
func (v *Verifier) bundles(ctx context.Context, repo Repository, artifact digest.Digest) (Found, error) {
	var found Found
	list, err := repo.Referrers(ctx, artifact, bundleType)
	if err != nil {
		return found, err
	}
	for i, desc := range list {
		if i == maxSignatures {
			found.Invalid = append(found.Invalid, fmt.Errorf("only the first %d signatures were read", maxSignatures))
			break
		}
		raw, err := readBundle(ctx, repo, desc)
		if errors.Is(err, errNoBundle) {
			continue
		}
		if err != nil && !v.opts.NotFound(err) {
			return found, err
		}
		var id Identity
		if err == nil {
			id, err = v.checkBundle(raw, artifact)
		}
		found.add(id, Bundle, err)
	}
	return found, nil
}

// errNoBundle is a referrer of another kind that the registry could not tell apart.
var errNoBundle = errors.New("no bundle")

func readBundle(ctx context.Context, repo Repository, desc ocispec.Descriptor) ([]byte, error) {
	_, raw, err := repo.Manifest(ctx, desc.Digest.String())
	if err != nil {
		return nil, err
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

// checkBundle verifies one bundle: the signature, its certificate and log entry, that it is cosign's statement "signed"
// and that its subject is this digest.
func (v *Verifier) checkBundle(raw []byte, artifact digest.Digest) (Identity, error) {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return Identity{}, fmt.Errorf("bundle: %w", err)
	}
	verifier, err := v.bundleVerifier()
	if err != nil {
		return Identity{}, err
	}
	sum, err := hex.DecodeString(artifact.Encoded())
	if err != nil {
		return Identity{}, err
	}
	policy := verify.NewPolicy(verify.WithArtifactDigest(artifact.Algorithm().String(), sum), v.policyOption())
	result, err := verifier.Verify(&b, policy)
	if err != nil {
		return Identity{}, err
	}
	if result.Statement == nil || result.Statement.GetPredicateType() != predicateType {
		return Identity{}, fmt.Errorf("the bundle is no cosign signature: predicate type %q", result.Statement.GetPredicateType())
	}
	return v.identity(result)
}

// identity is who signed what was verified.
func (v *Verifier) identity(result *verify.VerificationResult) (Identity, error) {
	if v.opts.PublicKey != nil {
		key, err := fingerprint(v.opts.PublicKey)
		return Identity{Key: key}, err
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return Identity{}, errors.New("the bundle has no certificate")
	}
	return Identity{Issuer: result.Signature.Certificate.Issuer, Subject: result.Signature.Certificate.SubjectAlternativeName}, nil
}

func (v *Verifier) policyOption() verify.PolicyOption {
	if v.opts.PublicKey != nil {
		return verify.WithKey()
	}
	return verify.WithoutIdentitiesUnsafe() // whose it is, Policy.Allows judges on the identity that is returned
}

func (v *Verifier) bundleVerifier() (*verify.Verifier, error) {
	if err := v.open(); err != nil {
		return nil, err
	}
	if v.opts.PublicKey != nil {
		material, _, err := keyMaterial(v.opts.PublicKey)
		if err != nil {
			return nil, err
		}
		return verify.NewVerifier(material, verify.WithNoObserverTimestamps())
	}
	material, err := v.trust.load()
	if err != nil {
		return nil, err
	}
	return verify.NewVerifier(material, keylessOptions(material)...)
}

// keylessOptions demands what Flux demands: the log's proof, a time from the log or an authority, and the certificate's
// own log entry wherever the trusted root names such a log.
func keylessOptions(material root.TrustedMaterial) []verify.VerifierOption {
	opts := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}
	if len(material.CTLogs()) > 0 {
		opts = append(opts, verify.WithSignedCertificateTimestamps(1))
	}
	return opts
}
