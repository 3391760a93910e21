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

	"github.com/stratio/keos-oci/internal/finding"
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
