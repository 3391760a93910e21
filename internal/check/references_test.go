package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/git/gittest"
)

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
