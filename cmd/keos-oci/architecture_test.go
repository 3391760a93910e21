package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	ours = "github.com/stratio/keos-oci/"
	edge = "cmd/keos-oci"
)

var (
	architectureRow = regexp.MustCompile("(?m)^\\| `([a-z/-]+)` \\| ([^|]+) \\|([^|]*)\\|$")
	pictureBox      = regexp.MustCompile(`data-package="([^"]+)">\s*<rect class="box" x="\d+" y="(\d+)"`)
	pictureArrow    = regexp.MustCompile(`data-from="([^"]+)" data-to="([^"]+)"`)
)

// TestArchitecture compares the list and the picture of docs/architecture with the imports of the code. With UPDATE=1 the list gets the
// imports that there are.
func TestArchitecture(t *testing.T) {
	const file = "../../docs/architecture.md"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	imports := importsOf(t, "../..")
	after := architectureRow.ReplaceAllStringFunc(string(raw), func(row string) string {
		m := architectureRow.FindStringSubmatch(row)
		list, ok := imports[m[1]]
		if !ok {
			t.Errorf("docs/architecture.md lists %s, which is no package", m[1])
		}
		want := fmt.Sprintf("| `%s` | %s | %s |", m[1], m[2], strings.Join(list, ", "))
		if row != want && os.Getenv("UPDATE") == "" {
			t.Errorf("docs/architecture.md (UPDATE=1 rewrites it):\n%s\nwant:\n%s", row, want)
		}
		return want
	})
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		if !strings.Contains(after, "\n| `"+name+"` | ") {
			t.Errorf("docs/architecture.md does not list the package %s", name)
		}
	}
	if os.Getenv("UPDATE") != "" && after != string(raw) {
		if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	checkPicture(t, imports)
}

// checkPicture: the picture has a box for each package, arrows for imports alone, and no package imports one in a higher row.
func checkPicture(t *testing.T, imports map[string][]string) {
	t.Helper()
	picture, err := os.ReadFile("../../docs/architecture.svg")
	if err != nil {
		t.Fatal(err)
	}
	row := map[string]int{}
	for _, m := range pictureBox.FindAllStringSubmatch(string(picture), -1) {
		name := strings.Replace(m[1], "cmd", edge, 1)
		if _, ok := imports[name]; !ok {
			t.Errorf("the picture has a box for %s, which is no package", name)
		}
		if row[name], err = strconv.Atoi(m[2]); err != nil {
			t.Fatal(err)
		}
	}
	for name, list := range imports {
		if _, ok := row[name]; !ok && !strings.Contains(name, "/") {
			t.Errorf("the picture has no box for the package %s", name)
		}
		for _, to := range list {
			if !strings.Contains(to, "/") && row[to] < row[name] {
				t.Errorf("%s imports %s, which is above it in the picture", name, to)
			}
		}
	}
	for _, m := range pictureArrow.FindAllStringSubmatch(string(picture), -1) {
		from := strings.Replace(m[1], "cmd", edge, 1)
		if !slices.Contains(imports[from], m[2]) {
			t.Errorf("the picture has an arrow from %s to %s, which is no import", from, m[2])
		}
	}
}

// importsOf gives the packages of ours that each package imports, without internal/. Packages for tests are left out.
func importsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string]map[string]bool{}
	for _, top := range []string{edge, "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.IsDir() && entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
				return err
			}
			folder, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(filepath.ToSlash(folder), "internal/")
			if strings.HasSuffix(name, "test") {
				return nil
			}
			if found[name] == nil {
				found[name] = map[string]bool{}
			}
			return addImports(file, found[name])
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	sorted := map[string][]string{}
	for name, list := range found {
		sorted[name] = slices.Sorted(maps.Keys(list))
	}
	return sorted
}

func addImports(file string, to map[string]bool) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range parsed.Imports {
		if name, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), ours); ok {
			to[strings.TrimPrefix(name, "internal/")] = true
		}
	}
	return nil
}
