package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree opens the files of a revision, of the checkout as it is for "".
func (s *sandbox) tree(rev string) *Tree {
	s.t.Helper()
	c, err := OpenBare(s.t.Context(), s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var t *Tree
	if rev == "" {
		t, err = c.WorkTree(s.t.Context())
	} else {
		var commit Commit
		if commit, err = c.Resolve(s.t.Context(), rev); err == nil {
			t, err = c.Tree(s.t.Context(), commit)
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { t.Close() })
	return t
}

func wantFile(t *testing.T, fsys fs.FS, name, want string) {
	t.Helper()
	got, err := fs.ReadFile(fsys, name)
	if err != nil {
		t.Error(err)
		return
	}
	info, err := fs.Lstat(fsys, name)
	if string(got) != want || err != nil || info.Size() != int64(len(want)) {
		t.Errorf("%s = %q (%v), want %q", name, got, err, want)
	}
}

// TestTree_commit: a commit's files are its blobs, whatever the work tree and its attributes say.
func TestTree_commit(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			s := newSandbox(t)
			if err := os.RemoveAll(filepath.Join(s.dir, ".git")); err != nil {
				t.Fatal(err)
			}
			s.git("init", "-q", "-b", "main", "--object-format="+format)
			s.write("dir/lines", "a\nb\n")
			s.write("dir/id", "$Id$\n")
			s.write("run", "x")
			s.write("empty", "")
			if err := os.Chmod(filepath.Join(s.dir, "run"), 0o755); err != nil {
				t.Fatal(err)
			}
			s.git("add", "-A")
			if err := os.Symlink("dir/id", filepath.Join(s.dir, "link")); err != nil {
				t.Fatal(err)
			}
			s.git("add", "link")
			s.git("commit", "-q", "-m", "one")
			s.write(".gitattributes", "lines text eol=crlf\nid ident\n")
			s.commit("two")
			s.git("rm", "-rq", "--cached", ".")
			s.git("reset", "-q", "--hard")
			for name, change := range map[string]func(){
				"converted": func() {}, "changed": func() { s.write("dir/id", "changed"); s.write("empty", "no") }, "gone": func() { s.git("rm", "-rfq", ".") },
			} {
				t.Run(name, func(t *testing.T) {
					s.t = t
					change()
					tree := s.tree("main")
					wantFile(t, tree, "dir/lines", "a\nb\n")
					wantFile(t, tree, "dir/id", "$Id$\n")
					wantFile(t, tree, "empty", "")
					if info, err := fs.Lstat(tree, "run"); err != nil || info.Mode() != 0o755 {
						t.Errorf("run: %v %v", info, err)
					}
					if info, err := fs.Lstat(tree, "dir"); err != nil || !info.IsDir() {
						t.Errorf("dir: %v %v", info, err)
					}
					if target, err := fs.ReadLink(tree, "link"); err != nil || target != "dir/id" {
						t.Errorf("link: %q %v", target, err)
					}
					for _, absent := range []string{"nosuch", "../x", "/etc/passwd", ".git/config", "di"} {
						if _, err := fs.Lstat(tree, absent); !errors.Is(err, fs.ErrNotExist) {
							t.Errorf("%s: %v", absent, err)
						}
					}
					folder, err := tree.Folder()
					if err != nil {
						t.Fatal(err)
					}
					wantFile(t, os.DirFS(folder), "dir/lines", "a\nb\n")
					if target, err := os.Readlink(filepath.Join(folder, "link")); err != nil || target != "dir/id" {
						t.Errorf("link in the folder: %q %v", target, err)
					}
					if folder == s.dir {
						t.Errorf("the folder is the checkout, which has other content")
					}
					if err := tree.Close(); err != nil {
						t.Error(err)
					}
					if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("the folder is still there: %v", err)
					}
				})
			}
		})
	}
}

// TestTree_folder: where the work tree is the commit, builds need no copy of it.
func TestTree_folder(t *testing.T) {
	s := newSandbox(t)
	s.write("a", "x")
	s.commit("one")
	for _, rev := range []string{"", "main"} {
		if folder, err := s.tree(rev).Folder(); err != nil || folder != s.dir {
			t.Errorf("Folder() of %q = %q, %v; want the checkout", rev, folder, err)
		}
	}
	s.write("untracked", "x")
	if folder, err := s.tree("main").Folder(); err != nil || folder == s.dir {
		t.Errorf("Folder() = %q, %v; want another: the checkout has more", folder, err)
	}
}

// TestWorkTree: of the checkout as it is, what did not change is what Git stores, and the rest is what is there.
func TestWorkTree(t *testing.T) {
	s := newSandbox(t)
	s.write(".gitattributes", "*.txt text eol=crlf\n")
	for _, name := range []string{"same.txt", "changed.txt", "staged.txt", "deleted.txt", "hidden.txt", "dir/file", "was/file"} {
		s.write(name, "a\n")
	}
	s.commit("one")
	s.git("rm", "-rq", "--cached", ".")
	s.git("reset", "-q", "--hard")
	s.write("changed.txt", "b\r\n")
	s.write("staged.txt", "c\r\n")
	s.git("add", "staged.txt")
	s.remove("deleted.txt")
	s.write("untracked.txt", "x")
	s.write("hidden.txt", "hidden")
	s.git("update-index", "--assume-unchanged", "hidden.txt")
	s.remove("was/file")
	s.remove("was")
	if err := os.Symlink("dir", filepath.Join(s.dir, "was")); err != nil {
		t.Fatal(err)
	}
	tree := s.tree("")
	wantFile(t, tree, "same.txt", "a\n")
	wantFile(t, tree, "changed.txt", "b\r\n")
	wantFile(t, tree, "staged.txt", "c\r\n")
	wantFile(t, tree, "hidden.txt", "a\n")
	wantFile(t, tree, "dir/file", "a\n")
	for _, name := range []string{"deleted.txt", "untracked.txt"} {
		if _, err := fs.ReadFile(tree, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info, err := fs.Lstat(tree, "was"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("a folder that became a symbolic link: %v %v", info, err)
	}
	folder, err := tree.Folder()
	if err != nil || folder == s.dir {
		t.Fatalf("Folder() = %q, %v; want one without converted files", folder, err)
	}
	wantFile(t, os.DirFS(folder), "same.txt", "a\n")
	wantFile(t, os.DirFS(folder), "changed.txt", "b\r\n")
}

// TestTree_missing: a partial clone says which object it lacks, and nothing is fetched.
func TestTree_missing(t *testing.T) {
	s := newSandbox(t)
	s.write("a", "x")
	s.commit("one")
	s.write("a", "y")
	s.commit("two")
	s.git("config", "uploadpack.allowFilter", "true")
	clone := &sandbox{t, filepath.Join(t.TempDir(), "clone")}
	s.git("clone", "-q", "--filter=blob:none", "file://"+s.dir, clone.dir)
	tree := clone.tree("main~1")
	_, err := fs.ReadFile(tree, "a")
	wantError(t, err, ErrMissing, "git fetch --refetch")
	wantFile(t, clone.tree("main"), "a", "y")
}

func TestFilters(t *testing.T) {
	s := newSandbox(t)
	s.write("a.bin", "x")
	s.write("b.bin", "x")
	s.write("dir/c", "x")
	s.write("dir/.gitattributes", "c filter=git-crypt diff=git-crypt\n")
	s.write(".gitattributes", "*.bin filter=lfs\nb.bin -filter\n")
	s.commit("one")
	s.git("rm", "-q", ".gitattributes")
	s.commit("two")
	bare := &sandbox{t, filepath.Join(t.TempDir(), "bare")}
	s.git("clone", "-q", "--bare", s.dir, bare.dir)
	for _, tc := range []struct {
		s    *sandbox
		rev  string
		want []string
	}{{s, "main~1", []string{"a.bin=lfs", "dir/c=git-crypt"}}, {bare, "main~1", []string{"a.bin=lfs", "dir/c=git-crypt"}}, {s, "",
		[]string{"dir/c=git-crypt"}}} {
		filters, err := tc.s.tree(tc.rev).Filters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for path, filter := range filters {
			got = append(got, path+"="+filter)
		}
		slices.Sort(got)
		wantStrings(t, "Filters of "+tc.rev, got, tc.want)
	}
	if out := s.git("status", "--porcelain"); out != "" {
		t.Errorf("the checkout changed:\n%s", out)
	}
}

func TestOpenBare(t *testing.T) {
	s := newSandbox(t)
	s.write("a", "x")
	s.commit("one")
	bare := filepath.Join(t.TempDir(), "bare")
	s.git("clone", "-q", "--bare", s.dir, bare)
	if c, err := OpenBare(t.Context(), bare); err != nil || !c.Bare() || c.Top() != bare {
		t.Errorf("OpenBare(bare) = %v, %v", c, err)
	}
	if c, err := OpenBare(t.Context(), s.dir); err != nil || c.Bare() || c.Top() != s.dir {
		t.Errorf("OpenBare(checkout) = %v, %v", c, err)
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	for _, dir := range []string{filepath.Join(s.dir, ".git"), t.TempDir()} {
		if _, err := OpenBare(t.Context(), dir); !errors.Is(err, ErrNotCheckout) {
			t.Errorf("OpenBare(%s) = %v", dir, err)
		}
	}
}

// TestBranchHas: remotes say what a branch has; a clone without them, or with too little history, asks itself or cannot tell.
func TestBranchHas(t *testing.T) {
	s := newSandbox(t)
	first := s.commit("one")
	s.git("checkout", "-q", "-b", "other")
	other := s.commit("two")
	s.git("checkout", "-q", "main")
	last := s.commit("three")
	clone := &sandbox{t, filepath.Join(t.TempDir(), "clone")}
	s.git("clone", "-q", s.dir, clone.dir)
	clone.git("fetch", "-q", "origin", "other")
	local := clone.commit("not pushed")
	shallow := &sandbox{t, filepath.Join(t.TempDir(), "shallow")}
	s.git("clone", "-q", "--depth", "1", "--no-single-branch", "file://"+s.dir, shallow.dir)
	for _, tc := range []struct {
		s           *sandbox
		branch, rev string
		want        string
	}{
		{s, "main", first, "yes"}, {s, "main", last, "yes"}, {s, "main", other, "no"}, {s, "nosuch", first, "unknown"},
		{clone, "main", first, "yes"}, {clone, "main", other, "no"}, {clone, "main", local, "no"}, {clone, "other", other, "yes"},
		{shallow, "main", last, "yes"}, {shallow, "main", other, "unknown"},
	} {
		has, known, err := tc.s.open().BranchHas(t.Context(), tc.branch, tc.rev)
		got := map[bool]string{true: "yes", false: "no"}[has]
		if !known {
			got = "unknown"
		}
		if err != nil || got != tc.want {
			t.Errorf("BranchHas(%s, %s) = %s, %v; want %s", tc.branch, tc.rev[:8], got, err, tc.want)
		}
	}
}

func TestChangedBetween(t *testing.T) {
	s := newSandbox(t)
	s.write("a", "x")
	s.write("b", "x")
	s.commit("one")
	s.write("b", "y")
	s.git("mv", "a", "c")
	s.commit("two")
	s.write("b", "not committed")
	got, err := s.open().ChangedBetween(t.Context(), "main~1", "main")
	if err != nil {
		t.Fatal(err)
	}
	wantStrings(t, "ChangedBetween", got, []string{"a", "b", "c"})
	_, err = s.open().ChangedBetween(t.Context(), "main", strings.Repeat("0", 40))
	wantError(t, err, ErrUnknownRevision, "")
}
