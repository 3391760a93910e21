package sign

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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

// Found is what is known of a digest's signatures.
type Found struct {
	Valid     []Signed
	Invalid   []error
	Unchecked []error // signatures that may be valid: ErrCannotCheck
	cut       bool    // more signatures exist than were read
}

func (f *Found) add(s Signed, err error) {
	switch {
	case err == nil:
		f.Valid = append(f.Valid, s)
	case errors.Is(err, ErrCannotCheck):
		f.Unchecked = append(f.Unchecked, err)
	default:
		f.Invalid = append(f.Invalid, err)
	}
}

// none reports whether there is no signature at all.
func (f Found) none() bool { return len(f.Valid)+len(f.Invalid)+len(f.Unchecked) == 0 }

// Has reports whether a valid signature fulfils the condition.
func (f Found) Has(counts func(Signed) bool) bool { return slices.ContainsFunc(f.Valid, counts) }

// Meets says why the signatures do not meet a policy, nil when one does. The error is ErrUnsigned or ErrWrongIdentity when
// the answer is no, and ErrCannotCheck when signatures are left that were not read, or could not be checked.
func (f Found) Meets(ps Policies) error {
	if err := ps.Validate(); err != nil {
		return err
	}
	var why error
	var who []string
	for _, s := range f.Valid {
		err := ps.Judge(s)
		if err == nil {
			return nil
		}
		if why == nil || ps.MatchesName(s.Identity) {
			why = err
		}
		who = append(who, s.String())
	}
	switch {
	case f.cut:
		return fmt.Errorf("%w: none of the first %d is accepted, and more exist", ErrCannotCheck, maxSignatures)
	case len(f.Unchecked) > 0:
		return f.Unchecked[0]
	case why != nil:
		return fmt.Errorf("%w: %w; signed by %s", ErrWrongIdentity, why, strings.Join(who, ", "))
	case len(f.Invalid) > 0:
		return fmt.Errorf("%w: no signature is valid: %w", ErrUnsigned, errors.Join(f.Invalid...))
	}
	return ErrUnsigned
}

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

// errNoBundle is a referrer of another kind that the registry could not tell apart, errUnread a fault of the registry.
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
