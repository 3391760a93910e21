package pack

import (
	"bufio"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestIgnoreRulesAdd(t *testing.T) {
	dir := t.TempDir()
	files := tree(t, dir, map[string]string{
		".sourceignore": "top.txt\n", "c/.sourceignore": "# comment\nlocal/\n", "c/top.txt": "", "c/local/x": "", "c/docs/x": "", "c/keep": "", "c/a.zip": "",
	})
	got := read(t, dir, Source{Root: "c", Files: slices.DeleteFunc(files, func(f File) bool { return f.Path == ".sourceignore" }),
		Ignore: []string{"docs/"}})
	if want := []string{".sourceignore", "keep"}; !slices.Equal(got.Files, want) {
		t.Errorf("packed %v, want %v", got.Files, want)
	}
	for p, want := range map[string]string{"c/top.txt": ".sourceignore:1 (top.txt)", "c/local/x": "c/.sourceignore:2 (local/)",
		"c/docs/x": "the config's docs/", "c/a.zip": "Flux's default *.zip"} {
		if got.Ignored[p] != "ignored by "+want {
			t.Errorf("%s is %s, want %s", p, got.Ignored[p], want)
		}
	}
}

// TestIgnoreRulesBetween: rules between the root and what is packed hold without being packed, and inner ones win.
func TestIgnoreRulesBetween(t *testing.T) {
	dir := t.TempDir()
	all := tree(t, dir, map[string]string{"apps/.sourceignore": "*.md\nsecret\n", "apps/x/.sourceignore": "!keep.md\n",
		"apps/x/keep.md": "", "apps/x/y/a.md": "", "apps/x/y/b": "", "apps/z/c.md": ""})
	src := Source{Root: "apps", Rules: []string{"apps/x/.sourceignore", "apps/.sourceignore"},
		Files: slices.DeleteFunc(all, func(f File) bool { return path.Base(f.Path) == ".sourceignore" })}
	got := read(t, dir, src)
	if want := []string{"x/keep.md", "x/y/b"}; !slices.Equal(got.Files, want) {
		t.Errorf("packed %v, want %v", got.Files, want)
	}
	src.FS = os.DirFS(dir)
	ignored, err := Ignored(src)
	if want := "ignored by apps/.sourceignore:1 (*.md)"; err != nil || len(ignored) != 2 || ignored["apps/x/y/a.md"] != want ||
		ignored["apps/z/c.md"] != want {
		t.Errorf("ignored %v, %v", ignored, err)
	}
}

// TestIgnoreRulesTooLong: rules that cannot be read whole are refused, and not cut.
func TestIgnoreRulesTooLong(t *testing.T) {
	long := strings.Repeat("x", bufio.MaxScanTokenSize)
	for name, c := range map[string]struct {
		rules  string
		ignore []string
		want   string
	}{
		"first line":     {rules: long + "\nsecret\n", want: "c/.sourceignore: line 1 has 64 KiB or more"},
		"later line":     {rules: "# comment\n\n*.md\n" + long + "\nsecret\n", want: "c/.sourceignore: line 4 has 64 KiB or more"},
		"comment":        {rules: "# " + long + "\nsecret\n", want: "c/.sourceignore: line 1 has 64 KiB or more"},
		"config":         {ignore: []string{"docs/", long, "secret"}, want: "artifact.ignore: line 2 has 64 KiB or more"},
		"just in bounds": {rules: long[:len(long)-1] + "\nsecret", ignore: []string{long[1:]}},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{"c/.sourceignore": {Data: []byte(c.rules)}, "c/secret": {}, "c/ok": {}}
			src := Source{FS: fsys, Root: "c", Ignore: c.ignore, Files: []File{{Path: "c/.sourceignore"}, {Path: "c/ok"}, {Path: "c/secret"}}}
			got, err := Read(t.Context(), src)
			if c.want == "" {
				if err != nil || !slices.Equal(got.Files, []string{".sourceignore", "ok"}) {
					t.Errorf("packed %v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(err.Error(), "shorten it") {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if _, err := Ignored(src); err == nil {
				t.Error("asked for what is ignored, it cuts the rules")
			}
		})
	}
}
