package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// fluxLayer is the media type of an artifact's content.
const fluxLayer = "application/vnd.cncf.flux.content.v1.tar+gzip"

// tarball is a compressed layer of any entries, such as no packer of ours makes.
func tarball(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for _, h := range headers {
		content := h.Linkname // of a file, which has no target
		if h.Typeflag == tar.TypeReg {
			h.Linkname, h.Size = "", int64(len(content))
		}
		h.Mode = 0o644
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := tw.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content}
}

// push stores layers as an artifact of the component frontend under a tag, as anyone may who can write to the repository.
func (s *sandbox) push(tag string, annotations map[string]string, mediaType string, layers ...[]byte) {
	s.t.Helper()
	client, err := registry.New(registry.Options{})
	s.check(err)
	where, err := name.NewRepository(s.registry.Host() + "/" + s.prefix + "/frontend")
	s.check(err)
	repo := client.Open(where)
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{}, Annotations: annotations}
	s.check(repo.PushBlob(s.t.Context(), manifest.Config, manifest.Config.Data))
	for _, layer := range layers {
		desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(layer), Size: int64(len(layer))}
		s.check(repo.PushBlob(s.t.Context(), desc, layer))
		manifest.Layers = append(manifest.Layers, desc)
	}
	raw, err := json.Marshal(manifest)
	s.check(err)
	desc := ocispec.Descriptor{MediaType: manifest.MediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	s.check(repo.Tag(s.t.Context(), desc, raw, tag))
}

func (s *sandbox) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestPullHostile: whatever a registry has, a pull that fails leaves nothing behind, and nothing outside its folder.
func TestPullHostile(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	good := tarball(t, file("a.yaml", "a: b\n"))
	flip := bytes.Clone(good)
	flip[len(flip)/2] ^= 0xff
	for tag, test := range map[string]struct {
		layers      [][]byte
		mediaType   string
		annotations map[string]string
		want        string
	}{
		"traversal": {[][]byte{tarball(t, file("ok", "x"), file("../escaped", "x"))}, fluxLayer, nil, "leads out of the archive"},
		"absolute":  {[][]byte{tarball(t, file("ok", "x"), file("/escaped", "x"))}, fluxLayer, nil, "leads out of the archive"},
		"symlink": {[][]byte{tarball(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}, file("l/escaped", "x"))}, fluxLayer, nil,
			"neither a file nor a folder"},
		"twice":   {[][]byte{tarball(t, file("a", "x"), file("a", "y"))}, fluxLayer, nil, "exists"},
		"damaged": {[][]byte{flip}, fluxLayer, nil, "bad layer"},
		"nogzip":  {[][]byte{[]byte("text")}, fluxLayer, nil, "bad layer"},
		"none":    {nil, fluxLayer, nil, "not a Flux artifact: it has 0 layers"},
		"two":     {[][]byte{good, tarball(t, file("b", "c"))}, fluxLayer, nil, "not a Flux artifact: it has 2 layers"},
		"image":   {[][]byte{good}, ocispec.MediaTypeImageLayerGzip, nil, "not a Flux artifact"},
		"other-claim": {[][]byte{good}, fluxLayer, map[string]string{pack.AnnotationContentDigest: digest.FromString("x").String()},
			"its manifest says sha256:"},
		"broken-claim": {[][]byte{good}, fluxLayer, map[string]string{pack.AnnotationContentDigest: "\x1b[31mred"},
			"its manifest says \\x1b[31mred"},
	} {
		t.Run(tag, func(t *testing.T) {
			s.t = t
			s.push(tag, test.annotations, test.mediaType, test.layers...)
			parent := t.TempDir()
			for _, where := range []string{"new", "there"} {
				dir := filepath.Join(parent, where)
				if where == "there" {
					s.check(os.Mkdir(dir, 0o755))
				}
				r := s.run("pull", "frontend:"+tag, dir, "--insecure-skip-verify")
				if r.code != 1 || !strings.Contains(r.stderr, test.want) || strings.Contains(r.stderr, "\x1b") || r.stdout != "" {
					t.Errorf("want %q: %v", test.want, r)
				}
			}
			left, err := filepath.Glob(filepath.Join(parent, "*"))
			s.check(err)
			hidden, err := filepath.Glob(filepath.Join(parent, ".*"))
			s.check(err)
			if below, _ := os.ReadDir(filepath.Join(parent, "there")); len(left) != 1 || len(hidden) != 0 || len(below) != 0 {
				t.Errorf("left behind: %v %v %v", left, hidden, below)
			}
		})
	}
	s.t = t
	s.push("flux", nil, fluxLayer, good) // another tool's artifact makes no claim
	s.must("pull", "frontend:flux", filepath.Join(t.TempDir(), "x"), "--insecure-skip-verify")
}

// TestPullReadsTagOnce: what is unpacked is the digest that was verified, even if the tag moves meanwhile.
func TestPullReadsTagOnce(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	key := s.key()
	s.must("publish", "--key", key)
	s.registry.Reset()
	s.must("pull", "frontend", filepath.Join(t.TempDir(), "x"), "--key", strings.TrimSuffix(key, ".key")+".pub")
	if n := s.registry.Count("/manifests/latest"); n != 1 {
		t.Errorf("latest was read %d times: %v", n, s.registry.Requests())
	}
}

// TestPullCannotTell: signatures that cannot be read are no answer, and nothing is unpacked.
func TestPullCannotTell(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	key := s.key()
	s.must("publish", "--key", key)
	s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
		if strings.Contains(r.URL.Path, "sha256-") || strings.Contains(r.URL.Path, "/referrers/") {
			return registrytest.InternalError
		}
		return registrytest.None
	})
	dir := filepath.Join(t.TempDir(), "x")
	r := s.run("pull", "frontend", dir, "--key", strings.TrimSuffix(key, ".key")+".pub")
	if _, err := os.Stat(dir); r.code != 1 || !os.IsNotExist(err) || strings.Contains(r.stderr, "unsigned") {
		t.Error(r, err)
	}
}

// TestDiffHostile: names and contents that would steer a terminal do not reach it, in neither form.
func TestDiffHostile(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	s.push("a", nil, fluxLayer, tarball(t, file("ok", "same\n")))
	s.push("b", nil, fluxLayer, tarball(t, file("ok", "same\n\x1b]0;title\x07\tred\u009b31m\r\u202eoverride\n")))
	r := s.must("diff", "frontend", "a", "b")
	for _, bad := range []string{"\x1b", "\x07", "\u009b", "\r", "\u202e"} {
		if strings.Contains(r.stdout+r.stderr, bad) {
			t.Errorf("%q reached the terminal: %q", bad, r.stdout)
		}
	}
	for _, want := range []string{`+\x1b]0;title\a` + "\tred" + `\u009b31m\r\u202eoverride` + "\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is not in %q", want, r.stdout)
		}
	}
	if r = s.must("diff", "frontend", "a", "b", "-o", "json"); strings.Contains(r.stdout, "\x1b") {
		t.Errorf("%q", r.stdout)
	}
}

// TestDiffHostileVariant: the content of a registry did not pass the gate, and must not take the machine with it.
func TestDiffHostileVariant(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	const use = "resources: [x.yaml]\n"
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		bomb += strings.ReplaceAll("aN: &aN [*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP]\n", "N", string(rune('1'+i)))
		bomb = strings.ReplaceAll(bomb, "aP", "a"+string(rune('0'+i)))
	}
	for tag, test := range map[string]struct{ kustomization, resource, want string }{
		"bomb":   {use, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n" + bomb, "production/x.yaml:"},
		"deep":   {use, strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested deeper"},
		"remote": {"resources: [https://example.com/x.yaml]\n", "", "is remote"},
		"above":  {"resources: [../../../../../../etc/passwd]\n", "", "leaves the repository"},
		"gone":   {use[:len(use)-2] + ", y.yaml]\n", "{}", "does not exist"},
		"secret": {use, "apiVersion: v1\nkind: Secret\nmetadata: {name: [hunter2]}\nstringData: {p: hunter2}\n", "does not build"},
		"big":    {use, "# " + strings.Repeat("x", 17<<20), "larger than the 16 MiB"},
	} {
		s.push(tag, nil, fluxLayer, tarball(t, file("production/kustomization.yaml", test.kustomization),
			file("production/x.yaml", test.resource)))
		r := s.run("diff", "frontend", tag, "--variant", "production")
		if r.code != 1 || !strings.Contains(r.stderr, test.want) ||
			!strings.Contains(r.stderr, "frontend:"+tag+": variant production does not build") ||
			strings.Contains(r.stderr, "hunter2") || strings.Contains(r.stderr, "panic") {
			t.Errorf("%s: want %q: %v", tag, test.want, r)
		}
	}
	s.push("no-variant", nil, fluxLayer, tarball(t, file("a", "b")))
	if r := s.run("diff", "frontend", "no-variant", "--variant", "production"); r.code != 1 || !strings.Contains(r.stderr, "it has no files") {
		t.Error(r)
	}
}
