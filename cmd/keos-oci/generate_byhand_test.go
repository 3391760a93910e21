package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/fileset"
)

// byHand are files as people write them, one of each kind that generate writes.
func byHand() map[string]string {
	return map[string]string{
		"pairs": `apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: shop, namespace: flux-system}
spec: {interval: 1m, url: oci://ghcr.io/org/apps/shop, ref: {tag: latest}}
--- # what applies it
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: shop, namespace: flux-system}
spec:
  path: ./production
  prune: false # never
  decryption: {provider: sops, secretRef: {name: age}}
  healthChecks: [{apiVersion: apps/v1, kind: Deployment, name: shop, namespace: shop}]
  patches: [{target: {kind: Deployment}, patch: "- {op: remove, path: /spec/replicas}"}]
  postBuild: {substitute: {REGION: eu}, substituteFrom: [{kind: Secret, name: mine}]}
`,
		"tenants": `apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata: {name: apps, namespace: flux-system}
spec:
  inputs:
    - {tenant: shop, tag: latest, quota: "4"}
    - {tenant: mine, tag: latest, quota: "8"}
  resources:
    - {apiVersion: v1, kind: Namespace, metadata: {name: "<< inputs.tenant >>"}}
    - {apiVersion: v1, kind: ResourceQuota, metadata: {name: mine, namespace: "<< inputs.tenant >>"}}
`,
		"policies": `apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata: {name: policies, namespace: flux-system}
spec:
  resources:
    - apiVersion: v1
      kind: ConfigMap
      metadata: {name: flux-allowlist, namespace: flux-system}
      data: {sources: "oci://ghcr.io/org/ https://charts.example.com/"}
`,
		"cluster": `apiVersion: v1
kind: ConfigMap
metadata: {name: flux-runtime-info, namespace: flux-system}
data: {ENVIRONMENT: production, REGION: eu}
`,
	}
}

// TestGenerateByHand: whatever is in the place of a generated file stays as it is, byte for byte. The answer is 3, with the
// difference and what would be lost; --check gives the same.
func TestGenerateByHand(t *testing.T) {
	apps := checkoutOf(t, "../../testdata/repos/apps", "org/apps")
	fleet := newSandbox(t)
	fleet.git("remote", "add", "origin", "https://github.com/org/fleet.git")
	for kind, c := range map[string]struct {
		s    *sandbox
		file string
		args []string
		lost []string
	}{
		"pairs": {apps, "shop.yaml", []string{"ocirepository", "shop", "--channel", "latest", "--environment", "production"},
			[]string{"spec.decryption", "spec.healthChecks", "spec.patches", "spec.postBuild"}},
		"tenants": {apps, "tenants/apps.yaml", []string{"resourceset", "apps"},
			[]string{"spec.inputs[mine]", "spec.inputs[shop].quota", "spec.resources[ResourceQuota << inputs.tenant >>/mine]"}},
		"policies": {apps, "tenants/policies.yaml", []string{"policies"},
			[]string{"spec.resources[ConfigMap flux-system/flux-allowlist].data.sources"}},
		"cluster": {fleet, "clusters/prod/flux-system/runtime-info.yaml",
			[]string{"cluster", "prod", "--environment", "production", "--channel", "latest", "--domain",
				"prod.example.com"}, []string{"data.REGION"}},
	} {
		for name, text := range byHand() {
			t.Run(kind+" over "+name, func(t *testing.T) {
				dir := t.TempDir()
				file := filepath.Join(dir, filepath.FromSlash(c.file))
				staysAsItIs(t, c.s, append(c.args, "--dir", dir), file, text)
				if lost := lostIn(t, c.s, append(c.args, "--dir", dir), c.file); kind == name && strings.Join(lost, " ") != strings.Join(c.lost, " ") {
					t.Errorf("lost %q, want %q", lost, c.lost)
				}
			})
		}
	}
}

// staysAsItIs writes a file and generates over it, with and without --check.
func staysAsItIs(t *testing.T, s *sandbox, args []string, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, text)
	for _, check := range []string{"--check", "--check=false", "--check=false"} {
		r := s.run(append(append([]string{"generate"}, args...), check)...)
		if r.code != exitNo || !strings.Contains(r.stdout, "@@") {
			t.Errorf("%s: %v", check, r)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			t.Errorf("%s: %v: the file is now\n%s", check, err, got)
		}
	}
}

// lostIn is what the result says of one file.
func lostIn(t *testing.T, s *sandbox, args []string, file string) []string {
	t.Helper()
	var res fileset.Result
	r := s.run(append([]string{"-o", "json", "generate"}, args...)...)
	if err := json.Unmarshal([]byte(r.stdout), &res); err != nil {
		t.Fatalf("%v: %v", err, r)
	}
	var lost []string
	for _, f := range res.Files {
		for _, l := range f.Lost {
			if f.Path == file {
				lost = append(lost, l.Fields...)
			}
		}
	}
	return lost
}

// TestGenerateOverCorpora: the Kustomizations, ResourceSets, policies and cluster files of real repositories stay as they are.
func TestGenerateOverCorpora(t *testing.T) {
	dir := corpora(t)
	apps := checkoutOf(t, "../../testdata/repos/apps", "org/apps")
	n := 0
	for _, pattern := range []string{"keos-fleet/clusters/*/default/*.yaml", "keos-fleet/domain/apps/*/components/*/*/sync.yaml",
		"d2-fleet/tenants/*.yaml",
		"d2-fleet/clusters/*/*.yaml", "d2-fleet/clusters/*/flux-system/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n++
			out := t.TempDir()
			staysAsItIs(t, apps, []string{"ocirepository", "shop", "--channel", "latest", "--environment", "production", "--dir", out},
				filepath.Join(out, "shop.yaml"), string(raw))
			if !strings.Contains(pattern, "tenants") {
				continue
			}
			staysAsItIs(t, apps, []string{"resourceset", "apps", "--dir", out}, filepath.Join(out, "tenants", "apps.yaml"), string(raw))
		}
	}
	t.Logf("%d files", n)
}

// TestGenerateAdded: fields, comments and objects that somebody adds at random to a generated file survive all that is
// generated next, and what is generated twice is unchanged.
func TestGenerateAdded(t *testing.T) {
	apps := checkoutOf(t, "../../testdata/repos/apps", "org/apps")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	generated := map[string][]byte{}
	channels := []string{"latest", "latest-stable"}
	for _, channel := range channels {
		generated[channel] = []byte(apps.must("generate", "ocirepository", "shop", "--channel", channel, "--environment", "production").stdout)
	}
	for i := range 400 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		from, to := channels[random.IntN(2)], channels[random.IntN(2)]
		file := added(random, fileset.Mark(generated[from]))
		switch state := fileset.Compare(file, generated[to]); {
		case from == to && state != fileset.Kept, from != to && state != fileset.Theirs:
			t.Fatalf("%d: from %s to %s is %d:\n%s", i, from, to, state, file)
		}
		if i%40 > 0 { // the rest needs a process each
			continue
		}
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "shop.yaml"), string(file))
		r := apps.run("generate", "ocirepository", "shop", "--channel", to, "--environment", "production", "--dir", dir)
		if want := map[bool]int{true: exitDone, false: exitNo}[from == to]; r.code != want {
			t.Errorf("%d: %v, want exit code %d", i, r, want)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "shop.yaml")); err != nil || !bytes.Equal(got, file) {
			t.Errorf("%d: %v: the file is now\n%s", i, err, got)
		}
	}
	dir := t.TempDir()
	for _, want := range []string{"created", "unchanged", "unchanged"} {
		if out := apps.generate("ocirepository", "shop", "--channel", "latest", "--environment", "production", "--dir",
			dir); !strings.HasPrefix(out, want) {
			t.Errorf("%s, want %s", out, want)
		}
	}
}

// added edits a generated file: at least one line of it gets a comment, a field beside it, or an object before it.
func added(random *rand.Rand, file []byte) []byte {
	lines := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")
	for edits := 0; edits == 0; {
		for n := 1; n < len(lines); n++ {
			line := lines[n]
			margin := line[:len(line)-len(strings.TrimLeft(line, " "))]
			switch {
			case random.IntN(8) > 0 || strings.Contains(line, "\n"):
				continue
			case line == "---":
				lines[n] = fmt.Sprintf("--- # mine\napiVersion: v1\nkind: Mine\nmetadata: {name: m%d}\n---", n)
			case strings.HasPrefix(strings.TrimSpace(line), "- "):
				lines[n] = line + " # why"
			case random.IntN(2) == 0:
				lines[n] = fmt.Sprintf("%smine%d: {a: [%d]} # by hand\n%s", margin, n, random.IntN(9), line)
			default:
				lines[n] = margin + "# why\n" + line
			}
			edits++
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}
