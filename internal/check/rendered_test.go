package check

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// secretShell is a Secret without values, which may be in plain text.
const secretShell = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n"

// forms are ways to put a value into a Secret that kustomize takes, by what they are. Each file of them is below staging.
func forms(value string) map[string]map[string]string {
	shell := func(kustomization string, more ...string) map[string]string {
		files := map[string]string{"staging/kustomization.yaml": "resources: [s.yaml]\n" + kustomization, "staging/s.yaml": secretShell}
		for i := 0; i < len(more); i += 2 {
			files["staging/"+more[i]] = more[i+1]
		}
		return files
	}
	generator := "apiVersion: builtin\nkind: SecretGenerator\nmetadata:\n  name: x\nliterals:\n- password=" + value + "\n"
	added := `[{"op": "add", "path": "/stringData", "value": {"password": "` + value + `"}}]`
	return map[string]map[string]string{
		"literals in another case": {"staging/kustomization.yaml": "secretGenerator:\n- name: x\n  Literals:\n  - password=" + value + "\n"},
		"a generator's file":       {"staging/kustomization.yaml": "generators: [g.yaml]\n", "staging/g.yaml": generator},
		"a generator inline":       {"staging/kustomization.yaml": "generators:\n- |\n" + indented(generator)},
		"a transformer's file": shell("transformers: [t.yaml]\n", "t.yaml",
			"apiVersion: builtin\nkind: PatchTransformer\nmetadata:\n  name: t\npatch: '"+added+"'\ntarget:\n  kind: Secret\n"),
		"a transformer inline": shell("transformers:\n- |\n" +
			indented("apiVersion: builtin\nkind: PatchTransformer\nmetadata:\n  name: t\npatch: '"+added+"'\ntarget:\n  kind: Secret\n")),
		"a patch whose target has no kind": shell("patches:\n- target: {name: db}\n  patch: '" + added + "'\n"),
		"a patch's file without a kind": shell("patches:\n- target: {name: db}\n  path: p.yaml\n", "p.yaml",
			strings.ReplaceAll(added, `"`, `"`)+"\n"),
		"a replacement": shell("configMapGenerator:\n- name: plain\n  literals: ['password=" + value +
			"']\nreplacements:\n- source: {kind: ConfigMap, name: plain, fieldPath: data.password}\n" +
			"  targets:\n  - select: {kind: Secret}\n    fieldPaths: [stringData.password]\n    options: {create: true}\n"),
		"a replacement's file": shell("configMapGenerator:\n- name: plain\n  literals: ['password="+value+"']\nreplacements: [{path: r.yaml}]\n",
			"r.yaml",
			"source: {kind: ConfigMap, name: plain, fieldPath: data.password}\ntargets:\n- select: {kind: Secret}\n  fieldPaths: [stringData.password]\n  options: {create: true}\n"),
		"a generator that merges": shell("secretGenerator:\n- name: db\n  behavior: merge\n  LITERALS:\n  - password=" + value +
			"\ngeneratorOptions: {disableNameSuffixHash: true}\n"),
		"a patch of the old kind": shell("patchesStrategicMerge:\n- |\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: db}\n  stringData: {password: \"" + value + "\"}\n"),
		"a patch of operations":   shell("patchesJson6902:\n- target: {version: v1, kind: Secret, name: db}\n  patch: '" + added + "'\n"),
		"operations of a plugin": shell("transformers: [t.yaml]\n", "t.yaml",
			"apiVersion: builtin\nkind: PatchJson6902Transformer\nmetadata:\n  name: t\ntarget: {version: v1, kind: Secret, name: db}\n"+
				"jsonOp: '"+added+"'\n"),
		"a merge of a plugin": shell("transformers: [t.yaml]\n", "t.yaml",
			"apiVersion: builtin\nkind: PatchStrategicMergeTransformer\nmetadata:\n  name: t\npatches: |\n  apiVersion: v1\n  kind: Secret\n"+
				"  metadata: {name: db}\n  stringData: {password: \""+value+"\"}\n"),
		"plugins in a folder": {"staging/kustomization.yaml": "generators: [plugins]\n",
			"staging/plugins/kustomization.yaml": "resources: [g.yaml]\n", "staging/plugins/g.yaml": generator},
		"files of assignments": {"staging/kustomization.yaml": "secretGenerator:\n- name: x\n  envs: [login.properties]\n",
			"staging/login.properties": "password=" + value + "\n"},
		"files of a plugin": {"staging/kustomization.yaml": "generators: [g.yaml]\n", "staging/login.properties": "password=" + value + "\n",
			"staging/g.yaml": "apiVersion: builtin\nkind: SecretGenerator\nmetadata:\n  name: x\nenvs: [login.properties]\n"},
		"a component": {"staging/kustomization.yaml": "components: [c]\n",
			"staging/c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ngenerators: [g.yaml]\n", "staging/c/g.yaml": generator},
	}
}

// TestRenderedSecrets: in whatever way kustomize puts a plaintext value into a Secret, the component is refused, and the file is named.
func TestRenderedSecrets(t *testing.T) {
	for name, files := range forms("hunter2") {
		t.Run(name, func(t *testing.T) {
			findings := errorsOf(run(t, component(t, files), Options{}))
			if len(findings) == 0 || findings[0].Rule != finding.RuleSecret || findings[0].Line == 0 &&
				!strings.HasSuffix(findings[0].File, ".properties") || !strings.HasPrefix(findings[0].File, "components/web/staging/") {
				t.Fatalf("%s", show(findings))
			}
			if strings.Contains(show(findings), "hunter2") {
				t.Errorf("says too much: %s", show(findings))
			}
			allowed := Options{Allow: []Allowance{{Path: findings[0].File, Reason: "test"}}}
			if left := errorsOf(run(t, component(t, files), allowed)); len(left) > 0 {
				t.Errorf("%s is allowed: %s", findings[0].File, show(left))
			}
		})
	}
}

// TestRenderedHarmless: the same ways with what is no secret are no finding.
func TestRenderedHarmless(t *testing.T) {
	for _, value := range []string{"${PASSWORD}", ""} {
		for name, files := range forms(value) {
			if found := errorsOf(run(t, component(t, files), Options{})); len(found) > 0 {
				t.Errorf("%s of %q: %s", name, value, show(found))
			}
		}
	}
}

// TestRandomSecrets: random compositions of the ways, in any spelling of a key that kustomize takes: what is built with a
// plaintext value is refused. A failure prints its seed.
func TestRandomSecrets(t *testing.T) {
	const seed = 20261127
	all := forms("hunter2")
	names := slices.Sorted(maps.Keys(all))
	leaks := 0
	for i := range 1000 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		files := map[string]string{}
		list := "resources:\n"
		for n := range 1 + random.IntN(3) {
			form := all[names[random.IntN(len(names))]]
			for file, content := range form {
				files[strings.Replace(file, "staging/", fmt.Sprintf("base%d/", n), 1)] = respelled(random, content)
			}
			files[fmt.Sprintf("base%d/kustomization.yaml", n)] += fmt.Sprintf("namePrefix: p%d-\n", n)
			list += fmt.Sprintf("- ../base%d\n", n)
		}
		files["staging/kustomization.yaml"] = list
		c := component(t, files)
		objects, err := kustomize.Render(t.Context(), c.Unpacked, "staging", kustomize.Options{})
		if err != nil || !strings.Contains(string(objects), "hunter2") && !strings.Contains(string(objects), b64("hunter2")) {
			continue
		}
		leaks++
		if found := errorsOf(run(t, c, Options{})); !slices.ContainsFunc(found,
			func(f finding.Finding) bool { return f.Rule == finding.RuleSecret }) {
			t.Errorf("seed %d, %d: passes:\n%v\n%s", uint64(seed), i, files, objects)
		}
	}
	if leaks < 400 {
		t.Errorf("only %d of 1000 compositions build with a value", leaks)
	}
}

// respelled writes some keys of kustomizations in other ways that kustomize's decoder takes: capitals, quotes, escapes.
func respelled(random *rand.Rand, content string) string {
	for _, key := range []string{"secretGenerator", "literals", "generators", "transformers", "patches", "patchesJson6902", "replacements",
		"behavior", "components", "options", "envs"} {
		as := key
		switch random.IntN(8) {
		case 0, 1:
			as = strings.ToUpper(key[:1]) + key[1:]
		case 2:
			as = strings.ToUpper(key)
		case 3:
			as = `"` + key + `"`
		case 4:
			as = fmt.Sprintf(`"\x%02x%s"`, key[0], key[1:])
		}
		content = regexp.MustCompile(`(?m)^([ -]*)`+key+`:`).ReplaceAllString(content, "${1}"+strings.ReplaceAll(as, "$", "$$")+":")
	}
	return content
}
