package scaffold

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
)

// files makes a checkout: by path, the content of each tracked file.
type files map[string]string

// kustomizations returns files with a kustomization in each folder.
func kustomizations(dirs ...string) files {
	f := files{}
	for _, dir := range dirs {
		f[dir+"/kustomization.yaml"] = "resources: []\n"
	}
	return f
}

func (f files) with(path, content string) files {
	f[path] = content
	return f
}

// cluster adds a cluster as `flux bootstrap` makes it, which builds folders from its own source.
func (f files) cluster(name string, builds ...string) files {
	f["clusters/"+name+"/flux-system/gotk-sync.yaml"] = gitRepository("flux-system", "branch: main") +
		kustomization("flux-system", "./clusters/"+name, "flux-system")
	for _, dir := range builds {
		f["clusters/"+name+"/"+strings.NewReplacer("/", "-", ".", "").Replace(dir)+".yaml"] = kustomization("x", dir, "flux-system")
	}
	return f
}

func gitRepository(name, ref string) string {
	return "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: " + name + "}\n" +
		"spec: {url: 'https://github.com/o/repo.git', ref: {" + ref + "}}\n"
}

func kustomization(name, dir, source string) string {
	return "---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: " + name + "}\n" +
		"spec: {path: " + dir + ", sourceRef: {kind: GitRepository, name: " + source + "}}\n"
}

// checkout writes the files and gives the options to look at them.
func (f files) checkout(t testing.TB, remote string) component.Options {
	t.Helper()
	o := component.Options{Dir: t.TempDir(), RemoteURL: func() (string, error) { return remote, nil }}
	for path, content := range f {
		full := filepath.Join(o.Dir, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		o.Files = append(o.Files, path)
	}
	slices.Sort(o.Files)
	return o
}

const onGitHub = "https://github.com/o/repo.git"

func fluxDemo() files {
	return kustomizations("infrastructure", "apps/app1", "apps/app2").
		with("clusters/demo/apps/kustomization.yaml", "resources: [../../../apps/app1]\n").
		cluster("demo", "./clusters/demo/apps").
		with("clusters/demo/infrastructure.yaml", gitRepository("infrastructure", "tag: v0.1.0")+kustomization("infrastructure",
			"./infrastructure/", "infrastructure")).
		with("clusters/other/flux-system/gotk-components.yaml", "kind: Namespace\n").
		with("assets/structure.png", "").with("README.md", "")
}

func layers() files {
	var dirs []string
	for _, layer := range []string{"infra", "system", "apps", "3rd"} {
		for _, env := range []string{"base", "production", "staging"} {
			dirs = append(dirs, layer+"/"+env+"/x")
		}
	}
	return kustomizations(dirs...).with("infra/base/x/kustomization.yaml", "resources: ['https://example.com/crds.yaml']\n").
		cluster("production", "./infra/production", "./system/production", "./apps/production", "./3rd/production")
}

func TestPropose_layouts(t *testing.T) {
	for name, tc := range map[string]struct {
		files  files
		layout Layout
		chosen string   // layout, empty where it is yet to be chosen
		want   []string // components: name kind root paths tag
		config []string // what the config file says; none where there is no file
		also   []Layout // readings beside the best one
	}{
		"components": {files: kustomizations("components/a/base", "components/a/staging", "update-policies"), chosen: "components",
			want: []string{"a app components/a [components/a] a/v{version}"}},
		"fleet": {files: files{}.cluster("a").cluster("b"), chosen: "fleet", want: []string{"repo fleet . [.] v{version}"}},
		"fleet of the operator": {
			files: kustomizations("tenants").with("clusters/a/x.yaml",
				"apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nspec: {sync: {path: clusters/a}}\n"+
					kustomization("t", "tenants", "flux-system")), chosen: "fleet", want: []string{"repo fleet . [.] v{version}"}},
		"flux-demo": {files: fluxDemo(), chosen: "split", also: []Layout{LayoutFleet},
			want:   []string{"fleet fleet . [apps clusters] fleet/v{version}", "infrastructure app . [infrastructure] v{version}"},
			config: []string{`- "assets/"`, `paths: ["clusters", "apps"]`}},
		"flux-demo as a fleet": {files: fluxDemo(), layout: LayoutFleet, chosen: "fleet", also: []Layout{LayoutFleet},
			want: []string{"repo fleet . [.] v{version}"}},
		"pinned folders": {
			files: kustomizations("infra", "monitoring").cluster("a").with("clusters/a/x.yaml", gitRepository("pinned", "tag: v1.0.0")+
				kustomization("i", "./infra", "pinned")+kustomization("m", "./monitoring", "pinned")), chosen: "split", also: []Layout{LayoutFleet},
			want: []string{"fleet fleet . [clusters] fleet/v{version}", "infra app . [infra] infra/v{version}",
				"monitoring app . [monitoring] monitoring/v{version}"}, config: []string{"pins apart"}},
		"a folder of the same name elsewhere": {
			files: kustomizations("infra").cluster("a").with("clusters/a/x.yaml",
				strings.ReplaceAll(gitRepository("other", "tag: v1"), "o/repo", "o/other")+
					kustomization("i", "./infra", "other")), chosen: "fleet", want: []string{"repo fleet . [.] v{version}"}},
		"layers with clusters": {files: layers(), chosen: "layer", also: []Layout{LayoutFleet},
			want: []string{"3rd app 3rd [3rd] 3rd/v{version}", "apps app apps [apps] apps/v{version}", "infra app infra [infra] infra/v{version}",
				"system app system [system] system/v{version}"},
			config: []string{`- {layout: layer, path: "3rd"}`, "remoteBases: allow", "https://example.com/crds.yaml"}},
		"a layer": {files: kustomizations("apps/base/x", "apps/staging/x", "apps/eu/x"), chosen: "layer",
			want:   []string{"apps app apps [apps] apps/v{version}"},
			config: []string{`- {layout: layer, path: "apps"}`}},
		"environments at the top": {files: kustomizations("base/x", "staging/x", "production/x", "docs"), chosen: "layer",
			want: []string{"repo app . [base production staging] repo/v{version}"}, config: []string{`paths: ["base", "production", "staging"]`}},
		"components elsewhere": {files: kustomizations("apps/a/base", "apps/a/staging", "apps/B/staging"), chosen: "components",
			want: []string{"a app apps/a [apps/a] a/v{version}", "b app apps/B [apps/B] b/v{version}"}, config: []string{"name: b"}},
		"ambiguous folders": {files: kustomizations("apps/a", "apps/b"), also: []Layout{LayoutLayer}},
		"ambiguous folders, chosen": {files: kustomizations("apps/a", "apps/b"), layout: LayoutLayer, chosen: "layer",
			also: []Layout{LayoutLayer}, want: []string{"apps app apps [apps] apps/v{version}"}, config: []string{"layout: layer"}},
		"fleet with what it builds": {files: kustomizations("apps/x").cluster("a", "./apps/x"), also: []Layout{LayoutSplit}},
		"fleet with components": {files: kustomizations("components/a/staging").cluster("a", "./components/a/staging"),
			also: []Layout{LayoutComponents}},
		"fleet beside its components": {files: kustomizations("components/a/staging").cluster("a", "./components/a/staging"),
			layout: LayoutComponents, chosen: "components", also: []Layout{LayoutComponents},
			want:   []string{"a app components/a [components/a] a/v{version}", "fleet fleet . [clusters] fleet/v{version}"},
			config: []string{"discover:"}},
		"names": {files: kustomizations("components/My_App/x", "components/my-app/x", "components/007/x", "components/_TEMPLATE/x"),
			chosen: "components",
			want: []string{"007 app components/007 [components/007] 007/v{version}",
				"my-app app components/my-app [components/my-app] my-app/v{version}",
				"my-app-2 app components/My_App [components/My_App] my-app-2/v{version}"},
			config: []string{"name: my-app-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Propose(tc.files.checkout(t, onGitHub), Request{Layout: tc.layout})
			if err != nil {
				t.Fatal(err)
			}
			var also []Layout
			for _, r := range p.Readings[1:] {
				also = append(also, r.Layout)
			}
			if !slices.Equal(also, tc.also) {
				t.Errorf("also %v, want %v", also, tc.also)
			}
			wantChosen(t, p, tc.chosen, tc.want, tc.config)
		})
	}
}

// wantChosen compares the reading that was chosen, after its config was read again.
func wantChosen(t *testing.T, p *Proposal, layout string, want, config []string) {
	t.Helper()
	chosen := p.Chosen()
	if chosen == nil {
		if layout != "" || len(p.Files) > 0 {
			t.Fatalf("nothing chosen and %d files, want %s", len(p.Files), layout)
		}
		return
	}
	var got []string
	for _, c := range chosen.Workspace.Components {
		got = append(got, strings.Join([]string{c.Name, string(c.Kind), c.Root, "[" + strings.Join(c.Paths, " ") + "]", c.GitTag}, " "))
	}
	if string(chosen.Layout) != layout || !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant %s:\n  %s", chosen.Layout, strings.Join(got, "\n  "), layout, strings.Join(want, "\n  "))
	}
	if (config == nil) != (chosen.Config == nil) {
		t.Errorf("config = %s", chosen.Config)
	}
	for _, text := range config {
		if !strings.Contains(string(chosen.Config), text) {
			t.Errorf("the config lacks %s:\n%s", text, chosen.Config)
		}
	}
}

// TestPropose_fluxDemo compares with the config that people wrote for this layout.
func TestPropose_fluxDemo(t *testing.T) {
	o := fluxDemo().checkout(t, onGitHub)
	p, err := Propose(o, Request{})
	if err != nil {
		t.Fatal(err)
	}
	o.Config = []byte(header + `
components:
  infrastructure: {paths: [infrastructure], root: ".", gitTag: "v{version}"}
  fleet: {paths: [clusters, apps], root: "."}
artifact: {ignore: [assets/]}
`)
	want, err := component.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Chosen().Workspace
	for i, c := range got.Components {
		w := want.Components[i]
		if c.Name != w.Name || c.Root != w.Root || c.GitTag != w.GitTag || c.Repository != w.Repository || !slices.Equal(c.Paths, w.Paths) ||
			!slices.Equal(c.Variants, w.Variants) || !slices.Equal(c.Ignore, w.Ignore) {
			t.Errorf("%+v\nwant %+v", c, w)
		}
	}
}

// TestPropose_bootstrap: Flux's own installation stays out of the fleet where no cluster builds its folder.
// Where one does, the artifact would build to other objects without it, and publish would refuse it.
func TestPropose_bootstrap(t *testing.T) {
	const file = "clusters/demo/flux-system/gotk-components.yaml"
	for name, tc := range map[string]struct {
		sync    string
		ignored bool
	}{"built": {"./clusters/demo", false}, "not built": {"./clusters/demo/apps", true}} {
		t.Run(name, func(t *testing.T) {
			p, err := Propose(fluxDemo().with(file, "kind: Namespace\n").with("clusters/demo/flux-system/gotk-sync.yaml",
				gitRepository("flux-system", "branch: main")+kustomization("x", tc.sync, "flux-system")).checkout(t, onGitHub), Request{})
			if err != nil {
				t.Fatal(err)
			}
			ignored := slices.Contains(p.Chosen().Workspace.Components[0].Ignore, "clusters/*/flux-system/gotk-components.yaml")
			if ignored != tc.ignored || !strings.Contains(string(p.Chosen().Config), "gotk-components.yaml") {
				t.Errorf("ignored = %t:\n%s", ignored, p.Chosen().Config)
			}
		})
	}
}

func TestPropose_refusals(t *testing.T) {
	apps := kustomizations("components/a/staging")
	for name, tc := range map[string]struct {
		files  files
		remote string
		ask    Request
		is     error
		text   string
	}{
		"nothing here":       {files{"README.md": ""}, onGitHub, Request{}, component.ErrNoComponents, "no kustomization that Git tracks"},
		"no such layout":     {apps, onGitHub, Request{Layout: LayoutFleet}, ErrLayout, "can be read as components"},
		"no such system":     {apps, onGitHub, Request{Workflows: "jenkins"}, ErrInput, "github or gitlab"},
		"branch":             {apps, onGitHub, Request{Branch: "a'b"}, ErrInput, "branch"},
		"no action":          {apps, onGitHub, Request{Workflows: GitHub}, ErrInput, "40 hexadecimal digits"},
		"GitLab's on GitHub": {apps, onGitHub, Request{Workflows: GitLab}, ErrInput, "github.com"},
		"GitHub's on GitLab": {apps, onGitLab, Request{Workflows: GitHub, Action: action()}, ErrInput, "gitlab.com"},
		"another file's name": {kustomizations("components/a/x").with("keos-oci.yml", header), onGitHub, Request{}, component.ErrConfig,
			"to be called keos-oci.yaml"},
		"no registry": {apps, "https://git.example.com/o/repo", Request{}, component.ErrConfig, "--registry"},
		"a config with a mistake": {kustomizations("components/a/x").with(component.ConfigFile, "kind: x\n"), onGitHub, Request{},
			component.ErrConfig, "keos-oci.yaml:1"},
		"a name of nothing": {kustomizations("components/++/x"), onGitHub, Request{}, component.ErrConfig, "++"},
		"branch of the config file": {kustomizations("components/b/x").with(component.ConfigFile,
			header+"channels: {latest: {branch: \"a'b\"}}\n"), onGitHub, Request{Workflows: GitHub, Action: action()}, ErrInput, "branch"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Propose(tc.files.checkout(t, tc.remote), tc.ask)
			if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error = %v, want %v with %q", err, tc.is, tc.text)
			}
		})
	}
}

// TestPropose_existing: a config file wins, and the proposal is shown only for comparison.
func TestPropose_existing(t *testing.T) {
	own := header + "discover: []\ncomponents: {all: {paths: [apps, infrastructure]}}\n"
	o := fluxDemo().with(component.ConfigFile, own).checkout(t, onGitHub)
	p, err := Propose(o, Request{})
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Chosen(); c.Layout != LayoutConfig || !slices.Equal(c.Workspace.Components.Names(), []string{"all"}) || len(p.Files) != 1 {
		t.Errorf("chosen = %+v, %d files", c, len(p.Files))
	}
	for name, ask := range map[string]Request{"replaced": {Replace: true}, "chosen": {Layout: LayoutSplit}} {
		if p, err = Propose(o, ask); err != nil || p.Chosen().Layout != LayoutSplit {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	p, err = Propose(o, Request{Workflows: GitHub, Action: action()})
	if err != nil || len(p.Files) != 6 || !strings.Contains(string(p.Files[3].Content), "- all\n") {
		t.Errorf("workflows beside a config: %+v, %v", p, err)
	}
}

func action() Action {
	return Action{Commit: strings.Repeat("0123456789", 4), Version: "v1.2.3"}
}
