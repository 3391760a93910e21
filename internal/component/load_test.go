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

const header = "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n"

// files makes a checkout: by path, the content of each tracked file.
type files map[string]string

// paths returns files that exist only to be there.
func paths(paths ...string) files {
	f := files{}
	for _, p := range paths {
		f[p] = ""
	}
	return f
}

func (f files) with(path, content string) files {
	f[path] = content
	return f
}

func (f files) options(t testing.TB) Options {
	t.Helper()
	o := Options{Dir: t.TempDir(), Registry: "ghcr.io/o/repo"}
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

func (f files) load(t testing.TB) *Workspace {
	t.Helper()
	w, err := Load(f.options(t))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// summary shows what a test is about: name kind root paths variants phases tag.
func summary(c Component) string {
	return fmt.Sprintf("%s %s %s %v %v %v %s", c.Name, c.Kind, c.Root, c.Paths, c.Variants, c.Phases, c.GitTag)
}

func wantComponents(t *testing.T, w *Workspace, want ...string) {
	t.Helper()
	var got []string
	for _, c := range w.Components {
		got = append(got, summary(c))
	}
	if !slices.Equal(got, want) {
		t.Errorf("components:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestLoad_components(t *testing.T) {
	for name, tc := range map[string]struct {
		files files
		want  []string
	}{
		"apps": {
			paths("components/a/base/kustomization.yaml", "components/a/staging/kustomization.yaml",
				"components/a/production/kustomization.yml", "components/3rd/S/Kustomization", "components/README.md"),
			[]string{"3rd app components/3rd [components/3rd] [S] [] 3rd/v{version}",
				"a app components/a [components/a] [production staging] [] a/v{version}"},
		},
		"infra": {
			paths("components/a/controllers/base/kustomization.yaml", "components/a/controllers/staging/kustomization.yaml",
				"components/a/configs/staging/kustomization.yaml", "components/b/staging/kustomization.yaml"),
			[]string{"a infra components/a [components/a] [configs/staging controllers/staging] [controllers configs] a/v{version}",
				"b infra components/b [components/b] [staging] [] b/v{version}"},
		},
		"phase without kustomization is none": {
			paths("components/a/controllers/readme.yaml", "components/a/staging/kustomization.yaml"),
			[]string{"a app components/a [components/a] [staging] [] a/v{version}"},
		},
		"nested in a variant": {
			paths("components/a/staging/kustomization.yaml", "components/a/staging/db/kustomization.yaml",
				"components/a/staging-eu/kustomization.yaml", "components/a/common/x/kustomization.yaml"),
			[]string{"a app components/a [components/a] [staging staging-eu] [] a/v{version}"},
		},
		"kustomization at the root": {
			paths("components/a/kustomization.yaml", "components/a/db/kustomization.yaml"),
			[]string{"a app components/a [components/a] [.] [] a/v{version}"},
		},
		"without kustomization, templates": {
			paths("components/a/x/kustomization.yaml", "components/plain/x.yaml", "components/_TEMPLATE/x/kustomization.yaml",
				"components/.hidden/x/kustomization.yaml", "components/kustomization.yaml"),
			[]string{"a app components/a [components/a] [x] [] a/v{version}"},
		},
	} {
		t.Run(name, func(t *testing.T) { wantComponents(t, tc.files.load(t), tc.want...) })
	}
}

func TestLoad_onlyTrackedFilesCount(t *testing.T) {
	o := paths("components/a/x/kustomization.yaml", "components/b/x/kustomization.yaml").options(t)
	o.Files = o.Files[:1]
	w, err := Load(o)
	if err != nil || !slices.Equal(w.Components.Names(), []string{"a"}) {
		t.Errorf("Load = %v, %v, want a alone", w, err)
	}
	o.Files = nil
	if _, err := Load(o); !errors.Is(err, ErrNoComponents) || !strings.Contains(err.Error(), "git add") {
		t.Errorf("Load without tracked files = %v", err)
	}
}

func TestLoad_filesInAnyOrder(t *testing.T) {
	o := paths("components/a-b/x/kustomization.yaml", "components/a/x/kustomization.yaml").options(t)
	slices.Reverse(o.Files)
	first := o.Files[0]
	w, err := Load(o)
	if err != nil || !slices.Equal(w.Components.Names(), []string{"a", "a-b"}) {
		t.Errorf("Load = %v, %v", w, err)
	}
	if o.Files[0] != first {
		t.Error("Load sorted the caller's list")
	}
}

func TestLoad_componentKind(t *testing.T) {
	both := func(kind string) files {
		return files{"clusters/staging/x.yaml": instance, "components/a/x/kustomization.yaml": "",
			ConfigFile: header + "componentKind: " + kind + "\n"}
	}
	wantComponents(t, both("app").load(t), "a app components/a [components/a] [x] [] a/v{version}")
	wantComponents(t, both("infra").load(t), "a infra components/a [components/a] [x] [] a/v{version}")
	wantComponents(t, both("fleet").load(t), "repo fleet . [.] [clusters/staging] [] v{version}")

	alone := paths("components/a/x/kustomization.yaml").with(ConfigFile, header+"componentKind: fleet\n")
	if _, err := Load(alone.options(t)); !errors.Is(err, ErrNoComponents) {
		t.Errorf("a fleet without clusters = %v", err)
	}
}

func TestLoad_discover(t *testing.T) {
	base := func(config string) files {
		return paths("infra/staging/kustomization.yaml", "infra/base/kustomization.yaml", "3rd/production/kustomization.yaml",
			"components/a/x/kustomization.yaml", "apps/deep/b/x/kustomization.yaml", "tenants/t.yaml").
			with("envs/staging/x.yaml", instance).with("clusters/staging/x.yaml", instance).with(ConfigFile, header+config)
	}
	for name, tc := range map[string]struct {
		config string
		want   []string
	}{
		"layers": {"discover: [{layout: layer, path: infra}, {layout: layer, path: ./3rd/}]", []string{
			"3rd app 3rd [3rd] [production] [] 3rd/v{version}", "infra app infra [infra] [staging] [] infra/v{version}"}},
		"components elsewhere": {"discover: [{layout: components, path: apps/deep}]", []string{
			"b app apps/deep/b [apps/deep/b] [x] [] b/v{version}"}},
		"components": {"discover: [{layout: components}]", []string{"a app components/a [components/a] [x] [] a/v{version}"}},
		"fleet":      {"discover: [{layout: fleet}]", []string{"repo fleet . [.] [clusters/staging] [] v{version}"}},
		"fleet elsewhere": {"discover: [{layout: fleet, path: envs}]", []string{
			"repo fleet . [.] [clusters/staging] [] v{version}"}},
		"none but the named": {"discover: []\ncomponents: {b: {paths: [apps/deep/b]}}", []string{
			"b app apps/deep/b [apps/deep/b] [x] [] b/v{version}"}},
		"discovered and named": {"discover: [{layout: components}]\ncomponents: {b: {paths: [apps/deep/b]}}", []string{
			"a app components/a [components/a] [x] [] a/v{version}", "b app apps/deep/b [apps/deep/b] [x] [] b/v{version}"}},
	} {
		t.Run(name, func(t *testing.T) { wantComponents(t, base(tc.config).load(t), tc.want...) })
	}
}

func TestLoad_named(t *testing.T) {
	base := func(config string) files {
		return paths("components/My_App./staging/kustomization.yaml", "components/a/staging/kustomization.yaml",
			"apps/base/x/kustomization.yaml", "apps/staging/x/kustomization.yaml", "apps/staging/y/kustomization.yaml",
			"shared/one.yaml", "shared/two.yaml", "shared/sub/kustomization.yaml").
			with(ConfigFile, header+config)
	}
	const a = "a app components/a [components/a] [staging] [] a/v{version}"
	for name, tc := range map[string]struct {
		config string
		want   []string
	}{
		"new name by paths": {"components: {my-app: {paths: [components/My_App.]}}",
			[]string{a, "my-app app components/My_App. [components/My_App.] [staging] [] my-app/v{version}"}},
		"new name by name": {"components: {My_App.: {name: my-app}}",
			[]string{a, "my-app app components/My_App. [components/My_App.] [staging] [] my-app/v{version}"}},
		"paths beside": {"discover: []\ncomponents: {x: {paths: [apps/staging/x, apps/base/x], root: apps, gitTag: 'v{version}', kind: infra}}",
			[]string{"x infra apps [apps/base/x apps/staging/x] [staging/x] [] v{version}"}},
		"root by default": {"discover: []\ncomponents: {x: {paths: [apps/staging/x, apps/base/x]}}",
			[]string{"x app apps [apps/base/x apps/staging/x] [staging/x] [] x/v{version}"}},
		"paths within paths": {"discover: []\ncomponents: {x: {paths: [apps/staging/x, ./apps/staging/]}}",
			[]string{"x app apps/staging [apps/staging] [x y] [] x/v{version}"}},
		"files": {"discover: []\ncomponents: {x: {paths: [shared/two.yaml, shared/one.yaml]}}",
			[]string{"x app shared [shared/one.yaml shared/two.yaml] [] [] x/v{version}"}},
		"root above": {"discover: []\ncomponents: {x: {paths: [apps/staging], root: .}}",
			[]string{"x app . [apps/staging] [apps/staging/x apps/staging/y] [] x/v{version}"}},
		"given variants": {"discover: []\ncomponents: {x: {paths: [apps/staging], root: ., variants: [apps/staging/y]}}",
			[]string{"x app . [apps/staging] [apps/staging/y] [] x/v{version}"}},
		"changed": {"components: {a: {kind: infra, gitTag: 'release-{version}', root: components}, My_App.: {name: b}}",
			[]string{"a infra components [components/a] [a/staging] [] release-{version}",
				"b app components/My_App. [components/My_App.] [staging] [] b/v{version}"}},
		"replaced by key": {"components: {a: {paths: [apps/base/x]}, My_App.: {name: b}}",
			[]string{"a app apps/base/x [apps/base/x] [.] [] a/v{version}",
				"b app components/My_App. [components/My_App.] [staging] [] b/v{version}"}},
		"replaced as a whole": {"components: {all: {paths: [components]}}",
			[]string{"all app components [components] [My_App./staging a/staging] [] all/v{version}"}},
	} {
		t.Run(name, func(t *testing.T) { wantComponents(t, base(tc.config).load(t), tc.want...) })
	}
}

func TestMayBeFlux(t *testing.T) {
	crd := "\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {group: kustomize.toolkit.fluxcd.io}\n"
	if mayBeFlux([]byte(crd)) || !mayBeFlux([]byte("\n"+instance)) {
		t.Error("CustomResourceDefinitions are not worth parsing, a FluxInstance is")
	}
}

func TestLoad_overlap(t *testing.T) {
	for name, tc := range map[string]struct{ config, want string }{
		"named": {"discover: []\ncomponents:\n  x: {paths: [apps/x]}\n  y: {paths: [apps/x/a.yaml]}\n",
			"keos-oci.yaml:6: components.y: y has apps/x/a.yaml, which overlaps with apps/x of x"},
		"same": {"discover: []\ncomponents:\n  x: {paths: [apps/x]}\n  y: {paths: [apps/x]}\n",
			"keos-oci.yaml:6: components.y: y has apps/x, which overlaps with apps/x of x"},
		"within a found one": {"components:\n  y: {paths: [components/a/x]}\n",
			"keos-oci.yaml:4: components.y: y has components/a/x, which overlaps with components/a of components/a"},
		"everything": {"discover: []\ncomponents:\n  x: {paths: [.]}\n  y: {paths: [.github/x]}\n",
			"keos-oci.yaml:6: components.y: y has .github/x, which overlaps with . of x"},
		"declared fleet": {"discover: [{layout: fleet}, {layout: components}]\n",
			"keos-oci.yaml:3: discover[1]: components/a has components/a, which overlaps with . of repo"},
		"neighbours are none": {"discover: []\ncomponents:\n  x: {paths: [apps/x]}\n  y: {paths: [apps/x-y]}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := paths("apps/x/a.yaml", "apps/x-y/a.yaml", "components/a/x/kustomization.yaml", ".github/x")
			if strings.Contains(tc.config, "fleet") {
				f.with("clusters/staging/x.yaml", instance)
			}
			_, err := Load(f.with(ConfigFile, header+tc.config).options(t))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("Load = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestLoad_ignoreAndSize(t *testing.T) {
	w := paths("components/a/x/kustomization.yaml", "components/b/x/kustomization.yaml").with(ConfigFile, header+`
artifact: {ignore: [docs/], maxSize: 1.5Mi}
components: {a: {ignore: ["!docs/keep", "*.tmp"]}}
`).load(t)
	if got := w.Components[0].Ignore; !slices.Equal(got, []string{"docs/", "!docs/keep", "*.tmp"}) {
		t.Errorf("a ignores %q", got)
	}
	if got := w.Components[1].Ignore; !slices.Equal(got, []string{"docs/"}) {
		t.Errorf("b ignores %q", got)
	}
	if w.Components[0].MaxSize != 1572864 {
		t.Errorf("MaxSize = %d", w.Components[0].MaxSize)
	}
}

func TestByGitTag(t *testing.T) {
	w := paths("components/a/x/kustomization.yaml", "components/b/x/kustomization.yaml", "components/c/x/kustomization.yaml",
		"components/d/x/kustomization.yaml").with(ConfigFile, header+`
components: {b: {gitTag: "v{version}-edge"}, c: {gitTag: "v{version}"}, d: {gitTag: "{version}"}}
`).load(t)
	for tag, want := range map[string]string{
		"a/v1.2.3": "a v1.2.3", "a/v1.2.3-rc.1": "a v1.2.3-rc.1", "v1.2.3": "c v1.2.3", "v1.2.3-edge": "b v1.2.3", "1.2.3": "d v1.2.3",
	} {
		c, version, err := w.ByGitTag(tag)
		if got := c.Name + " " + version; err != nil || got != want {
			t.Errorf("ByGitTag(%s) = %s, %v, want %s", tag, got, err, want)
		} else if c.GitTagOf(version) != tag {
			t.Errorf("GitTagOf(%s) = %s, want %s", version, c.GitTagOf(version), tag)
		}
	}
	for tag, want := range map[string]string{
		"a/v1.2":         `"1.2" is not a version X.Y.Z`,
		"a/v01.2.3":      `"01.2.3" is not a version`,
		"a/v1.2.3+build": `build metadata (+build)`,
		"a/1.2.3":        `the tags of this workspace are a/vX.Y.Z, vX.Y.Z-edge, vX.Y.Z, X.Y.Z`,
		"a/foo":          `the tags of this workspace`,
		"x/v1.2.3":       `the tags of this workspace`,
		"vv1.2.3":        `the tags of this workspace`,
		"":               `the tags of this workspace`,
		"v":              `the tags of this workspace`,
	} {
		if _, _, err := w.ByGitTag(tag); !errors.Is(err, ErrNotVersionTag) || !strings.Contains(err.Error(), want) {
			t.Errorf("ByGitTag(%q) = %v, want %q", tag, err, want)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	f := files{}
	for i := range 500 {
		for j := range 7 {
			f[fmt.Sprintf("components/c%03d/base/f%d.yaml", i, j)] = ""
		}
		for _, v := range []string{"base", "staging", "production"} {
			f[fmt.Sprintf("components/c%03d/%s/kustomization.yaml", i, v)] = ""
		}
	}
	o := f.options(b)
	for b.Loop() {
		if w, err := Load(o); err != nil || len(w.Components) != 500 {
			b.Fatal(w, err)
		}
	}
}

func BenchmarkLoad_config(b *testing.B) {
	o := paths("components/a/x/kustomization.yaml").with(ConfigFile, header+"components: {a: {gitTag: 'v{version}'}}\n").options(b)
	for b.Loop() {
		if _, err := Load(o); err != nil {
			b.Fatal(err)
		}
	}
}
