package yamledit

import (
	"errors"
	"strings"
	"testing"
)

func TestAddResource(t *testing.T) {
	for _, test := range []struct{ name, before, after string }{
		{"a list", "resources:\n  - a # x\n  # - b\nlabels: []\n", "resources:\n  - a # x\n  # - b\n  - new.yaml\nlabels: []\n"},
		{"not indented", "resources:\n- a\n# x\nlabels: []\n", "resources:\n- a\n- new.yaml\n# x\nlabels: []\n"},
		{"quotes", "resources:\n  - 'a'\n  - 'b'\n", "resources:\n  - 'a'\n  - 'b'\n  - 'new.yaml'\n"},
		{"wide dashes", "resources:\n-   a\n-   b: c\n", "resources:\n-   a\n-   b: c\n-   new.yaml\n"},
		{"empty", "kind: Kustomization\nresources: [ ] # none\n", "kind: Kustomization\nresources: [new.yaml ] # none\n"},
		{"in one line", "resources: [a, \"b\"]\n", "resources: [a, \"b\", new.yaml]\n"},
		{"in one line with a comma", "resources: [ 'é', 'b' , ]\n", "resources: [ 'é', 'b', 'new.yaml' , ]\n"},
		{"brackets over lines", "resources: [\n  a, # x\n  b # y\n]\n", "resources: [\n  a, # x\n  b, new.yaml # y\n]\n"},
		{"JSON", `{"kind": "Kustomization", "resources": []}`, `{"kind": "Kustomization", "resources": ["new.yaml"]}`},
		{"missing", "kind: Kustomization\n# end\n", "kind: Kustomization\nresources: # added by keos-oci\n  - new.yaml\n# end\n"},
		{"null", "resources: ~ # none\nkind: x\n", "resources: # added by keos-oci, instead of: ~ # none\n  - new.yaml\nkind: x\n"},
		{"no value", "resources:\nkind: x\n", "resources:\n  - new.yaml\nkind: x\n"},
		{"BOM", "\ufeffresources:\n- a\n", "\ufeffresources:\n- a\n- new.yaml\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, form := range []func(string) string{asIs, crlf, noNewline} {
				before, want := form(test.before), form(test.after)
				after, err := AddResource([]byte(before), "new.yaml")
				if err != nil || string(after) != want {
					t.Fatalf("got %v\n%q\nwant\n%q", err, after, want)
				}
				if again, err := AddResource(after, "./new.yaml"); err != nil || string(again) != want {
					t.Errorf("again: got %v\n%q", err, again)
				}
				undone, err := RemoveResource(after, "new.yaml")
				if err != nil || string(undone) != before {
					t.Errorf("removed: got %v\n%q\nwant\n%q", err, undone, before)
				}
				if undone, err = RemoveResource(undone, "new.yaml"); err != nil || string(undone) != before {
					t.Errorf("removed again: got %v\n%q", err, undone)
				}
			}
		})
	}
}

func TestAddResourceRefused(t *testing.T) {
	for _, file := range []string{"", "# x\n", "- a\n", "{kind: x}\n", "resources: a\n", "x: &x [a]\nresources: *x\n", "a: b\n---\nc: d\n"} {
		if after, err := AddResource([]byte(file), "new.yaml"); err == nil {
			t.Errorf("%q became %q", file, after)
		}
	}
}

func TestRemoveResourceOfPerson(t *testing.T) {
	for before, want := range map[string]string{
		"resources:\n  - a\n  # about b\n  - b\n  - c\n": "resources:\n  - a\n  # about b\n  - c\n",
		"resources: [b, c]\n":                            "resources: [c]\n",
		"resources: [a, b , c]\n":                        "resources: [a , c]\n",
		"resources:\n  - b\n":                            "resources:\n",
	} {
		if after, err := RemoveResource([]byte(before), "b"); err != nil || string(after) != want {
			t.Errorf("got %v\n%q\nwant\n%q", err, after, want)
		}
	}
}

func info() ID { return ID{Kind: "ConfigMap", Namespace: "flux-system", Name: "info"} }

const configMap = "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: info\n"

func TestAddSetting(t *testing.T) {
	for _, test := range []struct{ name, before, value, after string }{
		{"quoted", configMap + "data:\n  A: \"b\"\n", "main", configMap + "data:\n  A: \"b\"\n  NEW: \"main\"\n"},
		{"plain", configMap + "data:\n  A: b # x\n  # c\nx: y\n", "main", configMap + "data:\n  A: b # x\n  # c\n  NEW: main\nx: y\n"},
		{"plain, but true", configMap + "data:\n  A: b\n", "true", configMap + "data:\n  A: b\n  NEW: \"true\"\n"},
		{"plain, but yes", configMap + "data:\n  A: b\n", "yes", configMap + "data:\n  A: b\n  NEW: \"yes\"\n"},
		{"plain, but 007", configMap + "data:\n  A: b\n", "007", configMap + "data:\n  A: b\n  NEW: \"007\"\n"},
		{"mixed", configMap + "data:\n  A: b\n  C: 'd'\n", "main", configMap + "data:\n  A: b\n  C: 'd'\n  NEW: \"main\"\n"},
		{"special characters", configMap + "data:\n  A: b\n", "a: \"b\"\n# c\\",
			configMap + "data:\n  A: b\n  NEW: \"a: \\\"b\\\"\\n# c\\\\\"\n"},
		{"no data", configMap, "", configMap + "data: # added by keos-oci\n  NEW: \"\"\n"},
		{"empty", configMap + "data: {}\n", "x", configMap + "data: # added by keos-oci, instead of: {}\n  NEW: \"x\"\n"},
		{"other documents", configMap + "data:\n    A: \"b\"\n---\na: b\n", "x", configMap + "data:\n    A: \"b\"\n    NEW: \"x\"\n---\na: b\n"},
		{"a text at the end", configMap + "data:\n  A: \"b\"\n  C: |\n    x", "x",
			configMap + "data:\n  A: \"b\"\n  NEW: \"x\"\n  C: |\n    x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			setting := Setting{Key: "NEW", Value: test.value}
			for _, form := range []func(string) string{asIs, crlf, noNewline} {
				before, want := form(test.before), form(test.after)
				after, err := AddSetting([]byte(before), info(), setting)
				if err != nil || string(after) != want {
					t.Fatalf("got %v\n%s\nwant\n%s", err, after, want)
				}
				if again, err := AddSetting(after, info(), setting); err != nil || string(again) != want {
					t.Errorf("again: got %v\n%s", err, again)
				}
				undone, err := RemoveSetting(after, info(), setting)
				if err != nil || string(undone) != before {
					t.Errorf("removed: got %v\n%q\nwant\n%q", err, undone, before)
				}
			}
		})
	}
}

func TestAddSettingConflict(t *testing.T) {
	file := []byte(configMap + "data:\n  A: 'b' # why\n")
	setting := Setting{Key: "A", Value: "it's"}
	if _, err := AddSetting(file, info(), setting); !errors.Is(err, ErrConflict) || err.Error() != "line 7: A has another value" {
		t.Errorf("got %v", err)
	}
	if _, err := RemoveSetting(file, info(), setting); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v", err)
	}
	setting.Replace = true
	after, err := AddSetting(file, info(), setting)
	if want := configMap + "data:\n  A: 'it''s' # why\n"; err != nil || string(after) != want {
		t.Errorf("got %v\n%s", err, after)
	}
	for _, data := range []string{"data: {A: b}\n", "data:\n  <<: {A: b}\n", "x: &x {A: b}\ndata: *x\n", "data:\n  A: &b b\n"} {
		after, err := AddSetting([]byte(configMap+data), info(), Setting{Key: "B", Value: "c"})
		if err == nil && !strings.Contains(data, "\n  ") {
			t.Errorf("%s became\n%s", data, after)
		}
		if after, err := AddSetting([]byte(configMap+data), info(), setting); err == nil && data[5] == '\n' {
			t.Errorf("%s became\n%s", data, after)
		}
	}
}

func TestAddDocument(t *testing.T) {
	const body = "---\n# our comment\nkind: Secret\ntext: x\n"
	ours := "---\n# keos-oci: s\n# our comment\nkind: Secret\ntext: x\n"
	for _, before := range []string{"", "a: b\n", "---\na: b\n---\n", "# c\n", "a: b\n...\n", "a: |\n  b\n\n", "a: |+\n  b\n\n",
		"a:\n  - b\n# c\n"} {
		for _, form := range []func(string) string{asIs, crlf, noNewline} {
			before := form(before)
			after, err := AddDocument([]byte(before), "keos-oci: s", []byte(body))
			if err != nil {
				t.Fatalf("%q: %v", before, err)
			}
			if want := before + ours; strings.HasSuffix(before, "\n") && asLF(string(after)) != asLF(want) {
				t.Errorf("got %q, want %q", after, want)
			}
			if again, err := AddDocument(after, "keos-oci: s", []byte(body)); err != nil || string(again) != string(after) {
				t.Errorf("again: got %v\n%q", err, again)
			}
			more := append(append([]byte{}, after...), []byte(form("\n---\nc: d\n"))...)
			if left, err := RemoveDocument(more, "keos-oci: s"); err != nil || strings.Contains(string(left), "Secret") {
				t.Errorf("got %v\n%q", err, left)
			}
			if undone, err := RemoveDocument(after, "keos-oci: s"); err != nil || string(undone) != before {
				t.Errorf("removed: got %v\n%q\nwant\n%q", err, undone, before)
			}
		}
	}
}

func asLF(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

func TestAddDocumentRefused(t *testing.T) {
	for _, test := range []struct {
		file, body string
		kind       error
	}{
		{"a: [\n", "a: b\n", ErrUnsafe},
		{"a: |\n  b", "a: b\n", ErrUnsafe}, // the text would get a newline
		{"a: b\n", "a: [\n", ErrUnsafe},
		{"a: b\n", "", ErrUnsafe},
		{"a: b\n", "a: b\n---\nc: d\n", ErrUnsafe},
		{"a: b\n---\n# x\nc: d\n", "c: e\n", ErrConflict},
	} {
		if after, err := AddDocument([]byte(test.file), "x", []byte(test.body)); !errors.Is(err, test.kind) {
			t.Errorf("%q and %q: got %v, %q", test.file, test.body, err, after)
		}
	}
}

func TestSetField(t *testing.T) {
	for _, test := range []struct{ before, value, after string }{
		{"./a # x", "./b", "./b # x"},
		{"\"./a\" # x", "./b", "\"./b\" # x"},
		{"'./a'   # x", "it's", "'it''s'   # x"},
		{"'./a'", "a\nb", "\"a\\nb\""},
		{"./a", "true", "\"true\""},
		{"./a", "a: b", "\"a: b\""},
		{"true", "false", "false"},
		{"true", "x", "x"},
		{"5", "7", "7"},
		{"5", "", "\"\""},
		{"é", "ü", "ü"},
	} {
		for _, form := range []func(string) string{asIs, crlf, noNewline} {
			before, want := form(head+"spec:\n  path: "+test.before+"\n"), form(head+"spec:\n  path: "+test.after+"\n")
			after, err := SetField([]byte(before), sync("apps"), []string{"spec", "path"}, test.value)
			if err != nil || string(after) != want {
				t.Errorf("got %v\n%q\nwant\n%q", err, after, want)
			}
		}
	}
	inline := head + "spec: {path: ./a, sourceRef: {name: x}} # y\n"
	after, err := SetField([]byte(inline), sync("apps"), []string{"spec", "sourceRef", "name"}, "a, b")
	if want := strings.Replace(inline, "x}", "\"a, b\"}", 1); err != nil || string(after) != want {
		t.Errorf("got %v\n%s", err, after)
	}
}

func TestSetFieldRefused(t *testing.T) {
	for _, test := range []struct {
		spec string
		kind error
	}{
		{"spec:\n  prune: true\n", ErrMissing},
		{"spec:\n  path:\n", ErrUnsafe},
		{"spec:\n  path: |\n    a\n", ErrUnsafe},
		{"spec:\n  path: a\n    b\n", ErrUnsafe},
		{"spec:\n  path: \"a\n    b\"\n", ErrUnsafe},
		{"spec:\n  path: &a b\n", ErrUnsafe},
		{"spec:\n  path: !x b\n", ErrUnsafe},
		{"spec:\n  path: [a]\n", ErrUnsafe},
		{"x: &x {path: b}\nspec:\n  <<: *x\n", ErrUnsafe},
		{"x: &x {path: b}\nspec: *x\n", ErrUnsafe},
	} {
		after, err := SetField([]byte(head+test.spec), sync("apps"), []string{"spec", "path"}, "new")
		var fault *Fault
		if !errors.Is(err, test.kind) || !errors.As(err, &fault) {
			t.Errorf("%q: got %v\n%s", test.spec, err, after)
		}
	}
}
