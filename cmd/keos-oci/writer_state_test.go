package main

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// annotated changes an annotation.
func annotated(name, value string) func(*ocispec.Manifest) {
	return func(m *ocispec.Manifest) { m.Annotations[name] = value }
}

// deletes removes tags or digests from the registry; what is not there is no matter.
func (h *house) deletes(t testing.TB, references ...string) {
	t.Helper()
	for _, reference := range references {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, h.registry.URL+"/v2/"+h.prefix+"/frontend/manifests/"+reference, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted && resp.StatusCode != http.StatusNotFound {
			t.Fatal(reference, resp.Status)
		}
	}
}

// strip takes all signatures of a digest away.
func (h *house) strip(t testing.TB, d digest.Digest) {
	t.Helper()
	for _, name := range h.tags(t) {
		if strings.HasPrefix(name, listTag(d)) {
			h.deletes(t, name)
		}
	}
}

// outsider signs as the identity that the query describes, or with a key file.
func (h *house) outsider(query, key string) *sign.Signer {
	env := h.as(h.st, query).env
	o := sign.Options{Format: sign.Bundle, Now: time.Now, NotFound: isNotFound}
	if key != "" {
		o.Key = sign.NewPrivateKey(key, func() ([]byte, error) { return []byte("pw"), nil })
		return sign.NewSigner(o)
	}
	o.Clients = sign.Clients{Fulcio: http.DefaultClient, Rekor: http.DefaultClient}
	o.Services = sign.Services{FulcioURL: h.st.env["SIGSTORE_FULCIO_URL"], RekorURL: h.st.env["SIGSTORE_REKOR_URL"],
		TrustedRoot: h.st.env["SIGSTORE_TRUSTED_ROOT"]}
	o.Tokens = sign.TokenOptions{HTTP: http.DefaultClient, Getenv: func(name string) string {
		for _, e := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}}
	return sign.NewSigner(o)
}

// signs hangs an outsider's signature onto a digest.
func (h *house) signs(t testing.TB, by *sign.Signer, d digest.Digest) {
	t.Helper()
	repo := open(t, h.sandbox, "frontend")
	desc, _, err := repo.Manifest(t.Context(), d.String())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := by.Prepare(t.Context(), repo, desc, d.String(), func(sign.Signed) bool { return false })
	if err == nil {
		err = signature.Attach(t.Context(), true)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// records writes an outsider's release record.
func (h *house) records(t testing.TB, by *sign.Signer, version string, d digest.Digest) {
	t.Helper()
	anybody := func() (sign.Policies, error) {
		who, err := by.Identity(t.Context())
		return sign.Policies{who.Exactly()}, err
	}
	log := journal.Open(journal.Options{Repo: open(t, h.sandbox, "frontend"), Names: []string{h.prefix + "/frontend"}, Component: "frontend",
		Channel: "latest-stable", Verifier: by.Verifier(), Movers: anybody, Signer: by, Now: time.Now})
	if _, err := log.WriteRelease(t.Context(), journal.Release{Component: "frontend", Version: version, Digest: d,
		Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// What must hold afterwards.

// state is the content of an attacked registry.
type state struct {
	tags   map[string]digest.Digest
	signed map[digest.Digest]int // valid signatures on the attacker's digests
}

func (h *house) state(t testing.TB, bad []digest.Digest) state {
	t.Helper()
	s := state{map[string]digest.Digest{}, map[digest.Digest]int{}}
	for _, name := range h.tags(t) {
		s.tags[name] = h.digestOf(t, name)
	}
	o := sign.VerifierOptions{NotFound: isNotFound, Services: sign.Services{TrustedRoot: h.st.env["SIGSTORE_TRUSTED_ROOT"]}}
	if h.key != "" {
		o.KeyFiles = []string{strings.TrimSuffix(h.key, ".key") + ".pub"}
	}
	verifier := sign.NewVerifier(o)
	for _, d := range bad {
		found, err := verifier.Signatures(t.Context(), open(t, h.sandbox, "frontend"), d,
			sign.Search{Keyless: func() (bool, error) { return true, nil }})
		if err != nil {
			t.Fatal(err)
		}
		s.signed[d] = len(found.Valid)
	}
	return s
}

// unharmed checks that since the attack nothing of the attacker's was signed, tagged or recorded, and that what was
// published is what it was before: the checkouts have not changed.
func (h *house) unharmed(t testing.TB, what string, before state, bad []digest.Digest) {
	t.Helper()
	after := h.state(t, bad)
	if !maps.Equal(before.signed, after.signed) {
		t.Errorf("%s: what the attacker brought was signed: %v before, %v after", what, before.signed, after.signed)
	}
	for name, d := range after.tags {
		if d == before.tags[name] {
			continue
		}
		if slices.Contains(bad, d) {
			t.Errorf("%s: %s names %s, which the attacker brought", what, name, d)
		}
		about := h.statement(t, name)
		if slices.Contains(bad, about) {
			t.Errorf("%s: the record %s is about %s, which the attacker brought", what, name, about)
		}
		version, record := strings.CutPrefix(name, tag.ReleaseTag(""))
		if want := after.tags[version]; record && about != want {
			t.Errorf("%s: %s says that it is %s, and the tag is %s", what, name, about, want)
		}
		good := []digest.Digest{h.good[name]}
		switch {
		case name == "latest-stable":
			good = []digest.Digest{h.good["v1.0.0"], h.good["v2.0.0"], after.tags["v3.0.0"]}
		case name == "v3.0.0":
			_, _, got := h.manifest(t, "frontend", name)
			if _, _, want := h.manifest(t, "frontend", h.good["latest"].String()); got.Layers[0].Digest != want.Layers[0].Digest {
				t.Errorf("%s: %s has another layer than the checkout", what, name)
			}
			continue
		case h.good[name] == "":
			continue
		}
		if !slices.Contains(good, d) {
			t.Errorf("%s: %s is %s now, want %v as before the attack", what, name, d, good)
		}
	}
}

// statement is the digest that the record under a tag is about, "" for what is no record.
func (h *house) statement(t testing.TB, name string) digest.Digest {
	t.Helper()
	_, _, m := h.manifest(t, "frontend", name)
	var bundle struct{ DsseEnvelope struct{ Payload string } }
	if json.Unmarshal([]byte(m.Annotations["com.stratio.keos-oci.move"]), &bundle) != nil {
		return ""
	}
	payload, err := base64.StdEncoding.DecodeString(bundle.DsseEnvelope.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var statement struct {
		Subject []struct{ Digest map[string]string }
	}
	if err := json.Unmarshal(payload, &statement); err != nil {
		t.Fatal(err)
	}
	return digest.NewDigestFromEncoded(digest.SHA256, statement.Subject[0].Digest["sha256"])
}
