package substitution

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestReferences(t *testing.T) {
	for text, want := range map[string][]Reference{
		"none":                                 nil,
		"a ${A} b":                             {{"A", 1, false}},
		"a\n$${A}\n${B}\n\n${_c9}":             {{"B", 3, false}, {"_c9", 5, false}},
		"${A:=x} ${B:-} ${C=x} ${D-x}":         {{"A", 1, true}, {"B", 1, true}, {"C", 1, true}, {"D", 1, true}},
		"${A:1:2} ${B/x/y} ${C^^}":             {{"A", 1, false}, {"B", 1, false}, {"C", 1, false}},
		"${A:=${B}}":                           {{"A", 1, true}, {"B", 1, false}},
		"${} ${1A} ${#A} ${A":                  nil,
		"${A" + strings.Repeat(" ", 300) + "}": nil,
	} {
		if got := References(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestUses(t *testing.T) {
	u := New()
	u.Ordinary("host: ${CLUSTER_DOMAIN}")
	u.Standalone("d.json", []byte("{\n\"a\": \"${CLUSTER_DOMAIN}\",\n\"b\": \"${DS_PROMETHEUS} ${DS_LOKI}\"}"))
	u.Standalone("values.yaml", []byte("#!/bin/sh\necho ${X}"))
	u.ConfigMap("a.yaml",
		parse(t, "metadata: {name: a}\ndata:\n  run.sh: |\n    set -e\n    echo ${QPS}\n  quoted.sh: \"echo\\n${LATER}\"\n  conf: ${ENVIRONMENT}\n"))
	u.ConfigMap("b.yaml",
		parse(t, "metadata: {annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata: {run.sh: 'echo ${OFF}'}\n"))
	u.ConfigMap("c.yaml",
		parse(t, "x: &l {labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}}\nmetadata: {<<: *l}\ndata: {run.sh: 'echo ${OFF}'}\n"))
	if got := u.Files(); !slices.Equal(got, []string{"a.yaml", "d.json"}) {
		t.Error(got)
	}
	for file, want := range map[string]struct {
		names []string
		line  int
	}{"a.yaml": {[]string{"LATER", "QPS"}, 5}, "d.json": {[]string{"DS_LOKI", "DS_PROMETHEUS"}, 3}, "b.yaml": {}} {
		if names, line := u.Blanked(file); !slices.Equal(names, want.names) || line != want.line {
			t.Errorf("%s: %v, line %d; want %v, line %d", file, names, line, want.names, want.line)
		}
	}
}

func TestIsForeign(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       bool
	}{{"a.json", "", true}, {"run.sh", "echo", true}, {"x", "\n#!/bin/sh", true}, {"x", ` {"a": 1}`, true}, {"x", "{{ template }}",
		false}, {"values.yaml", "a: b", false}} {
		if got := IsForeign(c.name, c.text); got != c.want {
			t.Errorf("%s %q: %v", c.name, c.text, got)
		}
	}
	for name, want := range map[string]bool{"a.yaml": false, "a/b.yml": false, "a/Kustomization": false, "a.json": true, "run": true} {
		if got := IsStandalone(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func parse(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Content[0]
}

func TestScan(t *testing.T) {
	files := map[string]string{
		"base/kustomization.yaml": "resources: [a.yaml]\nconfigMapGenerator:\n- {name: a, files: [board.json, x=run.sh]}\n- {name: b, files: [off.json], options: {labels: {" + Key + ": disabled}}}\n",
		"base/a.yaml":             "kind: A\nhost: ${HOST}\nport: ${PORT:=80}\n---\nkind: List\nitems:\n- {kind: B, x: \"${IN_LIST}\"}\n- {kind: C, metadata: {annotations: {" + Key + ": disabled}}, x: \"${OFF}\"}\n",
		"base/board.json":         "{\"a\": \"${HOST}\",\n \"b\": \"${DS_LOKI}\"}",
		"base/run.sh":             "echo ${QPS}",
		"base/off.json":           "{\"a\": \"${OFF}\"}",
		"base/plain.properties":   "a=${PROPERTY}\nb=${PORT}",
		"prod/kustomization.yaml": "resources: [../base]\n",
	}
	scan := func() *Uses {
		var names []string
		for name := range files {
			names = append(names, name)
		}
		slices.Sort(names)
		uses, err := Scan(names, func(file string) ([]byte, error) { return []byte(files[file]), nil })
		if err != nil {
			t.Fatal(err)
		}
		return uses
	}
	uses := scan()
	want := []Variable{{"HOST", "base/a.yaml", 2, false}, {"IN_LIST", "base/a.yaml", 7, false}, {"PORT", "base/a.yaml", 3, false},
		{"PROPERTY", "base/plain.properties", 1, false}}
	if got := uses.Variables(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if names, line := uses.Blanked("base/board.json"); !slices.Equal(names, []string{"DS_LOKI"}) || line != 2 {
		t.Error(names, line)
	}
	if uses.Unseen || !uses.Has("QPS") || !uses.Has("HOST") || uses.Has("OFF") {
		t.Errorf("%+v", uses)
	}
	for _, remote := range []string{"https://example.com/x?ref=v1", "../gone"} {
		files["prod/kustomization.yaml"] = "resources: [../base, '" + remote + "']\n"
		if !scan().Unseen {
			t.Errorf("%s was seen", remote)
		}
	}
}
