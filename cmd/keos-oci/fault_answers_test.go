package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// TestImmutableTagsOfTheRegistry is ECR's rule: a tag that may not be written again is fine when it names the digest.
func TestImmutableTagsOfTheRegistry(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	commit := s.commit("one")
	key := s.key()
	tag := "main-" + commit[:8]
	s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault { // the answer to the first write of the tag gets lost
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+tag) {
			s.registry.Freeze(tag)
			return registrytest.ResetAfter
		}
		return registrytest.None
	})
	s.run("publish", "--key", key)
	s.registry.FaultAt(nil)
	if r := s.run("publish", "--key", key); r.code != 0 {
		t.Error(r)
	}
	var m struct{ MediaType string }
	_, raw, err := open(t, s, "frontend").Manifest(t.Context(), "latest")
	if err != nil || json.Unmarshal(raw, &m) != nil {
		t.Error(err)
	}
}

// TestTimeout: a registry that does not answer ends with --timeout and says what to do.
func TestTimeout(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	s.registry.FaultAt(func(int, *http.Request) registrytest.Fault { return registrytest.Block })
	start := time.Now()
	r := s.run("publish", "--key", s.key(), "--timeout", "1s")
	if r.code != 1 || !strings.Contains(r.stderr, "--timeout") || time.Since(start) > 20*time.Second {
		t.Error(time.Since(start), r)
	}
}

// TestHostileAnswers: what a registry makes up reaches neither the terminal nor the CI system as a command.
func TestHostileAnswers(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	hostile := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			fmt.Fprint(w, `{"name":"x","tags":["v1.0.0","\u001b[2Jevil","a\n::set-env name=X::y"]}`)
			return
		}
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, `{"errors":[{"code":"X","message":"\u001b[31m\n::set-env name=PATH::/evil"}]}`)
	}))
	s.registry = hostile
	for _, args := range [][]string{{"list", "frontend"}, {"publish", "--key", s.key()},
		{"verify", "frontend", "--key", strings.Replace(s.key(), ".key", ".pub", 1)}} {
		r := s.run(args...)
		for line := range strings.Lines(r.stdout + r.stderr) {
			if strings.Contains(line, "\x1b") || strings.HasPrefix(strings.TrimSpace(line), "::") {
				t.Errorf("%v: %q", args, line)
			}
		}
	}
}
