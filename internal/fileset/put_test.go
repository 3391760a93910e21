package fileset

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/exit"
)

func writeFile(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPut: what happens to a file, by what is there and what was asked for.
func TestPut(t *testing.T) {
	ours := string(Mark([]byte("a: 1\n")))
	for name, c := range map[string]struct {
		before string // "" for no file
		req    Request
		status Status
		err    error
		after  string
	}{
		"new":                         {"", Request{}, StatusCreated, nil, string(Mark([]byte("a: 2\n")))},
		"ours":                        {ours, Request{}, StatusUpdated, nil, string(Mark([]byte("a: 2\n")))},
		"ours, compared":              {ours, Request{Check: true}, StatusDiffers, ErrDiffers, ours},
		"ours, of a name to be new":   {ours, Request{MustBeNew: true}, StatusUpdated, ErrTaken, ours},
		"a person's":                  {"mine: 1\n", Request{}, StatusDiffers, ErrTaken, "mine: 1\n"},
		"a person's, written over":    {"mine: 1\n", Request{Overwrite: true}, StatusUpdated, nil, string(Mark([]byte("a: 2\n")))},
		"a person's, of a new name":   {"mine: 1\n", Request{MustBeNew: true}, StatusDiffers, ErrTaken, "mine: 1\n"},
		"equal":                       {"a: 2\n", Request{}, StatusUnchanged, nil, "a: 2\n"},
		"a reference":                 {"", Request{Golden: true}, StatusCreated, nil, "a: 2\n"},
		"a reference that differs":    {"a: 1\n", Request{Golden: true}, StatusDiffers, ErrTaken, "a: 1\n"},
		"a change in its place":       {"mine: 1\n", Request{Edits: true}, StatusUpdated, nil, "a: 2\n"},
		"compared with what is there": {"a: 2\n", Request{Check: true}, StatusUnchanged, nil, "a: 2\n"},
	} {
		dir := t.TempDir()
		if c.before != "" {
			writeFile(t, filepath.Join(dir, "out.yaml"), c.before)
		}
		c.req.Dir = dir
		res, err := c.req.Put([]File{{Path: "out.yaml", Content: []byte("a: 2\n")}}, Entries{})
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if res == nil || res.Files[0].Status != c.status {
			t.Errorf("%s: %+v", name, res)
			continue
		}
		if got := readFile(t, filepath.Join(dir, "out.yaml")); got != c.after {
			t.Errorf("%s: %q", name, got)
		}
		if differs := c.status == StatusDiffers || c.err != nil; differs == (res.Files[0].Diff == "") {
			t.Errorf("%s: diff %q", name, res.Files[0].Diff)
		}
	}
}

func TestPutContent(t *testing.T) {
	files := []File{{Path: "out.yaml", Content: []byte("a: 2\n")}}
	res, err := Request{Notes: []string{"n"}}.Put(files, Entries{})
	if err != nil || !res.Printed || res.Files[0].Content != "a: 2\n" || !reflect.DeepEqual(res.Notes, []string{"n"}) {
		t.Errorf("%+v %v", res, err)
	}
	for _, req := range []Request{{Check: true}, {Golden: true}} {
		if res, err := req.Put(files, Entries{}); res != nil || !errors.Is(err, exit.ErrUsage) || !strings.Contains(err.Error(), "--dir") {
			t.Errorf("%+v: %+v %v", req, res, err)
		}
	}
}

// TestPutEdit: a file that nobody edited has a line that fits after the change, and one of a person gets none.
func TestPutEdit(t *testing.T) {
	for before, after := range map[string]string{string(Mark([]byte("a: 1\n"))): string(Mark([]byte("a: 2\n"))), "a: 1\n": "a: 2\n"} {
		file := filepath.Join(t.TempDir(), "out.yaml")
		writeFile(t, file, before)
		changed := strings.Replace(before, "a: 1", "a: 2", 1)
		res, err := Request{}.PutEdit(file, []byte(before), []byte(changed), Entries{Updated: []string{"a"}})
		if err != nil || !reflect.DeepEqual(res.Files[0].Updated, []string{"a"}) || readFile(t, file) != after {
			t.Errorf("%+v %v %q", res, err, readFile(t, file))
		}
	}
}

// TestPutFollowsNoLink: a link at the place beside a file, where its new content goes first, is not written through.
func TestPutFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "precious"), "keep me")
	if err := os.Symlink("precious", filepath.Join(dir, ".out.yaml.keos-oci")); err != nil {
		t.Fatal(err)
	}
	if _, err := (Request{Dir: dir}).Put([]File{{Path: "out.yaml", Content: []byte("new")}}, Entries{}); err != nil {
		t.Fatal(err)
	}
	if kept := readFile(t, filepath.Join(dir, "precious")); kept != "keep me" {
		t.Errorf("%q", kept)
	}
	info, err := os.Lstat(filepath.Join(dir, "out.yaml"))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v %v", info, err)
	}
}
