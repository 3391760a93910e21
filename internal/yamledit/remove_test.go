package yamledit

import "testing"

// TestRemoveComments: a comment goes, and text that looks like one does not.
func TestRemoveComments(t *testing.T) {
	got, err := RemoveComments([]byte("# mark: one\na: b # mark: two\n  # mark: three\n# others\n"), "mark: ")
	if err != nil || string(got) != "a: b # mark: two\n# others\n" {
		t.Errorf("%v, %q", err, got)
	}
	if got, err := RemoveComments([]byte("text: |\n  # mark: not a comment\n"), "mark: "); err == nil {
		t.Errorf("%q", got)
	}
}

// TestReplaceFields: fields change and come back byte for byte, in block and flow style, with quotes and comments.
func TestReplaceFields(t *testing.T) {
	id := ID{Group: "g", Kind: "A", Name: "one"}
	fields := []Field{{"spec.ref.kind", "New"}, {"spec.path", "./new"}}
	for file, want := range map[string]string{
		"apiVersion: g/v1\nkind: A\nmetadata: {name: one}\nspec:\n  path: './old' # why\n  ref:\n    kind: Old\n": "apiVersion: g/v1\nkind: A\nmetadata: {name: one}\nspec:\n" +
			"  # mark {spec.ref.kind: Old, spec.path: ./old}\n  path: './new' # why\n  ref:\n    kind: New\n",
		"apiVersion: g/v1\nkind: A\nmetadata: {name: one}\nspec:\n  ref: {kind: Old, name: x}\n  path: ./old": "apiVersion: g/v1\nkind: A\nmetadata: {name: one}\nspec:\n" +
			"  # mark {spec.ref.kind: Old, spec.path: ./old}\n  ref: {kind: New, name: x}\n  path: ./new",
	} {
		after, err := ReplaceFields([]byte(file), id, "mark", fields)
		if err != nil || string(after) != want {
			t.Errorf("%v\n%s\nwant\n%s", err, after, want)
		}
		if again, err := ReplaceFields(after, id, "mark", fields); err != nil || string(again) != want {
			t.Errorf("again: %v\n%s", err, again)
		}
		if back, err := RestoreFields(after, id, "mark"); err != nil || string(back) != file {
			t.Errorf("back: %v\n%s", err, back)
		}
	}
	if got, err := ReplaceFields([]byte("apiVersion: g/v1\nkind: A\nmetadata: {name: one}\nspec: {ref: {kind: Old}}\n"), id, "mark",
		fields); err == nil {
		t.Errorf("a field that is not there: %s", got)
	}
}
