package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/flux/fluxtest"
)

// checkoutOf copies a folder into a Git checkout with a remote on GitHub.
func checkoutOf(t testing.TB, folder, repository string) *sandbox {
	t.Helper()
	s := newSandbox(t)
	if err := os.CopyFS(s.dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	s.commit("one")
	s.git("remote", "add", "origin", "https://github.com/"+repository+".git")
	return s
}

// generate runs the command without the registry of the sandbox: it is that of the Git remote.
func (s *sandbox) generate(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"-C", s.dir, "generate"}, args...)...)
	cmd.Env = append(s.env, "HTTPS_PROXY=http://proxy.invalid:1") // no registry answers
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Run(); e != nil {
		s.t.Fatalf("generate %v: %v\n%s", args, e, err.String())
	}
	return out.String()
}

func parsed(t testing.TB, text []byte) string {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestGenerateD2 reproduces the D2 reference architecture's fleet: its tenants by meaning, its clusters byte for byte.
func TestGenerateD2(t *testing.T) {
	dir := corpora(t)
	fleet := checkoutOf(t, filepath.Join(dir, "d2-fleet"), "controlplaneio-fluxcd/d2-fleet")
	apps := checkoutOf(t, filepath.Join(dir, "d2-apps"), "controlplaneio-fluxcd/d2-apps")
	infra := checkoutOf(t, filepath.Join(dir, "d2-infra"), "controlplaneio-fluxcd/d2-infra")
	config, err := os.ReadFile("../../testdata/flux/d2-fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fleet.write("keos-oci.yaml", string(config))
	for file, got := range map[string]string{
		"apps":  apps.generate("resourceset", "apps", "frontend", "backend", "--depends-on", "kustomization/monitoring/infra-configs"),
		"infra": infra.generate("resourceset", "infra"),
		"policies": fleet.generate("policies", "--allow-source", "https://github.com/controlplaneio-fluxcd/", "--allow-source",
			"oci://ghcr.io/controlplaneio-fluxcd/",
			"--allow-source", "oci://ghcr.io/stefanprodan/charts/", "--allow-source", "oci://registry-1.docker.io/bitnamicharts/"),
	} {
		want, err := os.ReadFile(filepath.Join(fleet.dir, "tenants", file+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := parsed(t, []byte(got)), parsed(t, want); got != want {
			t.Errorf("%s differs: got\n%s\nwant\n%s", file, got, want)
		}
	}
	for name, flags := range map[string][]string{
		"staging": {"--environment", "staging", "--channel", "latest", "--domain", "preview1.example.com", "--signer-workflow", "push-artifact"},
		"prod-eu": {"--environment", "production", "--channel", "latest-stable", "--domain", "prodeu1.example.com", "--signer-workflow",
			"release-artifact", "--signer-ref", "refs/tags/.*"},
		"prod-us": {"--environment", "production", "--channel", "latest-stable", "--domain", "produs1.example.com", "--signer-workflow",
			"release-artifact", "--signer-ref", "refs/tags/.*"},
	} {
		out := fleet.generate(append([]string{"cluster", name, "--cluster-name", name + "-1", "--dir", fleet.dir, "--check"}, flags...)...)
		if n := strings.Count(out, "unchanged  "); n != 6 {
			t.Errorf("%s: %d files are equal, want 6\n%s", name, n, out)
		}
	}
	for kind, s := range map[string]*sandbox{"apps": apps, "infra": infra} { // which are onboarded already
		if out := s.generate("inputs", "--into", filepath.Join(fleet.dir, "tenants", kind+".yaml")); !strings.HasPrefix(out, "unchanged") {
			t.Errorf("%s: %s", kind, out)
		}
	}
}

// TestGenerateKeos: the tenants of a real KEOS, whose clusters choose a size, fetched from each cluster's own registry.
func TestGenerateKeos(t *testing.T) {
	v := fluxtest.CRDs(t)
	apps := checkoutOf(t, filepath.Join(corpora(t), "keos-apps"), "stratio/keos-apps")
	out := apps.generate("resourceset", "apps", "--environment", "${STRATIO_SIZE}", "--signer", "component",
		"--cluster-registry", "${CONTAINER_REGISTRY_URL}${CONTAINER_REGISTRY_REPOSITORY_PREFIX}/keos-apps")
	documents, err := fluxtest.Documents([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := fluxtest.Render(documents[0], map[string]string{"ARTIFACT_TAG": "latest-stable", "STRATIO_SIZE": "S",
		"CONTAINER_REGISTRY_URL": "registry.example.com:11443", "CONTAINER_REGISTRY_REPOSITORY_PREFIX": "/repository"})
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 15*6 {
		t.Errorf("%d objects for 15 components", len(objects))
	}
	for _, o := range objects {
		for _, err := range v.Object(o) {
			t.Error(err)
		}
		spec, _ := o["spec"].(map[string]any)
		if o["kind"] == "OCIRepository" && !strings.HasPrefix(spec["url"].(string), "oci://registry.example.com:11443/repository/keos-apps/") {
			t.Errorf("fetched from %v", spec["url"])
		}
		if o["kind"] == "Kustomization" && spec["path"] != "./S" {
			t.Errorf("builds %v", spec["path"])
		}
	}
}

// TestGenerateGolden generates a whole fleet for the sample workspaces and compares it with the files kept in testdata,
// which UPDATE=1 writes. A kept file can be wrong for as long as it is kept: a cluster must accept them all as well.
func TestGenerateGolden(t *testing.T) {
	apps := checkoutOf(t, "../../testdata/repos/apps", "org/apps")
	infra := checkoutOf(t, "../../testdata/repos/infra", "org/infra")
	fleet := newSandbox(t)
	fleet.git("remote", "add", "origin", "https://github.com/org/fleet.git")
	golden, err := filepath.Abs("../../testdata/flux/golden")
	if err != nil {
		t.Fatal(err)
	}
	check := "--check"
	if os.Getenv("UPDATE") != "" {
		check = "--check=false"
	}
	both := []string{"--workspace", apps.dir, "--workspace", infra.dir}
	for _, args := range [][]string{
		{"cluster", "staging", "--environment", "staging", "--channel", "latest", "--domain", "staging.example.com", "--dir", golden,
			"--overwrite"},
		append([]string{"cluster", "production", "--environment", "production", "--channel", "latest-stable", "--domain", "example.com", "--dir",
			golden, "--overwrite",
			"--pin", "cart=v1.2.3", "--set", "CONTAINER_REGISTRY_URL=registry.example.com:11443"}, both...),
		append([]string{"policies", "--dir", golden}, both...),
		append([]string{"resourceset", "infra", "--dir", golden}, both...),
		append([]string{"resourceset", "apps", "--dir", golden, "--signer", "component", "--cluster-pins", "--component-depends-on", "shop=cart"},
			both...),
		append([]string{"ocirepository", "--channel", "latest-stable", "--environment", "production", "--dir", filepath.Join(golden, "pairs"),
			"--pull-secret", "registry-login", "--cluster-registry", "registry.example.com:11443/keos", "--trusted-root-secret", "sigstore"}, both...),
	} {
		fleet.generate(append(args, check)...)
	}
	t.Run("accepted", func(t *testing.T) { goldenAccepted(t, golden) })
}

// goldenAccepted shows every file of a fleet to a cluster, the tenants with the settings of each of the fleet's clusters.
func goldenAccepted(t *testing.T, dir string) {
	v := fluxtest.CRDs(t)
	clusters, err := filepath.Glob(filepath.Join(dir, "clusters", "*"))
	if err != nil || len(clusters) != 2 {
		t.Fatalf("clusters %v, %v", clusters, err)
	}
	settings := map[string]map[string]string{}
	for _, cluster := range clusters {
		settings[filepath.Base(cluster)] = settingsOf(t, filepath.Join(cluster, "flux-system", "runtime-info.yaml"))
	}
	sets := 0
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		objects := documentsOf(t, file)
		if filepath.Base(file) == "flux-operator-values.yaml" { // of a chart, and no object
			return nil
		}
		if len(objects) == 0 {
			t.Errorf("%s: empty", name)
		}
		using := map[string]map[string]string{"": nil}
		if strings.HasPrefix(name, "tenants"+string(filepath.Separator)) {
			using = settings
		}
		for _, o := range objects {
			for _, err := range v.Object(o) {
				t.Errorf("%s: %v", name, err)
			}
			if o["kind"] != "ResourceSet" {
				continue
			}
			sets++
			for cluster, vars := range using {
				rendered, err := fluxtest.Render(o, vars)
				if err != nil || len(rendered) == 0 {
					t.Errorf("%s on %q: %d objects, %v", name, cluster, len(rendered), err)
				}
				for _, r := range rendered {
					for _, err := range v.Object(r) {
						t.Errorf("%s on %q: %v", name, cluster, err)
					}
				}
			}
		}
		return nil
	})
	if err != nil || sets != 5 { // policies, infra, apps, and flux-operator on each cluster
		t.Errorf("%d ResourceSets, %v", sets, err)
	}
}

func documentsOf(t *testing.T, file string) []map[string]any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := fluxtest.Documents(raw)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return objects
}

// settingsOf is what a cluster substitutes in its tenants.
func settingsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	settings := map[string]string{}
	data, _ := documentsOf(t, file)[0]["data"].(map[string]any)
	for k, value := range data {
		settings[k], _ = value.(string)
	}
	return settings
}
