package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOlderByAncestry: Git's history says which commit is older. A commit whose clock was wrong stops nothing; time counts where history
// is cut off, and the message says so.
func TestOlderByAncestry(t *testing.T) {
	s := newSandbox(t)
	key := s.key()
	commit := func(value, date string) string {
		s.component("frontend", value)
		s.git("add", "-A")
		cmd := exec.Command("git", "-C", s.dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", value)
		cmd.Env = append(cleanEnv(), "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return s.git("rev-parse", "HEAD")
	}
	first := commit("one", "2026-01-01T00:00:00Z")
	s.must("publish", "--key", key)
	future := commit("two", "2099-01-01T00:00:00Z")
	s.must("publish", "--key", key)
	commit("three", "2026-01-03T00:00:00Z")
	if r := s.must("publish", "--key", key); !strings.Contains(r.stdout, " latest") {
		t.Errorf("a commit after one of 2099 does not move latest: %v", r)
	}
	for _, older := range []string{first, future} {
		s.git("checkout", "-q", "--detach", older)
		r := s.run("publish", "--key", key, "--ref", "refs/heads/main")
		if r.code != 3 || !strings.Contains(r.stderr, "is an ancestor of that commit; to go back on purpose, say --allow-older") {
			t.Errorf("a run of an older commit: %v", r)
		}
	}
	s.git("checkout", "-q", "main")
	shallow := filepath.Join(t.TempDir(), "shallow")
	s.git("clone", "-q", "--depth", "1", "file://"+s.dir, shallow)
	s.git("-C", shallow, "-c", "user.name=t", "-c", "user.email=t@example.com", "checkout", "-q", "main")
	old := s.to(t, s.prefix, shallow)
	s.git("-C", s.dir, "branch", "-f", "past", first)
	s.git("-C", shallow, "fetch", "-q", "--depth", "1", "origin", first)
	s.git("-C", shallow, "checkout", "-q", "--detach", first)
	r := old.run("publish", "--key", key, "--ref", "refs/heads/main")
	if r.code != 3 || !strings.Contains(r.stderr, "was committed before that commit; this clone is shallow") {
		t.Errorf("a run of an older commit in a shallow clone: %v", r)
	}
	if r := old.run("publish", "--key", key, "--ref", "refs/heads/main", "--allow-older"); r.code != 0 {
		t.Errorf("--allow-older: %v", r)
	}
	// A force push: neither commit led to the other.
	s.git("checkout", "-q", "-B", "main", first)
	commit("other", "2026-01-02T00:00:00Z")
	if r := s.must("publish", "--key", key); !strings.Contains(r.stdout, " latest") {
		t.Errorf("after a force push: %v", r)
	}
}

// TestPublishOldVersions: a version that exists only as a Git tag can be published later. The result lists what today's
// config names and the old commit does not have.
func TestPublishOldVersions(t *testing.T) {
	s := newSandbox(t)
	s.byHand = true
	key := s.key()
	s.write("infrastructure/kustomization.yaml", "resources: [a.yaml]\n")
	s.write("infrastructure/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
	s.commit("one")
	s.git("tag", "v0.1.0")
	s.component("frontend", "one")
	s.commit("two")
	s.git("tag", "v0.2.0")
	config := filepath.Join(t.TempDir(), "keos-oci.yaml")
	writeFile(t, config, `apiVersion: keos-oci.stratio.com/v1alpha1
kind: Workspace
discover: [{layout: components, path: components}]
components:
  infrastructure: {paths: [infrastructure], root: ".", gitTag: "v{version}"}
  extra: {paths: [extra], gitTag: "extra-{version}"}
  frontend: {name: web}
`)
	s.write("extra/kustomization.yaml", "resources: []\n")
	s.commit("three")
	for version, missing := range map[string][]string{
		"v0.1.0": {"discover[0].path: components has no file", "components.extra.paths[0]: extra has no file",
			`components.frontend: unknown component "frontend"`},
		"v0.2.0": {"components.extra.paths[0]: extra has no file"},
	} {
		res := s.published("--key", key, "--ref", "refs/tags/"+version, "--config", config)
		if len(res.Components) != 1 || res.Components[0].Status != "published" || res.Config == nil || res.Config.File != config ||
			res.Config.Commit != "" {
			t.Errorf("%s: %+v", version, res)
		}
		missed := strings.Join(res.Missing, "\n")
		for _, m := range missing {
			if !strings.Contains(missed, m) {
				t.Errorf("%s: missing\n%s\nwant %q", version, missed, m)
			}
		}
		if len(res.Missing) != len(missing) {
			t.Errorf("%s: %d things are missing, want %d:\n%s", version, len(res.Missing), len(missing), missed)
		}
	}
	s.git("tag", "extra-1.0.0", "v0.1.0")
	r := s.run("publish", "--key", key, "--ref", "refs/tags/extra-1.0.0", "--config", config)
	if r.code != 2 || !strings.Contains(r.stderr, "components.extra.paths[0]: extra has no file") {
		t.Errorf("a release of what the commit lacks: %v", r)
	}
	// The config of the commit is obeyed without --config: this one has none, and no component that is found without.
	if r := s.run("publish", "--key", key, "--ref", "refs/tags/v0.1.0"); r.code != 2 || !strings.Contains(r.stderr, "no components found") {
		t.Errorf("a commit without a config: %v", r)
	}
}

// TestRank: content that was released again under a higher version counts as that version, on record and without a record.
func TestRank(t *testing.T) {
	s := newSandbox(t)
	key := s.key()
	release := func(value, version string) result {
		s.component("frontend", value)
		s.commit(value + version)
		return s.must("publish", "--key", key, "--version", version)
	}
	release("one", "v1.2.3")
	if r := release("one", "v2.0.0"); !strings.Contains(r.stdout,
		"v2.0.0 is what latest-stable points to already, as v1.2.3: the new version is recorded") {
		t.Errorf("a second version of the same content: %v", r)
	}
	s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning: {key: "+key+"}\n")
	s.commit("config")
	if h := s.history(t); len(h.Moves) != 2 || h.Moves[0].Version != "v2.0.0" || h.Moves[0].State != "done" || h.Standing != "settled" {
		t.Errorf("history %+v", h)
	}
	if r := release("two", "v1.3.0"); !strings.Contains(r.stdout, "latest-stable is on v2.0.0 and v1.3.0 is older") {
		t.Errorf("an old line's release: %v", r)
	}
	if r := release("one", "v3.0.0"); r.code != 0 { // without a record, the tag says the version
		t.Fatal(r)
	}
	s.must("publish", "--key", key, "--no-promote", "--version", "v4.0.0")
	if r := release("three", "v3.1.0"); !strings.Contains(r.stdout, "latest-stable is on v4.0.0 and v3.1.0 is older") {
		t.Errorf("below a version that has no record: %v", r)
	}
	if r := s.run("promote", "frontend", "v3.1.0", "--key", key); r.code != 3 || !strings.Contains(r.stderr, "backwards") {
		t.Errorf("promote: %v", r)
	}
	if r := s.run("rollback", "frontend", "--key", key); r.code != 3 || !strings.Contains(r.stderr, "no previous version") {
		t.Errorf("a rollback from the first content ever: %v", r)
	}
	release("four", "v4.1.0")
	if r := s.must("rollback", "frontend", "--key", key); !strings.Contains(r.stdout, "v3.0.0") {
		t.Errorf("rollback: %v", r)
	}
	if r := release("one", "v5.0.0"); !strings.Contains(r.stdout, "the new version is recorded") {
		t.Errorf("a version of what a rollback went to: %v", r)
	}
}
