package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
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
