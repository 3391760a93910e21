package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// These tests play somebody who can write to the registry and has no signing identity of ours. Each attack changes a copy of
// one registry; then the test asks every verb, and looks whether anything of the attacker's was signed or tagged.

// house is a repository on GitHub whose components were published, with a key pair or keyless. latest is what main has; v1.0.0
// is of its first commit, v2.0.0 of its second, and latest-stable names v2.0.0.
type house struct {
	*sandbox
	st       *stack
	key      string // private key; "" is keyless
	old      string // a checkout of the first commit
	config   string // file for --config, "" for none
	head     string // the tag of the second commit
	good     map[string]digest.Digest
	listed   ocispec.Index // v2.0.0's signatures before the release signed
	identity string        // whose token every command gets, "" for the identity that the verb is for
	release  string        // the same for releases, without the version
	signer   string        // the private key that signs, where it is not key
}

const (
	onBranch = "repository=org/apps&workflow=publish.yaml&ref=refs/heads/main"
	onMover  = "repository=org/apps&workflow=promote.yaml&ref=refs/heads/main"
	onTag    = "repository=org/apps&workflow=release.yaml&ref=refs/tags/frontend/"
)

func newHouse(t *testing.T, st *stack, keyed bool) *house {
	t.Helper()
	h := &house{sandbox: newSandbox(t), st: st, good: map[string]digest.Digest{}}
	if keyed {
		h.key = h.sandbox.key()
	}
	h.git("remote", "add", "origin", "git@github.com:org/apps.git")
	for _, v := range []string{"1", "2"} {
		h.component("frontend", v)
		h.component("backend", v)
		h.head = "main-" + h.commit(v)[:8]
		if v == "1" {
			h.old = filepath.Join(t.TempDir(), "old")
			h.git("clone", "-q", h.dir, h.old)
			h.git("-C", h.old, "remote", "set-url", "origin", "git@github.com:org/apps.git")
		}
		h.does("publish")
		if v == "2" {
			h.listed = h.signatures(t, h.digestOf(t, "latest"))
		}
		h.does("release v" + v + ".0.0")
		if h.key == "" {
			h.identity = strings.Replace(onTag, "frontend", "backend", 1) + "v" + v + ".0.0"
		}
		h.does("publish --ref refs/tags/backend/v" + v + ".0.0")
		h.identity = ""
	}
	for _, name := range []string{"latest", h.head, "v1.0.0", "v2.0.0", "latest-stable"} {
		h.good[name] = h.digestOf(t, name)
	}
	return h
}

// copyOf is the house with a copy of its registry.
func (h *house) copyOf(t *testing.T) *house {
	t.Helper()
	c, s := *h, *h.sandbox
	c.good = maps.Clone(h.good)
	c.sandbox, s.t, s.content = &s, t, filepath.Join(t.TempDir(), "registry")
	err := filepath.WalkDir(h.content, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(h.content, file)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.Mkdir(filepath.Join(s.content, below), 0o755)
		}
		return os.Link(file, filepath.Join(s.content, below)) // the registry never writes into a file, it puts another one in its place
	})
	if err != nil {
		t.Fatal(err)
	}
	s.registry = registrytest.NewIn(t, s.content)
	return &c
}

// says runs one command. Beside those of keos-oci there are "release v1.0.0", which is publish for that Git tag, in the checkout
// that the version is of, and short forms for the component frontend.
func (h *house) says(command string) result {
	h.t.Helper()
	words := strings.Fields(command)
	s, identity := *h.sandbox, onMover
	release, version := words[0] == "release", words[len(words)-1]
	switch words[0] {
	case "release":
		identity = onTag + words[1]
		if words[1] == "v1.0.0" {
			s.dir = h.old
		}
		words = append([]string{"publish", "-o", "json", "--ref", "refs/tags/frontend/" + words[1]}, words[2:]...)
	case "publish":
		identity = onBranch
	case "promote", "rollback":
		words = append([]string{words[0], "frontend"}, words[1:]...)
	case "verify":
		words[1] = "frontend:" + words[1]
	case "status":
		words = append(words, "frontend", "-o", "json")
	}
	reads := words[0] == "verify" || words[0] == "status"
	switch {
	case h.key != "" && reads:
		words = append(words, "--key", strings.TrimSuffix(h.key, ".key")+".pub")
	case h.key != "":
		words = append(words, "--key", cmp.Or(h.signer, h.key))
	case reads:
		words = append(words, "--trusted-root", h.st.env["SIGSTORE_TRUSTED_ROOT"])
	default:
		words = append(words, h.st.flags()...)
		if h.identity != "" {
			identity = h.identity
		}
		if h.release != "" && release {
			identity = h.release + version
		}
		s = *s.as(h.st, identity)
	}
	if h.config != "" {
		words = append(words, "--config", h.config)
	}
	return s.run(words...)
}

// does demands success.
func (h *house) does(command string) result {
	h.t.Helper()
	r := h.says(command)
	if r.code != 0 {
		h.t.Fatalf("%s: %v", command, r)
	}
	return r
}

func (h *house) digestOf(t testing.TB, name string) digest.Digest {
	t.Helper()
	d, err := open(t, h.sandbox, "frontend").Resolve(t.Context(), name)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		t.Fatal(err)
	}
	return d
}

func (h *house) tags(t testing.TB) []string {
	t.Helper()
	tags, err := open(t, h.sandbox, "frontend").Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

// manifest reads what a tag of frontend or of another component names.
func (h *house) manifest(t testing.TB, component, name string) (ocispec.Descriptor, []byte, ocispec.Manifest) {
	t.Helper()
	desc, raw, err := open(t, h.sandbox, component).Manifest(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return desc, raw, m
}

// listTag is where the signatures of a digest are listed.
func listTag(d digest.Digest) string { return "sha256-" + d.Encoded() }

// signatures is the list of a digest's signatures.
func (h *house) signatures(t testing.TB, d digest.Digest) ocispec.Index {
	t.Helper()
	_, raw, err := open(t, h.sandbox, "frontend").Manifest(t.Context(), listTag(d))
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	return index
}

// What a registry writer does.

// retag lets a tag name what another one does.
func (h *house) retag(t testing.TB, from string, to ...string) digest.Digest {
	t.Helper()
	desc, raw, _ := h.manifest(t, "frontend", from)
	for _, name := range to {
		if err := open(t, h.sandbox, "frontend").Tag(t.Context(), desc, raw, name); err != nil {
			t.Fatal(err)
		}
	}
	return desc.Digest
}

// place stores a manifest or an index of the attacker's under tags.
func (h *house) place(t testing.TB, m any, mediaType string, tags ...string) digest.Digest {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	for _, name := range tags {
		if err := open(t, h.sandbox, "frontend").Tag(t.Context(), desc, raw, name); err != nil {
			t.Fatal(err)
		}
	}
	return desc.Digest
}

// forge stores a changed copy of what a tag names under tags.
func (h *house) forge(t testing.TB, from string, change func(*ocispec.Manifest), tags ...string) digest.Digest {
	t.Helper()
	_, _, m := h.manifest(t, "frontend", from)
	change(&m)
	return h.place(t, m, m.MediaType, tags...)
}

// otherLayer puts content of the attacker's into a manifest, and leaves what it says of its content.
func (h *house) otherLayer(t testing.TB) func(*ocispec.Manifest) {
	t.Helper()
	var layer bytes.Buffer
	gz := gzip.NewWriter(&layer)
	tw := tar.NewWriter(gz)
	evil := []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}\n")
	if err := errors.Join(tw.WriteHeader(&tar.Header{Name: "base/config.yaml", Mode: 0o644, Size: int64(len(evil))}),
		func() error { _, err := tw.Write(evil); return err }(),
		tw.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return func(m *ocispec.Manifest) {
		desc := ocispec.Descriptor{MediaType: m.Layers[0].MediaType, Digest: digest.FromBytes(layer.Bytes()), Size: int64(layer.Len())}
		if err := open(t, h.sandbox, "frontend").PushBlob(t.Context(), desc, layer.Bytes()); err != nil {
			t.Fatal(err)
		}
		m.Layers[0] = desc
	}
}

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

// attack is what a registry writer does, and what each verb answers then.
type attack struct {
	name string
	// do gives the digests that may be neither signed nor tagged afterwards.
	do func(t *testing.T, h *house) []digest.Digest
	// answers is, for a command, the exit code and a word of the output, as in "3 unsigned". "…; …" is several commands, of which
	// the last answers and the others succeed. Where keyed and keyless differ, the answer is "keyed | keyless".
	answers map[string]string
	only    string // "keyed" or "keyless", "" for both
	house   func(t *testing.T, h *house)
	silent  bool // no command may write anything
}

// TestRegistryWriter runs all attacks on copies of two houses, one beside the other.
func TestRegistryWriter(t *testing.T) {
	st := githubSigstore(t)
	attacks := slices.Concat(lostSignatures(), forgedArtifacts(), strangersSignatures(newSandbox(t).key()), formerNames(),
		releaseRecords(newSandbox(t).key()))
	for _, mode := range []string{"keyed", "keyless"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			origin := newHouse(t, st, mode == "keyed")
			for _, a := range attacks {
				if a.only != "" && a.only != mode {
					continue
				}
				t.Run(a.name, func(t *testing.T) {
					t.Parallel()
					a.run(t, origin.copyOf(t))
				})
			}
		})
	}
}

func (a attack) run(t *testing.T, attacked *house) {
	if a.house != nil {
		a.house(t, attacked)
	}
	bad := a.do(t, attacked)
	before := attacked.state(t, bad)
	h := attacked.copyOf(t)
	for _, commands := range slices.Sorted(maps.Keys(a.answers)) {
		want := a.answers[commands]
		if want == "" { // the other answers tell why nobody asks
			continue
		}
		if keyed, keyless, two := strings.Cut(want, " | "); two && h.key != "" {
			want = keyed
		} else if two {
			want = keyless
		}
		h.registry.Reset()
		code, word, _ := strings.Cut(want, " ")
		var r result
		list := strings.Split(commands, "; ")
		for i, command := range list {
			if r = h.says(command); i < len(list)-1 && r.code != 0 {
				t.Errorf("%s: %s: %v", commands, command, r)
			}
		}
		if fmt.Sprint(r.code) != code || !strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("%s: want %s: %v", commands, want, r)
		}
		if r.code == 0 && strings.HasPrefix(list[len(list)-1], "publish") && h.digestOf(t, "latest") != h.good["latest"] {
			t.Errorf("%s: latest is %s, want %s as before the attack: %v", commands, h.digestOf(t, "latest"), h.good["latest"], r)
		}
		wrote := h.registry.Count("PUT") + h.registry.Count("POST")
		if r.code != 0 && len(list) == 1 && h.registry.Count("PUT /v2/"+h.prefix+"/frontend/manifests/") > 0 {
			t.Errorf("%s: it refused, and wrote: %v", commands, h.registry.Requests())
		}
		if a.silent && wrote > 0 {
			t.Errorf("%s: it wrote: %v", commands, h.registry.Requests())
		}
		if wrote == 0 {
			continue
		}
		h.unharmed(t, commands, before, bad)
		h = attacked.copyOf(t) // the next command meets the attack as it was
	}
}

// merged is the answers of several maps, of which the last counts.
func merged(list ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range list {
		maps.Copy(all, m)
	}
	return all
}

// untouched is what verbs answer as long as an attack does not concern them.
var untouched = map[string]string{
	"verify latest": "0", "verify v2.0.0": "0", "status": `0 "verdict": "accepted"`, "publish": "0 unchanged", "publish --resign": "0 unchanged",
	"release v2.0.0": "0 unchanged", "promote v2.0.0": "0 there already", "rollback v1.0.0": "0 1 moved",
}

// atLatest is what they answer when latest names what it may not, while this commit's tag is as it was.
func atLatest(why, publish string) map[string]string {
	return map[string]string{
		"verify latest": "3 " + why, "status": "0 refused: ", "publish": "0 " + publish, "publish --resign": "0 " + publish,
		"release v3.0.0": `0 "reused": "main-`, "promote v2.0.0": "0 there already", "rollback v1.0.0": "0 1 moved",
	}
}

// atVersion is what they answer when v2.0.0 names what it may not.
func atVersion(why, release string) map[string]string {
	list := map[string]string{"release v2.0.0": "3 " + release, "rollback v1.0.0; promote v2.0.0": "3"}
	for _, verb := range []string{"verify", "promote", "rollback"} {
		list[verb+" v2.0.0"] = "3 " + strings.Replace(why, " | ", " | 3 ", 1)
	}
	return list
}

const wrongIdentity = "not signed by the expected identity"

// forgedArtifacts: artifacts that nobody of ours signed, or signed as something else.
func forgedArtifacts() []attack {
	index := func(t *testing.T, h *house) []digest.Digest {
		desc, _, _ := h.manifest(t, "frontend", "latest")
		index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{desc}}
		index.SchemaVersion = 2
		return []digest.Digest{h.place(t, index, index.MediaType, "latest", "v2.0.0")}
	}
	// A version of ours under another version's tag is no artifact of the attacker's: only the two together are.
	relabelled := func(as string, more func(t *testing.T, h *house)) func(t *testing.T, h *house) []digest.Digest {
		return func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, "v1.0.0", as)
			more(t, h)
			return nil
		}
	}
	attacks := []attack{
		{name: "forged: our annotations on another layer, at latest", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", h.otherLayer(t), "latest")}
		}, answers: merged(untouched, atLatest("unsigned", "it was replaced"))},
		{name: "forged: with our signatures hung onto it", do: func(t *testing.T, h *house) []digest.Digest {
			bad := h.forge(t, "latest", h.otherLayer(t), "latest")
			h.retag(t, listTag(h.good["latest"]), listTag(bad))
			return []digest.Digest{bad}
		}, answers: map[string]string{"verify latest": "3 no signature is valid", "publish": "0 it was replaced", "release v3.0.0": `0 "reused": "main-`}},
		{name: "forged: our annotations on another layer, waiting for a release", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", h.otherLayer(t), "latest", h.head)}
		}, answers: map[string]string{ // the commit's tag never changes, so only the next commit publishes again
			"publish": "3 immutable", "publish --resign": "3 immutable", "release v3.0.0": `0 "reused": "v2.0.0"`}},
		{name: "forged: our annotations on another layer, wherever a release looks", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", h.otherLayer(t), h.everywhere()...)}
		}, answers: map[string]string{"release v3.0.0": "0 staging never ran this content", "release v2.0.0": "3 that this repository did not publish",
			"release v1.0.0": "3 with other content"}},
		{name: "forged: our annotations on another layer, as a version", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "v2.0.0", h.otherLayer(t), "v2.0.0", "v3.0.0")}
		}, answers: merged(untouched, atVersion("unsigned", "that this repository did not publish"), map[string]string{
			"verify v3.0.0": "3 unsigned", "promote v3.0.0": "3 unsigned", "rollback v3.0.0": "3 unsigned", "release v3.0.0": "3 that this repository did not publish"})},
		{name: "forged: an index at latest and as a version", do: index,
			answers: merged(atVersion("not a Flux artifact", "with other content"), map[string]string{
				"verify latest": "3 not a Flux artifact", "status": "0 refused: ", "publish": "0 1 published"})},
		{name: "forged: a version as another version", do: relabelled("v2.0.0", func(*testing.T, *house) {}),
			answers: atVersion("released as another digest | "+wrongIdentity, "with other content")},
		{name: "forged: a version as another version, whose record is gone", do: relabelled("v2.0.0", func(t *testing.T, h *house) {
			h.deletes(t, tag.ReleaseTag("v2.0.0"))
		}), answers: merged(atVersion("nothing signed says | "+wrongIdentity, "with other content"), map[string]string{
			"verify v2.0.0": "0 no release record | 3 " + wrongIdentity})},
		{name: "forged: a version as another version, with its record", do: relabelled("v2.0.0", func(t *testing.T, h *house) {
			h.retag(t, tag.ReleaseTag("v1.0.0"), tag.ReleaseTag("v2.0.0"))
		}), answers: merged(atVersion("nothing signed says | "+wrongIdentity, "with other content"), map[string]string{
			"verify v2.0.0": "0 invalid release record | 3 " + wrongIdentity})},
		{name: "forged: a version as one that was never published", do: relabelled("v3.0.0", func(*testing.T, *house) {}),
			answers: map[string]string{
				"verify v3.0.0": "0 no release record | 3 " + wrongIdentity, "promote v3.0.0": "3 nothing signed says | 3 " + wrongIdentity,
				"rollback v3.0.0": "3 nothing signed says | 3 " + wrongIdentity, "release v3.0.0": "3 with other content"}},
		{name: "forged: another component's artifact", do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.smuggle(t, "backend", "v2.0.0", "latest", "v2.0.0")}
		}, answers: merged(atVersion("an artifact of backend", "with other content"), atLatest("an artifact of backend",
			"1 published"), map[string]string{
			"promote v2.0.0": "3 an artifact of backend"})},
	}
	for name, change := range map[string]func(*ocispec.Manifest){
		"revision of another branch":    func(m *ocispec.Manifest) { replaceRevision(m, "main@", "evil@") },
		"revision of a pull request":    func(m *ocispec.Manifest) { replaceRevision(m, "main@", "pull/7/merge@") },
		"revision of another commit":    annotated(ocispec.AnnotationRevision, "main@sha1:"+strings.Repeat("a", 40)),
		"source":                        annotated(ocispec.AnnotationSource, "https://github.com/evil/apps"),
		"component":                     annotated(pack.AnnotationComponent, "backend"),
		"time":                          annotated(ocispec.AnnotationCreated, "2099-01-01T00:00:00Z"),
		"annotation that we do not set": annotated("evil", "yes"),
	} {
		mode := "keyed" // which rule refuses them is the same for both, but for whose branch a revision names
		if strings.HasPrefix(name, "revision") {
			mode = "keyless"
		}
		attacks = append(attacks, attack{name: "forged " + name + ", at latest", only: mode, do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{h.forge(t, "latest", change, "latest")}
		}, answers: map[string]string{"verify latest": "3", "publish --resign": "0 it was replaced"}}, attack{name: "forged " + name +
			", wherever a release looks", only: mode,
			do: func(t *testing.T, h *house) []digest.Digest {
				return []digest.Digest{h.forge(t, "latest", change, h.everywhere()...)}
			}, answers: map[string]string{"release v3.0.0": "0 staging never ran this content", "release v2.0.0": "3 that this repository did not publish"}})
	}
	return attacks
}

// everywhere is the tags under which a release of the second commit looks for its content.
func (h *house) everywhere() []string { return []string{"latest", h.head, "v1.0.0", "v2.0.0"} }

func replaceRevision(m *ocispec.Manifest, from, to string) {
	m.Annotations[ocispec.AnnotationRevision] = strings.Replace(m.Annotations[ocispec.AnnotationRevision], from, to, 1)
}

// smuggle copies what a tag of another component names into frontend, with its signatures and their list.
func (h *house) smuggle(t testing.TB, component, from string, to ...string) digest.Digest {
	t.Helper()
	source, target := open(t, h.sandbox, component), open(t, h.sandbox, "frontend")
	var move func(name string, to ...string) digest.Digest
	move = func(name string, to ...string) digest.Digest {
		desc, raw, m := h.manifest(t, component, name)
		for _, blob := range append(slices.Clone(m.Layers), m.Config) {
			if blob.Digest == "" { // of an index
				continue
			}
			data, err := source.Blob(t.Context(), blob, 1<<20)
			if err == nil {
				err = target.PushBlob(t.Context(), blob, data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var index ocispec.Index
		if err := json.Unmarshal(raw, &index); err != nil {
			t.Fatal(err)
		}
		for _, child := range index.Manifests {
			move(child.Digest.String(), child.Digest.String())
		}
		for _, name := range to {
			if err := target.Tag(t.Context(), desc, raw, name); err != nil {
				t.Fatal(err)
			}
		}
		return desc.Digest
	}
	d := move(from, to...)
	move(listTag(d), listTag(d))
	return d
}

// healed is the commands that heal everything, and those that show it. That tags name what they did, unharmed checks.
const healed = "publish; release v2.0.0; release v1.0.0; verify latest; verify v1.0.0; verify latest-stable"

// lostSignatures: a registry writer takes signatures away. The next runs put them back, on the same digests.
func lostSignatures() []attack {
	lost := map[string]string{"verify latest": "3 unsigned", "verify v2.0.0": "3 unsigned", "verify latest-stable": "3 unsigned",
		"status":           "0 refused: unsigned",
		"publish --resign": "0 so it was signed again", "release v2.0.0": "0 lacked this run's signature",
		"promote v2.0.0": "3 unsigned", "rollback v1.0.0": "3 unsigned", "release v3.0.0": `0 "reused": "latest"`, healed: "0"}
	each := func(do func(t *testing.T, h *house, d digest.Digest)) func(t *testing.T, h *house) []digest.Digest {
		return func(t *testing.T, h *house) []digest.Digest {
			for _, d := range []digest.Digest{h.good["v1.0.0"], h.good["v2.0.0"]} {
				do(t, h, d)
			}
			return nil
		}
	}
	return []attack{
		{name: "lost: the list as it was before the last signature", do: func(t *testing.T, h *house) []digest.Digest {
			d := h.good["v2.0.0"]
			last := h.signatures(t, d).Manifests
			h.deletes(t, listTag(d)+"."+last[len(last)-1].Digest.Encoded()[:32]) // its announcement, for which writers would wait
			if h.key != "" {
				h.listed.Manifests = []ocispec.Descriptor{} // there was one signature
			}
			h.place(t, h.listed, ocispec.MediaTypeImageIndex, listTag(d))
			return nil
		}, answers: map[string]string{"verify v2.0.0": "3 unsigned | 3 " + wrongIdentity, "verify latest": "3 unsigned | 0", "verify v1.0.0": "0",
			"promote v2.0.0": "3", "publish": "0 signed again | 0 unchanged", "release v2.0.0": "0 lacked this run's signature", healed: "0"}},
		{name: "lost: the signatures, but not their list", do: each(func(t *testing.T, h *house, d digest.Digest) {
			for _, signature := range h.signatures(t, d).Manifests {
				h.deletes(t, signature.Digest.String())
			}
		}), answers: lost},
		{name: "lost: what no tag names", do: func(t *testing.T, h *house) []digest.Digest {
			h.collect(t)
			return nil
		}, answers: map[string]string{healed: "0"}},
		{name: "lost: the signatures and what no tag names", do: func(t *testing.T, h *house) []digest.Digest {
			h.strip(t, h.good["v1.0.0"])
			h.strip(t, h.good["v2.0.0"])
			h.collect(t)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "3 unsigned", healed: "0"}},
		// The announcements are still there, and a writer waits until whoever made them must be dead: for 20 seconds.
		{name: "lost: the list of signatures", only: "keyed", do: func(t *testing.T, h *house) []digest.Digest {
			h.deletes(t, listTag(h.good["v2.0.0"]))
			return nil
		}, answers: map[string]string{"verify latest": "3 unsigned", "verify v2.0.0": "3 unsigned", healed: "0"}},
	}
}

// collect deletes all manifests that no tag names, as clean-ups do.
func (h *house) collect(t *testing.T) {
	t.Helper()
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: h.content, MaxThreads: 100})
	reg, err := storage.NewRegistry(t.Context(), driver, storage.EnableDelete)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.MarkAndSweep(t.Context(), driver, reg, storage.GCOpts{RemoveUntagged: true, Quiet: true}); err != nil {
		t.Fatal(err)
	}
}

// strangersSignatures: valid signatures of others, and runs of others.
func strangersSignatures(otherKey string) []attack {
	var attacks []attack
	for name, who := range map[string]struct{ branch, release, key string }{
		"a pull request": {branch: strings.Replace(onBranch, "heads/main", "pull/7/merge", 1) + "&event=pull_request",
			release: strings.Replace(onTag, "tags/frontend/", "pull/7/merge&event=pull_request&x=", 1)},
		"a pull request with our ref": {branch: onBranch + "&event=pull_request_target", release: "event=pull_request_target&" + onTag},
		"a caller of our workflow":    {branch: onBranch + "&caller=evil/x", release: "caller=evil/x&callerRef=refs/heads/main&" + onTag},
		"a caller with our tag":       {branch: onBranch + "&caller=evil/x", release: "caller=evil/x&callerRef=refs/tags/frontend/v2.0.0&" + onTag},
		"another repository": {branch: strings.Replace(onBranch, "org/", "evil/", 1),
			release: strings.Replace(onTag, "org/", "evil/", 1)},
		"another branch, another tag": {branch: strings.Replace(onBranch, "main", "evil", 1),
			release: strings.Replace(onTag, "frontend", "backend", 1)},
		"a person":     {branch: "email=someone@example.com", release: "email=someone@example.com&x="},
		"a GitLab job": {branch: "gitlab=org/apps&ref=refs/heads/main", release: "gitlab=org/apps&ref=refs/tags/frontend/"},
		"another key":  {key: otherKey},
	} {
		mode := "keyless"
		if who.key != "" {
			mode = "keyed"
		}
		why := "expected " // or what the run was beside its name
		if strings.Contains(name, "with our") || strings.HasPrefix(name, "a caller") {
			why = "the run that signed was "
		}
		signs := func(t *testing.T, h *house, d digest.Digest, version string) {
			h.signs(t, h.outsider(who.branch, who.key), d)
			if who.key == "" {
				h.signs(t, h.outsider(who.release+version, ""), d)
			}
		}
		refused := wrongIdentity
		if who.key != "" {
			refused = "signed with another key"
		}
		attacks = append(attacks, attack{name: "signed on other content, by " + name, only: mode,
			do: func(t *testing.T, h *house) []digest.Digest {
				bad := h.forge(t, "latest", h.otherLayer(t), "latest", "v3.0.0")
				signs(t, h, bad, "v3.0.0")
				return []digest.Digest{bad}
			}, answers: map[string]string{"verify latest": "3 " + refused, "verify v3.0.0": "3 " + refused, "promote v3.0.0": "3 " + refused,
				"publish --resign": "0 it was replaced", "release v3.0.0": "3 that this repository did not publish"}},
			attack{name: "signed instead of ours, by " + name, only: mode, do: func(t *testing.T, h *house) []digest.Digest {
				h.strip(t, h.good["v2.0.0"])
				signs(t, h, h.good["v2.0.0"], "v2.0.0")
				return nil
			}, answers: map[string]string{"verify latest": "3 " + refused, "promote v2.0.0": "3 " + refused, "verify latest-stable": "3 " + refused,
				"publish; release v2.0.0; verify latest-stable": "0"}},
			attack{name: "a run of " + name, only: mode, silent: true, house: func(t *testing.T, h *house) {
				h.config = filepath.Join(t.TempDir(), "keos-oci.yaml")
				content := "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n"
				if who.key != "" {
					content += "signing: {keys: [" + strings.TrimSuffix(h.key, ".key") + ".pub]}\n"
					h.signer = who.key
				}
				writeFile(t, h.config, content)
				h.identity, h.release = who.branch, who.release
			}, do: func(t *testing.T, h *house) []digest.Digest {
				h.deletes(t, "latest", "latest-stable") // so that each verb has something to do
				return nil
			}, answers: map[string]string{"publish": "3 clusters expect", "publish --resign": "3 clusters expect", "release v3.0.0": "3 clusters expect",
				"promote v2.0.0": "3 may not move latest-stable: " + why, "rollback v1.0.0": "3 may not move"}})
	}
	return attacks
}

// formerNames: whoever owns our repository's former name now.
func formerNames() []attack {
	old := func(query string) string { return strings.Replace(query, "org/", "oldorg/", 1) }
	until := func(day string) func(t *testing.T, h *house) {
		return func(t *testing.T, h *house) {
			h.config = filepath.Join(t.TempDir(), "keos-oci.yaml")
			writeFile(t, h.config,
				"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nformerly: [{repository: oldorg/apps, until: "+day+"}]\n")
		}
	}
	signed := func(t *testing.T, h *house) []digest.Digest {
		h.strip(t, h.good["v2.0.0"])
		h.signs(t, h.outsider(old(onBranch), ""), h.good["v2.0.0"])
		h.signs(t, h.outsider(old(onTag)+"v2.0.0", ""), h.good["v2.0.0"])
		return nil
	}
	published := func(t *testing.T, h *house) digest.Digest {
		d := h.forge(t, "latest", annotated(ocispec.AnnotationSource, "https://github.com/oldorg/apps"), "latest", "v3.0.0")
		h.signs(t, h.outsider(old(onBranch), ""), d)
		h.signs(t, h.outsider(old(onTag)+"v3.0.0", ""), d)
		return d
	}
	recorded := func(t *testing.T, h *house) []digest.Digest {
		h.records(t, h.outsider(old(onTag)+"v2.0.0", ""), "v2.0.0", h.good["v1.0.0"])
		return nil
	}
	runs := func(day string) func(t *testing.T, h *house) {
		return func(t *testing.T, h *house) {
			until(day)(t, h)
			h.identity, h.release = old(onBranch), old(onTag)
		}
	}
	empty := func(t *testing.T, h *house) []digest.Digest {
		h.deletes(t, "latest", "latest-stable") // so that each verb has something to do
		return nil
	}
	nothingNew := map[string]string{"publish": "3 clusters expect", "release v3.0.0": "3 clusters expect", "promote v2.0.0": "3 may not move",
		"rollback v1.0.0": "3 may not move"}
	const gone, coming, late = "2020-01-01", "2099-01-01", "counts only if it was logged before 2020-01-01"
	return []attack{
		{name: "former name: signed in time", only: "keyless", house: until(coming), do: signed,
			answers: map[string]string{"verify latest": "0", "verify v2.0.0": "0", "promote v2.0.0": "0",
				"rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "former name: signed too late", only: "keyless", house: until(gone), do: signed,
			answers: map[string]string{"verify latest": "3 " + late, "verify v2.0.0": "3 " + late,
				"promote v2.0.0": "3 " + late, "status": "0 refused: ", healed: "0"}},
		{name: "former name: published in time", only: "keyless", house: until(coming), do: func(t *testing.T, h *house) []digest.Digest {
			h.good["latest"] = published(t, h)
			return nil
		}, answers: map[string]string{"verify latest": "0", "verify v3.0.0": "0", "promote v3.0.0": "0", "publish": "0 unchanged"}},
		{name: "former name: published too late", only: "keyless", house: until(gone), do: func(t *testing.T, h *house) []digest.Digest {
			return []digest.Digest{published(t, h)}
		}, answers: map[string]string{"verify latest": "3 " + late, "verify v3.0.0": "3 " + late, "promote v3.0.0": "3 " +
			late, "rollback v3.0.0": "3 " + late,
			"publish": "0 it was replaced", "release v3.0.0": "3 that this repository did not publish"}},
		{name: "former name: recorded in time", only: "keyless", house: until(coming), do: recorded,
			answers: map[string]string{"verify v2.0.0": "3 released as another digest",
				"promote v2.0.0": "3 released as another digest", "release v2.0.0": "3 released as another digest"}},
		{name: "former name: recorded too late", only: "keyless", house: until(gone), do: recorded,
			answers: map[string]string{"verify v2.0.0": "0 " + late, "promote v2.0.0": "0",
				"release v2.0.0": "0 unchanged"}},
		{name: "former name: a run in time", only: "keyless", silent: true, house: runs(coming), do: empty, answers: nothingNew},
		{name: "former name: a run, too late", only: "keyless", silent: true, house: runs(gone), do: empty, answers: nothingNew},
	}
}

// releaseRecords: a registry writer deletes, breaks or replaces the record that says which digest v2.0.0 is.
func releaseRecords(otherKey string) []attack {
	// Keyless, the Git ref binds the version. With a key nothing does, until publish writes the record again; but a rollback finds
	// the version in the journal.
	answers := func(note string) map[string]string {
		return map[string]string{"verify v2.0.0": "0 " + note, "verify latest-stable": "0", "status": `0 "verdict": "accepted"`,
			"promote v2.0.0":                  "0 there already",
			"rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "rollback v1.0.0; rollback v2.0.0": "0", "publish": "0 unchanged",
			"release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}
	}
	record := tag.ReleaseTag("v2.0.0")
	attacks := []attack{
		{name: "record: deleted", do: func(t *testing.T, h *house) []digest.Digest {
			h.deletes(t, record)
			return nil
		}, answers: answers("no release record")},
		{name: "record: an artifact", do: func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, "v1.0.0", record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 is not a record", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "record: junk", do: func(t *testing.T, h *house) []digest.Digest {
			h.forge(t, record, annotated("com.stratio.keos-oci.move", "junk"), record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 invalid release record", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "record: of another version", do: func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, tag.ReleaseTag("v1.0.0"), record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 states v1.0.0 of frontend", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0", "release v2.0.0; rollback v1.0.0; promote v2.0.0": "0"}},
		{name: "record: of a move", do: func(t *testing.T, h *house) []digest.Digest {
			h.retag(t, tag.RecordTags(h.tags(t), "latest-stable")[0], record)
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 invalid release record", "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0"}},
	}
	for name, who := range map[string]struct{ query, key string }{
		"a pull request": {query: onBranch + "&event=pull_request_target"}, "another repository": {query: strings.Replace(onMover, "org/",
			"evil/", 1)},
		"another component": {query: strings.Replace(onTag, "frontend", "backend", 1) + "v2.0.0"}, "another key": {key: otherKey},
	} {
		mode := "keyless"
		if who.key != "" {
			mode = "keyed"
		}
		invalid := "invalid release record"
		if who.key != "" {
			invalid = "signed with another key"
		}
		attacks = append(attacks, attack{name: "record signed by " + name, only: mode, do: func(t *testing.T, h *house) []digest.Digest {
			by := h.outsider(who.query, who.key)
			h.records(t, by, "v2.0.0", h.good["v1.0.0"])
			h.records(t, by, "v3.0.0", h.good["v1.0.0"])
			return nil
		}, answers: map[string]string{"verify v2.0.0": "0 " + invalid, "rollback v1.0.0; promote v2.0.0": "3 nothing signed says | 0",
			"release v2.0.0; rollback v1.0.0; promote v2.0.0": "0", "release v3.0.0": `0 "reused": "latest"`}})
	}
	return attacks
}
