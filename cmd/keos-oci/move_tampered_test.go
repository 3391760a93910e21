package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
)

// TestTamperedJournal: what somebody with write access to the registry can do to records is seen, and steers no rollback.
func TestTamperedJournal(t *testing.T) {
	st := sigstore(t)
	origin := shelf(t, st)
	origin.component("backend", "1")
	origin.commit("backend")
	origin.must(append([]string{"publish", "--version", "v1.0.0", "backend"}, st.flags()...)...)
	clean := origin.history(t)
	newest, oldest := clean.Moves[0], clean.Moves[1]
	later := func(t2 string) string {
		return strings.Replace(newest.Tag, newest.Tag[len("latest-stable."):len("latest-stable.")+4], t2, 1)
	}
	for name, c := range map[string]struct {
		tamper func(t *testing.T, s *sandbox)
		say    string
		back   string // where a rollback goes then
	}{
		"edited": {func(t *testing.T, s *sandbox) {
			rewrite(t, s, newest.Tag, newest.Tag, func(m *ocispec.Manifest) {
				const bundle = "com.stratio.keos-oci.move"
				edited := strings.Replace(m.Annotations[bundle], `"payload":"`, `"payload":"AAAA`, 1)
				if edited == m.Annotations[bundle] {
					t.Fatal("the record was not edited")
				}
				m.Annotations[bundle] = edited
			})
		}, "invalid", "v1.0.0"},
		"tagged to another time": {func(t *testing.T, s *sandbox) {
			rewrite(t, s, oldest.Tag, later("2099"), func(*ocispec.Manifest) {})
		}, "the time of this record is 20", "v1.0.0"},
		"tagged to another channel": {func(t *testing.T, s *sandbox) {
			rewrite(t, s, oldest.Tag, strings.Replace(later("2099"), "latest-stable", "other", 1), func(*ocispec.Manifest) {})
		}, "", "v1.0.0"},
		"unsigned": {func(t *testing.T, s *sandbox) {
			rewrite(t, s, newest.Tag, later("2099"), func(m *ocispec.Manifest) {
				delete(m.Annotations, "com.stratio.keos-oci.move")
			})
		}, "invalid", "v1.0.0"},
		"signed by a stranger": {func(t *testing.T, s *sandbox) {
			evil := *s
			evil.keyless(st, "evil.yaml", "refs/heads/main")
			// the stranger's own config would allow himself; the reader's does not
			evil.write("evil.yaml", strings.Replace(mustRead(t, filepath.Join(s.dir, "keos-oci.yaml")), `publish\.yaml`, `(publish|evil)\.yaml`, 1))
			if r := evil.run(append([]string{"promote", "frontend", "v3.0.0", "--config", filepath.Join(s.dir, "evil.yaml")},
				st.flags()...)...); r.code != 0 {
				t.Fatal(r)
			}
			os.Remove(filepath.Join(s.dir, "evil.yaml"))
		}, "not signed by the expected identity", "v2.0.0"},
		"broken": {func(t *testing.T, s *sandbox) {
			rewrite(t, s, oldest.Tag, later("2099"), func(*ocispec.Manifest) {})
			s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, later("2099")) {
					return registrytest.WrongDigest
				}
				return registrytest.None
			})
		}, "invalid", "v1.0.0"},
		"copied from another component": {func(t *testing.T, s *sandbox) {
			var h release.HistoryResult
			if err := json.Unmarshal([]byte(s.must("history", "backend", "-o", "json").stdout), &h); err != nil {
				t.Fatal(err)
			}
			copyRecord(t, s, "backend", h.Moves[0].Tag, "frontend", later("2099"))
		}, "this record belongs to backend", "v1.0.0"},
		"dropped": {func(t *testing.T, s *sandbox) {
			repo := open(t, s, "frontend")
			desc, _, err := repo.Manifest(t.Context(), oldest.Tag)
			if err != nil {
				t.Fatal(err)
			}
			remove(t, s, "frontend", desc.Digest)
		}, "gap: the record before", "v1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := origin.copyOf(t)
			c.tamper(t, s)
			r := s.must("history", "frontend")
			if !strings.Contains(r.stdout, c.say) {
				t.Errorf("history does not say %q: %v", c.say, r)
			}
			back := s.run(append([]string{"rollback", "frontend"}, st.flags()...)...)
			if got := s.stable(t); back.code != 0 || got != c.back {
				t.Errorf("rolled back to %s, want %s: %v", got, c.back, back)
			}
		})
	}
}

func mustRead(t testing.TB, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// rewrite stores a changed copy of a record under another tag, or its own.
func rewrite(t *testing.T, s *sandbox, from, to string, change func(*ocispec.Manifest)) {
	t.Helper()
	repo := open(t, s, "frontend")
	_, raw, err := repo.Manifest(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	put(t, s, "frontend", m, to)
}

func put(t *testing.T, s *sandbox, component string, m ocispec.Manifest, name string) ocispec.Descriptor {
	t.Helper()
	repo := open(t, s, component)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	if err := repo.Tag(t.Context(), desc, raw, name); err != nil {
		t.Fatal(err)
	}
	return desc
}

func copyRecord(t *testing.T, s *sandbox, fromComponent, from, toComponent, to string) {
	t.Helper()
	_, raw, err := open(t, s, fromComponent).Manifest(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	put(t, s, toComponent, m, to)
}

// remove deletes a manifest from the registry.
func remove(t *testing.T, s *sandbox, component string, d digest.Digest) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete,
		s.registry.URL+"/v2/"+s.prefix+"/"+component+"/manifests/"+d.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}
