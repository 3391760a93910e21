package pack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestExtractRoundTrip(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	files := tree(t, dir, map[string]string{"c/a/x": "1", "c/run*": "2", "c/keep/.gitkeep": ""})
	tr := read(t, dir, Source{Root: "c", Files: files})
	layer, err := tr.Compress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Digest(bytes.NewReader(layer.Bytes), Limits{}); err != nil || d != tr.ContentDigest {
		t.Fatal(d, err)
	}
	if err := Extract(t.Context(), bytes.NewReader(layer.Bytes), out, Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(t.TempDir(), "copy"), os.DirFS(out)); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		want, _ := os.ReadFile(filepath.Join(dir, f.Path))
		got, err := os.ReadFile(filepath.Join(out, strings.TrimPrefix(f.Path, "c/")))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", f.Path, got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(out, "run")); err != nil || info.Mode()&0o100 == 0 {
		t.Error("run lost its executable bit", err)
	}
}

func TestExtractRefusesHostileLayers(t *testing.T) {
	file := func(name string, size int) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(size), Mode: 0o644}
	}
	for name, headers := range map[string][]*tar.Header{
		"parent":    {file("../evil", 1)},
		"absolute":  {file("/tmp/evil", 1)},
		"inner":     {file("a/../../evil", 1)},
		"symlink":   {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"}, file("l/evil", 1)},
		"hard link": {{Typeflag: tar.TypeLink, Name: "l", Linkname: "../evil"}},
		"device":    {{Typeflag: tar.TypeChar, Name: "d"}},
		"twice":     {file("a", 1), file("a", 1)},
		"many":      {file("a", 1), file("b", 1), file("c", 1), file("d", 1), file("e", 1)},
		"large":     {file("a", 200)},
		"large sum": {file("a", 60), file("b", 60)},
		"git":       {file(".git/hooks/post-checkout", 1)},
		"git below": {file("a/b/.GIT/config", 1)},
		"git dir":   {{Typeflag: tar.TypeDir, Name: "x/.git/", Mode: 0o755}},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := Extract(t.Context(), bytes.NewReader(archive(t, headers)), dir, Limits{Bytes: 100, Files: 4}); err == nil {
				t.Error("accepted")
			}
			if entries, _ := os.ReadDir(parent); len(entries) != 1 {
				t.Error("wrote outside the folder")
			}
		})
	}
	bomb := archive(t, []*tar.Header{file("zeros", 1<<20)})
	if _, err := Digest(bytes.NewReader(bomb), Limits{Bytes: 1 << 10}); !errors.Is(err, ErrLayer) {
		t.Error("Digest read past its limit:", err)
	}
	if err := Extract(t.Context(), strings.NewReader("no gzip"), t.TempDir(), Limits{}); !errors.Is(err, ErrLayer) {
		t.Error(err)
	}
}

// TestExtractRefusesNames: what Git takes for its own folder on any system, and what is not text.
func TestExtractRefusesNames(t *testing.T) {
	for _, name := range []string{
		".git", ".git/config", "a/.git/hooks/pre-commit", ".GIT/x", "a/.gIt", ".git./x", ".git /x", ".git . ./x", "a/.git...",
		"git~1/config", "a/GIT~1/x", "git~1./x", ".git:stream/x", ".git::$INDEX_ALLOCATION/config", `.git\config`, `a\.git\hooks\x`,
		".g\u200cit/config", "\ufeff.git/x", ".gi\u202et/x", "a/.git\u200f/x", ".\u206fGIT./x", ".g\u200di\u206at \u200e/x",
		"a\x1b[31m", "a\nb", "a\tb", "a\x7fb", "a\u0085b", "a\u009bb/x", "a\xffb", "a/\xc0\xaf",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := Extract(t.Context(), bytes.NewReader(archive(t, []*tar.Header{{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}})), dir, Limits{})
			if !errors.Is(err, ErrLayer) || !strings.Contains(err.Error(), strconv.Quote(name)) {
				t.Errorf("got %v", err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 0 {
				t.Error("wrote", entries)
			}
		})
	}
}

// TestExtractKeepsNames: names that only look alike are files like others.
func TestExtractKeepsNames(t *testing.T) {
	for _, name := range []string{".gitignore", ".github/workflows/x", "git/x", ".git2", "a.git/x", ".git~1", "git~2", "..git", ".gitkeep",
		"ñ/\u200cx", "a b:c"} {
		dir := t.TempDir()
		err := Extract(t.Context(), bytes.NewReader(archive(t, []*tar.Header{{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}})), dir, Limits{})
		if err == nil {
			_, err = os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func archive(t *testing.T, headers []*tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for _, h := range headers {
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
