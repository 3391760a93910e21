package sign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestPolicy(t *testing.T) {
	me := Identity{Issuer: "https://i", Subject: "https://s/x"}
	for name, c := range map[string]struct {
		policy Policy
		want   bool
	}{
		"exact":                 {Policy{Issuer: "https://i", Subject: "https://s/x"}, true},
		"patterns":              {Policy{IssuerPattern: "https://.", SubjectPattern: "https://s/[a-z]"}, true},
		"both":                  {Policy{Issuer: "https://i", Subject: "https://s/x", SubjectPattern: ".*"}, true},
		"zero":                  {Policy{}, false},
		"subject alone":         {Policy{Subject: "https://s/x"}, false},
		"issuer alone":          {Policy{Issuer: "https://i"}, false},
		"prefix of the subject": {Policy{Issuer: "https://i", SubjectPattern: "https://s/"}, false},
		"part of the subject":   {Policy{Issuer: "https://i", SubjectPattern: "s"}, false},
		"alternation":           {Policy{Issuer: "https://i", SubjectPattern: "https://s/x|y"}, true},
		"alternation, anchored": {Policy{Issuer: "https://i", SubjectPattern: "https://s|x"}, false},
		"other issuer":          {Policy{Issuer: "https://j", Subject: "https://s/x"}, false},
		"broken pattern":        {Policy{Issuer: "https://i", SubjectPattern: "("}, false},
		"a key":                 {Policy{Key: "k"}, false},
	} {
		if got := c.policy.Judge(Signed{Identity: me}) == nil; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !me.Exactly().MatchesName(me) || me.Exactly().MatchesName(Identity{Issuer: "https://i", Subject: "https://s/y"}) {
		t.Error("Exactly")
	}
	if key := (Identity{Key: "k"}); !key.Exactly().MatchesName(key) || key.Exactly().MatchesName(me) {
		t.Error("Exactly a key")
	}
}

// store is a repository in memory, for what needs no registry.
type store struct {
	manifests map[string][]byte
	blobs     map[digest.Digest][]byte
	referrers []ocispec.Descriptor
}

var errMissing = errors.New("missing")

func newStore() *store {
	return &store{manifests: map[string][]byte{}, blobs: map[digest.Digest][]byte{}}
}

func (s *store) Manifest(_ context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	raw, ok := s.manifests[ref]
	if !ok {
		return ocispec.Descriptor{}, nil, errMissing
	}
	return ocispec.Descriptor{}, raw, nil
}

func (s *store) Blob(_ context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	raw, ok := s.blobs[desc.Digest]
	if !ok || int64(len(raw)) > limit {
		return nil, errMissing
	}
	return raw, nil
}

func (s *store) Referrers(context.Context, digest.Digest, string) ([]ocispec.Descriptor, error) {
	return s.referrers, nil
}

func (s *store) SeenReferrers(context.Context, digest.Digest, string) ([]ocispec.Descriptor, error) {
	return s.referrers, nil
}

func (s *store) PushBlob(_ context.Context, desc ocispec.Descriptor, data []byte) error {
	s.blobs[desc.Digest] = data
	return nil
}

func (s *store) PushManifest(_ context.Context, desc ocispec.Descriptor, raw []byte) error {
	s.manifests[desc.Digest.String()] = raw
	s.referrers = append(s.referrers, desc)
	return nil
}

func (s *store) AddReferrer(ctx context.Context, desc ocispec.Descriptor, raw []byte, _ bool) ([]ocispec.Descriptor, error) {
	return s.referrers, s.PushManifest(ctx, desc, raw)
}

func (s *store) Tag(_ context.Context, desc ocispec.Descriptor, raw []byte, tag string) error {
	s.manifests[tag] = raw
	return nil
}

func keySigner(t *testing.T, format Format) (*Signer, *Verifier) {
	t.Helper()
	private, public, err := GenerateKey([]byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key, pub := filepath.Join(dir, "k.key"), filepath.Join(dir, "k.pub")
	for file, raw := range map[string][]byte{key: private, pub: public} {
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	missing := func(err error) bool { return errors.Is(err, errMissing) }
	v := NewVerifier(VerifierOptions{NotFound: missing, Unanswered: func(error) bool { return false }, KeyFiles: []string{pub}})
	s := NewSigner(Options{Format: format, Now: time.Now, NotFound: missing, Unanswered: func(error) bool { return false },
		Key: NewPrivateKey(key, func() ([]byte, error) { return []byte("pw"), nil })})
	return s, v
}

func artifact(content string) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(content), Size: int64(len(content))}
}

// by counts the signatures of a signer.
func by(t *testing.T, s *Signer) func(Signed) bool {
	t.Helper()
	who, err := s.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(s Signed) bool { return s.Identity == who.Identity }
}

// checked is why a digest's signatures do not meet a policy.
func checked(t *testing.T, v *Verifier, repo Repository, d digest.Digest, ps Policies) error {
	t.Helper()
	found, err := v.Signatures(t.Context(), repo, d, Search{Keyless: func() (bool, error) { return ps.Keyless(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return found.Meets(ps)
}

func signAll(t *testing.T, s *Signer, repo Repository, a ocispec.Descriptor) *Signature {
	t.Helper()
	sig, err := s.Prepare(t.Context(), repo, a, "example.com/a@"+a.Digest.String(), by(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.Attach(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestKeySignatures(t *testing.T) {
	s, v := keySigner(t, Both)
	policy, err := v.KeyPolicies()
	if err != nil {
		t.Fatal(err)
	}
	repo, a := newStore(), artifact("a")
	if err := checked(t, v, repo, a.Digest, policy); !errors.Is(err, ErrUnsigned) {
		t.Error("before:", err)
	}
	if sig := signAll(t, s, repo, a); !sig.New() || policy.Judge(Signed{Identity: sig.Identity}) != nil {
		t.Error(sig.Identity)
	}
	if err := checked(t, v, repo, a.Digest, policy); err != nil {
		t.Error(err)
	}
	before := len(repo.manifests)
	if sig := signAll(t, s, repo, a); sig.New() || len(repo.manifests) != before {
		t.Error("the same identity signed the digest twice")
	}
	// Both formats are bound to this digest: copied to another artifact, they are invalid.
	other := artifact("other")
	if err := checked(t, v, repo, other.Digest, policy); !errors.Is(err, ErrUnsigned) {
		t.Error("a bundle of another digest:", err)
	}
	repo.referrers = nil
	if err := checked(t, v, repo, a.Digest, policy); err != nil {
		t.Error("legacy:", err)
	}
	repo.manifests[legacyTag(other.Digest)] = repo.manifests[legacyTag(a.Digest)]
	if err := checked(t, v, repo, other.Digest, policy); !errors.Is(err, ErrUnsigned) {
		t.Error("a legacy signature of another digest:", err)
	}
	// Another key's signatures are not ours.
	_, stranger := keySigner(t, Both)
	strange, err := stranger.KeyPolicies()
	if err != nil {
		t.Fatal(err)
	}
	if err := checked(t, stranger, repo, a.Digest, strange); !errors.Is(err, ErrUnsigned) {
		t.Error(err)
	}
	// Others' legacy signatures stay when ours is added.
	second, _ := keySigner(t, Both)
	signAll(t, second, repo, a)
	var m ocispec.Manifest
	if err := json.Unmarshal(repo.manifests[legacyTag(a.Digest)], &m); err != nil || len(m.Layers) != 2 {
		t.Errorf("%d legacy signatures, want 2", len(m.Layers))
	}
}

// TestKeyFault: a signature of another key says which key was used to check it. Others' faults keep their text.
func TestKeyFault(t *testing.T) {
	s, v := keySigner(t, Both)
	keys, err := v.keys()
	if err != nil {
		t.Fatal(err)
	}
	_, other := keySigner(t, Both)
	otherKeys, err := other.keys()
	if err != nil {
		t.Fatal(err)
	}
	repo, a := newStore(), artifact("a")
	signAll(t, s, repo, a)
	// The fingerprint of the key that signed is a hint that anybody can write: here it is that of the wrong key.
	liar := newVerifier(v.opts, nil)
	liar.keys = func() ([]publicKey, error) {
		return []publicKey{{PublicKey: otherKeys[0].PublicKey, name: keys[0].name, file: "cosign.pub"}}, nil
	}
	for format, list := range map[string][]ocispec.Descriptor{"bundle": repo.referrers, "legacy": nil} {
		repo.referrers = list
		found, err := liar.Signatures(t.Context(), repo, a.Digest, Search{Keyless: func() (bool, error) { return false, nil }})
		if err != nil || len(found.Invalid) != 1 {
			t.Fatal(format, found, err)
		}
		want := "signed with another key than cosign.pub (" + keys[0].name + "), or changed after it was signed"
		if found.Invalid[0].Error() != want {
			t.Errorf("%s: %v", format, found.Invalid[0])
		}
	}
	odd := errors.New("the payload is of another digest")
	if err := keyFault(keys, odd); !errors.Is(err, odd) {
		t.Error(err)
	}
}

// TestTamperedBundles: whatever is changed in a bundle, it does not verify, and nothing panics.
func TestTamperedBundles(t *testing.T) {
	s, v := keySigner(t, Bundle)
	policy, err := v.KeyPolicies()
	if err != nil {
		t.Fatal(err)
	}
	repo, a := newStore(), artifact("a")
	signAll(t, s, repo, a)
	for name, raw := range repo.manifests { // as other tools write them: the content is in the blob alone
		var m ocispec.Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		m.Layers[0].Data = nil
		repo.manifests[name], _ = json.Marshal(m)
	}
	for d, raw := range repo.blobs {
		if !bytes.Contains(raw, []byte("dsseEnvelope")) {
			continue
		}
		for name, change := range map[string][]byte{
			"payload":   bytes.Replace(raw, []byte(`"payload":"`), []byte(`"payload":"AAAA`), 1),
			"signature": bytes.Replace(raw, []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1),
			"empty":     {}, "no JSON": []byte("{"), "null": []byte("null"), "list": []byte("[]"), "cut": raw[:len(raw)/2],
		} {
			if bytes.Equal(change, raw) {
				t.Fatalf("%s changes nothing: %s", name, raw)
			}
			repo.blobs[d] = change
			if err := checked(t, v, repo, a.Digest, policy); !errors.Is(err, ErrUnsigned) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestManySignaturesAreBounded(t *testing.T) {
	_, v := keySigner(t, Bundle)
	repo := newStore()
	raw, err := json.Marshal(ocispec.Manifest{ArtifactType: bundleType, Layers: []ocispec.Descriptor{{Digest: "sha256:none"}}})
	if err != nil {
		t.Fatal(err)
	}
	d := digest.FromBytes(raw)
	repo.manifests[d.String()] = raw
	for range 10_000 {
		repo.referrers = append(repo.referrers, ocispec.Descriptor{Digest: d})
	}
	policy, err := v.KeyPolicies()
	if err != nil {
		t.Fatal(err)
	}
	found, err := v.Signatures(t.Context(), repo, artifact("a").Digest, Search{Keyless: func() (bool, error) { return false, nil }})
	if err != nil || len(found.Invalid) != maxSignatures {
		t.Error(len(found.Invalid), err)
	}
	if err := found.Meets(policy); !errors.Is(err, ErrCannotCheck) { // the one that counts may be behind them
		t.Error(err)
	}
}

func TestKeyFaults(t *testing.T) {
	private, public, err := GenerateKey([]byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, raw []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	wrong := func() ([]byte, error) { return []byte("wrong"), nil }
	if _, err := loadKey(write("k.key", private), wrong); !errors.Is(err, ErrPassword) {
		t.Error(err)
	}
	for file, want := range map[string]string{write("k.pub", public): "is a public key. Signing needs the private key: pass --key cosign.key",
		write("junk", []byte("junk")): "is no cosign private key",
		filepath.Join(dir, "none"):    "no such file"} {
		if _, err := loadKey(file, wrong); err == nil || errors.Is(err, ErrPassword) || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := IsPrivateKey(filepath.Join(dir, "junk")); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	if private, err := IsPrivateKey(filepath.Join(dir, "k.key")); err != nil || !private {
		t.Error(private, err)
	}
	if private, err := IsPrivateKey(filepath.Join(dir, "k.pub")); err != nil || private {
		t.Error(private, err)
	}
}

func TestTokenSources(t *testing.T) {
	env := map[string]string{}
	o := TokenOptions{HTTP: http.DefaultClient, Getenv: func(k string) string { return env[k] }}
	if _, err := o.token(t.Context()); !errors.Is(err, ErrNoToken) || !strings.Contains(err.Error(), "--key") {
		t.Error(err)
	}
	env["GITHUB_ACTIONS"] = "true"
	if _, err := o.token(t.Context()); !errors.Is(err, ErrNoToken) || !strings.Contains(err.Error(), "id-token: write") {
		t.Error(err)
	}
	env["SIGSTORE_ID_TOKEN"] = "from env"
	if got, err := o.token(t.Context()); err != nil || got.text != "from env" {
		t.Error(got, err)
	}
	o.File = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(o.File, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := o.token(t.Context()); err != nil || got.text != "from file" {
		t.Error(got, err)
	}
	o.File = "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl"
	if _, err := o.token(t.Context()); !errors.Is(err, ErrNoToken) || strings.Contains(err.Error(), "eyJ") {
		t.Error("a token on the command line:", err)
	}
	now := time.Unix(1_700_000_000, 0)
	for token, want := range map[string]string{
		"a.eyJzdWIiOiJzIiwiZXhwIjoxNjk5OTk5OTk5fQ.c": "expired", // {"sub":"s","exp":1699999999}
		"a.b": "no JWT", "a.!.c": "no JWT", "a.eA.c": "no JSON", "a.e30.c": "no subject",
	} {
		if _, err := (idToken{text: token}).subject(now); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", token, err)
		}
	}
	if got, err := (idToken{text: "a.eyJzdWIiOiJzIiwiZXhwIjoxNjk5OTk5OTk5fQ.c"}).subject(now.Add(-time.Hour)); err != nil || got != "s" {
		t.Error(got, err)
	}
}

// TestCertificateIsRenewedInTime: a run that outlives its certificate asks for another before the old one ends.
func TestCertificateIsRenewedInTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := &authority{now: func() time.Time { return now }, tokens: TokenOptions{Getenv: func(string) string { return "" }}}
	a.current = &credential{asked: now, lasts: 10 * time.Minute}
	first := a.current
	for _, c := range []struct {
		after time.Duration
		same  bool
	}{{0, true}, {8 * time.Minute, true}, {9*time.Minute + time.Second, false}, {11 * time.Minute, false}} {
		now = time.Unix(1_700_000_000, 0).Add(c.after)
		a.failed = nil
		got, err := a.credential(t.Context())
		if c.same && got != first {
			t.Errorf("after %s: renewed", c.after)
		}
		if !c.same && !errors.Is(err, ErrNoToken) { // it asks for a token, of which there is none here
			t.Errorf("after %s: not renewed: %v", c.after, err)
		}
	}
}

// TestFailureIsSharedByTheRun: a hundred components do not each wait for a certificate authority that does not answer.
func TestFailureIsSharedByTheRun(t *testing.T) {
	asked := 0
	a := &authority{now: time.Now, tokens: TokenOptions{Getenv: func(k string) string {
		if k == "SIGSTORE_ID_TOKEN" {
			asked++
		}
		return ""
	}}}
	for range 3 {
		if _, err := a.credential(t.Context()); !errors.Is(err, ErrNoToken) {
			t.Error(err)
		}
	}
	if asked != 1 {
		t.Errorf("looked for a token %d times", asked)
	}
}
