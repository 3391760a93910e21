package fluxtest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/resourceset"
)

// set makes a ResourceSet of the YAML of its spec.
func set(t *testing.T, spec string) map[string]any {
	t.Helper()
	objects, err := Documents([]byte("apiVersion: fluxcd.controlplane.io/v1\nkind: ResourceSet\nmetadata: {name: apps, namespace: flux-system}\nspec:\n" + spec))
	if err != nil {
		t.Fatal(err)
	}
	return objects[0]
}

// rendered gives the field "v" of the ConfigMap-like object that a template value makes of the inputs.
func rendered(t *testing.T, value, inputs string, vars map[string]string) (string, error) {
	t.Helper()
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := Render(set(t, fmt.Sprintf("  inputs: [%s]\n  resources: [{apiVersion: v1, kind: X, metadata: {name: x}, v: %s}]\n", inputs,
		quoted)), vars)
	if err != nil {
		return "", err
	}
	got, err := json.Marshal(objects[0]["v"])
	return string(got), err
}

// These are the forms that survive the operator's way: the resource is written as YAML, then run as a template, then parsed.
func TestRender_scalars(t *testing.T) {
	long := "<< if inputs.long >>" + strings.Repeat("word ", 40) + "<< else >>short<< end >>"
	tests := []struct{ name, value, inputs, want string }{
		{"text", "<< inputs.x >>", "{x: latest}", `"latest"`},
		{"text that YAML reads as a boolean", "<< inputs.x >>", `{x: "true"}`, `true`},
		{"quoted", "<< inputs.x | quote >>", `{x: "true"}`, `"true"`},
		{"quoted number", "<< inputs.x | quote >>", `{x: 1}`, `"1"`},
		{"large integer", "<< inputs.x >>", `{x: 123456789}`, `123456789`},
		{"text with a colon", "<< inputs.x | toJson >>", "{x: 'a: b'}", `"a: b"`},
		{"text with a comment", "<< inputs.x >>", "{x: 'a #b'}", `"a"`},
		{"a missing key, by index", `<< index inputs "x" | quote >>`, "{}", `null`},
		{"quotes around make text", `"<< inputs.x >>"`, "{x: true}", `"\"true\""`},
		{"object", "<< inputs.x | toJson >>", "{x: {b: 1, a: [2]}}", `{"a":[2],"b":1}`},
		{"object or null", `<< if inputs.x >>{"a":"b"}<< else >>null<< end >>`, "{x: true}", `{"a":"b"}`},
		{"object or null: null", `<< if inputs.x >>{"a":"b"}<< else >>null<< end >>`, "{x: false}", `null`},
		{"a colon and a space make it text", `<< if inputs.x >>{"a": "b"}<< end >>`, "{x: true}", `"{\"a\": \"b\"}"`},
		{"a missing key, by get", `<< get inputs "x" | default "d" >>`, "{}", `"d"`},
		{"dig", `<< dig "a" "b" "d" inputs >>`, "{a: {b: c}}", `"c"`},
		{"dict", `<< dict "a" "b" | toJson >>`, "{}", `{"a":"b"}`},
		{"ternary", `<< ternary "a" "b" (hasKey inputs "x") >>`, "{x: 1}", `"a"`},
		{"regexQuoteMeta in single quotes", `<< regexQuoteMeta inputs.x >>`, "{x: a.b/c}", `"a\\.b/c"`},
		{"regexQuoteMeta and quote", `<< regexQuoteMeta inputs.x | quote >>`, "{x: a.b}", `"a\\.b"`},
		{"replace", `<< inputs.x | replace "/" "-" >>`, "{x: a/b}", `"a-b"`},
		{"leading brace is text", `{<< inputs.x >>}`, "{x: a}", `"{a}"`},
		{"several lines", "a\n<< inputs.x >>\n", "{x: b}", `"a\nb\n"`},
		{"long line", long, "{long: false}", `"short"`},
		{"provider", `<< inputs.provider.kind >>/<< inputs.provider.name >>`, "{}", `"ResourceSet/apps"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rendered(t, tt.value, tt.inputs, nil)
			if err != nil || got != tt.want {
				t.Errorf("%s gives %s, %v; want %s", tt.value, got, err, tt.want)
			}
		})
	}
}

func TestRender_faults(t *testing.T) {
	for value, want := range map[string]string{
		"<< inputs.missing >>":         "missing",
		"<< inputs.x":                  "unclosed",
		"<< nonesuch inputs.x >>":      "nonesuch",
		`<< now >>`:                    "now",
		`<< fail "enough" >>`:          "enough",
		`<< index inputs "missing" >>`: "a missing value",
		"<< inputs.text >>":            "mapping values",
		"é\t<< get inputs \"x\" >>":    "operand", // written with escapes
		// A line is folded after 80 columns, even where a Go string may not be.
		`<< "` + strings.Repeat("word ", 30) + `" >>`: "unterminated quoted string",
		"<< inputs.x >>: << inputs.x >>":              "",
	} {
		_, err := rendered(t, value, "{x: a, text: 'a: b', nothing: null}", nil)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want an error with %q", value, err, want)
		}
	}
}

// Quotes do not survive substitution: only a part of a longer text stays text.
func TestSubstitute_scalars(t *testing.T) {
	for _, tt := range []struct{ value, variable, want string }{
		{"${X}", "latest", `"latest"`},
		{"${X}", "true", `true`},
		{"${X}", "1e3", `1000`},
		{"${X}", "v1.2.3", `"v1.2.3"`},
		{"${X}", "refs/tags/.*", `"refs/tags/.*"`},
		{"${X}", "", `null`},
		{"x${X}", "true", `"xtrue"`},
		{"${Y:=d}", "", `"d"`},
		{"${Y:=${X}}", "a", `"a"`},
		{"${X:=${Y:=d}}", "", `"d"`},
		{"a${Y:=}b", "", `"ab"`},
		{"${Y:=}", "", `null`},
		{"$${X}", "a", `"${X}"`},
		{"a$", "", `"a$"`},
		{"^x$|${X}", "a", `"^x$|a"`},
	} {
		out, err := Substitute(map[string]any{"apiVersion": "v1", "kind": "X", "metadata": map[string]any{"name": "x"}, "v": tt.value},
			map[string]string{"X": tt.variable})
		got, _ := json.Marshal(out["v"])
		if err != nil || string(got) != tt.want {
			t.Errorf("%s with X=%q gives %s, %v; want %s", tt.value, tt.variable, got, err, tt.want)
		}
	}
}

func TestSubstitute_faults(t *testing.T) {
	obj := map[string]any{"apiVersion": "v1", "kind": "X", "metadata": map[string]any{"name": "x"}, "v": "${X}"}
	for _, vars := range []map[string]string{{"Y": "a"}, {"X": "a: b"}, {"X": "*"}, {"X": "a", "1": "b"}} {
		if out, err := Substitute(obj, vars); err == nil {
			t.Errorf("%v gives %v", vars, out)
		}
	}
	if out, err := Substitute(obj, nil); err != nil || out["v"] != "${X}" {
		t.Errorf("without variables: %v, %v", out, err)
	}
}

func TestSubstitutions(t *testing.T) {
	v := CRDs(t)
	spec := "  inputs: [{tag: \"${TAG}\"}]\n  resources:\n  - " + strings.ReplaceAll(strings.TrimSpace(ociRepository), "\n", "\n    ") + "\n"
	bare := set(t, strings.Replace(spec, "tag: latest", "tag: << inputs.tag >>", 1))
	if errs := v.Substitutions(bare, nil, []string{"latest", "v1.2.3"}); len(errs) > 0 {
		t.Error(errs)
	}
	if errs := v.Substitutions(bare, nil, []string{"true", "1e3"}); len(errs) != 2 {
		t.Errorf("a tag that is a number or a boolean is found as %v", errs)
	}
	quoted := set(t, strings.Replace(spec, "tag: latest", "tag: << inputs.tag | quote >>", 1))
	if errs := v.Substitutions(quoted, nil, []string{"true", "1e3"}); len(errs) > 0 {
		t.Error(errs)
	}
	if errs := v.Substitutions(quoted, nil, []string{"null"}); len(errs) != 1 {
		t.Errorf("an input that the API server drops is found as %v", errs)
	}
	marked := set(t, strings.NewReplacer(`"${TAG}"`, `"=${TAG}"`, "tag: latest",
		`tag: << inputs.tag | trimPrefix "=" | quote >>`).Replace(spec))
	if errs := v.Substitutions(marked, nil, Awkward()); len(errs) > 0 {
		t.Error(errs)
	}
}

// Two ways to keep a variable's value as it is: something before it that makes it text, or a template, which is one long
// text in the ResourceSet and keeps its quotes.
func TestRender_keepsValues(t *testing.T) {
	for name, spec := range map[string]string{
		"mark":     "  inputs: [{tag: \"=${TAG}\"}]\n  resources: [{apiVersion: v1, kind: X, metadata: {name: x}, v: '<< inputs.tag | trimPrefix \"=\" | quote >>'}]\n",
		"template": "  resourcesTemplate: |\n    apiVersion: v1\n    kind: X\n    metadata: {name: x}\n    v: \"${TAG}\"\n",
	} {
		for _, value := range append(Awkward(), "", "latest") {
			if name == "template" && value == "<<" {
				continue // begins an action
			}
			objects, err := Render(set(t, spec), map[string]string{"TAG": value})
			if err != nil || objects[0]["v"] != value {
				t.Errorf("%s: %q becomes %v, %v", name, value, objects, err)
			}
		}
	}
}

const two = `
  resources:
    - {apiVersion: v1, kind: Namespace, metadata: {name: "<< inputs.a >>"}}
    - {apiVersion: v1, kind: Namespace, metadata: {name: same}}
  resourcesTemplate: |
    ---
    apiVersion: v1
    kind: Namespace
    metadata: {name: same, labels: {from: template}}
    ---
    << if eq inputs.a "x" >>
    {apiVersion: v1, kind: ConfigMap, metadata: {name: "<< inputs.a >>", annotations: {fluxcd.controlplane.io/reconcile: disabled}}}
    << end >>
    ---
    {apiVersion: v1, kind: ConfigMap, metadata: {name: "c-<< inputs.a >>"}}
`

func TestRender_objects(t *testing.T) {
	exported := []Provider{
		{Name: "second", Labels: map[string]string{"k": "v"}, Inputs: []map[string]any{{"a": "z"}}},
		{Name: "first", Labels: map[string]string{"k": "v"}, Inputs: []map[string]any{{"a": "w"}}},
		{Name: "other", Inputs: []map[string]any{{"a": "no"}}},
	}
	for _, tt := range []struct {
		name, spec string
		want       []string
	}{
		{"inputs, deduplicated", "  inputs: [{a: x}, {a: w}]" + two, []string{"x", "w", "same", "c-x", "c-w"}},
		{"providers, by name", "  inputsFrom: [{selector: {matchLabels: {k: v}}}, {name: first}]" + two,
			[]string{"w", "z", "same", "c-w", "c-z"}},
		{"providers after inputs", "  inputs: [{a: x}]\n  inputsFrom: [{name: second}]" + two, []string{"x", "z", "same", "c-x", "c-z"}},
		{"providers without inputs", "  inputsFrom: [{selector: {matchLabels: {k: none}}}]" + two, nil},
		{
			"steps", "  inputs: [{a: x}]\n  steps: [{name: s, resourcesTemplate: '{apiVersion: v1, kind: X, metadata: {name: << inputs.a >>1}}'}, {name: t, resources: [{apiVersion: v1, kind: X, metadata: {name: \"2\"}}]}]\n",
			[]string{"x1", "2"},
		},
		{
			"permutations", "  inputStrategy: {name: Permute}\n  inputsFrom: [{name: first}, {name: second}]\n  resources: [{apiVersion: v1, kind: X, metadata: {name: \"<< inputs.first.a >><< inputs.second.a >>-<< inputs.id >>\"}}]\n",
			[]string{"wz-" + resourceset.InputID("first=0/second=0")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects, err := Render(set(t, tt.spec), nil, exported...)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, obj := range objects {
				names = append(names, obj["metadata"].(map[string]any)["name"].(string))
			}
			if !reflect.DeepEqual(names, tt.want) {
				t.Errorf("got %v, want %v", names, tt.want)
			}
		})
	}
	if _, err := Render(set(t, "  inputsFrom: [{name: nobody}]"+two), nil, exported...); err == nil {
		t.Error("a provider that is not there passes")
	}
}

func TestRender_commonMetadata(t *testing.T) {
	objects, err := Render(set(t,
		"  commonMetadata: {labels: {a: common}}\n  resources: [{apiVersion: v1, kind: X, metadata: {name: x, labels: {a: own, b: own}}}]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": "common", "b": "own"}
	if got := objects[0]["metadata"].(map[string]any)["labels"]; !reflect.DeepEqual(got, want) {
		t.Errorf("labels are %v, want %v", got, want)
	}
}

func TestRender_ociArtifactTag(t *testing.T) {
	objects, err := Render(set(t,
		"  inputsFrom: [{name: p}]\n  resources: [{apiVersion: v1, kind: X, metadata: {name: \"a<< inputs.id >>\"}, v: \"<< inputs.tag >>@<< inputs.digest >>\"}]\n"), nil,
		Provider{Name: "p", Inputs: []map[string]any{OCIArtifactTag("v1.2.3", "sha256:00")}})
	if err != nil || len(objects) != 1 || objects[0]["v"] != "v1.2.3@sha256:00" {
		t.Errorf("got %v, %v", objects, err)
	}
}

// No CRDs are needed for the expressions alone.
func TestExpressions(t *testing.T) {
	obj := set(t, "  dependsOn: [{apiVersion: v1, kind: X, name: x, ready: true, readyExpr: 'status.x == 1'}]\n")
	if errs := Expressions(obj); len(errs) > 0 {
		t.Error(errs)
	}
	obj = set(t, "  dependsOn: [{apiVersion: v1, kind: X, name: x, ready: true, readyExpr: 'status.x == '}]\n")
	if errs := Expressions(obj); len(errs) != 1 {
		t.Error(errs)
	}
}

func TestReady(t *testing.T) {
	ready := map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}
	for _, tt := range []struct {
		expr string
		want bool
		fail bool
	}{
		{"status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", true, false},
		{"status.conditions.exists(c, c.type == 'Stalled')", false, false},
		{"has(status.observedGeneration)", false, false},
		{"status.observedGeneration >= 0", false, true}, // fails until the controller has seen the object
		{"statuses.x == 1", false, true},
		{"status.conditions", false, true},
		{"status ==", false, true},
	} {
		got, err := Ready(tt.expr, ready)
		if got != tt.want || (err != nil) != tt.fail {
			t.Errorf("%s gives %t, %v", tt.expr, got, err)
		}
	}
}
