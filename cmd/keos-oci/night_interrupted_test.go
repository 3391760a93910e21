package main

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/tag"
)

// TestRequestOfRun: in CI the run is the command, whichever attempt it is.
func TestRequestOfRun(t *testing.T) {
	s, key, _ := night(t)
	s.env = append(slices.Clip(s.env), "GITHUB_ACTOR=octocat", "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=org/apps",
		"GITHUB_RUN_ID=42")
	s.must("rollback", "frontend", "--key", key)
	s.env = append(s.env, "GITHUB_RUN_ATTEMPT=2")
	if r := s.must("rollback", "frontend", "--key", key); !strings.Contains(r.stdout, "this command was done before") {
		t.Error(r)
	}
	s.at(t, "v1.1.0")
}

// tagging breaks off a command at the request that writes latest-stable, before or after it took effect.
func (s *sandbox) tagging(fault registrytest.Fault) {
	broken := false
	s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
		broken = broken || r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/latest-stable")
		if broken {
			return fault
		}
		return registrytest.None
	})
}

// TestInterruptedRollback: a rollback that was killed after it had moved the channel, and is typed again, does not go back twice.
func TestInterruptedRollback(t *testing.T) {
	s, key, pub := night(t)
	s.tagging(registrytest.BlockAfter)
	cmd := s.command(t.Context(), "rollback", "frontend", "--key", key)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	beside := *s // for the proxy of s answers nothing any more
	beside.registry = registrytest.NewIn(t, s.content)
	repo := open(t, &beside, "frontend")
	want, err := repo.Resolve(t.Context(), "v1.1.0")
	for moved := false; !moved; time.Sleep(20 * time.Millisecond) {
		now, other := repo.Resolve(t.Context(), "latest-stable")
		if err != nil || other != nil {
			t.Fatal(err, other)
		}
		moved = now == want
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	s.registry.FaultAt(nil)
	s.at(t, "v1.1.0")
	if r := s.must("rollback", "frontend", "--key", key); !strings.Contains(r.stdout,
		"which was interrupted, had moved latest-stable already: it is done now") {
		t.Error(r)
	}
	s.at(t, "v1.1.0")
	if h := s.journal(t, pub); h.Standing != tag.Settled || h.Moves[0].State != tag.StateDone || len(h.Moves) != 4 {
		t.Errorf("%+v", h)
	}
	s.must("rollback", "frontend", "--key", key)
	s.at(t, "v1.0.0")
}

// TestCancel: a move that nobody finishes is reported, waited for, closed, and not completed by the job that began it.
func TestCancel(t *testing.T) {
	s, key, pub := night(t)
	s.component("frontend", "new")
	s.commit("new")
	s.must("publish", "frontend", "--version", "v1.3.0", "--key", key, "--no-promote")
	s.tagging(registrytest.ResetBefore)
	if r := s.run("promote", "frontend", "v1.3.0", "--key", key, "--request", "job 1"); r.code != 1 ||
		!strings.Contains(r.stderr, "cannot tell whether the channel was moved") {
		t.Error(r)
	}
	s.registry.FaultAt(nil)
	if h := s.journal(t, pub); h.Standing != tag.Pending || h.Moves[0].State != tag.StatePending {
		t.Errorf("%+v", h)
	}
	if r := s.run("rollback", "frontend", "v1.0.0", "--key", key); r.code != 3 || !strings.Contains(r.stderr, "--wait-for-move 2m") ||
		!strings.Contains(r.stderr, "keos-oci cancel frontend --now") ||
		!strings.Contains(r.stderr, `--request "job 1"`) {
		t.Error(r)
	}
	if r := s.run("rollback", "frontend", "v1.0.0", "--key", key, "--wait-for-move", "3s"); r.code != 3 ||
		!strings.Contains(r.stderr, "wait for another move") {
		t.Error(r)
	}
	if r := s.run("cancel", "frontend", "--key", key); r.code != 3 {
		t.Error(r)
	}
	if r := s.must("cancel", "frontend", "--key", key, "--now", "--reason", "the job hangs"); !strings.Contains(r.stdout, "closed") {
		t.Error(r)
	}
	if h := s.journal(t, pub); h.Standing != tag.Settled || h.Moves[0].Action != tag.ActionClose || h.Moves[0].Reason != "the job hangs" ||
		h.Moves[1].State != tag.StateClosed {
		t.Errorf("%+v", h)
	}
	if r := s.run("promote", "frontend", "v1.3.0", "--key", key, "--request", "job 1"); r.code != 3 ||
		!strings.Contains(r.stderr, "closed the move") {
		t.Error(r)
	}
	s.at(t, "v1.2.0")
	s.must("promote", "frontend", "v1.3.0", "--key", key, "--request", "job 2")
	s.at(t, "v1.3.0")
}

// TestSignals: a signal that comes when the move has begun does not cut it, and the result says what is true.
func TestSignals(t *testing.T) {
	for _, at := range []string{"/manifests/latest-stable.", "/tags/list", "/manifests/latest-stable"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			s, key, pub := night(t)
			written := false
			signal := make(chan struct{}, 100)
			s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
				record := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/latest-stable.")
				if (written || record) && (strings.HasSuffix(r.URL.Path, at) || strings.HasSuffix(at, ".") && record) {
					signal <- struct{}{}
					time.Sleep(300 * time.Millisecond)
				}
				written = written || record
				return registrytest.None
			})
			cmd := s.command(t.Context(), "rollback", "frontend", "--key", key)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-signal
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("a move that was made ends with %v", err)
			}
			s.registry.FaultAt(nil)
			s.at(t, "v1.1.0")
			if h := s.journal(t, pub); h.Standing != tag.Settled || h.Moves[0].State != tag.StateDone {
				t.Errorf("%+v", h)
			}
		})
	}
}
