// Package trust is the judge: may this digest have this tag? Whatever is signed, tagged, reused or kept was asked about here,
// by the same four rules. It promises that only content which the packer has just built, or which the rules accept, can be
// signed or tagged: both take a Pass, and nobody else makes one. Which tags are to move, and when, is left to the verbs.
package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
)

// Why a digest may not have a tag, beside sign.ErrUnsigned and sign.ErrWrongIdentity.
var (
	// ErrForeign reports an artifact that is not one of this component and this Git repository.
	ErrForeign = errors.New("not an artifact of this component")
	// ErrRelabelled reports a version whose release record says that it is another digest.
	ErrRelabelled = errors.New("released as another digest")
	// ErrUnbound reports a version of which nothing signed says which digest it is.
	ErrUnbound = errors.New("nothing signed says which digest this version is")
)

// Repository is what verbs may do with a repository by themselves: read it, and upload by digest.
type Repository interface {
	// Name is the repository's name.
	Name() name.Repository
	// Manifest reads the manifest of a tag or a digest.
	Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error)
	// Resolve returns the digest of a tag.
	Resolve(ctx context.Context, ref string) (digest.Digest, error)
	// Blob reads a blob of at most limit bytes.
	Blob(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error)
	// Tags lists all tags.
	Tags(ctx context.Context) ([]string, error)
	// TagsBetween lists at least the tags after one and before another, and reports whether it lists all tags.
	TagsBetween(ctx context.Context, after, before string) ([]string, bool, error)
	// PushBlob uploads a blob.
	PushBlob(ctx context.Context, desc ocispec.Descriptor, data []byte) error
	// PushManifest stores a manifest under its digest.
	PushManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte) error
}

// Gate judges, signs and tags. It is safe for concurrent use.
type Gate struct {
	*Rules
	signer *sign.Signer
	client *registry.Client

	mu   sync.Mutex
	open map[string]*registry.Repository
	keys map[string]bool // components of which the key at hand is known to have signed records, or not
}

// New makes a Gate on the repositories that client opens. signer may be nil where nothing is signed.
func New(rules *Rules, client *registry.Client, signer *sign.Signer) *Gate {
	return &Gate{Rules: rules, signer: signer, client: client, open: map[string]*registry.Repository{}, keys: map[string]bool{}}
}

// Open names a repository; nothing is requested yet.
func (g *Gate) Open(repo name.Repository) Repository { return g.repository(repo) }

func (g *Gate) repository(repo name.Repository) *registry.Repository {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[repo.String()] == nil {
		g.open[repo.String()] = g.client.Open(repo)
	}
	return g.open[repo.String()]
}

// WithoutFormerNames is the gate without the repository's former names.
func (g *Gate) WithoutFormerNames() *Gate {
	rules := *g.Rules
	rules.Formerly = nil
	return New(&rules, g.client, g.signer)
}

// Answer is what the gate says.
type Answer string

// The answers. CannotTell is neither of the others: it is never treated as accepted, nor shown as refused.
const (
	Accepted   Answer = "accepted"
	Refused    Answer = "refused"
	CannotTell Answer = "cannot tell"
)

// Rule is one of the gate's rules with its answer.
type Rule struct {
	Name   string `json:"rule"`
	Answer Answer `json:"answer"`
	Detail string `json:"detail,omitempty"`
}

// Question asks whether an artifact may have tags.
type Question struct {
	Component  component.Component
	Tags       []string
	Version    string // that the tags, which are channels, point to or are to point to; "" for none
	Ref        string // Git ref of the run that gives the tag of a commit; "" judges such a tag by the first channel that follows a branch
	Artifact   pack.Artifact
	All        bool            // read all signatures and judge by all rules, for people
	Lenient    bool            // what cannot be known of release records is a note: for a rollback in an emergency
	Signed     *sign.Signature // that this run has just attached
	Unrecorded bool            // the release record is still to be written
}

// Verdict is the gate's answer.
type Verdict struct {
	Answer Answer
	Rules  []Rule
	Policy string        // whose signature is accepted
	Signed []sign.Signed // valid signatures that were read
	Notes  []string
	Bound  bool  // something signed says that the version is this digest
	Err    error // why it is not accepted; nil when it is

	pass Pass
}

// Pass is the right to sign an artifact and to let it have tags. Only the gate makes one.
type Pass struct {
	component component.Component
	artifact  pack.Artifact
	tags      []string
}

// Pass gives the right that goes with an accepted answer, or the reason why there is none.
func (v Verdict) Pass() (Pass, error) {
	if v.Err != nil {
		return Pass{}, v.Err
	}
	return v.pass, nil
}

// Built is the right to sign what the packer has just made. It has no tag before it is judged with its signature.
func (g *Gate) Built(c component.Component, b pack.Built) Pass {
	return Pass{component: c, artifact: b.Artifact()}
}

// IsRefusal reports whether an error is the gate's no, as opposed to a fault that leaves the question open.
func IsRefusal(err error) bool {
	for _, no := range []error{sign.ErrUnsigned, sign.ErrWrongIdentity, ErrForeign, ErrRelabelled, ErrUnbound} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// IsUnsigned reports whether an error says that an artifact has no signature that counts here. What another key signed may be
// good, and does not count. Who publishes signs it, or puts other content in its place.
func IsUnsigned(err error) bool { return IsRefusal(err) || errors.Is(err, sign.ErrOtherKey) }

// Content reads the layer of an artifact and answers with the digest of the content in it, which must be the one that the
// manifest claims.
func (g *Gate) Content(ctx context.Context, c component.Component, a pack.Artifact) (digest.Digest, error) {
	desc, ok := a.Layer()
	if !ok {
		return "", fmt.Errorf("%w: %s is not a Flux artifact of one layer", ErrForeign, a.Descriptor.Digest)
	}
	raw, err := g.repository(c.Repository).Blob(ctx, desc, maxLayer)
	if err != nil {
		return "", err
	}
	got, err := pack.Digest(bytes.NewReader(raw), pack.Limits{})
	if err != nil {
		return "", err
	}
	if claimed := a.ContentDigest(); got != claimed {
		return "", fmt.Errorf("%w: its content is %s, and its manifest says %s", ErrForeign, got, or(claimed.String()))
	}
	return got, nil
}

// maxLayer bounds a compressed layer that is read to be compared.
const maxLayer = 128 << 20
