package sign

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// ErrUnsigned reports an artifact without any valid signature, ErrWrongIdentity one that only others have signed.
// ErrCannotCheck is no answer: what signatures are checked with is out of reach.
var (
	ErrUnsigned      = errors.New("unsigned")
	ErrWrongIdentity = errors.New("not signed by the expected identity")
	ErrCannotCheck   = errors.New("cannot check signatures")
	// ErrOtherKey is ErrCannotCheck for what a key pair signed whose public key is not at hand.
	ErrOtherKey = fmt.Errorf("%w: signed with another key", ErrCannotCheck)
)

// What is read of a digest's signatures: a registry may hold any number of them, of any size.
const (
	maxSignatures = 256
	maxSignature  = 1 << 20
)

// VerifierOptions of a Verifier.
type VerifierOptions struct {
	Services   Services
	KeyFiles   []string         // PEM public keys that count
	AtHand     bool             // KeyFiles, or the key of the run, are what a person has at hand: other keys may count as well
	NotFound   func(error) bool // says of a Repository's error that the thing is not there
	Unanswered func(error) bool // says of a Repository's error that it leaves open what is there
}

// Verifier checks signatures as a cluster would: certificates offline against a trusted root, key pairs with public keys.
// It is safe for concurrent use.
type Verifier struct {
	opts      VerifierOptions
	trust     trust
	own       func() (crypto.PublicKey, error) // of the key that the run signs with; nil where there is none
	keys      func() ([]publicKey, error)
	remembers atomic.Bool // whether payloads are kept
	payloads  sync.Map    // hashes of the statements that were found valid

	fresh sync.Map // bundles that this run has just made and checked, by freshBundle: their list is read again
}

// freshBundle is a bundle and the digest that it was made for.
type freshBundle struct{ bundle, artifact digest.Digest }

// publicKey is a key that counts.
type publicKey struct {
	crypto.PublicKey
	name string // fingerprint
	file string // "" for the key that the run signs with
}

// String is the file and the fingerprint, for messages.
func (k publicKey) String() string {
	if k.file == "" {
		return "the key of this run (" + k.name + ")"
	}
	return k.file + " (" + k.name + ")"
}

// listed is several keys, for messages.
func listed(keys []publicKey) string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = k.String()
	}
	return strings.Join(words, ", ")
}

// NewVerifier makes a Verifier; key files are read when the first signature is checked.
func NewVerifier(o VerifierOptions) *Verifier { return newVerifier(o, nil) }

func newVerifier(o VerifierOptions, own func() (crypto.PublicKey, error)) *Verifier {
	v := &Verifier{opts: o, trust: trust{services: o.Services}, own: own}
	v.keys = sync.OnceValues(v.loadKeys)
	return v
}

func (v *Verifier) loadKeys() ([]publicKey, error) {
	var list []publicKey
	add := func(file string, pub crypto.PublicKey, err error) error {
		if err != nil {
			return err
		}
		name, err := fingerprint(pub)
		if err == nil && !slices.ContainsFunc(list, func(k publicKey) bool { return k.name == name }) {
			list = append(list, publicKey{pub, name, file})
		}
		return err
	}
	if v.own != nil && len(v.opts.KeyFiles) == 0 {
		pub, err := v.own()
		if err := add("", pub, err); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCannotCheck, err)
		}
	}
	for _, file := range v.opts.KeyFiles {
		pub, err := loadPublicKey(file)
		if err := add(file, pub, err); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCannotCheck, err)
		}
	}
	return list, nil
}

// Notes says what else is to be known of how signatures were checked: that an older trusted root was used.
func (v *Verifier) Notes() []string {
	if v.opts.Services.TUF == nil {
		return nil
	}
	return v.opts.Services.TUF.Notes()
}

// ReadKeys reads the key files now, for a mistake in their names to be one of usage.
func (v *Verifier) ReadKeys() error {
	_, err := v.keys()
	return err
}

// KeyPolicies accepts the public keys that v checks with, none when it checks certificates alone. Where files name keys,
// they alone count, and not the key that the run signs with.
func (v *Verifier) KeyPolicies() (Policies, error) {
	keys, err := v.keys()
	if err != nil {
		return nil, err
	}
	var list Policies
	for _, k := range keys {
		list = append(list, Policy{Key: k.name})
	}
	return list, nil
}

// checkBundle verifies one bundle: the signature, its certificate and log entry, that it is cosign's statement "signed"
// and that its subject is this digest.
func (v *Verifier) checkBundle(raw []byte, artifact digest.Digest, keyless bool) (Signed, error) {
	if signed, ok := v.fresh.LoadAndDelete(freshBundle{digest.FromBytes(raw), artifact}); ok {
		return signed.(Signed), nil
	}
	sum, err := hex.DecodeString(artifact.Encoded())
	if err != nil {
		return Signed{}, err
	}
	result, signed, err := v.verify(raw, keyless, verify.WithArtifactDigest(artifact.Algorithm().String(), sum))
	if err != nil {
		return Signed{}, err
	}
	if result.Statement == nil || result.Statement.GetPredicateType() != predicateType {
		return Signed{}, fmt.Errorf("the bundle is no cosign signature: predicate type %q", result.Statement.GetPredicateType())
	}
	return signed, nil
}

// verify checks a bundle with what it was signed with: a key that counts, or a certificate. Whose it is, a policy judges.
func (v *Verifier) verify(raw []byte, keyless bool, artifact verify.ArtifactPolicyOption) (*verify.VerificationResult, Signed, error) {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, Signed{}, fmt.Errorf("bundle: %w", err)
	}
	content, err := b.VerificationContent()
	if err != nil {
		return nil, Signed{}, fmt.Errorf("bundle: %w", err)
	}
	if content.Certificate() == nil {
		return v.verifyKey(&b, artifact)
	}
	if !keyless {
		return nil, Signed{}, fmt.Errorf("signed keyless by %s, and only keys are accepted", claimedBy(content.Certificate()))
	}
	material, err := v.trust.load()
	if err != nil {
		return nil, Signed{}, fmt.Errorf("%w: %w", ErrCannotCheck, err)
	}
	verifier, err := verify.NewVerifier(material, keylessOptions(material)...)
	if err != nil {
		return nil, Signed{}, fmt.Errorf("%w: %w", ErrCannotCheck, err)
	}
	result, err := verifier.Verify(&b, verify.NewPolicy(artifact, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, Signed{}, err
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return nil, Signed{}, errors.New("the bundle has no certificate")
	}
	v.remember(&b)
	signed := certified(*result.Signature.Certificate)
	for _, at := range result.VerifiedTimestamps {
		if signed.Time.IsZero() || at.Timestamp.Before(signed.Time) {
			signed.Time = at.Timestamp
		}
	}
	return result, signed, nil
}

// verifyKey checks a bundle with each key that counts.
func (v *Verifier) verifyKey(b *bundle.Bundle, artifact verify.ArtifactPolicyOption) (*verify.VerificationResult, Signed, error) {
	keys, err := v.keys()
	if err != nil {
		return nil, Signed{}, err
	}
	hint := ""
	if content, err := b.VerificationContent(); err == nil && content.PublicKey() != nil {
		hint = content.PublicKey().Hint()
	}
	if err := v.otherKey(keys, hint); err != nil {
		return nil, Signed{}, err
	}
	var failed error
	for _, k := range keys {
		material, _, err := keyMaterial(k.PublicKey)
		if err != nil {
			return nil, Signed{}, fmt.Errorf("%w: %w", ErrCannotCheck, err)
		}
		verifier, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
		if err != nil {
			return nil, Signed{}, fmt.Errorf("%w: %w", ErrCannotCheck, err)
		}
		result, err := verifier.Verify(b, verify.NewPolicy(artifact, verify.WithKey()))
		if err == nil {
			v.remember(b)
			return result, Signed{Identity: Identity{Key: k.name}, Format: Bundle}, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, Signed{}, keyFault(keys, failed)
}

// otherKey says that a key signed which is none of those at hand, nil where it may be one. hint is the fingerprint of the key that signed,
// as the signature says; "" where it does not. Where the config names the keys, another one is refused.
func (v *Verifier) otherKey(keys []publicKey, hint string) error {
	switch {
	case len(keys) == 0 && hint == "":
		return fmt.Errorf("%w, and no key is given to check it with: pass --key cosign.pub", ErrOtherKey)
	case len(keys) == 0:
		return fmt.Errorf("%w (%s), and no key is given to check it with: pass --key cosign.pub", ErrOtherKey, hint)
	case hint == "" || slices.ContainsFunc(keys, func(k publicKey) bool { return k.name == hint }):
		return nil
	}
	if !v.opts.AtHand {
		return fmt.Errorf("signed with another key (%s) than %s", hint, listed(keys))
	}
	return fmt.Errorf("%w (%s) than %s", ErrOtherKey, hint, listed(keys))
}

// keyFault says that a signature is of none of the keys. The libraries have no type for such an error; others are kept as they are.
func keyFault(keys []publicKey, err error) error {
	text := err.Error()
	if strings.Contains(text, "do not match threshold") || strings.Contains(text, "invalid signature when validating") {
		return fmt.Errorf("signed with another key than %s, or changed after it was signed", listed(keys))
	}
	return err
}

// certified is who a certificate was given to.
func certified(s certificate.Summary) Signed {
	repository := s.SourceRepositoryURI
	if repository == "" && s.GithubWorkflowRepository != "" {
		repository = "https://github.com/" + s.GithubWorkflowRepository // certificates from before 2022
	}
	return Signed{Identity: Identity{Issuer: s.Issuer, Subject: s.SubjectAlternativeName}, Format: Bundle, Claims: Claims{
		Repository: repository, RepositoryID: s.SourceRepositoryIdentifier, Ref: cmp.Or(s.SourceRepositoryRef, s.GithubWorkflowRef),
		Caller: s.BuildConfigURI, Workflow: s.BuildSignerURI, Trigger: cmp.Or(s.BuildTrigger, s.GithubWorkflowTrigger)}}
}

// claimedBy is whom an unchecked certificate names, for messages.
func claimedBy(cert *x509.Certificate) string {
	s, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		return "somebody"
	}
	return s.SubjectAlternativeName
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
