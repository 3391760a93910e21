package release

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
)

func TestUnified(t *testing.T) {
	for name, test := range map[string]struct{ before, after, want string }{
		"equal":        {"a\n", "a\n", ""},
		"both empty":   {"", "", ""},
		"from empty":   {"", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		"to empty":     {"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		"no newline":   {"a\nb", "a\nc\n", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n"},
		"only newline": {"a", "a\n", "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		"far apart": {"a\n1\n2\n3\n4\n5\n6\n7\nz\n", "b\n1\n2\n3\n4\n5\n6\n7\ny\n",
			"@@ -1,4 +1,4 @@\n-a\n+b\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-z\n+y\n"},
		"header alike": {"-- x\n", "++ x\n", "@@ -1,1 +1,1 @@\n--- x\n+++ x\n"},
	} {
		if got := unified([]byte(test.before), []byte(test.after)); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestUnifiedHostile: equal lines in great number are what makes other algorithms take the square.
func TestUnifiedHostile(t *testing.T) {
	start := time.Now()
	a, b := bytes.Repeat([]byte("x\ny\n"), maxShown/4), bytes.Repeat([]byte("y\ny\nx\n"), maxShown/6)
	if unified(a, b) == "" {
		t.Error("equal")
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

// sideOf makes a side of files; a name that ends in * is executable.
func sideOf(t *testing.T, files map[string]string) side {
	t.Helper()
	s := side{dir: t.TempDir()}
	for name, content := range files {
		name, executable := strings.CutSuffix(name, "*")
		mode := os.FileMode(0o644)
		if executable {
			mode = 0o755
		}
		full := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.files, err = listFiles(s.dir); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDiffFiles(t *testing.T) {
	from := sideOf(t, map[string]string{"same": "x\n", "a/old": "moved\n", "text": "one\n", "binary": "a\x00", "latin": "caf\xe9\n",
		"run":     "#!\n",
		"emptied": "x\n", "big": strings.Repeat("x", maxShown+1), "swap": "\x00"})
	to := sideOf(t, map[string]string{"same": "x\n", "a/new": "moved\n", "text": "two\n", "binary": "b\x00", "latin": "caf\xe8\n",
		"run*":    "#!\n",
		"emptied": "", "big": "x", "swap": "text\n", "blank": ""})
	got, err := diffFiles(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	want := []FileDiff{
		{Path: "a/new", Change: ChangeAdded, Diff: "@@ -0,0 +1,1 @@\n+moved\n"},
		{Path: "a/old", Change: ChangeRemoved, Diff: "@@ -1,1 +0,0 @@\n-moved\n"},
		{Path: "big", Change: ChangeChanged, TooLarge: true},
		{Path: "binary", Change: ChangeChanged, Binary: true},
		{Path: "blank", Change: ChangeAdded},
		{Path: "emptied", Change: ChangeChanged, Diff: "@@ -1,1 +0,0 @@\n-x\n"},
		{Path: "latin", Change: ChangeChanged, Binary: true},
		{Path: "run", Change: ChangeChanged, Mode: "0644 -> 0755"},
		{Path: "swap", Change: ChangeChanged, Binary: true},
		{Path: "text", Change: ChangeChanged, Diff: "@@ -1,1 +1,1 @@\n-one\n+two\n"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func group(t *testing.T, yaml string, m masker) map[objectKey]object {
	t.Helper()
	objects, err := groupObjects([]byte(yaml), m)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestDiffObjects(t *testing.T) {
	m := newMasker()
	before := group(t, `apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: x}
data: {big: 12345678901234567890}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: y}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: same}
`, m)
	after := group(t, `apiVersion: v1
kind: ConfigMap
metadata: {name: same}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: x}
data: {big: 12345678901234567891}
---
apiVersion: example.com/v1
kind: ConfigMap
metadata: {name: a, namespace: y}
`, m)
	var got []string
	for _, d := range diffObjects("production", before, after) {
		got = append(got, fmt.Sprint(d.Variant, " ", d.Change, " ", d.APIVersion, " ", d.Kind, " ", d.Namespace, "/", d.Name))
		if d.Diff == "" {
			t.Errorf("%+v has no diff", d)
		}
	}
	want := []string{"production changed v1 ConfigMap x/a", "production added example.com/v1 ConfigMap y/a",
		"production removed v1 ConfigMap y/a"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(group(t, "", m)) != 0 {
		t.Error("nothing renders to objects")
	}
}

// TestSecretsAreMasked: no value of a Secret is shown wherever it is, and every change to one is.
func TestSecretsAreMasked(t *testing.T) {
	const secret = "swordfish"
	for name, text := range map[string]string{
		"string data": "kind: Secret\nmetadata: {name: s}\nstringData: {p: VALUE}\n",
		"data":        "kind: Secret\nmetadata: {name: s}\ndata: {p: VALUE}\n",
		"block":       "kind: Secret\nmetadata: {name: s}\nstringData:\n  p: |\n    first\n    VALUE\n",
		"deep":        "kind: Secret\nmetadata: {name: s}\ndata: {p: {q: [VALUE]}}\n",
		"no mapping":  "kind: Secret\nmetadata: {name: s}\ndata: VALUE\n",
		"last applied": "kind: Secret\nmetadata:\n  name: s\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: 'VALUE'\n" +
			"stringData: {p: x}\n",
		"other copy": "kind: Secret\nmetadata:\n  name: s\n  annotations: {kapp.k14s.io/original: '{\"data\":\"VALUE\"}'}\n",
		"inside":     "kind: ResourceSet\nmetadata: {name: s}\nspec:\n  resources:\n  - kind: Secret\n    stringData: {p: VALUE}\n",
		"in a string": "kind: ConfigMap\nmetadata: {name: s}\ndata:\n  a: |\n    kind: Secret\n    stringData:\n      p: VALUE\n    ---\n" +
			"    kind: ConfigMap\n    data: {a: seen}\n",
		"in JSON":     "kind: ConfigMap\nmetadata: {name: s}\ndata:\n  a: '{\"kind\":\"Secret\",\"data\":{\"p\":\"VALUE\"}}'\n",
		"alias":       "kind: ConfigMap\nmetadata: {name: s}\ndata:\n  a: |\n    x: &v VALUE\n    kind: Secret\n    data: {p: *v}\n",
		"in template": "kind: ResourceSet\nmetadata: {name: s}\nspec:\n  resourcesTemplate: |\n    << range .x >>\n    kind: Secret\n    data: {p: VALUE}\n",
	} {
		m := newMasker()
		with := func(value string) map[objectKey]object { return group(t, strings.ReplaceAll(text, "VALUE", value), m) }
		if diffs := diffObjects("v", with(secret), with(secret)); len(diffs) != 0 {
			t.Errorf("%s: equal objects differ: %+v", name, diffs)
		}
		diffs := diffObjects("v", with(secret), with("hunter2"))
		if len(diffs) != 1 {
			t.Errorf("%s: %d objects differ", name, len(diffs))
			continue
		}
		if d := diffs[0].Diff; strings.Contains(d, secret) || strings.Contains(d, "hunter2") || strings.Count(d, "*** ") < 2 {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestMaskLeavesOthers: what only has the word in its name is shown.
func TestMaskLeavesOthers(t *testing.T) {
	for _, text := range []string{
		"kind: ConfigMap\ndata: {p: seen}\n",
		"kind: ExternalSecret\nspec: {data: [{secretKey: seen}]}\n",
		"kind: ConfigMap\ndata:\n  a: |\n    kind: ExternalSecret\n    data: {p: seen}\n",
		"kind: HelmRelease\nspec: {valuesFrom: [{kind: Secret, name: seen}]}\n",
		"kind: Secret\nmetadata: {name: seen, annotations: {a: seen}}\n",
	} {
		for _, o := range group(t, text, newMasker()) {
			if !bytes.Equal(o.plain, o.shown) {
				t.Errorf("masked: %s", o.shown)
			}
		}
	}
}

// TestMarks: equal marks mean equal values within one run, and nothing in another run.
func TestMarks(t *testing.T) {
	a, b := newMasker(), newMasker()
	first, again := a.mark("x"), a.mark("x")
	if first != again || first == a.mark("y") || first == b.mark("x") {
		t.Error("marks do not tell values apart, or runs alike")
	}
}

func TestParseTargetOf(t *testing.T) {
	d := "sha256:" + strings.Repeat("0", 64)
	for in, want := range map[string]Target{"v1.0.0": {Component: "a", Tag: "v1.0.0"},
		d: {Component: "a", Digest: "sha256:" + "0000000000000000000000000000000000000000000000000000000000000000"}} {
		if got, err := ParseTargetOf("a", in); err != nil || got != want {
			t.Errorf("ParseTargetOf(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "sha256:abc", "frontend:v1.0.0"} {
		if _, err := ParseTargetOf("a", in); err == nil {
			t.Errorf("ParseTargetOf(%q) was accepted", in)
		}
	}
}

func TestDiffersIsAnAnswer(t *testing.T) {
	if err := (&DiffResult{Equal: true}).Err(); err != nil {
		t.Error(err)
	}
	if err := (&DiffResult{}).Err(); Faults().Find(err).Exit != exit.No || code(err) != "differs" {
		t.Errorf("%v: %s", err, code(err))
	}
	if err := knowVariants(component.Component{Name: "a"}, []string{"x"}); err == nil || code(err) != "unknown" {
		t.Error(err)
	}
}
