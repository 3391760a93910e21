package yamledit

import (
	"errors"
	"strings"
	"testing"
)

func sync(name string) ID {
	return ID{Group: "kustomize.toolkit.fluxcd.io", Kind: "Kustomization", Namespace: "flux-system", Name: name}
}

func fromRegistry(component string) Patch {
	return Patch{
		Mark:   "keos-oci migrate: " + component,
		Target: Target{Kind: "Kustomization", Name: component},
		Operations: []Operation{
			{Op: "replace", Path: "/spec/sourceRef", Value: map[string]string{"kind": "OCIRepository", "name": component}},
			{Op: "remove", Path: "/spec/path"},
		},
	}
}

const head = `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: apps
`

// added are the lines of fromRegistry("discovery") in the usual style.
const added = `    # keos-oci migrate: discovery
    - patch: |
        - {op: replace, path: /spec/sourceRef, value: {kind: OCIRepository, name: discovery}}
        - {op: remove, path: /spec/path}
      target: {kind: Kustomization, name: discovery}
`

func deeper(text, by string) string {
	return by + strings.TrimSuffix(strings.ReplaceAll(text, "\n", "\n"+by), by)
}

func shallower(text, by string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, by), "\n"+by, "\n")
}

func TestAddPatch(t *testing.T) {
	unindented := shallower(added, "  ")
	for _, test := range []struct{ name, before, after string }{
		{"no list", head + "spec:\n  prune: true\n", head + "spec:\n  prune: true\n  patches: # added by keos-oci\n" + added},
		{"a list", head + "spec:\n  patches:\n    - patch: x\n  prune: true\n",
			head + "spec:\n  patches:\n    - patch: x\n" + added + "  prune: true\n"},
		{"a list that is not indented", head + "spec:\n  patches:\n  - patch: x\n  # about prune\n  prune: true\n",
			head + "spec:\n  patches:\n  - patch: x\n" + unindented + "  # about prune\n  prune: true\n"},
		{"another list that is not indented", head + "spec:\n  dependsOn:\n  - name: x\n",
			head + "spec:\n  dependsOn:\n  - name: x\n  patches: # added by keos-oci\n" + unindented},
		{"an empty list", head + "spec:\n  patches: [ ]  # none\n  prune: true\n",
			head + "spec:\n  patches: # added by keos-oci, instead of: [ ]  # none\n" + added + "  prune: true\n"},
		{"no value", head + "spec:\n  patches: # none\n    # - patch: x\n  prune: true\n",
			head + "spec:\n  patches: # none\n    # - patch: x\n" + added + "  prune: true\n"},
		{"comments at the end", head + "spec:\n  prune: true\n  # suspend: true\n# end\n",
			head + "spec:\n  prune: true\n  # suspend: true\n  patches: # added by keos-oci\n" + added + "# end\n"},
		{"four spaces", head + "spec:\n    patches:\n        - patch: |\n              x: 1\n          target:\n              kind: X\n",
			head + "spec:\n    patches:\n        - patch: |\n              x: 1\n          target:\n              kind: X\n" +
				strings.ReplaceAll(deeper(added, "    "), "            - {op", "              - {op")},
		{"a text at the end without newline", head + "spec:\n  patches:\n    # why\n    - patch: |\n        x: 1",
			head + "spec:\n  patches:\n" + added + "    # why\n    - patch: |\n        x: 1"},
		{"a text that keeps blank lines", head + "spec:\n  patches:\n    - patch: |+\n        x: 1\n\n  prune: true\n",
			head + "spec:\n  patches:\n    - patch: |+\n        x: 1\n\n" + added + "  prune: true\n"},
		{"other documents", "---\n" + head + "spec: {}\n---\n" + strings.ReplaceAll(head, "apps", "infra") + "spec: {}\n---\n# x\na: b\n", ""},
		{"the second document", "---\na: b\n---\n" + head + "spec:\n  prune: true\n\n---\na: b\n",
			"---\na: b\n---\n" + head + "spec:\n  prune: true\n  patches: # added by keos-oci\n" + added + "\n---\na: b\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, form := range []func(string) string{asIs, crlf, noNewline} {
				before, want := form(test.before), form(test.after)
				after, err := AddPatch([]byte(before), sync("apps"), fromRegistry("discovery"))
				if test.after == "" {
					if !errors.Is(err, ErrUnsafe) {
						t.Fatalf("got %v", err)
					}
					continue
				}
				if err != nil || string(after) != want {
					t.Fatalf("got %v\n%s\nwant\n%s", err, after, want)
				}
				again, err := AddPatch(after, sync("apps"), fromRegistry("discovery"))
				if err != nil || string(again) != want {
					t.Errorf("again: got %v\n%s", err, again)
				}
				undone, err := RemovePatch(after, sync("apps"), "keos-oci migrate: discovery")
				if err != nil || string(undone) != before {
					t.Errorf("removed: got %v\n%q\nwant\n%q", err, undone, before)
				}
			}
		})
	}
}

func asIs(text string) string { return text }

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func noNewline(text string) string {
	if strings.HasSuffix(text, "\n\n") || strings.Contains(text, "|+") {
		return text
	}
	return strings.TrimSuffix(text, "\n")
}

// TestAddPatchSeveral removes several patches in every order.
func TestAddPatchSeveral(t *testing.T) {
	before := []byte(head + "spec:\n  prune: true")
	file, names := before, []string{"a", "b", "c"}
	var err error
	for _, name := range names {
		if file, err = AddPatch(file, sync("apps"), fromRegistry(name)); err != nil {
			t.Fatal(err)
		}
	}
	marks, err := Marks(file, sync("apps"), "keos-oci migrate: ")
	if err != nil || len(marks) != 3 || marks[1] != "keos-oci migrate: b" {
		t.Errorf("marks are %q, %v", marks, err)
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		left := file
		for _, i := range order {
			if left, err = RemovePatch(left, sync("apps"), "keos-oci migrate: "+names[i]); err != nil {
				t.Fatal(err)
			}
		}
		if string(left) != string(before) {
			t.Errorf("order %v: got\n%s", order, left)
		}
	}
}

func TestAddPatchEdited(t *testing.T) {
	file := []byte(head + "spec:\n  patches:\n" + added)
	for _, edited := range [][2]string{{"name: discovery}\n", "name: other}\n"}, {"/spec/path", "/spec/wait"},
		{"- patch:", "- options: {}\n      patch:"}} {
		_, err := AddPatch([]byte(strings.Replace(string(file), edited[0], edited[1], 1)), sync("apps"), fromRegistry("discovery"))
		var fault *Fault
		if !errors.Is(err, ErrConflict) || !errors.As(err, &fault) || fault.Line != 7 {
			t.Errorf("%q: got %v", edited[1], err)
		}
	}
	moved := strings.Replace(string(file), "    - patch", "    # a person wrote this\n    - patch", 1)
	after, err := AddPatch([]byte(moved), sync("apps"), fromRegistry("discovery"))
	if err != nil || string(after) != moved {
		t.Errorf("got %v\n%s", err, after)
	}
	after, err = RemovePatch([]byte(moved), sync("apps"), "keos-oci migrate: discovery")
	if want := head + "spec:\n  patches:\n    # a person wrote this\n"; err != nil || string(after) != want {
		t.Errorf("got %v\n%s", err, after)
	}
}

func TestAddPatchRefused(t *testing.T) {
	for _, test := range []struct {
		name, file string
		line       int
		kind       error
	}{
		{"not YAML", head + "spec: [\n", 6, ErrUnsafe},
		{"UTF-16", "\xff\xfea\x00", 1, ErrUnsafe},
		{"no object", "a: b\n", 1, ErrMissing},
		{"no spec", head, 1, ErrMissing},
		{"spec in one line", head + "spec: {prune: true}\n", 5, ErrUnsafe},
		{"patches in one line", head + "spec:\n  patches: [{patch: x}]\n", 6, ErrUnsafe},
		{"patches is a text", head + "spec:\n  patches: x\n", 6, ErrUnsafe},
		{"an anchor", head + "spec: &spec\n  prune: true\n", 5, ErrUnsafe},
		{"an alias", "x: &x [a]\n" + head + "spec:\n  patches: *x\n", 7, ErrUnsafe},
		{"a merge key", "x: &x\n  patches: [a]\n" + head + "spec:\n  <<: *x\n", 2, ErrUnsafe},
		{"two of a key", head + "spec:\n  patches: []\n  patches: []\n", 7, ErrUnsafe},
		{"two objects", head + "---\n" + head, 6, ErrUnsafe},
	} {
		_, err := AddPatch([]byte(test.file), sync("apps"), fromRegistry("discovery"))
		var fault *Fault
		if !errors.Is(err, test.kind) || !errors.As(err, &fault) || fault.Line != test.line {
			t.Errorf("%s: got %v, want line %d, %v", test.name, err, test.line, test.kind)
		}
	}
	for _, mark := range []string{"", " x", "a\nb", "a\u2028b"} {
		patch := fromRegistry("discovery")
		patch.Mark = mark
		if _, err := AddPatch([]byte(head+"spec:\n  prune: true\n"), sync("apps"), patch); err == nil {
			t.Errorf("mark %q was accepted", mark)
		}
	}
	if _, err := AddPatch([]byte(head+"spec:\n  prune: true\n"), sync("apps"), Patch{Mark: "x"}); err == nil {
		t.Error("a patch without operations was accepted")
	}
}

func TestFindNamespace(t *testing.T) {
	namespaced := strings.Replace(head, "name: apps", "name: apps\n  namespace: flux-system", 1) + "spec:\n  prune: true\n"
	for _, test := range []struct {
		file string
		id   ID
		ok   bool
	}{
		{namespaced, sync("apps"), true},
		{namespaced, ID{"kustomize.toolkit.fluxcd.io", "Kustomization", "", "apps"}, true},
		{namespaced, ID{"kustomize.toolkit.fluxcd.io", "Kustomization", "other", "apps"}, false},
		{namespaced, ID{"kustomize.config.k8s.io", "Kustomization", "", "apps"}, false},
		{namespaced + "---\n" + head, sync("apps"), true},
		{head + "---\n" + namespaced, sync("apps"), true},
		{namespaced + "---\n" + namespaced, sync("apps"), false},
	} {
		_, err := AddPatch([]byte(test.file), test.id, fromRegistry("discovery"))
		if (err == nil) != test.ok {
			t.Errorf("%v in\n%s\ngot %v", test.id, test.file, err)
		}
	}
}

// TestOperationValues writes values of all kinds in one line.
func TestOperationValues(t *testing.T) {
	for want, value := range map[string]any{
		"{op: add, path: /x, value: false}":             false,
		`{op: add, path: /x, value: ""}`:                "",
		"{op: add, path: /x, value: 0}":                 0,
		`{op: add, path: /x, value: "true"}`:            "true",
		`{op: add, path: /x, value: "a\nb\n"}`:          "a\nb\n",
		"{op: add, path: /x, value: [{a: 'b, c'}]}":     []any{map[string]any{"a": "b, c"}},
		"{op: add, path: /x, value: '${APP} # {none}'}": "${APP} # {none}",
		"{op: add, path: /x, value: {a: ./b, c: [d]}}":  map[string]any{"c": []string{"d"}, "a": "./b"},
		"{op: add, path: /x}":                           nil,
	} {
		patch := Patch{Mark: "x", Operations: []Operation{{Op: "add", Path: "/x", Value: value}}}
		lines, err := patch.lines()
		if err != nil || lines[0] != "- "+want {
			t.Errorf("got %s, %v, want %s", lines, err, want)
		}
		if _, err := AddPatch([]byte(head+"spec:\n  prune: true\n"), sync("apps"), patch); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
}
