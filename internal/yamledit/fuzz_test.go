package yamledit

import (
	"bytes"
	"testing"
)

// FuzzEdit checks that no text makes an edit panic, and that what is added can be removed.
func FuzzEdit(f *testing.F) {
	for _, text := range []string{
		"",
		"a", head + "spec:\n  patches:\n" + added, head + "spec:\n  prune: true\n# x", configMap + "data:\n  A: \"b\"\n", configMap + "data: {}",
		"resources: [a, 'b',\n \"c\" ]", "resources:\r\n- a\r\n- |\r\n b", "---\n# x\na: &a b\n...\n--- # y\nc: *a\n",
		"? a\n: b\n? resources\n:\n - a",
		"\ufeffresources: []\u2028a: b\u0085c: d\re: f", "\t- \"\\", head + "spec:\n  patches: !!seq\n  - &x a\n  - *x\n  - - - b\n  -\n    c\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		check := func(what string, add, remove func([]byte) ([]byte, error)) {
			_, _ = remove(text)
			after, err := add(text)
			if err != nil || bytes.Equal(after, text) {
				return
			}
			if back, err := remove(after); err != nil || !bytes.Equal(back, text) {
				t.Errorf("%s: %v\n%q\nfrom\n%q\nwant\n%q", what, err, back, after, text)
			}
		}
		apps, patch, setting := sync("apps"), fromRegistry("new"), Setting{Key: "NEW", Value: "new"}
		check("patch", func(b []byte) ([]byte, error) { return AddPatch(b, apps, patch) },
			func(b []byte) ([]byte, error) { return RemovePatch(b, apps, patch.Mark) })
		check("resource", func(b []byte) ([]byte, error) { return AddResource(b, "new") },
			func(b []byte) ([]byte, error) { return RemoveResource(b, "new") })
		check("setting", func(b []byte) ([]byte, error) { return AddSetting(b, info(), setting) },
			func(b []byte) ([]byte, error) { return RemoveSetting(b, info(), setting) })
		check("document", func(b []byte) ([]byte, error) { return AddDocument(b, "new", []byte("a: b\n")) },
			func(b []byte) ([]byte, error) { return RemoveDocument(b, "new") })
		_, _ = SetField(text, apps, []string{"spec", "path"}, "new")
		_, _ = Marks(text, apps, "")
	})
}
