package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// TestKilledReleases: SIGKILL at each request of a release, keyed. No tag is what its policy refuses, and the same command once more
// completes it with the same digest.
func TestKilledReleases(t *testing.T) {
	origin := newSandbox(t)
	origin.component("frontend", "1")
	origin.commit("one")
	key := origin.key()
	pub := strings.TrimSuffix(key, ".key") + ".pub"
	origin.must("publish", "--key", key)
	want, err := open(t, origin, "frontend").Resolve(t.Context(), "latest")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"publish", "frontend", "--version", "v1.0.0", "--key", key, "--request", "one"}
	whole := origin.copyOf(t)
	whole.must(args...)
	requests := whole.registry.Count("")
	if requests < 15 {
		t.Errorf("only %d requests", requests)
	}
	for at := range requests {
		for _, fault := range []registrytest.Fault{registrytest.Block, registrytest.BlockAfter} {
			t.Run(fmt.Sprint(at, fault), func(t *testing.T) {
				t.Parallel()
				killedRelease(t, origin.copyOf(t), at, fault, args, want.String(), pub)
			})
		}
	}
}

func killedRelease(t *testing.T, s *sandbox, at int, fault registrytest.Fault, args []string, want, pub string) {
	if !s.killedAt(t, s.registry, at, fault, args) {
		return // requests go side by side, so one run may make one less
	}
	repo := open(t, s, "frontend")
	if _, err := repo.Resolve(t.Context(), "v1.0.0"); err == nil {
		if r := s.run("verify", "frontend:v1.0.0", "--key", pub); r.code != 0 {
			t.Errorf("v1.0.0 after the kill: %v", r)
		}
	}
	if r := s.run(args...); r.code != 0 {
		t.Errorf("again: %v", r)
	}
	if got, err := repo.Resolve(t.Context(), "v1.0.0"); err != nil || got.String() != want {
		t.Errorf("v1.0.0 is %s, want %s: %v", got, want, err)
	}
	if r := s.run("verify", "frontend:latest-stable", "--key", pub); r.code != 0 {
		t.Errorf("latest-stable: %v", r)
	}
}

// TestUnboundVersions: with a key, a version without a release record is verified with a note, and is not put on the channel before
// it was published again. Going back to it needs a record of a move.
func TestUnboundVersions(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	key := s.key()
	pub := strings.TrimSuffix(key, ".key") + ".pub"
	s.must("publish", "--key", key)
	s.must("publish", "frontend", "--version", "v1.0.0", "--key", key, "--no-promote")
	dropRecord(t, s, "v1.0.0")
	if r := s.must("verify", "frontend:v1.0.0", "--key", pub, "--explain"); !strings.Contains(r.stdout, "no release record") {
		t.Error(r)
	}
	for _, verb := range []string{"promote", "rollback"} {
		if r := s.run(verb, "frontend", "v1.0.0", "--key", key); r.code != 3 || !strings.Contains(r.stderr, "publish v1.0.0 of frontend again") {
			t.Errorf("%s: %v", verb, r)
		}
	}
	s.must("publish", "frontend", "--version", "v1.0.0", "--key", key, "--no-promote")
	s.must("promote", "frontend", "v1.0.0", "--key", key)
	s.component("frontend", "2")
	s.commit("two")
	s.must("publish", "frontend", "--version", "v1.1.0", "--key", key)
	dropRecord(t, s, "v1.0.0")
	s.must("rollback", "frontend", "v1.0.0", "--key", key) // a record of a move says which digest it was
}

// dropRecord deletes a version's release record.
func dropRecord(t *testing.T, s *sandbox, version string) {
	t.Helper()
	d, err := open(t, s, "frontend").Resolve(t.Context(), "release."+version)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, s, "frontend", d)
}

// TestInteropOlderBinary: an older keos-oci on the same repositories breaks nothing that this one promises.
func TestInteropOlderBinary(t *testing.T) {
	old := os.Getenv("KEOS_OCI_OLD")
	if old == "" {
		t.Skip("needs KEOS_OCI_OLD: run make interop")
	}
	s := newSandbox(t)
	key := s.key()
	pub := strings.TrimSuffix(key, ".key") + ".pub"
	earlier := func(args ...string) result {
		t.Helper()
		cmd := s.command(t.Context(), args...)
		cmd.Path = old
		cmd.Env = slices.DeleteFunc(slices.Clone(cmd.Env), func(e string) bool { return strings.HasPrefix(e, runMain) })
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return result{cmd.ProcessState.ExitCode(), string(out), ""}
	}
	release := func(run func(...string) result, value, version string) {
		t.Helper()
		s.component("frontend", value)
		s.commit(value)
		for _, args := range [][]string{{"publish", "--key", key}, {"publish", "frontend", "--version", version, "--key", key, "--no-promote"}} {
			if r := run(args...); r.code != 0 {
				t.Fatal(args, r)
			}
		}
	}
	run := func(args ...string) result { return s.run(args...) }
	release(run, "1", "v1.0.0")
	release(earlier, "2", "v1.1.0")
	release(run, "3", "v1.2.0")
	if r := earlier("promote", "frontend", "v1.0.0", "--key", key); r.code != 0 {
		t.Error(r)
	}
	if r := earlier("promote", "frontend", "v1.2.0", "--key", key); r.code != 0 {
		t.Error(r)
	}
	if r := s.run("promote", "frontend", "v1.1.0", "--key", key); r.code != 3 { // it has no record, and is older
		t.Error(r)
	}
	s.must("rollback", "frontend", "--key", key)
	if r := earlier("publish", "--key", key); r.code != 0 || !strings.Contains(r.stdout, "unchanged") {
		t.Error(r)
	}
	if r := earlier("list", "frontend"); strings.Contains(r.stdout, "sha256-") {
		t.Errorf("the older program shows announcements: %v", r)
	}
	for _, target := range []string{"frontend", "frontend:v1.0.0", "frontend:v1.1.0", "frontend:v1.2.0", "frontend:latest-stable"} {
		s.must("verify", target, "--key", pub)
		if r := earlier("verify", target, "--key", pub); r.code != 0 {
			t.Error(target, r)
		}
	}
	h := s.must("history", "frontend", "--key", pub)
	if strings.Contains(h.stdout, "invalid") || strings.Count(h.stdout, "done") != 3 {
		t.Error(h)
	}
	if r := s.run("publish", "frontend", "--version", "v1.1.0", "--key", key, "--no-promote"); r.code != 3 { // other content
		t.Error(r)
	}
}
