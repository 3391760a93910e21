package pack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fluxcd/pkg/oci"
	"github.com/fluxcd/pkg/sourceignore"
)

// tree writes files (path -> content; a trailing * on the path means executable) and lists them as Git would.
func tree(t *testing.T, dir string, files map[string]string) []File {
	t.Helper()
	var list []File
	for name, content := range files {
		f := File{Path: strings.TrimSuffix(name, "*")}
		perm := fs.FileMode(0o644)
		if f.Path != name {
			f.Mode, perm = Executable, 0o755
		}
		full := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), perm); err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return list
}

func sample() map[string]string {
	return map[string]string{
		"c/a/x.yaml": "a: 1\n", "c/a.b": "text", "c/a-b/y": "y", "c/run.sh*": "#!/bin/sh\n",
		"c/.gitkeep": "", "c/empty/.gitkeep": "", "c/pic.png": "png", "c/onlypics/a.png": "png", "c/.sops.yaml": "x",
		"c/.github/w.yaml": "w",
	}
}

func read(t *testing.T, dir string, src Source) *Tree {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	src.FS = root.FS()
	got, err := Read(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLayerEqualsFlux(t *testing.T) {
	dir := t.TempDir()
	files := tree(t, dir, sample())
	ours, err := read(t, dir, Source{Root: "c", Files: files}).Compress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ignore := strings.Split(strings.Join([]string{sourceignore.ExcludeVCS, sourceignore.ExcludeExt, sourceignore.ExcludeCI,
		sourceignore.ExcludeExtra}, ","), ",")
	out := filepath.Join(t.TempDir(), "flux.tgz")
	if err := oci.NewClient(nil).Build(out, filepath.Join(dir, "c"), ignore); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours.Bytes, theirs) {
		t.Fatalf("our layer differs from fluxcd/pkg/oci's\nours   %v\ntheirs %v", names(t, ours.Bytes), names(t, theirs))
	}
}

func names(t *testing.T, layer []byte) (list []string) {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %o", h.Name, h.Mode))
	}
}

// TestSameBytesEverywhere: permission bits, times, paths, file order and the number of processors do not count.
func TestSameBytesEverywhere(t *testing.T) {
	var want Layer
	for i, procs := range []int{1, 8, 2} {
		dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", i)+"w")
		files := tree(t, dir, sample())
		if i%2 == 1 {
			slices.Reverse(files)
		}
		for _, f := range files {
			perm := []fs.FileMode{0o600, 0o666, 0o644}[i]
			if err := os.Chmod(filepath.Join(dir, f.Path), perm); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(dir, f.Path), time.Unix(int64(i), 0), time.Unix(int64(i)*1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
		old := runtime.GOMAXPROCS(procs)
		got, err := read(t, dir, Source{Root: "c", Files: files}).Compress(t.Context())
		runtime.GOMAXPROCS(old)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = got
		}
		if got.Digest != want.Digest {
			t.Errorf("run %d: layer %s, first run %s", i, got.Digest, want.Digest)
		}
	}
}

// TestGolden pins the format: a change of these digests republishes every component of every user.
func TestGolden(t *testing.T) {
	fsys := fstest.MapFS{"c/a.yaml": {Data: []byte("a: 1\n")}, "c/b/run": {Data: []byte("#!/bin/sh\n"), Mode: 0o600}}
	tr, err := Read(t.Context(), Source{FS: fsys, Root: "c", Files: []File{{Path: "c/b/run", Mode: Executable}, {Path: "c/a.yaml"}}})
	if err != nil {
		t.Fatal(err)
	}
	layer, err := tr.Compress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	built, err := NewArtifact(tr, layer, Metadata{Component: "c", Source: "https://example.com/r", Revision: "main@sha1:" +
		strings.Repeat("a", 40), Created: time.Unix(1700000000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	a := built.Artifact()
	got := fmt.Sprint(tr.ContentDigest, " ", a.Descriptor.Digest)
	const want = "sha256:cb1822b1b0a621e8237d4cddc2132becce7a791a1911a54b15486e8e06e05570 sha256:0f37433255aa142acc501f890302533af46837038ae6d7b63ce5cf78dd2cc5ab"
	if got != want {
		t.Errorf("digests changed:\n got %s\nwant %s", got, want)
	}
	parsed, err := ParseArtifact(a.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.ContentDigest() != tr.ContentDigest || !parsed.Created().Equal(time.Unix(1700000000, 0)) || parsed.Revision() == "" {
		t.Errorf("parsed manifest differs: %+v", parsed.Parsed.Annotations)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		src     Source
		want    error
		path    string
	}{
		"symlink in Git":             {nil, Source{Files: []File{{Path: "c/l", Mode: Symlink}}}, ErrSymlink, "c/l"},
		"submodule":                  {nil, Source{Files: []File{{Path: "c/m", Mode: Submodule}}}, ErrSubmodule, "c/m"},
		"file replaced by a symlink": {link("/etc/passwd", "c/f"), Source{Files: []File{{Path: "c/f", Mode: Regular}}}, ErrSymlink, "c/f"},
		"folder replaced by symlink": {link("../d", "c/sub"), Source{Files: []File{{Path: "c/sub/f", Mode: Regular}}}, ErrSymlink, "c/sub/f"},
		"missing":                    {nil, Source{Files: []File{{Path: "c/gone", Mode: Regular}}}, fs.ErrNotExist, "c/gone"},
		"name with an escape":        {write("c/a\x1b[2J", 1), Source{Files: []File{{Path: "c/a\x1b[2J"}}}, ErrName, "c/a\x1b[2J"},
		"name as Git's own":          {write("c/.git.", 1), Source{Files: []File{{Path: "c/.git."}}}, ErrName, "c/.git."},
		"too large": {write("c/big", 1000), Source{Files: []File{{Path: "c/big", Mode: Regular}}, MaxSize: 999}, ErrTooLarge,
			"c/big"},
		"nothing":            {nil, Source{}, ErrEmpty, "c"},
		"everything ignored": {write("c/a.png", 1), Source{Files: []File{{Path: "c/a.png", Mode: Regular}}}, ErrEmpty, "c"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tree(t, dir, map[string]string{"c/ok": "x", "d/f": "outside"})
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			c.src.FS, c.src.Root = root.FS(), "c"
			_, err = Read(t.Context(), c.src)
			var pe *PathError
			if !errors.Is(err, c.want) || !errors.As(err, &pe) || pe.Path != c.path {
				t.Fatalf("got %v, want %v at %s", err, c.want, c.path)
			}
		})
	}
}

// denied is a file system whose files may be seen but not read.
type denied struct{ fstest.MapFS }

func (d denied) Open(name string) (fs.File, error) {
	if path.Base(name) == "secret" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.MapFS.Open(name)
}

func TestUnreadableFile(t *testing.T) {
	fsys := denied{fstest.MapFS{"c/ok": {}, "c/secret": {}}}
	_, err := Read(t.Context(), Source{FS: fsys, Root: "c", Files: []File{{Path: "c/ok"}, {Path: "c/secret"}}})
	if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(err.Error(), "c/secret: ") {
		t.Error(err)
	}
}

func link(target, name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func write(name string, size int) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	fsys, files := fstest.MapFS{}, []File{}
	for i := range 8 {
		p := fmt.Sprintf("c/f%d.yaml", i)
		fsys[p] = &fstest.MapFile{Data: bytes.Repeat([]byte("key: value\n"), 60)}
		files = append(files, File{Path: p})
	}
	for b.Loop() {
		if _, err := Read(b.Context(), Source{FS: fsys, Root: "c", Files: files}); err != nil {
			b.Fatal(err)
		}
	}
}
