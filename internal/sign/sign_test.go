package sign

import (
	"bytes"
	"encoding/json"
	"errors"
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
