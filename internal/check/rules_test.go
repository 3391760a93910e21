package check

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git/gittest"
	"github.com/stratio/keos-oci/internal/kustomize"
)

const (
	configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: b\n"
	listsA    = "resources:\n- a.yaml\n"
	listsBase = "resources:\n- ../base\n"
	// The parts are joined here so that no scanner takes this file for a leak.
	pem    = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n-----END RSA " + "PRIVATE KEY-----\n"
	ageKey = "AGE-SECRET-" + "KEY-1QQPQYRSZSTNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN"
	cipher = "ENC[AES256_GCM,data:c29t,iv:aXY=,tag:dGFn,type:str]"
	sops   = "sops:\n  mac: " + cipher + "\n  version: 3.9.4\n"
)

func secretYAML(value string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: " + value + "\n"
}

func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// rule is one row of the tables below: the files of components/web, and what the gate says, shortened to
// "severity rule file:line". Variant is "staging" when that folder exists.
type rule struct {
	name  string
	files map[string]string
	want  []string
	o     Options
}

func component(t testing.TB, files map[string]string) Component {
	t.Helper()
	all := map[string]string{}
	for name, content := range files {
		if inside, ok := strings.CutPrefix(name, "//"); ok {
			all[inside] = content // relative to the workspace
			continue
		}
		all[filepath.Join("components/web", name)] = content
	}
	var variants []string
	workspace := write(t, all)
	if _, err := os.Stat(filepath.Join(workspace, "components/web/staging")); err == nil {
		variants = []string{"staging"}
	}
	return packed(t, workspace, "components/web", variants...)
}

func short(f finding.Finding) string {
	return fmt.Sprintf("%s %s %s:%d", f.Severity, f.Rule, strings.TrimPrefix(f.File, "components/web/"), f.Line)
}

func testRules(t *testing.T, rules []rule) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			findings := run(t, component(t, r.files), r.o)
			var got []string
			for _, f := range findings {
				got = append(got, short(f))
				if strings.Contains(f.String(), "hunter2") || strings.Contains(f.String(), os.TempDir()) {
					t.Errorf("says too much: %s", f)
				}
			}
			if !slices.Equal(got, r.want) {
				t.Errorf("got %q, want %q\n%s", got, r.want, show(findings))
			}
		})
	}
}

func TestBuild(t *testing.T) {
	testRules(t, []rule{
		{name: "good", files: map[string]string{"staging/kustomization.yaml": listsBase,
			"base/kustomization.yaml": listsA, "base/a.yaml": configMap}},
		{name: "no kustomization", files: map[string]string{"staging/a.yaml": configMap, "staging/sub/kustomization.yaml": listsA,
			"staging/sub/a.yaml": strings.Replace(configMap, "name: a", "name: b", 1)}},
		{name: "syntax error in a resource", files: map[string]string{"staging/kustomization.yaml": listsBase,
			"base/kustomization.yaml": listsA, "base/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a: b\n"},
			want: []string{"error build base/a.yaml:4"}},
		{name: "syntax error in a kustomization", files: map[string]string{"staging/kustomization.yaml": "resources: a: b\n"},
			want: []string{"error build staging/kustomization.yaml:1"}},
		{name: "syntax error where no variant looks", files: map[string]string{"staging/kustomization.yaml": listsA,
			"staging/a.yaml": configMap, "templates/x.yaml": "{{ if }}\na: b: c\n"}},
		{name: "syntax error without a kustomization", files: map[string]string{"staging/a.yaml": "a: b\nc: d: e\n"},
			want: []string{"error build staging/a.yaml:2"}},
		{name: "not a Kubernetes object", files: map[string]string{"staging/a.yaml": "a: b\n"},
			want: []string{"error build staging/a.yaml:0"}},
		{name: "no name", files: map[string]string{"staging/kustomization.yaml": listsBase,
			"base/kustomization.yaml": listsA, "base/a.yaml": "apiVersion: v1\nkind: ConfigMap\n"},
			want: []string{"error build base/kustomization.yaml:2"}},
		{name: "the same object twice", files: map[string]string{"staging/kustomization.yaml": "resources:\n- a.yaml\n- b.yaml\n",
			"staging/a.yaml": configMap, "staging/b.yaml": "---\n" + configMap},
			want: []string{"error build staging/b.yaml:2"}},
		{name: "patch without a target", files: map[string]string{"staging/kustomization.yaml": listsBase + "patches:\n- path: p.yaml\n",
			"staging/p.yaml":          "# comment\n" + strings.Replace(configMap, "name: a", "name: z", 1),
			"base/kustomization.yaml": listsA, "base/a.yaml": configMap},
			want: []string{"error build staging/p.yaml:2"}},
		{name: "unknown field", files: map[string]string{"staging/kustomization.yaml": listsBase,
			"base/kustomization.yaml": "# x\nresource:\n- a.yaml\n", "base/a.yaml": configMap},
			want: []string{"error build base/kustomization.yaml:2"}},
		{name: "cycle", files: map[string]string{"staging/kustomization.yaml": listsBase,
			"base/kustomization.yaml": "resources:\n- ../staging\n"}, want: []string{"error build base/kustomization.yaml:2"}},
		{name: "alias bomb", files: map[string]string{"staging/kustomization.yaml": listsA, "staging/a.yaml": aliasBomb()},
			want: []string{"error build staging/a.yaml:12"}},
		{name: "alias of itself", files: map[string]string{"staging/kustomization.yaml": listsA,
			"staging/a.yaml": configMap + "x: &x\n  y: *x\n"}, want: []string{"error build staging/a.yaml:7"}},
		{name: "alias bomb in an inline patch", files: map[string]string{"staging/kustomization.yaml": listsA + "patches:\n- patch: |\n" +
			indented(aliasBomb()), "staging/a.yaml": configMap}, want: []string{"error build staging/kustomization.yaml:4"}},
		{name: "nesting", files: map[string]string{"staging/kustomization.yaml": listsA,
			"staging/a.yaml": configMap + "x: " + strings.Repeat("{a: ", 3000) + "b" + strings.Repeat("}", 3000) + "\n"},
			want: []string{"error build staging/a.yaml:7"}},
		{name: "invalid UTF-8", files: map[string]string{"staging/kustomization.yaml": listsA, "staging/a.yaml": configMap + "x: \xff\xfe\x00\n"},
			want: []string{"error build staging/a.yaml:7"}},
		{name: "empty", files: map[string]string{"staging/kustomization.yaml": "resources: []\n"},
			want: []string{"warning empty staging/kustomization.yaml:0"}},
		{name: "only a kept folder", files: map[string]string{"staging/.gitkeep": ""}, want: []string{"warning empty staging:0"}},
	})
}

func aliasBomb() string {
	text := configMap + "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return text
}

func TestBuildOfAMissingVariant(t *testing.T) {
	c := component(t, map[string]string{"base/kustomization.yaml": listsA, "base/a.yaml": configMap})
	c.Variants = []string{"production"}
	if got := show(run(t, c, Options{})); !strings.HasPrefix(got, "components/web/production: ") {
		t.Error(got)
	}
}

func TestBuildTellsACommonFaultOnce(t *testing.T) {
	c := component(t, map[string]string{"staging/kustomization.yaml": listsBase, "production/kustomization.yaml": listsBase,
		"base/kustomization.yaml": listsA, "base/a.yaml": "a: b: c\n"})
	c.Variants = []string{"production", "staging"}
	if got := run(t, c, Options{}); len(got) != 1 {
		t.Error(show(got))
	}
}

// TestRenderWithSchemas: builds share an OpenAPI schema and do not influence each other, as in Flux: the order of builds with and
// without schemas of their own must not matter.
func TestRenderWithSchemas(t *testing.T) {
	crd := "apiVersion: example.com/v1\nkind: Thing\nmetadata:\n  name: t\nspec:\n  list:\n  - name: x\n    v: 1\n"
	patch := "apiVersion: example.com/v1\nkind: Thing\nmetadata:\n  name: t\nspec:\n  list:\n  - name: y\n    v: 2\n"
	pod := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: t\nspec:\n  containers:\n  - name: x\n    image: a\n"
	schema := `{"definitions":{"v1.Thing":{"type":"object","x-kubernetes-group-version-kind":[{"group":"example.com","kind":"Thing",` +
		`"version":"v1"}],"properties":{"spec":{"type":"object","properties":{"list":{"type":"array","x-kubernetes-patch-strategy":` +
		`"merge","x-kubernetes-patch-merge-key":"name","items":{"type":"object","properties":{"name":{"type":"string"}}}}}}}}}}`
	kustomization := "resources: [a.yaml]\npatches:\n- path: p.yaml\n"
	c := component(t, map[string]string{
		"plain/kustomization.yaml": kustomization, "plain/a.yaml": crd, "plain/p.yaml": patch,
		"own/kustomization.yaml": kustomization + "openapi: {path: schema.json}\n", "own/a.yaml": crd, "own/p.yaml": patch,
		"own/schema.json":          schema,
		"older/kustomization.yaml": kustomization + "openapi: {version: v1.21.2}\n", "older/a.yaml": crd, "older/p.yaml": patch,
		"pod/kustomization.yaml": kustomization + "openapi: {path: schema.json}\n", "pod/a.yaml": pod, "pod/schema.json": schema,
		"pod/p.yaml":              strings.ReplaceAll(pod, "name: x", "name: y"),
		"bare/kustomization.yaml": "configMapGenerator:\n- name: x\n  literals: [a=b]\n",
		"typo/kustomization.yaml": "resource: [a.yaml]\n",
		"none/a.yaml":             configMap, "none/b/b.yml": strings.Replace(configMap, "name: a", "name: b", 1),
	})
	// Flux's own builds reset the schema, so they come first.
	want := map[string]string{}
	for _, variant := range []string{"plain", "own", "older", "bare", "typo", "none", "pod"} {
		want[variant] = fluxBuild(t, c, variant)
	}
	for _, variant := range []string{"pod", "own", "pod", "plain", "own", "plain", "older", "own", "plain", "bare", "typo", "none"} {
		rendersAs(t, c, variant, want[variant])
	}
	plain, _ := kustomize.Render(t.Context(), c.Unpacked, "plain", kustomize.Options{})
	own, _ := kustomize.Render(t.Context(), c.Unpacked, "own", kustomize.Options{})
	if string(plain) == string(own) {
		t.Error("the schemas of this test make no difference")
	}
}

func TestRunWritesNothing(t *testing.T) {
	c := component(t, map[string]string{"staging/a.yaml": configMap, "staging/left.yaml": configMap})
	before := [2]string{listing(t, c.Workspace), listing(t, c.Unpacked)}
	run(t, c, Options{})
	if after := [2]string{listing(t, c.Workspace), listing(t, c.Unpacked)}; after != before {
		t.Errorf("before %v, after %v", before, after)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&out, name, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRunHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := component(t, map[string]string{"staging/a.yaml": configMap})
	if _, err := Run(ctx, c, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// leave takes a file out of the artifact, as an ignore rule would.
func leave(t *testing.T, c *Component, name, why string) {
	t.Helper()
	if err := os.Remove(filepath.Join(c.Unpacked, name)); err != nil {
		t.Fatal(err)
	}
	c.Files = slices.DeleteFunc(c.Files, func(f string) bool { return f == name })
	c.LeftOut = func(p string) string {
		if p == c.Root+"/"+name {
			return why
		}
		return ""
	}
}

func TestEqual(t *testing.T) {
	c := component(t, map[string]string{"staging/a.yaml": configMap,
		"staging/b.yaml": strings.Replace(configMap, "name: a", "name: b", 1)})
	leave(t, &c, "staging/b.yaml", "not tracked by Git")
	got := run(t, c, Options{})
	if len(got) != 1 || short(got[0]) != "error equal staging:0" ||
		!strings.Contains(got[0].Message, "components/web/staging/b.yaml (not tracked by Git)") {
		t.Error(show(got))
	}
}

func TestEqualWhenTheCheckoutDoesNotBuild(t *testing.T) {
	c := component(t, map[string]string{"staging/a.yaml": configMap, "staging/Kustomization": "resources: [nowhere]\n"})
	leave(t, &c, "staging/Kustomization", "ignored")
	got := run(t, c, Options{})
	if len(got) != 1 || short(got[0]) != "error equal staging:0" || strings.Contains(got[0].Message, c.Workspace) {
		t.Error(show(got))
	}
}

func TestEqualWhenAFileChanged(t *testing.T) {
	c := component(t, map[string]string{"staging/a.yaml": configMap})
	full := filepath.Join(c.Workspace, c.Root, "staging/a.yaml")
	if err := os.WriteFile(full, []byte(strings.Replace(configMap, "a: b", "a: c", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := run(t, c, Options{}); len(got) != 1 || short(got[0]) != "error equal staging:0" {
		t.Error(show(got))
	}
}

func TestEqualIgnoresWhatNoBuildReads(t *testing.T) {
	c := component(t, map[string]string{"staging/kustomization.yaml": listsA, "staging/a.yaml": configMap,
		"README.md": "x", "staging/other.yaml": configMap})
	leave(t, &c, "README.md", "ignored")
	leave(t, &c, "staging/other.yaml", "ignored")
	if got := run(t, c, Options{}); len(got) != 0 {
		t.Error(show(got))
	}
}

func TestReference(t *testing.T) {
	refused := func(line string) []string { return []string{"error reference staging/kustomization.yaml:" + line} }
	inline := "- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata: {name: x}\n  path: https://example.com/p.yaml\n"
	testRules(t, []rule{
		{name: "missing", files: map[string]string{"staging/kustomization.yaml": "resources:\n- a.yaml\n- b.yaml\n", "staging/a.yaml": configMap},
			want: refused("3")},
		{name: "outside the component", files: map[string]string{"staging/kustomization.yaml": "resources:\n- ../../shared\n",
			"//components/shared/kustomization.yaml": listsA, "//components/shared/a.yaml": configMap}, want: refused("2")},
		{name: "another case", files: map[string]string{"staging/kustomization.yaml": "Resources:\n- https://example.com/a.yaml\n"},
			want: refused("2")},
		{name: "outside the repository", files: map[string]string{"staging/kustomization.yaml": "resources:\n- ../../../../x\n"},
			want: refused("2")},
		{name: "out and back in", files: map[string]string{"staging/kustomization.yaml": "resources:\n- ../../web/base\n",
			"base/kustomization.yaml": listsA, "base/a.yaml": configMap}, want: refused("2")},
		{name: "absolute", files: map[string]string{"staging/kustomization.yaml": "resources:\n- /etc/passwd\n"}, want: refused("2")},
		{name: "folder without kustomization", files: map[string]string{"staging/kustomization.yaml": listsBase, "base/a.yaml": configMap},
			want: refused("2")},
		{name: "folder for a file", files: map[string]string{"staging/kustomization.yaml": "crds:\n- ../base\n", "base/a.yaml": configMap},
			want: refused("2")},
		{name: "unreachable kustomizations too", files: map[string]string{"staging/kustomization.yaml": listsA, "staging/a.yaml": configMap,
			"other/kustomization.yml": "components:\n- gone\n"}, want: []string{"error reference other/kustomization.yml:2"}},
		{name: "every field", files: map[string]string{"staging/Kustomization": everyField("gone")}, want: everyLine()},
		{name: "every field, all there", files: map[string]string{"other/Kustomization": everyField("f.yaml"), "other/f.yaml": configMap},
			want: []string{"warning deprecated other/Kustomization:3"}},
		{name: "remote in an inline plugin", files: map[string]string{"staging/kustomization.yaml": listsA + "transformers:\n" + inline,
			"staging/a.yaml": configMap}, want: refused("8")},
		{name: "remote in a plugin's file", files: map[string]string{"staging/kustomization.yaml": listsA + "transformers:\n- t.yaml\n",
			"staging/a.yaml": configMap, "staging/t.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: x}\npath: http://x/p\n"},
			want: []string{"error reference staging/t.yaml:4"}},
		{name: "inline patches are no paths", files: map[string]string{"staging/kustomization.yaml": listsA +
			"patchesStrategicMerge:\n- |-\n" + indented(configMap), "staging/a.yaml": configMap},
			want: []string{"warning deprecated staging/kustomization.yaml:3"}},
	})
}

// everyField is a kustomization with one reference per line, from line 2 on.
func everyField(f string) string {
	return strings.ReplaceAll(`resources:
- X
bases: [X]
components: [X]
crds: [X]
configurations: [X]
generators: [X]
transformers: [X]
validators: [X]
patches:
- path: X
patchesStrategicMerge: [X]
patchesJson6902:
- path: X
replacements:
- path: X
configMapGenerator:
- files: [key=X]
  envs: [X]
  env: X
helmCharts:
- valuesFile: X
  additionalValuesFiles: [X]
openapi: {path: X}
`, "X", f)
}

func everyLine() []string {
	var out []string
	for _, line := range []int{2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 16, 18, 19, 20, 22, 23, 24} {
		out = append(out, fmt.Sprintf("error reference staging/Kustomization:%d", line))
	}
	return slices.Insert(out, 1, "warning deprecated staging/Kustomization:3")
}

// TestReferencesThatCannotBeTold: kustomize reads JSON, and of what YAML allows beyond that it makes something of its own.
func TestReferencesThatCannotBeTold(t *testing.T) {
	const far = "https://example.com/a.yaml"
	testRules(t, []rule{
		{name: "keys that differ in case", files: map[string]string{"staging/kustomization.yaml": "resources: [" + far +
			"]\nResources: [a.yaml]\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:2"}},
		{name: "in a generator", files: map[string]string{"staging/kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [" + far +
			"]\n  Files: [a.yaml]\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:4"}},
		{name: "several mappings merged", files: map[string]string{"staging/kustomization.yaml": "x: &a {resources: [" + far +
			"]}\ny: &b {resources: [a.yaml]}\n<<: [*a, *b]\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:3"}},
		{name: "merged twice", files: map[string]string{"staging/kustomization.yaml": "x: &a {resources: [" + far +
			"]}\ny: &b {resources: [a.yaml]}\n<<: *a\n<<: *b\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:4"}},
		{name: "an encoded key", files: map[string]string{"staging/kustomization.yaml": "!!binary cmVzb3VyY2Vz: [" + far + "]\n"},
			want: []string{"error reference staging/kustomization.yaml:1"}},
		{name: "an encoded value", files: map[string]string{"staging/kustomization.yaml": "resources: [!!binary \"aHR0cA==\", a.yaml]\n",
			"staging/a.yaml": configMap, "staging/aHR0cA==": ""},
			want: []string{"error reference staging/kustomization.yaml:1"}},
		{name: "a plugin in one line",
			files: map[string]string{"staging/kustomization.yaml": "generators: ['{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: x}, files: [\"" + far + "\"]}']\n"},
			want:  []string{"error reference staging/kustomization.yaml:2"}},
		{name: "plugins in a list",
			files: map[string]string{"staging/kustomization.yaml": "generators:\n- |-\n  apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: x}, files: [\"" + far + "\"]}\n"},
			want:  []string{"error reference staging/kustomization.yaml:6"}},
		{name: "a plugin's keys", files: map[string]string{"staging/kustomization.yaml": "generators: [p.yaml]\n",
			"staging/p.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\nfiles: [" + far + "]\nFiles: [a.yaml]\n"},
			want: []string{"error reference staging/p.yaml:5"}},
		{name: "a later document that is no YAML", files: map[string]string{"staging/kustomization.yaml": "resources: [" + far +
			"]\n---\na: [\n"},
			want: []string{"error reference staging/kustomization.yaml:1"}},
		{name: "merged and in another case", files: map[string]string{"staging/kustomization.yaml": "<<: {resources: [" + far +
			"]}\nResources: [a.yaml]\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:1"}},
		{name: "merged behind its own", files: map[string]string{"staging/kustomization.yaml": "resources: [a.yaml]\n<<: {resources: [" + far +
			"]}\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:1"}},
		{name: "another alphabet's case", files: map[string]string{"staging/kustomization.yaml": "reſources: [" + far +
			"]\nresources: [a.yaml]\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:2"}},
		{name: "an alias as a key", files: map[string]string{"staging/kustomization.yaml": "commonAnnotations: {x: &r Resources}\nresources: [" +
			far + "]\n*r : [a.yaml]\n", "staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:3"}},
		{name: "merged in a plugin",
			files: map[string]string{"staging/kustomization.yaml": "generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata: {name: x}\n  <<: {files: [" + far + "]}\n  Files: [a.yaml]\n", "staging/a.yaml": configMap},
			want:  []string{"error reference staging/kustomization.yaml:6"}},
		{name: "plugins that are patched", files: map[string]string{"staging/kustomization.yaml": "generators: [../plugins]\n",
			"plugins/p.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\nname: x\n",
			"plugins/kustomization.yaml": "resources: [p.yaml]\npatches: [{target: {name: x}, patch: '[{op: add, path: /files, value: [\"" + far +
				"\"]}]'}]\n"},
			want: []string{"error reference plugins/kustomization.yaml:1"}},
		{name: "a line break in a path",
			files: map[string]string{"staging/kustomization.yaml": "resources: [\"https://example.com/base.git?ref=main&x=\\n\"]\n"},
			want:  []string{"error reference staging/kustomization.yaml:1"}},
		{name: "merged beside a field that Flux overlooks",
			files: map[string]string{"staging/kustomization.yaml": "nonsense: 1\nresources: [a.yaml]\n<<: {resources: [" + far + "]}\n",
				"staging/a.yaml": configMap},
			want: []string{"error reference staging/kustomization.yaml:1"}},
		{name: "one merge",
			files: map[string]string{"staging/kustomization.yaml": "configMapGenerator:\n- &g {name: g, files: [a.yaml]}\n- {<<: *g, name: h}\nresources: [a.yaml]\n", "staging/a.yaml": configMap}},
		{name: "labels are no references",
			files: map[string]string{"staging/kustomization.yaml": "commonLabels: {Env: x, env: y}\nresources: [a.yaml]\n",
				"staging/a.yaml": configMap}},
	})
}

func TestReferenceToRemotes(t *testing.T) {
	for _, url := range []string{"https://example.com/a.yaml", "http://example.com/a", "git@github.com:o/r", "github.com/o/r//base?ref=v1",
		"ssh://git@host/r", "oci://ghcr.io/o/r", "git::https://host/r", "user@host:path/r.git", "host/o/r?ref=main", "foo@github.com/o/r",
		"https://dev.azure.com/o/p/_git/r"} {
		c := component(t, map[string]string{"staging/kustomization.yaml": "resources:\n- " + url + "\n"})
		got := run(t, c, Options{})
		if len(got) != 1 || short(got[0]) != "error reference staging/kustomization.yaml:2" || !strings.Contains(got[0].Message, "remote") {
			t.Errorf("%s: %s", url, show(got))
		}
		c.Variants = nil // nothing is fetched in a test
		if got := run(t, c, Options{RemoteBases: true}); len(got) != 0 {
			t.Errorf("%s, allowed: %s", url, show(got))
		}
	}
}

// TestRemoteBase builds on a repository of its own, and looks whether the clone is gone afterwards.
func TestRemoteBase(t *testing.T) {
	repo := gittest.Serve(t)
	repo.Commit(map[string]string{"base/kustomization.yaml": listsA, "base/a.yaml": configMap})
	c := component(t, map[string]string{"staging/kustomization.yaml": "resources:\n- " + repo.URL + "//base?ref=main\n"})
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	if got := run(t, c, Options{RemoteBases: true}); len(got) != 0 {
		t.Error(show(got))
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestReferenceToWhatWasLeftOut(t *testing.T) {
	c := component(t, map[string]string{"staging/kustomization.yaml": "resources:\n- ../base\n- a.yaml\n", "staging/a.yaml": configMap,
		"base/kustomization.yaml": "resources: []\n", "base/keep.txt": ""})
	leave(t, &c, "staging/a.yaml", "not tracked by Git")
	if err := os.Remove(filepath.Join(c.Unpacked, "base/kustomization.yaml")); err != nil {
		t.Fatal(err)
	}
	c.Files = slices.DeleteFunc(c.Files, func(f string) bool { return f == "base/kustomization.yaml" })
	got := show(run(t, c, Options{}))
	for _, want := range []string{"staging/kustomization.yaml:2: resources: ../base has a kustomization.yaml that is not in the artifact",
		"staging/kustomization.yaml:3: resources: a.yaml exists but is not in the artifact: not tracked by Git"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestSecret(t *testing.T) {
	refused := func(where string) []string { return []string{"error secret " + where} }
	helm := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  values.yaml: |\n    extraDeploy:\n      secret: |-\n" +
		indented(indented(secretYAML("aHVudGVyMg==")))
	copyFrom := "apiVersion: fluxcd.controlplane.io/v1\nkind: ResourceSet\nspec:\n  resources:\n  - apiVersion: v1\n    kind: Secret\n" +
		"    metadata:\n      name: << inputs.tenant >>\n      annotations:\n        fluxcd.controlplane.io/copyFrom: flux-system/x\n" +
		"    type: kubernetes.io/dockerconfigjson\n"
	templated := "spec:\n  resourcesTemplate: |\n    <<- range $i := inputs >>\n    ---\n    apiVersion: v1\n    kind: Secret\n" +
		"    metadata:\n      name: x\n    stringData:\n      token: hunter2\n      user: << $i.user >>\n    <<- end >>\n"
	testRules(t, []rule{
		{name: "data", files: map[string]string{"a.yaml": secretYAML("aHVudGVyMg==")}, want: refused("a.yaml:6")},
		{name: "stringData", files: map[string]string{"a.yaml": "kind: Secret\nstringData: {a: hunter2, b: ''}\n"}, want: refused("a.yaml:2")},
		{name: "JSON", files: map[string]string{"a.json": "{\"kind\": \"Secret\",\n\"data\": {\"a\": \"hunter2\"}}"}, want: refused("a.json:2")},
		{name: "escaped", files: map[string]string{"a.yaml": "\"kind\": \"\\x53ecret\"\ndata: {a: hunter2}\n"}, want: refused("a.yaml:2")},
		{name: "UTF-16", files: map[string]string{"a.yaml": utf16LE(secretYAML("hunter2"))}, want: refused("a.yaml:6")},
		{name: "any file name", files: map[string]string{"notes.txt": secretYAML("hunter2")}, want: refused("notes.txt:6")},
		{name: "second document", files: map[string]string{"a.yaml": configMap + "---\n" + secretYAML("hunter2")}, want: refused("a.yaml:13")},
		{name: "in a List", files: map[string]string{"a.yaml": "kind: List\nitems:\n- kind: Secret\n  data:\n    a: hunter2\n"},
			want: refused("a.yaml:5")},
		{name: "behind an alias", files: map[string]string{"a.yaml": "x: &x\n  a: hunter2\ny:\n  kind: Secret\n  data: *x\n"},
			want: refused("a.yaml:2")},
		{name: "behind a merge key", files: map[string]string{"a.yaml": "x: &x\n  data: {a: hunter2}\ny:\n  <<: *x\n  kind: Secret\n"},
			want: refused("a.yaml:2")},
		{name: "in Helm values", files: map[string]string{"a.yaml": helm}, want: refused("a.yaml:14")},
		{name: "in a quoted string", files: map[string]string{"a.yaml": "a:\n  b: \"kind: Secret\\ndata:\\n  a: hunter2\\n\"\n"},
			want: refused("a.yaml:2")},
		{name: "in base64", files: map[string]string{"a.yaml": "x: y\nbundle: " + b64("\n"+secretYAML("hunter2")) + "\n"},
			want: refused("a.yaml:2")},
		{name: "in wrapped base64", files: map[string]string{"a.yaml": "bundle: |\n" + indented(wrap(b64("xy"+secretYAML("hunter2"))))},
			want: refused("a.yaml:3")},
		{name: "in base64 twice", files: map[string]string{"a.yaml": "x:\n  y: " + b64(b64("a"+pem)) + "\n"},
			want: []string{"error private-key a.yaml:2"}},
		{name: "in a template", files: map[string]string{"a.yaml": templated}, want: refused("a.yaml:10")},
		{name: "in a Helm chart's template",
			files: map[string]string{"t.yaml": "{{ if .x }}\n- kind: ConfigMap\n  data:\n    a: b\n- data:\n    a: hunter2\n    b: {{ .y }}\n" +
				"  kind: Secret\n- kind: Other\n  data:\n    a: b\n{{ end }}\n"}, want: refused("t.yaml:6")},
		{name: "in broken JSON", files: map[string]string{"a.json": "{\"x\":\n{\"kind\":\"Secret\",\"data\":{\"a\":\"hunter2\"}}"},
			want: refused("a.json:2")},
		{name: "in a broken file", files: map[string]string{"a.yaml": secretYAML("hunter2") + "x: y: z\n"}, want: refused("a.yaml:6")},
		{name: "default in a template", files: map[string]string{"a.yaml": secretYAML("'{{ .x | default \"hunter2\" }}'")},
			want: refused("a.yaml:6")},
		{name: "default in a variable", files: map[string]string{"a.yaml": secretYAML("${X:=hunter2}")}, want: refused("a.yaml:6")},
		{name: "a template and more", files: map[string]string{"a.yaml": secretYAML("user:${X}")}, want: refused("a.yaml:6")},
		{name: "half encrypted", files: map[string]string{"a.yaml": secretYAML(cipher) + "stringData:\n  b: hunter2\n" + sops},
			want: refused("a.yaml:8")},
		{name: "encrypted without metadata", files: map[string]string{"a.yaml": secretYAML(cipher)}, want: refused("a.yaml:6")},
		{name: "encrypted", files: map[string]string{"a.yaml": secretYAML(cipher) + sops}},
		{name: "encrypted in part by nature", files: map[string]string{"a.yaml": secretYAML("''") + "type: Opaque\n" + sops}},
		{name: "no values", files: map[string]string{"a.yaml": "kind: Secret\ntype: Opaque\ndata: {a: '', b: }\n"}},
		{name: "copied by reference", files: map[string]string{"a.yaml": copyFrom}},
		{name: "only references", files: map[string]string{"a.yaml": secretYAML("${X}") +
			"  b: << inputs.x >>\n  c: '{{ .Values.x | b64enc }}'\n  d: {{ .x }}\n"}},
		{name: "a mention", files: map[string]string{"a.yaml": "valuesFrom:\n- kind: Secret\n  name: x\ndata: {a: b}\n"}},
		{name: "generator with literals",
			files: map[string]string{"kustomization.yaml": "secretGenerator:\n- name: x\n  literals:\n  - a=\n  - b=hunter2\n  - c=${C}\n"},
			want:  refused("kustomization.yaml:5")},
		{name: "generator with files",
			files: map[string]string{"kustomization.yaml": "secretGenerator:\n- files: [k=plain]\n  envs:\n  - enc\n  - .env\n",
				"plain": "hunter2", "enc": "a=" + cipher + "\nsops_mac=" + cipher + "\n", ".env": "a=" + cipher + "\nsops_mac=" + cipher + "\n"},
			want: refused("plain:0")},
		{name: "generator with encrypted files", files: map[string]string{"kustomization.yaml": "secretGenerator:\n- files: [a.yaml, b.json]\n",
			"a.yaml": "token: " + cipher + "\n" + sops, "b.json": `{"data":"` + cipher + `","sops":{"mac":"` + cipher + `"}}`}},
		{name: "JSON patch of a Secret",
			files: map[string]string{"kustomization.yaml": "resources: [s.yaml]\npatches:\n- target: {kind: Secret}\n  patch: |\n" +
				"    - op: add\n      path: /data/a\n      value: aHVudGVyMg==\n- target: {kind: Secret}\n  path: p.yaml\n",
				"s.yaml": "kind: Secret\n", "p.yaml": "metadata: {name: x}\nstringData:\n  a: hunter2\n"},
			want: []string{"error secret kustomization.yaml:7", "error secret p.yaml:3"}},
		{name: "no values in build errors",
			files: map[string]string{"staging/kustomization.yaml": "secretGenerator:\n- name: x\n  literals: [hunter2]\n"},
			want:  []string{"error build staging/kustomization.yaml:0"}},
		{name: "allowed by folder", files: map[string]string{"a/b/c.yaml": secretYAML("hunter2"), "d.yaml": secretYAML("hunter2")},
			o: Options{Allow: []Allowance{{Path: "components/web/a/**"}}}, want: refused("d.yaml:6")},
		{name: "allowed by name", files: map[string]string{"a/b/c.yaml": secretYAML("hunter2"), "d.yaml": secretYAML("hunter2")},
			o: Options{Allow: []Allowance{{Path: "c.yaml"}, {Path: "**/d.yaml"}}}},
	})
}

func utf16LE(s string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

// wrap breaks a text at 16 characters, so that every word of it is broken somewhere.
func wrap(s string) string {
	var lines []string
	for len(s) > 16 {
		lines, s = append(lines, s[:16]), s[16:]
	}
	return strings.Join(append(lines, s), "\n")
}

func TestSecretFixIsReadyToCopy(t *testing.T) {
	c := component(t, map[string]string{"a.yaml": secretYAML("hunter2")})
	got := run(t, c, Options{})
	if want := `secrets: {allow: [{path: "components/web/a.yaml", reason: "…"}]}`; len(got) != 1 || !strings.Contains(got[0].Fix, want) {
		t.Error(show(got))
	}
	if want := "data.password"; !strings.Contains(got[0].Message, want) {
		t.Error(got[0].Message)
	}
}

func TestPrivateKey(t *testing.T) {
	refused := func(where string) []string { return []string{"error private-key " + where} }
	public := strings.ReplaceAll(pem, "RSA PRIVATE", "PUBLIC")
	testRules(t, []rule{
		{name: "PEM", files: map[string]string{"tls.pem": "x\n" + pem}, want: refused("tls.pem:2")},
		{name: "in a string", files: map[string]string{"a.yaml": "a: |\n" + indented("x\n"+pem)}, want: refused("a.yaml:3")},
		{name: "in a JSON string", files: map[string]string{"a.json": `{"a":` + fmt.Sprintf("%q", pem) + `}`}, want: refused("a.json:1")},
		{name: "PGP", files: map[string]string{"x.asc": strings.ReplaceAll(pem, "RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")},
			want: refused("x.asc:1")},
		{name: "age", files: map[string]string{"a.txt": "# x\n" + ageKey + "\n"}, want: refused("a.txt:2")},
		{name: "base64 0", files: map[string]string{"a.yaml": "a: " + b64(pem)}, want: refused("a.yaml:1")},
		{name: "base64 1", files: map[string]string{"a.yaml": "a: " + b64("x"+pem)}, want: refused("a.yaml:1")},
		{name: "base64 2", files: map[string]string{"a.yaml": "a: " + b64("xy"+pem)}, want: refused("a.yaml:1")},
		{name: "base64 of age", files: map[string]string{"a.yaml": "a: " + b64(ageKey)}, want: refused("a.yaml:1")},
		{name: "named like a key", files: map[string]string{"id_rsa": "something"}, want: refused("id_rsa:0")},
		{name: "raw key", files: map[string]string{"app.key": "\x01\x02\x03"}, want: refused("app.key:0")},
		{name: "allowed", files: map[string]string{"tls.key": pem}, o: Options{Allow: []Allowance{{Path: "*.key"}}}},
		{name: "public ones", files: map[string]string{"a.key": public, "b.pem": public, "id_rsa": "ssh-rsa AAAA", "id_rsa.pub": "ssh-rsa AAAA",
			"c.asc": strings.ReplaceAll(pem, "RSA PRIVATE KEY", "PGP PUBLIC KEY BLOCK"), "d.asc": strings.ReplaceAll(pem, "RSA PRIVATE KEY",
				"PGP MESSAGE"),
			"e.txt": "keys start with AGE-SECRET-" + "KEY-1…", "f.yaml": "a: " + b64(public+configMap+"Secret")}},
	})
}

func TestDotenv(t *testing.T) {
	testRules(t, []rule{
		{name: "plain", files: map[string]string{".env": "a=b", "sub/.env.prod": "a=b"},
			want: []string{"error dotenv .env:0", "error dotenv sub/.env.prod:0"}},
		{name: "half encrypted", files: map[string]string{".env": "a=" + cipher + "\nb=hunter2\nsops_mac=" + cipher},
			want: []string{"error dotenv .env:0"}},
		{name: "harmless", files: map[string]string{".env.example": "a=b", ".env.sample": "a=b", ".env.template": "a=b", "x.env": "a=b",
			"enc/.env": "a=" + cipher + "\nsops_mac=" + cipher + "\n"}},
		{name: "allowed", files: map[string]string{".env": "a=b"}, o: Options{Allow: []Allowance{{Path: "/components/*/.env"}}}},
	})
}

func TestWarnings(t *testing.T) {
	dashboard := `{"a": "${DS_PROMETHEUS}", "b": "${CLUSTER_NAME}", "c": "$${ESCAPED}"}`
	generator := "configMapGenerator:\n- name: x\n  files: [d.json]\n"
	script := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  run: |\n    #!/bin/sh\n    echo ${QPS}\n  conf: ${ENVIRONMENT}\n"
	testRules(t, []rule{
		{name: "API versions", files: map[string]string{"a.yaml": "apiVersion: helm.toolkit.fluxcd.io/v2beta1\nkind: HelmRelease\n---\n" +
			"apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n---\nitems:\n- apiVersion: kustomize.toolkit.fluxcd.io/v1beta2\n  kind: Kustomization\n" +
			"- apiVersion: notification.toolkit.fluxcd.io/v1beta3\n  kind: Alert\n"},
			want: []string{"warning api-version a.yaml:1", "warning api-version a.yaml:8"}},
		{name: "dashboard", files: map[string]string{"kustomization.yaml": generator, "d.json": dashboard, "a.yaml": "x: ${CLUSTER_NAME}\n"},
			want: []string{"warning substitution d.json:1"}},
		{name: "dashboard that is not substituted", files: map[string]string{"kustomization.yaml": generator +
			"generatorOptions: {annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\n", "d.json": dashboard}},
		{name: "dashboard nobody uses", files: map[string]string{"d.json": dashboard}},
		{name: "script", files: map[string]string{"a.yaml": script}, want: []string{"warning substitution a.yaml:8"}},
		{name: "script that is not substituted", files: map[string]string{"a.yaml": strings.Replace(script, "name: a",
			"labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}", 1)}},
		{name: "Flux's own variables", files: map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [values.yaml]\n",
			"values.yaml": "host: x.${CLUSTER_DOMAIN}\n", "a.yaml": strings.Replace(configMap, "a: b", "a: ${X}", 1)}},
		{name: "Git", files: map[string]string{"a.yaml": "x:\n- apiVersion: source.toolkit.fluxcd.io/v1\n  kind: GitRepository\n" +
			"- apiVersion: image.toolkit.fluxcd.io/v1\n  kind: ImageUpdateAutomation\n- apiVersion: image.toolkit.fluxcd.io/v1\n  kind: ImagePolicy\n" +
			"- kind: GitRepository\n"}, want: []string{"warning image-automation a.yaml:2", "warning image-automation a.yaml:4"}},
	})
}

func TestWarningNamesOnlyForeignVariables(t *testing.T) {
	c := component(t, map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [d.json]\n",
		"d.json": `{"a": "${DS_PROMETHEUS}", "b": "${CLUSTER_NAME}"}`, "a.yaml": "x: ${CLUSTER_NAME}\n"})
	got := show(run(t, c, Options{}))
	if !strings.Contains(got, "${DS_PROMETHEUS} in") || strings.Contains(got, "CLUSTER_NAME") {
		t.Error(got)
	}
}

func TestSize(t *testing.T) {
	c := component(t, map[string]string{"big.bin": ""})
	for _, dir := range []string{c.Unpacked, filepath.Join(c.Workspace, c.Root)} {
		if err := os.Truncate(filepath.Join(dir, "big.bin"), kustomize.MaxFile+1); err != nil {
			t.Fatal(err)
		}
	}
	if got := run(t, c, Options{}); len(got) != 1 || short(got[0]) != "error size big.bin:0" {
		t.Error(show(got))
	}
}

func TestRunSaysWhenAFolderIsUnreadable(t *testing.T) {
	c := component(t, map[string]string{"a.yaml": configMap})
	c.Unpacked = filepath.Join(c.Unpacked, "gone")
	if _, err := Run(t.Context(), c, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestFindingString(t *testing.T) {
	f := finding.Finding{Rule: "secret", File: "a.yaml", Line: 12, Message: "m", Fix: "f"}
	if f.String() != "a.yaml:12: m (secret); f" {
		t.Error(f.String())
	}
	if f.Line, f.Fix = 0, ""; f.String() != "a.yaml: m (secret)" {
		t.Error(f.String())
	}
}

// TestExternal_messages: what a reference out of the component's paths needs is said.
func TestExternal_messages(t *testing.T) {
	files := map[string]string{"web/staging/kustomization.yaml": "resources:\n- ../../base\n- ../../../x.yaml\n",
		"base/kustomization.yaml": ""}
	all := map[string]string{"x.yaml": configMap}
	for name, content := range files {
		all["apps/"+name] = content
	}
	c := packed(t, write(t, all), "apps", "web/staging")
	c.Files = []string{"web/staging/kustomization.yaml"}
	c.Name, c.Paths = "web", []string{"apps/web"}
	for external, want := range map[bool][]string{
		false: {`../../base is outside the component (apps/base) (reference); add it to the component's paths, or set artifact: {external: include}`,
			`../../../x.yaml is outside the component (x.yaml) (reference); move it below apps, or widen the component with root: and paths:`},
		true: {`../../base has a kustomization.yaml that is not in the artifact`,
			`widen the component with components: {"web": {root: "."}} in keos-oci.yaml`},
	} {
		c.External = external
		text := show(run(t, c, Options{}))
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("external %v: %s\nlacks %s", external, text, w)
			}
		}
	}
}
