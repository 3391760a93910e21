package scaffold

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
)

// apps adds apps in the environments of layers, and the kustomizations that list them.
func (f files) apps(layer string, environments map[string]string) files {
	for env, apps := range environments {
		for app := range strings.FieldsSeq(apps) {
			f[layer+"/base/"+app+"/kustomization.yaml"] = "resources: []\n"
			f[layer+"/"+env+"/"+app+"/kustomization.yaml"] = "resources: [../../base/" + app + "]\n"
		}
		f[layer+"/"+env+"/kustomization.yaml"] = "resources: [" + strings.Join(strings.Fields(apps), ", ") + "]\n"
	}
	return f
}

// envFirstLayers is a repository of two layers with three apps.
func envFirstLayers() files {
	return files{}.apps("apps", map[string]string{"staging": "podinfo redis", "production": "podinfo"}).apps("infra",
		map[string]string{"staging": "cni", "production": "cni"})
}

func TestPropose_byApp(t *testing.T) {
	const podinfo = "podinfo app apps [apps/base/podinfo apps/production/podinfo apps/staging/podinfo] podinfo/v{version}"
	const redis = "redis app apps [apps/base/redis apps/staging/redis] redis/v{version}"
	const cni = "cni app infra [infra/base/cni infra/production/cni infra/staging/cni] cni/v{version}"
	const closed = "  mode: closure\n  external: include\n"
	listed := `- {layout: envFirst, path: "apps", environments: ["production", "staging"], enabledFrom: kustomization}`
	for name, tc := range map[string]struct {
		files   files
		layout  Layout // of the reading
		want    []string
		config  []string
		reasons []string
	}{
		"layers": {envFirstLayers(), LayoutLayer, []string{cni, podinfo, redis}, []string{listed, closed},
			[]string{"apps/production/kustomization.yaml and apps/staging/kustomization.yaml list the apps"}},
		"layers of clusters": {envFirstLayers().cluster("a", "./apps/staging", "./infra/staging"), LayoutLayer, []string{cni, podinfo, redis},
			[]string{listed, closed},
			[]string{"clusters/a builds ./apps/staging", "clusters/ is in no artifact"}},
		"beside a layer of no apps": {envFirstLayers().with("tools/base/kustomization.yaml", "").with("tools/staging/kustomization.yaml", ""),
			LayoutLayer,
			[]string{cni, podinfo, redis, "tools app tools [tools] tools/v{version}"}, []string{listed, closed,
				`- {layout: layer, path: "tools"}`}, []string{"tools stays one component"}},
		"beside a folder that Flux builds as it is": {envFirstLayers().with("tools/staging/kustomization.yaml", "").with("tools/crds/x.yaml",
			"kind: X\n"), LayoutLayer,
			[]string{cni, podinfo, redis,
				"tools app tools [tools] tools/v{version}"}, []string{"# In tools/crds are manifests without a kustomization.\n  external: include\n"},
			[]string{"No mode: closure, because it would apply to all components: In tools/crds are"}},
		"beside one with no variant": {envFirstLayers().with("tools/base/x/kustomization.yaml", ""), LayoutLayer,
			[]string{cni, podinfo, redis,
				"tools app tools [tools] tools/v{version}"}, []string{"# tools has no variant.\n  external: include\n"}, nil},
		"beside one that clusters build in another way": {envFirstLayers().with("tools/kustomization.yaml",
			"").with("tools/dev/kustomization.yaml", "").with("tools/staging/kustomization.yaml", "").
			cluster("a", "./apps/staging", "./infra/staging", "./tools/staging"), LayoutLayer,
			[]string{cni, podinfo, redis,
				"tools app tools [tools] tools/v{version}"},
			[]string{"# clusters/a builds ./tools/staging, which is no variant of tools.\n  external: include\n"}, nil},
		"beside a layer of the same name": {files{}.apps("zoo", map[string]string{"staging": "infra"}).with("infra/staging/kustomization.yaml",
			""), LayoutLayer,
			[]string{"infra app zoo [zoo/base/infra zoo/staging/infra] infra/v{version}", "infra-2 app infra [infra] infra-2/v{version}"},
			[]string{"# the top folder and zoo both have infra. This is the one in the top folder.\n  infra:\n    name: infra-2\n"}, nil},
		"beside components": {files{}.apps("apps", map[string]string{"staging": "redis"}).with("components/x/staging/kustomization.yaml", ""),
			LayoutComponents,
			[]string{redis,
				"x app components/x [components/x] x/v{version}"}, []string{"# Components of components/ are whole folders.\n  external: include\n"}, nil},
		"beside folders of components": {files{}.apps("apps", map[string]string{"staging": "redis"}).with("tools/x/staging/kustomization.yaml",
			""), LayoutComponents,
			[]string{redis,
				"x app tools/x [tools/x] x/v{version}"}, []string{"# Components of tools/ are whole folders."},
			[]string{"Each folder of tools/ with a kustomization"}},
		"beside a fleet": {files{}.apps("apps", map[string]string{"staging": "fleet"}).with("infra/x/kustomization.yaml", "").cluster("a",
			"./apps/staging", "./infra/x"), LayoutSplit,
			[]string{"fleet app apps [apps/base/fleet apps/staging/fleet] fleet/v{version}", "fleet-2 fleet . [clusters] fleet-2/v{version}",
				"infra app . [infra] infra/v{version}"},
			[]string{"Flux Kustomizations in infra may name folders that no variant of infra reads.\n"}, []string{"clusters/a builds ./apps/staging"}},
		"beside what is pinned": {fluxDemo().apps("web", map[string]string{"staging": "redis"}), LayoutSplit,
			[]string{"fleet fleet . [apps clusters] fleet/v{version}", "infrastructure app . [infrastructure] v{version}",
				strings.ReplaceAll(redis, "apps", "web")}, []string{`gitTag: "v{version}"`}, nil},
		"beside the components of a fleet": {files{}.apps("apps",
			map[string]string{"staging": "redis"}).with("components/x/staging/kustomization.yaml", "").cluster("a", "./components/x/staging"),
			LayoutComponents,
			[]string{"fleet fleet . [clusters] fleet/v{version}", redis,
				"x app components/x [components/x] x/v{version}"}, []string{`{layout: components, path: "components"}`}, nil},
		"at the top": {kustomizations("base/redis", "staging/redis", "production/redis", "docs").with("staging/kustomization.yaml",
			"resources: [redis]\n"), LayoutLayer,
			[]string{"redis app . [base/redis production/redis staging/redis] redis/v{version}"}, []string{`- {layout: envFirst, path: ".", environments: ["production", "staging"]}`, closed},
			[]string{"for want of a kustomization in production that lists apps"}},
		"an environment without a list": {envFirstLayers().with("apps/production/kustomization.yaml",
			"namespace: production\nresources: [namespace.yaml]\n"), LayoutLayer, []string{cni, podinfo, redis},
			[]string{`- {layout: envFirst, path: "apps", environments: ["production", "staging"]}`},
			[]string{"No enabledFrom, for want of a kustomization in apps/production that lists apps: every app in apps/production and apps/staging counts.",
				"apps/production/kustomization.yaml also builds namespace.yaml", "apps/production/kustomization.yaml also sets namespace"}},
		"a list that is no YAML": {envFirstLayers().with("apps/production/kustomization.yaml", "resources: a: b\n"), LayoutLayer,
			[]string{cni, podinfo, redis},
			[]string{`- {layout: envFirst, path: "apps", environments: ["production", "staging"]}`}, nil},
		"apps that nothing builds": {envFirstLayers().with("apps/staging/old/kustomization.yaml", "").with("apps/base/older/kustomization.yaml",
			""), LayoutLayer,
			[]string{cni, podinfo, redis}, []string{listed}, []string{"No environment builds old and older"}},
		"environments of other names": {kustomizations("apps/base/redis", "apps/eu-1/redis", "apps/lib/labels",
			"apps/staging/redis").with("apps/production/.gitkeep", "").
			with("apps/test/kustomization.yaml", "resources: [../base/redis]\n"), LayoutLayer,
			[]string{"redis app apps [apps/base/redis apps/eu-1/redis apps/staging/redis] redis/v{version}"}, []string{`environments: ["eu-1", "staging"]}`},
			[]string{"apps/lib is not an environment", "apps/production has no folder of an app: add it",
				"apps/test has no folder of an app: what apps/test/kustomization.yaml builds, ../base/redis, is in no artifact"}},
		"the same app in two layers": {files{}.apps("apps", map[string]string{"staging": "redis"}).apps("infra",
			map[string]string{"staging": "redis"}), LayoutLayer,
			[]string{"apps-redis app apps [apps/base/redis apps/staging/redis] apps-redis/v{version}",
				"redis app infra [infra/base/redis infra/staging/redis] redis/v{version}"},
			[]string{"# apps and infra both have redis. This is the one in apps.\n  redis:\n    name: apps-redis\n"}, nil},
		"names": {files{}.apps("apps", map[string]string{"staging": "My_App"}), LayoutLayer,
			[]string{"my-app app apps [apps/base/My_App apps/staging/My_App] my-app/v{version}"}, []string{"name: my-app"}, nil},
		"remote bases": {envFirstLayers().with("apps/base/redis/kustomization.yaml", "resources: ['https://example.com/x.yaml']\n"), LayoutLayer,
			[]string{cni, podinfo, redis},
			[]string{closed, "remoteBases: allow"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Propose(tc.files.checkout(t, onGitHub), Request{By: ByApp})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Readings) != 1 || p.Chosen() == nil || p.Chosen().By != ByApp {
				t.Fatalf("readings = %+v", p.Readings)
			}
			wantChosen(t, p, string(tc.layout), tc.want, append(tc.config, "external: include"))
			wantReasons(t, p.Chosen(), append(tc.reasons, "Files that apps share"))
			if config := string(p.Chosen().Config); len(p.Chosen().config.Remote) == 0 && strings.Contains(config, "remoteBases") {
				t.Errorf("remote bases are allowed where there is none:\n%s", config)
			}
		})
	}
}

func wantReasons(t *testing.T, r *Reading, want []string) {
	t.Helper()
	for _, text := range want {
		if !slices.ContainsFunc(r.Reasons, func(reason string) bool { return strings.Contains(reason, text) }) {
			t.Errorf("no reason says %q:\n%s", text, strings.Join(r.Reasons, "\n"))
		}
	}
}

// TestPropose_flux2GitOps compares with the configs that people wrote for this layout.
func TestPropose_flux2GitOps(t *testing.T) {
	repository := files{}
	for layer, apps := range map[string]string{"infra": "cni dns", "system": "istio loki", "apps": "podinfo redis", "3rd": "emojivoto"} {
		repository.apps(layer, map[string]string{"staging": apps, "production": strings.Fields(apps)[0]})
	}
	repository.with("3rd/base/emojivoto/kustomization.yaml", "resources: ['https://github.com/o/emojivoto//deployment?ref=main']\n").
		cluster("production", "./infra/production", "./system/production", "./apps/production", "./3rd/production")
	for by, config := range map[Grouping]string{
		ByLayer: `
discover: [{layout: layer, path: infra}, {layout: layer, path: system}, {layout: layer, path: apps}, {layout: layer, path: 3rd}]
artifact: {remoteBases: allow}
`,
		ByApp: `
discover:
  - {layout: envFirst, path: infra, environments: [production, staging], enabledFrom: kustomization}
  - {layout: envFirst, path: system, environments: [production, staging], enabledFrom: kustomization}
  - {layout: envFirst, path: apps, environments: [production, staging], enabledFrom: kustomization}
  - {layout: envFirst, path: 3rd, environments: [production, staging], enabledFrom: kustomization}
artifact: {mode: closure, external: include, remoteBases: allow}
`,
	} {
		o := repository.checkout(t, onGitHub)
		p, err := Propose(o, Request{By: by})
		if err != nil {
			t.Fatal(err)
		}
		o.Config = []byte(header + config)
		want, err := component.Load(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Chosen().Workspace; !reflect.DeepEqual(got, want) {
			t.Errorf("by %s:\n%+v\nwant\n%+v", by, got, want)
		}
	}
}

// TestPropose_offersApps: the layers are what is proposed, and with them it is said what each app for itself would mean.
func TestPropose_offersApps(t *testing.T) {
	for name, tc := range map[string]struct {
		files files
		by    Grouping // of the reading
		want  string
	}{
		"layers": {envFirstLayers(), ByLayer,
			"One artifact per app of apps and infra is possible too: 3 components instead of 2, each with its own versions and promotions, and files that apps share"},
		"at the top": {kustomizations("base/x", "staging/x"), ByLayer,
			"One artifact per app of the top folder is possible too: 1 component instead of 1"},
		"a fleet": {files{}.apps("apps", map[string]string{"staging": "a b"}).cluster("x"), "",
			"One artifact per app of apps is possible too: 3 components instead of 1"},
		"a part of it": {files{}.apps("apps", map[string]string{"staging": "a b"}).cluster("x", "./apps/staging"), "", ""},
		"components": {files{}.apps("apps", map[string]string{"staging": "a b"}).with("components/x/y/kustomization.yaml", ""), "",
			"3 components instead of 1"},
		"not as it is": {files{}.apps("a", map[string]string{"dev": "x"}).apps("b", map[string]string{"dev": "x"}).apps("c",
			map[string]string{"dev": "x"}), ByLayer, "One artifact per app of a, b and c is not possible as it is: keos-oci.yaml:"},
		"an operator's":    {envFirstLayers().with("clusters/a/x.yaml", fluxInstance), "", "-"},
		"no environments":  {kustomizations("apps/a/base", "apps/b/base"), "", "-"},
		"no folder of app": {kustomizations("apps/base/x").with("apps/staging/kustomization.yaml", "resources: [../base/x]\n"), "", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Propose(tc.files.checkout(t, onGitHub), Request{})
			if err != nil {
				t.Fatal(err)
			}
			r := &p.Readings[0]
			if r.By != tc.by {
				t.Errorf("by = %q", r.By)
			}
			if tc.want == "-" && strings.Contains(strings.Join(r.Reasons, "\n"), "per app") {
				t.Errorf("reasons = %q", r.Reasons)
			}
			if tc.want != "-" {
				wantReasons(t, r, []string{tc.want})
			}
			if name == "a part of it" { // of two readings the one with the layer offers
				wantReasons(t, &p.Readings[1], []string{"One artifact per app of apps is possible too: 3 components instead of 2"})
			}
		})
	}
}

const fluxInstance = "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nspec: {sync: {path: clusters/a}}\n"

func TestPropose_byAppRefused(t *testing.T) {
	three := files{}.apps("a", map[string]string{"dev": "x"}).apps("b", map[string]string{"dev": "x"}).apps("c", map[string]string{"dev": "x"})
	for name, tc := range map[string]struct {
		files files
		ask   Request
		is    error
		text  string
	}{
		"neither of both": {envFirstLayers(), Request{By: "env"}, ErrInput, `by "env": want layer or app`},
		"components": {kustomizations("components/a/staging"), Request{By: ByApp}, ErrLayout,
			"looked for <layer>/<environment>/<app> with a kustomization"},
		"found components": {kustomizations("components/a/staging"), Request{By: ByApp}, ErrLayout, "found: components/ has 1 component"},
		"other folders": {kustomizations("apps/a", "apps/b", "lone", "old/base/x").with("infra/staging/kustomization.yaml", ""),
			Request{By: ByApp},
			ErrLayout,
			"found: apps/ has a and b, no environments; infra/ has staging without folders of apps; lone/ has a kustomization of its own; old/ has base and no environment with apps"},
		"a fleet": {files{}.cluster("a"), Request{By: ByApp}, ErrLayout, "no folder with a kustomization at the top"},
		"an operator's": {envFirstLayers().with("clusters/a/x.yaml", fluxInstance), Request{By: ByApp}, ErrLayout,
			"one artifact with the apps of apps and infra"},
		"as a fleet": {envFirstLayers().cluster("a", "apps/staging", "infra/staging"), Request{By: ByApp, Layout: LayoutFleet}, ErrLayout,
			`"fleet": this checkout can be read as layer`},
		"three of a name": {three, Request{By: ByApp}, component.ErrConfig, "both named x"},
		"nothing here":    {files{"README.md": ""}, Request{By: ByApp}, component.ErrNoComponents, "no kustomization that Git tracks"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Propose(tc.files.checkout(t, onGitHub), tc.ask)
			if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error = %v, want %v with %q", err, tc.is, tc.text)
			}
		})
	}
}

// TestPropose_byAppAmbiguous: other folders that can be read in two ways still can.
func TestPropose_byAppAmbiguous(t *testing.T) {
	o := envFirstLayers().with("tools/a/kustomization.yaml", "").with("tools/b/kustomization.yaml", "").checkout(t, onGitHub)
	p, err := Propose(o, Request{By: ByApp})
	if err != nil || len(p.Readings) != 2 || p.Chosen() != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	for layout, names := range map[Layout][]string{LayoutLayer: {"cni", "podinfo", "redis", "tools"},
		LayoutComponents: {"a", "b", "cni", "podinfo", "redis"}} {
		p, err := Propose(o, Request{By: ByApp, Layout: layout})
		if err != nil || !slices.Equal(p.Chosen().Workspace.Components.Names(), names) {
			t.Errorf("%s: %+v, %v", layout, p, err)
		}
	}
}

// TestPropose_byAppExisting: a config that is by app is compared with one by app, unless it was changed.
func TestPropose_byAppExisting(t *testing.T) {
	f := envFirstLayers()
	p, err := Propose(f.checkout(t, onGitHub), Request{By: ByApp})
	if err != nil {
		t.Fatal(err)
	}
	own := string(p.Chosen().Config)
	p, err = Propose(f.with(component.ConfigFile, own).checkout(t, onGitHub), Request{})
	if err != nil || p.Chosen().Layout != LayoutConfig || len(p.Files) != 1 || string(p.Files[0].Content) != own {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = Propose(f.with(component.ConfigFile, own+"# mine\n").checkout(t, onGitHub), Request{})
	if err != nil || !strings.Contains(string(p.Files[0].Content), "layout: layer") {
		t.Errorf("%+v, %v", p, err)
	}
	for by, text := range map[Grouping]string{ByLayer: "layout: layer", ByApp: "layout: envFirst"} {
		p, err = Propose(f.with(component.ConfigFile, own).checkout(t, onGitHub), Request{By: by})
		if err != nil || p.Chosen().By != by || !strings.Contains(string(p.Files[0].Content), text) {
			t.Errorf("by %s: %+v, %v", by, p, err)
		}
	}
}
