package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

// shelf is a sandbox in which frontend has the versions v1.0.0 to v3.0.0, all signed keyless, and latest-stable at v2.0.0.
func shelf(t testing.TB, st *stack) *sandbox {
	t.Helper()
	s := newSandbox(t)
	s.write("keos-oci.yaml",
		"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning:\n  trustedRoot: "+st.env["SIGSTORE_TRUSTED_ROOT"]+
			"\n  identity: {issuer: "+st.env["SIGSTORE_ISSUER"]+", subjectRegexp: 'https://github\\.com/org/apps/\\.github/workflows/publish\\.yaml@refs/.*'}\n")
	s.keyless(st, "publish.yaml", "refs/heads/main")
	for _, v := range []string{"1", "2", "3"} {
		s.component("frontend", v)
		s.commit(v)
		s.must(append([]string{"publish", "--version", "v" + v + ".0.0", "--no-promote", "frontend"}, st.flags()...)...)
	}
	for _, v := range []string{"v1.0.0", "v2.0.0"} {
		s.must(append([]string{"promote", "frontend", v}, st.flags()...)...)
	}
	return s
}

// copyOf is the same sandbox on a copy of its registry.
func (s *sandbox) copyOf(t testing.TB) *sandbox {
	t.Helper()
	c := *s
	c.content = filepath.Join(t.TempDir(), "registry")
	if err := os.CopyFS(c.content, os.DirFS(s.content)); err != nil {
		t.Fatal(err)
	}
	c.t, c.registry = t, registrytest.NewIn(t, c.content)
	return &c
}

func (s *sandbox) history(t testing.TB) release.HistoryResult {
	t.Helper()
	var h release.HistoryResult
	r := s.must("history", "frontend", "--limit", "1000", "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// stable checks that the channel names a verified version, and answers with it.
func (s *sandbox) stable(t testing.TB) string {
	t.Helper()
	repo := open(t, s, "frontend")
	d, err := repo.Resolve(t.Context(), "latest-stable")
	if err != nil {
		t.Fatal(err)
	}
	if r := s.run("verify", "frontend:latest-stable"); r.code != 0 {
		t.Errorf("latest-stable names what a cluster refuses: %v", r)
	}
	for _, v := range []string{"v1.0.0", "v2.0.0", "v3.0.0"} {
		if got, err := repo.Resolve(t.Context(), v); err == nil && got == d {
			return v
		}
	}
	t.Errorf("latest-stable names no version: %s", d)
	return ""
}

// TestMovedOutside: the move of another tool is reported, adopted by the next move and never silently overwritten.
func TestMovedOutside(t *testing.T) {
	st := sigstore(t)
	s := shelf(t, st)
	repo := open(t, s, "frontend")
	desc, raw, err := repo.Manifest(t.Context(), "v3.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), desc, raw, "latest-stable"); err != nil {
		t.Fatal(err)
	}
	if r := s.must("status", "frontend"); !strings.Contains(r.stdout, "moved outside") {
		t.Error(r)
	}
	r := s.must(append([]string{"rollback", "frontend", "v1.0.0"}, st.flags()...)...)
	if !strings.Contains(r.stdout, "moved outside keos-oci") {
		t.Error(r)
	}
	h := s.history(t)
	if h.Standing != tag.Settled || h.Moves[1].Action != tag.ActionAdopt || h.Moves[1].Version != "v3.0.0" || h.Moves[0].From != desc.Digest {
		t.Errorf("%+v", h)
	}
}

// TestPromoteDemandsTheReleaseIdentity: a version that only the branch signed is not put on a channel whose clusters
// expect the tag's identity; once the release has signed it, it is.
func TestPromoteDemandsTheReleaseIdentity(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	identity := "{issuer: " + st.env["SIGSTORE_ISSUER"] + ", subjectRegexp: 'https://github\\.com/org/apps/\\.github/workflows/.*@refs/%s'}"
	s.write("keos-oci.yaml",
		"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nchannels:\n  latest: {identity: "+fmt.Sprintf(identity, "heads/main")+
			"}\n  latest-stable: {identity: "+fmt.Sprintf(identity, "tags/frontend/v.*")+", movers: ["+fmt.Sprintf(identity, ".*")+"]}\n")
	s.commit("one")
	branch, tagged := *s, *s
	branch.keyless(st, "publish.yaml", "refs/heads/main")
	tagged.keyless(st, "release.yaml", "refs/tags/frontend/v1.0.0")
	branch.must(append([]string{"publish"}, st.flags()...)...)
	repo := open(t, s, "frontend")
	desc, raw, err := repo.Manifest(t.Context(), "latest")
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), desc, raw, "v1.0.0"); err != nil { // by another tool
		t.Fatal(err)
	}
	promote := append([]string{"promote", "frontend", "v1.0.0"}, st.flags()...)
	if r := branch.run(promote...); r.code != 3 || !strings.Contains(r.stderr, "not signed by the expected identity") {
		t.Error(r)
	}
	if d, err := open(t, s, "frontend").Resolve(t.Context(), "latest-stable"); err == nil {
		t.Errorf("latest-stable was moved to %s", d)
	}
	tagged.must(append([]string{"publish", "--ref", "refs/tags/frontend/v1.0.0"}, st.flags()...)...)
	if got, err := open(t, s, "frontend").Resolve(t.Context(), "latest-stable"); err != nil || got != desc.Digest {
		t.Errorf("latest-stable is %s %v, want what staging ran: %s", got, err, desc.Digest)
	}
}

// TestReleaseTrain: with several components, all are verified before the first moves.
func TestReleaseTrain(t *testing.T) {
	s := newSandbox(t)
	for _, c := range []string{"a", "b", "c"} {
		s.component(c, "1")
	}
	s.commit("one")
	key := s.key()
	s.must("publish", "a", "b", "c", "--version", "v1.0.0", "--no-promote", "--key", key)
	train := filepath.Join(t.TempDir(), "train")
	writeFile(t, train, "# release 1\na v1.0.0\nb v1.0.0 # comment\n\nc v9.0.0\n")
	r := s.run("promote", "--from-file", train, "--key", key)
	if r.code != 1 || !strings.Contains(r.stdout, "0 moved, 0 unchanged, 1 failed, 2 held back") || !strings.Contains(r.stderr, "c: ") {
		t.Error(r)
	}
	writeFile(t, train, "a v1.0.0\nb v1.0.0\nc v1.0.0\n")
	s.registry.Reset()
	if r = s.must("promote", "--from-file", train, "--key", key, "--reason", "train"); !strings.Contains(r.stdout, "3 moved") {
		t.Error(r)
	}
	t.Logf("%d requests for 3 promotes", s.registry.Count(""))
	pub := strings.TrimSuffix(key, ".key") + ".pub"
	s.registry.Reset()
	s.must("status", "--key", pub)
	if n := s.registry.Count(""); n > 8*3 { // a listing, two channels, a record; the gate reads a list, a signature and a release record
		t.Errorf("status took %d requests for 3 components: %v", n, s.registry.Requests())
	}
	// A failure half-way says exactly what moved, and running it again does the rest.
	s.must("publish", "a", "b", "c", "--version", "v1.1.0", "--no-promote", "--key", key)
	s.component("b", "2")
	s.component("c", "2")
	s.component("a", "2")
	s.commit("two")
	s.must("publish", "a", "b", "c", "--version", "v1.2.0", "--no-promote", "--key", key)
	writeFile(t, train, "a v1.2.0\nb v1.2.0\nc v1.2.0\n")
	s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/b/manifests/latest-stable") {
			return registrytest.InternalError
		}
		return registrytest.None
	})
	r = s.run("promote", "--from-file", train, "--key", key)
	if r.code != 1 || !strings.Contains(r.stdout, "2 moved, 0 unchanged, 1 failed") || !strings.Contains(r.stderr, "b: write ") {
		t.Error(r)
	}
	s.registry.FaultAt(nil)
	s.env = append(slices.Clip(s.env), "GITHUB_ACTOR=octocat", "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=org/apps",
		"GITHUB_RUN_ID=42")
	if r = s.must("promote", "--from-file", train, "--key", key); !strings.Contains(r.stdout, "1 moved, 2 unchanged") {
		t.Error(r)
	}
	s.must("rollback", "b", "--key", key, "--reason", "why")
	if r = s.must("history", "b", "--key", pub, "-o", "json"); !strings.Contains(r.stdout, `"actor": "octocat"`) ||
		!strings.Contains(r.stdout, `"runURL": "https://github.com/org/apps/actions/runs/42"`) || !strings.Contains(r.stdout, `"reason": "why"`) {
		t.Error(r)
	}
	for what, bad := range map[string]string{"malformed": "a\n", "bad version": "a 1.0.0\n", "twice": "a v1.0.0\na v1.0.0\n",
		"unknown": "nosuch v1.0.0\n", "empty": "# nothing\n"} {
		writeFile(t, train, bad)
		if r := s.run("promote", "--from-file", train, "--key", key); r.code != 2 {
			t.Errorf("%s: %v", what, r)
		}
	}
}

// TestJournalSurvivesGarbageCollection: distribution's collector, run with the option to delete untagged manifests, leaves the journal and
// the signatures that keos-oci reads.
func TestJournalSurvivesGarbageCollection(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	key := s.key()
	s.must("publish", "frontend", "--version", "v1.0.0", "--key", key)
	s.component("frontend", "2")
	s.commit("two")
	s.must("publish", "frontend", "--version", "v2.0.0", "--key", key)
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: s.content, MaxThreads: 100})
	reg, err := storage.NewRegistry(t.Context(), driver, storage.EnableDelete)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.MarkAndSweep(t.Context(), driver, reg, storage.GCOpts{RemoveUntagged: true, Quiet: true}); err != nil {
		t.Fatal(err)
	}
	pub := strings.TrimSuffix(key, ".key") + ".pub"
	r := s.must("history", "frontend", "--key", pub, "-o", "json")
	if strings.Count(r.stdout, `"state": "done"`) != 2 {
		t.Error(r)
	}
	s.must("rollback", "frontend", "--key", key)
	s.must("verify", "frontend:latest-stable", "--key", pub)
}

// TestPendingIsReported: a move that was killed between its record and the channel is reported as pending, and the same command
// completes it with a record of its own.
func TestPendingIsReported(t *testing.T) {
	st := sigstore(t)
	s := shelf(t, st)
	args := append([]string{"promote", "frontend", "v3.0.0", "--request", "one"}, st.flags()...)
	at := -1
	s.registry.FaultAt(func(n int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/latest-stable") {
			at = n
			return registrytest.ResetBefore
		}
		if at >= 0 {
			return registrytest.ResetBefore
		}
		return registrytest.None
	})
	if r := s.run(args...); r.code != 1 {
		t.Error(r)
	}
	s.registry.FaultAt(nil)
	if got := s.stable(t); got != "v2.0.0" {
		t.Errorf("latest-stable is %s", got)
	}
	if r := s.must("status", "frontend"); !strings.Contains(r.stdout, "pending") ||
		!strings.Contains(r.stdout, "unfinished move to v3.0.0") {
		t.Error(r)
	}
	before := s.history(t)
	if before.Standing != tag.Pending || before.Moves[0].State != tag.StatePending {
		t.Errorf("%+v", before)
	}
	if r := s.must(args...); !strings.Contains(r.stdout, "completes the pending move") {
		t.Error(r)
	}
	if after := s.history(t); after.Standing != tag.Settled || len(after.Moves) != len(before.Moves)+1 ||
		after.Moves[1].State != tag.StateClosed {
		t.Errorf("%+v", after)
	}
}

// TestRegistryWithReferrersAPI: publish, promote and rollback where signatures are listed by the registry itself.
func TestRegistryWithReferrersAPI(t *testing.T) {
	s := newSandbox(t)
	s.registry = registrytest.NewProxy(t, ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0))))
	key := s.key()
	for _, v := range []string{"1", "2"} {
		s.component("frontend", v)
		s.commit(v)
		s.must("publish", "frontend", "--version", "v"+v+".0.0", "--key", key)
	}
	s.must("rollback", "frontend", "--key", key)
	pub := strings.TrimSuffix(key, ".key") + ".pub"
	if r := s.must("history", "frontend", "--key", pub, "-o", "json"); strings.Count(r.stdout, `"state": "done"`) != 3 {
		t.Error(r)
	}
	s.must("verify", "frontend:latest-stable", "--key", pub)
	if r := s.must("list", "frontend"); strings.Contains(r.stdout, "sha256-") {
		t.Error(r)
	}
}
