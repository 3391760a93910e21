package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

// night is a component at three in the morning: v1.0.0, v1.1.0 and v1.2.0, of which latest-stable has the last one.
func night(t *testing.T) (s *sandbox, key, pub string) {
	s = newSandbox(t)
	key = s.key()
	for _, version := range []string{"v1.0.0", "v1.1.0", "v1.2.0"} {
		s.component("frontend", version)
		s.commit(version)
		s.git("tag", "frontend/"+version)
		s.must("publish", "--key", key, "--version", version)
	}
	return s, key, strings.TrimSuffix(key, ".key") + ".pub"
}

// at checks that latest-stable points to a version.
func (s *sandbox) at(t *testing.T, version string) {
	t.Helper()
	repo := open(t, s, "frontend")
	now, err := repo.Resolve(t.Context(), "latest-stable")
	if err != nil {
		t.Fatal(err)
	}
	if want, err := repo.Resolve(t.Context(), version); err != nil || now != want {
		t.Errorf("latest-stable is %s, want that of %s (%v)", now, version, err)
	}
}

// crane moves the channel as another tool does.
func (s *sandbox) crane(t *testing.T, version string) {
	t.Helper()
	repo := open(t, s, "frontend")
	desc, raw, err := repo.Manifest(t.Context(), version)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), desc, raw, "latest-stable"); err != nil {
		t.Fatal(err)
	}
}

func (s *sandbox) journal(t *testing.T, pub string) release.HistoryResult {
	t.Helper()
	var h release.HistoryResult
	if err := json.Unmarshal([]byte(s.must("history", "frontend", "--key", pub, "--limit", "100", "-o", "json").stdout), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestNoCheckout: who is woken up has no clone at hand. A repository's name and a key are enough for what looks and what moves.
func TestNoCheckout(t *testing.T) {
	s, key, pub := night(t)
	away := *s
	away.dir = t.TempDir()
	full := s.registry.Host() + "/" + s.prefix + "/frontend"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"status", "frontend", "--key", pub}, "v1.2.0"},
		{[]string{"history", "frontend", "--key", pub}, "v1.1.0"},
		{[]string{"verify", "frontend:latest-stable", "--key", pub}, "accepted"},
		{[]string{"verify", full + ":v1.0.0", "--key", pub}, "accepted"},
		{[]string{"list", full}, "v1.2.0"},
		{[]string{"diff", "frontend", "v1.0.0", "v1.1.0"}, "value"},
		{[]string{"rollback", "frontend", "--key", key}, "v1.1.0"},
		{[]string{"rollback", full, "v1.0.0", "--key", key}, "moved"},
		{[]string{"promote", full, "v1.2.0", "--key", key}, "moved"},
		{[]string{"cancel", "frontend", "--key", key}, "latest-stable has no unfinished move"},
	} {
		if r := away.run(c.args...); r.code != 0 || !strings.Contains(r.stdout, c.want) {
			t.Errorf("%v: want %q: %v", c.args, c.want, r)
		}
	}
	s.at(t, "v1.2.0")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"status"}, 2, "not a git checkout"},
		{[]string{"diff", "frontend", "v1.0.0"}, 2, "without a checkout, name two tags"},
		{[]string{"promote", "frontend", "v1.2.0"}, 2, "no policy"},
		{[]string{"verify", "Front_:v1", "--key", pub}, 2, "not the name of a repository"},
		{[]string{"publish", "frontend", "--key", key}, 2, "not a git checkout"},
	} {
		if r := away.run(c.args...); r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: want exit %d and %q: %v", c.args, c.code, c.want, r)
		}
	}
}

// TestRollbackBlind: a list, a record or a journal that cannot be read does not keep a rollback from the version that it names.
func TestRollbackBlind(t *testing.T) {
	for name, breaks := range map[string]func(r *http.Request) bool{
		"list": func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/tags/list") },
		"records": func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/latest-stable.")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, key, pub := night(t)
			s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
				if breaks(r) {
					return registrytest.InternalError
				}
				return registrytest.None
			})
			if r := s.run("promote", "frontend", "v1.2.0", "--key", key); (r.code == 1) != (name == "list") {
				t.Errorf("without the list no promotion goes on, and without records it does: %v", r)
			}
			if r := s.run("rollback", "frontend", "--key", key); r.code != 1 || !strings.Contains(r.stderr, "unavailable") {
				t.Errorf("a rollback without a version goes on: %v", r)
			}
			if r := s.must("rollback", "frontend", "v1.0.0", "--key", key); !strings.Contains(r.stdout, "goes on without it") {
				t.Error(r)
			}
			s.registry.FaultAt(nil)
			s.at(t, "v1.0.0")
			if h := s.journal(t, pub); h.Standing != tag.Settled || h.Moves[0].Action != tag.ActionRollback {
				t.Errorf("%+v", h)
			}
			for _, left := range []string{"v1.1.0", "v1.2.0"} { // though the writer of the rollback did not know of them
				if r := s.must("publish", "frontend", "--version", left, "--key", key); !strings.Contains(r.stdout, "1 held") {
					t.Errorf("%s comes back: %v", left, r)
				}
			}
			s.at(t, "v1.0.0")
		})
	}
}

// TestUnrecorded: while signing is down, a rollback says what helps, and --unrecorded goes back. The next move puts that on record.
func TestUnrecorded(t *testing.T) {
	st := sigstore(t)
	s := shelf(t, st)
	down := append([]string{"--fulcio-url", "http://127.0.0.1:1"}, st.flags()[2:]...)
	r := s.run(append([]string{"rollback", "frontend", "v1.0.0"}, down...)...)
	if r.code != 1 || !strings.Contains(r.stderr, "nothing was moved; if signing is down and this cannot wait: --unrecorded") {
		t.Error(r)
	}
	if r := s.run(append([]string{"rollback", "frontend", "--unrecorded"}, down...)...); r.code != 2 {
		t.Error(r)
	}
	s.must(append([]string{"rollback", "frontend", "v1.0.0", "--unrecorded"}, down...)...)
	s.at(t, "v1.0.0")
	if r := s.must("status", "frontend"); !strings.Contains(r.stdout, "moved outside") {
		t.Error(r)
	}
	s.must(append([]string{"rollback", "frontend", "v1.0.0", "--reason", "signing was down"}, st.flags()...)...)
	h := s.history(t)
	if h.Standing != tag.Settled || h.Moves[1].Action != tag.ActionAdopt || h.Moves[1].Reason != "signing was down" ||
		h.Moves[0].Action != tag.ActionRollback {
		t.Errorf("%+v", h)
	}
	// A version that was rolled back does not come back by itself.
	if r := s.must(append([]string{"publish", "frontend", "--version", "v2.0.0", "--commit", "main~1"},
		st.flags()...)...); !strings.Contains(r.stdout, "latest-stable stays where it is") {
		t.Error(r)
	}
	s.at(t, "v1.0.0")
}

// TestSameRequest: a command that is repeated under its name is one command.
func TestSameRequest(t *testing.T) {
	s, key, pub := night(t)
	s.must("rollback", "frontend", "--key", key, "--request", "job 1")
	if r := s.must("rollback", "frontend", "--key", key, "--request", "job 1"); !strings.Contains(r.stdout, "this command was done before") {
		t.Error(r)
	}
	s.at(t, "v1.1.0")
	s.must("rollback", "frontend", "--key", key, "--request", "job 2")
	s.at(t, "v1.0.0")
	if r := s.must("rollback", "frontend", "--key", key, "--request", "job 1"); !strings.Contains(r.stdout,
		"latest-stable was moved on since") {
		t.Error(r)
	}
	s.at(t, "v1.0.0")
	s.must("promote", "frontend", "v1.1.0", "--key", key, "--request", "job 0")
	s.must("rollback", "frontend", "--key", key, "--request", "job 4")
	if r := s.must("promote", "frontend", "v1.1.0", "--key", key, "--request", "job 0"); !strings.Contains(r.stdout,
		"this command was done before") {
		t.Errorf("a promotion that is repeated after it was rolled back: %v", r)
	}
	s.at(t, "v1.0.0")
	s.must("promote", "frontend", "v1.2.0", "--key", key, "--request", "job 3")
	s.crane(t, "v1.1.0") // what an emergency without keos-oci looks like
	s.must("promote", "frontend", "v1.2.0", "--key", key, "--request", "job 3")
	s.at(t, "v1.1.0")
	if h := s.journal(t, pub); h.Standing != tag.Outside || h.Moves[0].State != tag.StateDone {
		t.Errorf("%+v", h)
	}
	if r := s.must("publish", "frontend", "--version", "v1.2.0", "--key", key); !strings.Contains(r.stdout,
		"warning: frontend: latest-stable stays where it is: another tool moved it") ||
		!strings.Contains(r.stdout, "1 held") {
		t.Error(r)
	}
	s.at(t, "v1.1.0")
	if r := s.must("rollback", "frontend", "--key", key); !strings.Contains(r.stdout, "v1.2.0") { // which undoes what the other tool did
		t.Error(r)
	}
}

// TestRefusedTag: a registry that does not let the channel move makes the move fail, and nothing stays open.
func TestRefusedTag(t *testing.T) {
	s, key, pub := night(t)
	s.registry.Freeze("latest-stable")
	if r := s.run("rollback", "frontend", "--key", key); r.code == 0 {
		t.Error(r)
	}
	if h := s.journal(t, pub); h.Standing != tag.Settled || h.Moves[0].Action != tag.ActionWithdraw || h.Moves[1].State != tag.StateFailed {
		t.Errorf("%+v", h)
	}
}

// TestTrainSignsFirst: a log that dies in the middle of a train leaves nothing moved, and no record.
func TestTrainSignsFirst(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	for _, c := range []string{"a", "b", "c"} {
		s.component(c, "1")
	}
	s.keyless(st, "release.yaml", "refs/heads/main")
	s.commit("one")
	s.must(append([]string{"publish", "a", "b", "c", "--version", "v1.0.0", "--no-promote"}, st.flags()...)...)
	rekor := registrytest.To(t, st.env["SIGSTORE_REKOR_URL"])
	uploads := 0
	rekor.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPost {
			uploads++
		}
		if uploads > 1 {
			return registrytest.InternalError
		}
		return registrytest.None
	})
	train := filepath.Join(t.TempDir(), "train")
	writeFile(t, train, "a v1.0.0\nb v1.0.0\nc v1.0.0\n")
	s.registry.Reset()
	r := s.run("promote", "--from-file", train, "--fulcio-url", st.env["SIGSTORE_FULCIO_URL"], "--rekor-url", rekor.URL, "--trusted-root",
		st.env["SIGSTORE_TRUSTED_ROOT"])
	if r.code != 1 || !strings.Contains(r.stdout, "0 moved") {
		t.Error(r)
	}
	if n := s.registry.Count("PUT "); n != 0 {
		t.Errorf("%d writes: %v", n, s.registry.Requests())
	}
}

// TestPublishTellsOfChannels: a dry run says whether the channel would move, and why not; a pre-release needs a word.
func TestPublishTellsOfChannels(t *testing.T) {
	s, key, _ := night(t)
	s.component("frontend", "new")
	s.commit("new")
	dry := func(version string) result {
		t.Helper()
		return s.must("publish", "frontend", "--version", version, "--key", key, "--dry-run")
	}
	if r := dry("v1.3.0"); !strings.Contains(r.stdout, "latest-stable would move to v1.3.0") ||
		!strings.Contains(r.stdout, "v1.3.0 latest-stable") {
		t.Error(r)
	}
	if r := dry("v1.1.5"); !strings.Contains(r.stdout, "latest-stable is on v1.2.0 and v1.1.5 is older") {
		t.Error(r)
	}
	s.must("publish", "frontend", "--version", "v1.3.0-rc.1", "--key", key)
	s.must("rollback", "frontend", "v1.0.0", "--key", key)
	if r := dry("v1.2.0"); !strings.Contains(r.stdout, "warning: frontend: latest-stable stays where it is: v1.2.0 was rolled back") ||
		strings.Contains(r.stdout, "v1.2.0 latest-stable") {
		t.Error(r)
	}
	if r := s.must("publish", "frontend", "--version", "v1.1.0", "--key", key); !strings.Contains(r.stdout, "or a rollback passed over it") {
		t.Errorf("a version that a rollback passed over: %v", r)
	}
	if r := s.run("rollback", "frontend", "v1.3.0-rc.1", "--key", key); r.code != 3 || !strings.Contains(r.stderr, "--allow-prerelease") {
		t.Error(r)
	}
	s.must("rollback", "frontend", "v1.3.0-rc.1", "--key", key, "--allow-prerelease")
}

// TestMoveCost: a promotion takes at most 15 requests, of which at most 10 wait for one another. Without a key it may take two more: to the
// authority and to the log.
func TestMoveCost(t *testing.T) {
	t.Run("key", func(t *testing.T) {
		s, key, _ := night(t)
		s.must("rollback", "frontend", "--key", key)
		s.checkCost(15, 10, nil, "promote", "frontend", "v1.2.0", "--key", key)
	})
	t.Run("keyless", func(t *testing.T) {
		st := sigstore(t)
		s := shelf(t, st)
		fulcio, rekor := registrytest.To(t, st.env["SIGSTORE_FULCIO_URL"]), registrytest.To(t, st.env["SIGSTORE_REKOR_URL"])
		s.checkCost(17, 12, []*registrytest.Proxy{fulcio, rekor}, "promote", "frontend", "v3.0.0",
			"--fulcio-url", fulcio.URL, "--rekor-url", rekor.URL, "--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"])
	})
}

// checkCost bounds how many requests a command makes to the registry and beside it, and how many of them wait for one
// another. Each request takes a while, so that those which go side by side overlap.
func (s *sandbox) checkCost(all, chain int, beside []*registrytest.Proxy, args ...string) {
	s.t.Helper()
	var requests []registrytest.Request
	proxies := append(beside, s.registry)
	for _, p := range proxies {
		p.Reset()
		p.Delay(20 * time.Millisecond)
	}
	s.must(args...)
	for _, p := range proxies {
		requests = append(requests, p.Requests()...)
	}
	waiting := registrytest.Chain(requests)
	if len(requests) > all {
		s.t.Errorf("%d requests: %v", len(requests), requests)
	}
	if len(waiting) > chain {
		s.t.Errorf("%d requests wait for one another: %v", len(waiting), waiting)
	}
	s.t.Logf("%d requests, %d of them one after the other", len(requests), len(waiting))
}
