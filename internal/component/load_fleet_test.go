package component

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	instance = `apiVersion: fluxcd.controlplane.io/v1
kind: FluxInstance
metadata: {name: flux}
spec:
  sync: {kind: OCIRepository, url: oci://ghcr.io/o/repo, path: clusters/staging}
`
	tenants = `---
apiVersion: v1
kind: ConfigMap
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: tenants}
spec: {path: ./tenants, sourceRef: {kind: OCIRepository, name: flux-system}}
`
	gotkSync = `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: own}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1beta2
kind: Kustomization
metadata: {name: own}
spec: {path: ./clusters/a/default, sourceRef: {kind: GitRepository, name: own}}
`
)

func kustomization(path, source string) string {
	return fmt.Sprintf("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"+
		"spec: {path: %q, sourceRef: {kind: GitRepository, name: %s}}\n", path, source)
}

func TestLoad_fleet(t *testing.T) {
	base := func() files { return paths("tenants/apps.yaml", "infra/x.yaml", "README.md") }
	for name, tc := range map[string]struct {
		files files
		want  string // variants, empty for no fleet
	}{
		"FluxInstance": {
			base().with("clusters/staging/flux-system/flux-instance.yaml", instance).with("clusters/staging/tenants.yaml", tenants),
			"[clusters/staging tenants]"},
		"gotk-sync": {
			base().with("clusters/a/default/flux-system/gotk-sync.yaml", gotkSync).
				with("clusters/a/default/x.yaml", kustomization("infra", "own")), "[clusters/a/default infra]"},
		"gotk-sync of a copied cluster": {
			base().with("clusters/b/gotk-sync.yaml", strings.ReplaceAll(gotkSync, "clusters/a/default", "infra")).
				with("clusters/b/x.yaml", kustomization("tenants", "own")), "[infra tenants]"},
		"gotk-sync by its name": {base().with("clusters/a/flux-system/gotk-sync.yaml", "{{ template }}"), "[]"},
		"Flux Kustomization":    {base().with("clusters/a/x.yaml", kustomization("./infra/", "flux-system")), "[infra]"},
		"own folder names the source": {
			base().with("clusters/a/self.yml", kustomization("./clusters/a", "mine")).
				with("clusters/a/x.yaml", kustomization("/infra", "mine")), "[clusters/a infra]"},
		"other sources, absent and unknown paths": {
			base().with("clusters/a/1.yaml", kustomization("./infra", "other")).
				with("clusters/a/2.yaml", kustomization("./absent", "flux-system")).
				with("clusters/a/3.yaml", kustomization("./${X}/../infra", "flux-system")).
				with("clusters/a/4.yaml", kustomization("./<< inputs.x >>/../infra", "flux-system")).
				with("clusters/a/5.yaml", kustomization("../../tenants", "flux-system")), "[tenants]"},
		"templates are no clusters": {
			base().with("clusters/_TEMPLATE/x.yaml", instance).with("clusters/.old/x.yaml", instance).with("clusters/x.yaml", instance), ""},
		"other objects": {
			base().with("clusters/a/x.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n").
				with("clusters/a/y.yaml", "# FluxInstance\nkind: FluxInstance\napiVersion: example.com/v1\n").
				with("clusters/a/z.yaml", "FluxInstance: [\n").with("clusters/a/z.txt", instance), ""},
		"CustomResourceDefinitions": {
			base().with("clusters/a/x.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"+
				"spec: {group: kustomize.toolkit.fluxcd.io}\n"), ""},
		"clusters and components": {
			base().with("clusters/staging/x.yaml", instance).with("components/a/x/kustomization.yaml", ""), "[clusters/staging]"},
	} {
		t.Run(name, func(t *testing.T) {
			o := tc.files.options(t)
			w, err := Load(o)
			if tc.want == "" {
				if !errors.Is(err, ErrNoComponents) {
					t.Errorf("Load = %v, %v, want no components", w, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantComponents(t, w, "repo fleet . [.] "+tc.want+" [] v{version}")
			c := w.Components[0]
			if c.Repository.Name() != "ghcr.io/o/repo" || c.Dir != "." || !slices.Contains(c.Ignore, "/*.md") {
				t.Errorf("fleet = %+v", c)
			}
		})
	}
}

func TestLoad_fleetSurvivesTheWorkTree(t *testing.T) {
	o := files{"clusters/a/gone.yaml": instance, "clusters/a/x.yaml": instance, "clusters/staging/k.yaml": ""}.options(t)
	if err := os.Remove(filepath.Join(o.Dir, "clusters/a/gone.yaml")); err != nil {
		t.Fatal(err)
	}
	o.Files = append(o.Files, "clusters/a/zlink.yaml")
	if err := os.Symlink("/etc/passwd", filepath.Join(o.Dir, "clusters/a/zlink.yaml")); err != nil {
		t.Fatal(err)
	}
	w, err := Load(o)
	if err != nil || len(w.Components) != 1 {
		t.Errorf("Load = %v, %v", w, err)
	}
}

// TestLoad_namedFleet is the example for flux-demo in SEEDS.md: naming parts of a fleet replaces the guess that it is one
// artifact.
func TestLoad_namedFleet(t *testing.T) {
	w := paths("infrastructure/prod/kustomization.yaml", "apps/x/kustomization.yaml").
		with("clusters/a/flux-system/gotk-sync.yaml", strings.ReplaceAll(gotkSync, "a/default", "a")).
		with("clusters/a/x.yaml", kustomization("./apps/x", "own")).
		with("clusters/a/y.yaml", kustomization("./infrastructure/prod", "own")).
		with(ConfigFile, header+`
components:
  infrastructure: {paths: [infrastructure], root: ".", gitTag: "v{version}"}
  fleet: {paths: [clusters, apps], root: "."}
artifact: {ignore: [assets/]}
`).load(t)
	wantComponents(t, w, "fleet fleet . [apps clusters] [apps/x clusters/a] [] fleet/v{version}",
		"infrastructure app . [infrastructure] [infrastructure/prod] [] v{version}")
	if c := w.Components[0]; c.Repository.Name() != "ghcr.io/o/repo/fleet" || !slices.Equal(c.Ignore, []string{"assets/"}) {
		t.Errorf("fleet = %+v", c)
	}
}

// TestLoad_fleetHasNoPhases keeps a folder of a fleet that is called controllers from making its neighbours infra.
func TestLoad_fleetHasNoPhases(t *testing.T) {
	w := paths("controllers/x/kustomization.yaml", "apps/x/kustomization.yaml").with("clusters/staging/x.yaml", instance).
		with(ConfigFile, header+"components: {fleet: {paths: [clusters, controllers]}, apps: {paths: [apps]}}\n").load(t)
	wantComponents(t, w, "apps app apps [apps] [x] [] apps/v{version}",
		"fleet fleet . [clusters controllers] [clusters/staging] [] fleet/v{version}")
}

func TestLoad_changedFleet(t *testing.T) {
	base := func(entry string) *Workspace {
		return files{"clusters/staging/x.yaml": instance, ConfigFile: header + "components: {repo: " + entry + "}\n"}.load(t)
	}
	w := base("{ignore: [assets/]}")
	wantComponents(t, w, "repo fleet . [.] [clusters/staging] [] v{version}")
	if c := w.Components[0]; c.Ignore[len(c.Ignore)-1] != "assets/" || c.Repository.Name() != "ghcr.io/o/repo" {
		t.Errorf("fleet = %+v", c)
	}
	w = base("{name: desired-state}")
	wantComponents(t, w, "desired-state fleet . [.] [clusters/staging] [] desired-state/v{version}")
	if got := w.Components[0].Repository.Name(); got != "ghcr.io/o/repo/desired-state" {
		t.Errorf("repository = %s", got)
	}
}
