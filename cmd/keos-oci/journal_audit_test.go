package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

// TestAudit: each kind of harm is a finding, with what to do.
func TestAudit(t *testing.T) {
	origin, _, pub := rolledBack(t)
	if r := origin.must("audit", "--key", pub); !strings.Contains(r.stdout, "3 versions, 7 records and 1 channels: 0 findings, 0 unknown") {
		t.Errorf("nothing was harmed: %v", r)
	}
	moves := origin.journal(t, pub).Moves
	for code, harm := range map[string]func(t *testing.T, s *sandbox){
		"invalid-record":  func(t *testing.T, s *sandbox) { damage(t, s, moves[0].Tag) },
		"gap":             func(t *testing.T, s *sandbox) { s.untag(t, moves[2].Tag) },
		"moved-outside":   func(t *testing.T, s *sandbox) { s.crane(t, "v1.0.0") },
		"unrecorded":      func(t *testing.T, s *sandbox) { s.untag(t, moves[0].Tag, moves[1].Tag, moves[2].Tag, moves[3].Tag) },
		"deleted-version": func(t *testing.T, s *sandbox) { s.untag(t, "v1.0.0") },
		"no-record":       func(t *testing.T, s *sandbox) { s.untag(t, "release.v1.0.0") },
		"signature-gone": func(t *testing.T, s *sandbox) {
			d, err := open(t, s, "frontend").Resolve(t.Context(), "v1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			s.untag(t, strings.Replace(d.String(), ":", "-", 1))
		},
		"relabelled": relabel,
		"changed":    func(t *testing.T, s *sandbox) { relabel(t, s); s.untag(t, "release.v1.0.0") },
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := origin.copyOf(t)
			harm(t, s)
			r := s.run("audit", "--key", pub, "-o", "json")
			var res release.AuditResult
			if err := json.Unmarshal([]byte(r.stdout), &res); err != nil || r.code != 3 {
				t.Fatal(err, r)
			}
			findings := res.Components[0].Findings
			if i := slices.IndexFunc(findings, func(f release.AuditFinding) bool { return f.Code == code }); i < 0 || findings[i].Do == "" ||
				findings[i].Message == "" {
				t.Errorf("%+v", findings)
			}
		})
	}
	if r := origin.run("audit", "--key", strings.TrimSuffix(origin.key(), ".key")+".pub"); r.code != 1 ||
		!strings.Contains(r.stdout, "signed with another key") || strings.Contains(r.stdout, "unsigned") {
		t.Errorf("with another key: %v", r)
	}
}

// TestMirror: a copy of a registry has a journal that counts. At another path the config says where it was copied from.
func TestMirror(t *testing.T) {
	origin, key, pub := rolledBack(t)
	s := origin.copyOf(t)
	repositories := filepath.Join(s.content, "docker/registry/v2/repositories")
	if err := os.CopyFS(filepath.Join(repositories, "edge/mirror"), os.DirFS(filepath.Join(repositories, origin.prefix))); err != nil {
		t.Fatal(err)
	}
	s.must("rollback", "frontend", "--key", key, "--dry-run") // another host, the same path
	s.prefix = "edge/mirror"
	if r := s.run("status", "frontend", "--key", pub, "--exit-code"); r.code != 3 || !strings.Contains(r.stdout, "invalid record") {
		t.Errorf("records of elsewhere count: %v", r)
	}
	s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nmirrors: ["+origin.prefix+"]\n")
	s.commit("mirrors")
	s.must("status", "frontend", "--key", pub, "--exit-code")
	s.must("rollback", "frontend", "--key", key)
	s.at(t, "v1.0.0")
	if h := s.journal(t, pub); h.Standing != tag.Settled || h.Moves[0].Sequence != 5 {
		t.Errorf("%+v", h)
	}
}

// TestPublishUnread: a record that the registry does not give stops a publication from moving the channel, with 1, and no promotion.
func TestPublishUnread(t *testing.T) {
	s, key, pub := rolledBack(t)
	newest := s.journal(t, pub).Moves[0].Tag
	s.component("frontend", "new")
	s.commit("new")
	broken := func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, newest) {
			return registrytest.InternalError
		}
		return registrytest.None
	}
	s.registry.FaultAt(broken)
	r := s.run("publish", "frontend", "--key", key, "--version", "v1.3.0")
	if r.code != 1 ||
		!strings.Contains(r.stderr, "v1.3.0 is published, but latest-stable did not follow: record "+newest+" cannot be checked") {
		t.Errorf("%v", r)
	}
	s.at(t, "v1.1.0")
	s.registry.FaultAt(broken)
	if r := s.run("status", "frontend", "--key", pub); r.code != 1 || !strings.Contains(r.stdout, "cannot-check") {
		t.Errorf("%v", r)
	}
	if r := s.must("promote", "frontend", "v1.3.0", "--key", key); !strings.Contains(r.stdout,
		"the move goes on without it, and says so on record") {
		t.Errorf("%v", r)
	}
	s.at(t, "v1.3.0")
	s.must("status", "frontend", "--key", pub, "--exit-code")
}

// searchable is a log in front of another one that answers searches, as Rekor does with an index: for the digests that a
// statement is about.
func searchable(t *testing.T, upstream string) *httptest.Server {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	index := map[string][]string{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.URL.Path == "/api/v1/index/retrieve" {
			var asked struct{ Hash string }
			_ = json.Unmarshal(body, &asked)
			mu.Lock()
			defer mu.Unlock()
			_ = json.NewEncoder(w).Encode(slices.Concat([]string{}, index[asked.Hash]))
			return
		}
		rec := httptest.NewRecorder()
		proxy.ServeHTTP(rec, r)
		if r.URL.Path == "/api/v1/log/entries" && rec.Code == http.StatusCreated {
			var entry struct {
				Spec struct{ ProposedContent struct{ Envelope string } }
			}
			var envelope struct{ Payload []byte }
			var statement struct {
				Subject []struct{ Digest map[string]string }
			}
			var made map[string]any
			err := errors.Join(json.Unmarshal(body, &entry), json.Unmarshal([]byte(entry.Spec.ProposedContent.Envelope), &envelope),
				json.Unmarshal(envelope.Payload, &statement),
				json.Unmarshal(rec.Body.Bytes(), &made))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			for id := range made {
				key := "sha256:" + statement.Subject[0].Digest["sha256"]
				index[key] = append(index[key], id)
			}
			mu.Unlock()
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	return server
}

// TestAuditAsksTheLog: audit finds a deleted record in the transparency log.
func TestAuditAsksTheLog(t *testing.T) {
	st := sigstore(t)
	log := searchable(t, st.env["SIGSTORE_REKOR_URL"])
	own := *st
	own.env = maps.Clone(st.env)
	own.env["SIGSTORE_REKOR_URL"] = log.URL
	s := shelf(t, &own)
	s.must(append([]string{"rollback", "frontend"}, own.flags()...)...)
	if r := s.must("audit", "--rekor-url", log.URL); !strings.Contains(r.stdout, "0 findings, 0 unknown") {
		t.Errorf("nothing is missing: %v", r)
	}
	newest := s.history(t).Moves[0]
	s.untag(t, newest.Tag, tag.DoneTag(newest.Tag))
	s.crane(t, "v2.0.0") // as it was before
	s.must("audit")
	r := s.run("audit", "--rekor-url", log.URL)
	if r.code != 3 || !strings.Contains(r.stdout, "not-here") || !strings.Contains(r.stdout, "publish.yaml@refs/heads/main") {
		t.Errorf("a deleted record: %v", r)
	}
	if r := s.must("audit", "--rekor-url", st.env["SIGSTORE_REKOR_URL"]); !strings.Contains(r.stdout,
		"note: the transparency log has no search index") {
		t.Errorf("a log without an index: %v", r)
	}
	if r := s.run("audit", "--rekor-url", "http://127.0.0.1:1"); r.code != 1 || !strings.Contains(r.stderr, "Rekor") {
		t.Errorf("no log: %v", r)
	}
}
