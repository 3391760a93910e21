package sign

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	rekor "github.com/sigstore/rekor/pkg/generated/client"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// Repository is what signing needs of the repository of the artifact.
type Repository interface {
	// Manifest reads the manifest of a tag or a digest.
	Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error)
	// Blob reads a blob of at most limit bytes.
	Blob(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error)
	// Referrers lists the manifests of an artifact type that refer to subject.
	Referrers(ctx context.Context, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error)
	// SeenReferrers is Referrers, but the list may be older.
	SeenReferrers(ctx context.Context, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error)
	// PushBlob uploads a blob.
	PushBlob(ctx context.Context, desc ocispec.Descriptor, data []byte) error
	// AddReferrer stores a manifest that has a subject, and returns the subject's referrers with it.
	// alone reports that no other identity can be signing the subject at the same time.
	AddReferrer(ctx context.Context, desc ocispec.Descriptor, raw []byte, alone bool) ([]ocispec.Descriptor, error)
	// Tag stores a manifest under a tag.
	Tag(ctx context.Context, desc ocispec.Descriptor, raw []byte, tag string) error
}

// Format says how signatures are stored.
type Format string

const (
	// Bundle is a Sigstore bundle as an OCI referrer, what Flux 2.8 and later and cosign v3 look for first.
	Bundle Format = "bundle"
	// Both adds the sha256-<hex>.sig tag of cosign v2, for Flux 2.6 and 2.7.
	Both Format = "both"
)

// Clients speak to the parts of Sigstore, each within its own limit of time.
type Clients struct{ Fulcio, Rekor, Timestamps *http.Client }

// Options of a Signer.
type Options struct {
	Clients  Clients
	Services Services
	Tokens   TokenOptions
	Format   Format
	Key      *PrivateKey      // nil signs keyless
	KeyFiles []string         // public keys that count beside Key, when signatures are checked
	AtHand   bool             // as in VerifierOptions
	LogKey   bool             // upload signatures of Key to the transparency log, too
	Now      func() time.Time // the clock that certificates are renewed by
	NotFound func(error) bool // says of a Repository's error that the thing is not there

	Unanswered func(error) bool // says of a Repository's error that it leaves open what is there
}

// Signer signs digests with one key or, keyless, with one certificate per run. It is safe for concurrent use. Keys,
// tokens and trust are loaded at the first signature, so a run that signs nothing asks for nothing.
type Signer struct {
	opts      Options
	verifier  *Verifier
	authority *authority

	once sync.Once
	err  error
	key  *keypair
	ends endpoints
	log  *rekor.Rekor
}

// NewSigner makes a Signer; nothing is read or requested yet.
func NewSigner(o Options) *Signer {
	s := &Signer{opts: o}
	var own func() (crypto.PublicKey, error)
	if o.Key != nil {
		own = func() (crypto.PublicKey, error) {
			if err := s.prepare(); err != nil {
				return nil, err
			}
			return s.key.pub, nil
		}
	}
	s.verifier = newVerifier(VerifierOptions{Services: o.Services, KeyFiles: o.KeyFiles, AtHand: o.AtHand, NotFound: o.NotFound,
		Unanswered: o.Unanswered}, own)
	return s
}

// keyless says that certificates are checked: what this run signs keyless, it must be able to check.
func (s *Signer) keyless() (bool, error) { return s.opts.Key == nil, nil }

// Identity is who this run signs as, and what its certificate says. Keyless, it asks for the certificate.
func (s *Signer) Identity(ctx context.Context) (Signed, error) {
	if err := s.prepare(); err != nil {
		return Signed{}, err
	}
	if s.key != nil {
		return Signed{Identity: Identity{Key: s.key.hint}}, nil
	}
	c, err := s.authority.credential(ctx)
	if err != nil {
		return Signed{}, err
	}
	who := c.who
	who.Time = s.opts.Now()
	return who, nil
}

// Warm begins to open the key, which takes a while, because something will be signed.
func (s *Signer) Warm() {
	if s.opts.Key != nil {
		s.opts.Key.Open()
	}
}

// Signature is a signature that is made, checked and uploaded but not yet visible beside its artifact.
type Signature struct {
	Identity Identity
	attach   []func(ctx context.Context, alone bool) error
	listed   []ocispec.Descriptor
	written  map[digest.Digest][]byte
}

// Prepare signs the artifact, checks the signature as a cluster would and uploads its content. The artifact itself need
// not be in the repository yet. A format in which a signature of the digest counts already is left alone.
func (s *Signer) Prepare(ctx context.Context, repo Repository, artifact ocispec.Descriptor, reference string,
	counts func(Signed) bool) (*Signature, error) {
	id, err := s.Identity(ctx)
	if err != nil {
		return nil, err
	}
	sig := &Signature{Identity: id.Identity}
	if err := s.prepareBundle(ctx, repo, artifact, sig, counts); err != nil {
		return nil, fmt.Errorf("sign %s: %w", reference, err)
	}
	if s.opts.Format == Both {
		if err := s.prepareLegacy(ctx, repo, artifact, reference, sig, counts); err != nil {
			return nil, fmt.Errorf("sign %s for cosign v2: %w", reference, err)
		}
	}
	return sig, nil
}

// New reports whether Attach will add anything: false when a signature of the digest counts already.
func (s *Signature) New() bool { return len(s.attach) > 0 }

// Attach makes the signature visible. The artifact's manifest must be in the repository. alone says that no other identity
// can be signing it at the same time.
func (s *Signature) Attach(ctx context.Context, alone bool) error {
	for _, attach := range s.attach {
		if err := attach(ctx, alone); err != nil {
			return err
		}
	}
	return nil
}

// Search looks for signatures in the list that Attach read last, and takes what Attach wrote for read.
func (s *Signature) Search(how Search) Search {
	how.Listed, how.Written = s.listed, s.written
	return how
}

// prepare loads the key or finds the services, once.
func (s *Signer) prepare() error {
	s.once.Do(func() {
		if s.opts.Key != nil {
			if s.key, s.err = s.opts.Key.open(); s.err != nil {
				return
			}
			if !s.opts.LogKey {
				return
			}
		}
		if s.ends, s.err = s.opts.Services.resolve(s.opts.Now(), s.key != nil); s.err != nil {
			return
		}
		s.authority = &authority{http: s.opts.Clients.Fulcio, url: s.ends.fulcio, tokens: s.opts.Tokens, now: s.opts.Now}
		s.log, s.err = rekorClient(s.opts.Clients.Rekor, s.ends.rekor)
	})
	return s.err
}

// bundleOptions says who vouches for a signature: the certificate, the log and the timestamp authorities.
func (s *Signer) bundleOptions(ctx context.Context) (sign.Keypair, sign.BundleOptions, error) {
	o := sign.BundleOptions{Context: ctx}
	if s.log != nil {
		o.TransparencyLogs = []sign.Transparency{s.transparency()}
		for _, tsa := range s.ends.tsa {
			o.TimestampAuthorities = append(o.TimestampAuthorities, sign.NewTimestampAuthority(
				&sign.TimestampAuthorityOptions{URL: tsa, Transport: s.opts.Clients.Timestamps.Transport,
					Timeout: -1})) // the client has a limit of its own
		}
	}
	if s.key != nil {
		return s.key, o, nil
	}
	c, err := s.authority.credential(ctx)
	if err != nil {
		return nil, o, err
	}
	o.CertificateProvider = c
	return c.keys, o, nil
}
