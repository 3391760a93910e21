package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/migrate"
)

// TestMigrateSingleRepository moves clusters whose one repository has them and all that they apply: by layer, and with a folder that is
// pinned to a Git tag, which is older than the config.
func TestMigrateSingleRepository(t *testing.T) {
	for _, c := range []struct {
		landscape, cluster string
		kustomizations     int
		source             string // in the file of the first Kustomization
	}{
		{"layers", "staging", 3, "    tag: latest\n"},
		{"whole", "demo", 3, "    tag: v0.1.0\n"},
	} {
		t.Run(c.landscape, func(t *testing.T) {
			s := checkoutOf(t, filepath.Join("..", "..", "internal", "migrate", "testdata", c.landscape, "fleet"), "layers/fleet")
			s.git("remote", "set-url", "origin", "https://git.example.com/"+c.landscape+"/fleet.git")
			key := s.key()
			s.seedSingle(c.landscape, key)
			with := []string{"--workspace", s.dir, "--key", strings.TrimSuffix(key, ".key") + ".pub"}
			run := func(args ...string) string {
				return s.must(append([]string{"migrate"}, append(args, with...)...)...).stdout
			}
			var plan migrate.Plan
			s.check(json.Unmarshal([]byte(run("plan", c.cluster, "-o", "json")), &plan))
			if n := len(plan.Clusters[0].Moves); n != c.kustomizations || len(plan.Stops) > 0 {
				t.Fatalf("%d moves, %+v", n, plan)
			}
			for _, m := range plan.Clusters[0].Moves {
				if m.Equal != "yes" || m.Objects == 0 {
					t.Errorf("%+v", m)
				}
			}
			run("prepare", c.cluster, "--key-secret", "cosign-key", "--insecure")
			if diff := s.git("diff"); !strings.Contains(diff, "+"+c.source) || strings.Contains(diff, "\n-") && strings.Contains(diff, "\n-  ") {
				t.Errorf("%s", diff)
			}
			s.commit("prepare")
			run("switch", c.cluster)
			var status migrate.ProgressResult
			s.check(json.Unmarshal([]byte(run("status", c.cluster, "-o", "json")), &status))
			for _, k := range status.Kustomizations {
				if k.State.State != migrate.StateSwitched {
					t.Errorf("%+v", k)
				}
			}
			if len(status.Kustomizations) != c.kustomizations {
				t.Errorf("%+v", status)
			}
			run("switch", c.cluster, "--back")
			if diff := s.git("diff"); diff != "" {
				t.Errorf("back leaves\n%s", diff)
			}
		})
	}
}

// seedSingle publishes what the clusters follow: the branch, or the tag v0.1.0 of a commit without a config.
func (s *sandbox) seedSingle(landscape, key string) {
	s.t.Helper()
	if landscape == "layers" {
		s.must("publish", "--key", key, "--ref", "refs/heads/main")
		return
	}
	now := s.git("rev-parse", "HEAD")
	s.git("rm", "-q", "-r", "keos-oci.yaml", "apps")
	s.write("infrastructure/ingress/ingress.yaml",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ingress, namespace: default}\ndata: {version: one}\n")
	s.commit("old")
	s.git("tag", "v0.1.0")
	s.git("checkout", "-q", now, "--", ".")
	s.commit("today")
	s.must("publish", "infrastructure", "--key", key, "--config", "keos-oci.yaml", "--commit", "v0.1.0", "--version", "v0.1.0")
}

// TestMigrateFleet lets a cluster follow the artifact of its fleet, and go back. The artifact has to have the commit before it is pushed.
func TestMigrateFleet(t *testing.T) {
	s := checkoutOf(t, filepath.Join("..", "..", "internal", "migrate", "testdata", "whole", "fleet"), "whole/fleet")
	s.git("remote", "set-url", "origin", "https://git.example.com/whole/fleet.git")
	key := s.key()
	publish := func() { s.must("publish", "--key", key, "--ref", "refs/heads/main") }
	publish()
	with := []string{"test", "--workspace", s.dir, "--key", strings.TrimSuffix(key, ".key") + ".pub"}
	fleet := func(args ...string) result {
		return s.run(append(append([]string{"migrate", "fleet"}, args...), with...)...)
	}
	expect := func(r result, code int, says string) {
		t.Helper()
		if r.code != code || !strings.Contains(r.stdout+r.stderr, says) {
			t.Fatalf("want exit %d and %q: %v", code, says, r)
		}
	}
	for _, phase := range [][]string{{"prepare", "--key-secret", "cosign-key"}, {"switch"}} {
		s.must(append(append([]string{"migrate"}, phase...), with...)...)
		s.commit(phase[0])
		publish()
	}
	expect(fleet("--key-secret", "cosign-key"), 0,
		"make the Secrets that it refers to in its namespace; when OCIRepository flux-system/fleet is Ready in the cluster, run this again")
	s.commit("source")
	expect(fleet("--key-secret", "cosign-key", "--accept"), 3, "fleet:latest differs from the checkout")
	publish()
	expect(fleet("--key-secret", "cosign-key"), 2, "nobody looked whether OCIRepository flux-system/fleet is Ready")
	before := s.git("rev-parse", "HEAD")
	expect(fleet("--key-secret", "cosign-key", "--accept"), 0, "push the branch, then kubectl apply -f way-back/test.yaml")
	s.commit("entry")
	expect(fleet("--key-secret", "cosign-key"), 3, "publish the commit that the cluster follows, before you push it")
	publish()
	expect(fleet("--key-secret", "cosign-key", "--check"), 0, "nothing to do")
	expect(s.run(append([]string{"migrate", "cleanup", "--dry-run"}, with...)...), 0, "-kind: GitRepository")
	expect(fleet("--back"), 0, "updated  clusters/test/apps.yaml")
	if diff := s.git("add", "-A") + s.git("diff", "--cached", before); diff != "" {
		t.Errorf("back leaves\n%s", diff)
	}
}
