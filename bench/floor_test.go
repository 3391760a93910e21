package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fake is a registry without the referrers API, of one repository in memory. It refuses a manifest that names what is not
// there yet, and notes what it was asked for.
type fake struct {
	mu      sync.Mutex
	content map[string][]byte // blobs and manifests by digest
	tags    map[string]string // to digests
	asked   []string
}

var hexes = regexp.MustCompile(`[0-9a-f]{8,}`)

func (s *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v2/apps/frontend/")
	s.asked = append(s.asked, r.Method+" "+hexes.ReplaceAllString(path, "#"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	switch kind, name, _ := strings.Cut(path, "/"); {
	case r.Method == http.MethodPost:
		w.Header().Set("Location", r.URL.Path+"1?state=x")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		digest := digestOf(body)
		if kind == "manifests" && !s.complete(body) || kind == "blobs" && r.URL.Query().Get("digest") != digest {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.content[digest] = body
		if kind == "manifests" && name != digest {
			s.tags[name] = digest
		}
		w.WriteHeader(http.StatusCreated)
	case kind == "tags" && len(s.tags) > 0:
		_ = json.NewEncoder(w).Encode(map[string]any{"tags": slices.Sorted(maps.Keys(s.tags))})
	case kind == "manifests" && s.tags[name] != "":
		w.Header().Set("Docker-Content-Digest", s.tags[name])
		_, _ = w.Write(s.content[s.tags[name]])
	case kind == "manifests" && s.content[name] != nil:
		_, _ = w.Write(s.content[name])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// complete says that all is there that a manifest or an index names.
func (s *fake) complete(raw []byte) bool {
	var m struct {
		Config, Subject   *descriptor
		Layers, Manifests []descriptor
	}
	if json.Unmarshal(raw, &m) != nil {
		return false
	}
	named := append(m.Layers, m.Manifests...)
	for _, d := range []*descriptor{m.Config, m.Subject} {
		if d != nil {
			named = append(named, *d)
		}
	}
	return !slices.ContainsFunc(named, func(d descriptor) bool { return len(s.content[d.Digest]) != d.Size })
}

func TestFloor(t *testing.T) {
	registry := &fake{content: map[string][]byte{}, tags: map[string]string{}}
	server := httptest.NewServer(registry)
	defer server.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// run publishes content as a process of its own would and demands these requests, in any order, and the writes that a
	// reader sees in this one.
	run := func(what, content, commit string, published bool, want ...string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		registry.asked = nil
		f := &floor{registry: strings.TrimPrefix(server.URL, "http://"), http: server.Client(), key: key, commit: commit}
		if got, err := f.publish(t.Context(), "apps/frontend", dir); err != nil || got != published {
			t.Fatalf("%s: published %t, %v", what, got, err)
		}
		var writes []string
		for _, asked := range registry.asked {
			if name, ok := strings.CutPrefix(asked, "PUT manifests/"); ok {
				writes = append(writes, name)
			}
		}
		if order := []string{"sha256:#", "sha256-#.#", "sha256-#", "main-#", "latest"}; published && !slices.Equal(writes, order) {
			t.Errorf("%s: it wrote %v, want %v", what, writes, order)
		}
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(registry.asked)); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
		}
	}
	const probe, latest, index = "GET referrers/sha256:#", "GET manifests/latest", "GET manifests/sha256-#"
	upload := []string{"POST blobs/uploads/", "PUT blobs/uploads/1"}
	writes := slices.Concat(upload, upload, []string{"PUT manifests/sha256:#", "PUT manifests/sha256-#.#", index, "PUT manifests/sha256-#",
		index, "PUT manifests/main-#", "PUT manifests/latest"})

	run("first", "1", "11111111", true, slices.Concat(writes, upload, []string{probe, latest, "GET tags/list"})...)
	run("unchanged", "1", "22222222", false, probe, latest, index, "GET manifests/sha256:#")
	run("changed", "2", "33333333", true, slices.Concat(writes, []string{probe, latest, "HEAD manifests/main-#", index})...)

	delete(registry.tags, indexTag(registry.tags["latest"]))
	run("unsigned", "2", "44444444", true, slices.Concat(writes, []string{probe, latest, index, "HEAD manifests/main-#", index})...)

	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &floor{registry: strings.TrimPrefix(server.URL, "http://"), http: server.Client(), key: other}
	if signed, err := f.isSigned(t.Context(), "apps/frontend", registry.tags["latest"]); err != nil || signed {
		t.Errorf("another key's signature was taken for its own: %v", err)
	}
}

func TestBundle(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	digest := digestOf([]byte("a"))
	raw, err := signed(key, digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := accepts(&key.PublicKey, raw, digest); err != nil {
		t.Error(err)
	}
	if accepts(&key.PublicKey, raw, digestOf([]byte("b"))) == nil {
		t.Error("a bundle about another digest was accepted")
	}
	if n := len(raw); n < 550 || n > 700 {
		t.Errorf("a bundle of %d bytes; keos-oci's have about 615", n)
	}
}
