package git

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestChangedSince(t *testing.T) {
	s := newSandbox(t)
	for _, path := range []string{"same", "changed", "reverted", "deleted", "moved", "unstaged", "touched"} {
		s.write(path, path+" with enough content to be seen as a rename\n")
	}
	s.write(".gitignore", "ignored\n")
	base := s.commit("one")
	s.git("tag", "-a", "v1.0.0", "-m", "annotated")
	s.write("changed", "x")
	s.write("reverted", "x")
	s.remove("deleted")
	s.git("mv", "moved", "moved away")
	s.write("added", "x")
	s.commit("two")
	s.write("reverted", "reverted with enough content to be seen as a rename\n")
	s.write("unstaged", "x")
	s.write("untracked", "x")
	s.write("ignored", "x")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(s.dir, "touched"), later, later); err != nil {
		t.Fatal(err)
	}
	s.git("config", "diff.relative", "true")
	s.git("config", "diff.renames", "copies")
	for _, rev := range []string{base, "v1.0.0", "HEAD~1"} {
		changed, err := s.open().ChangedSince(t.Context(), rev)
		if err != nil {
			t.Fatal(err)
		}
		wantStrings(t, "ChangedSince("+rev+")", changed,
			[]string{"added", "changed", "deleted", "moved", "moved away", "unstaged", "untracked"})
	}
}

func TestRevisions_refused(t *testing.T) {
	s := newSandbox(t)
	s.write("f", "1")
	s.commit("one")
	s.write("f", "2")
	s.commit("two")
	c := s.open()
	marker := filepath.Join(s.dir, "written")
	for _, rev := range []string{"", "absent", "--output=" + marker, "-p", "HEAD~1..HEAD", "^HEAD", "HEAD:f", "HEAD^{tree}",
		"f", "a\nb", "0123456789012345678901234567890123456789", "--all", "HEAD^!"} {
		_, err := c.ChangedSince(t.Context(), rev)
		if !errors.Is(err, ErrUnknownRevision) {
			t.Errorf("ChangedSince(%q) = %v, want ErrUnknownRevision", rev, err)
		}
		if _, err := c.Resolve(t.Context(), rev); !errors.Is(err, ErrUnknownRevision) {
			t.Errorf("Resolve(%q) = %v, want ErrUnknownRevision", rev, err)
		}
		if _, err := c.LastCommit(t.Context(), rev); !errors.Is(err, ErrUnknownRevision) {
			t.Errorf("LastCommit(%q) = %v, want ErrUnknownRevision", rev, err)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a revision was taken for an option")
	}
}

func TestResolve(t *testing.T) {
	s := newSandbox(t)
	s.write("f", "1")
	hash := s.commit("one")
	s.git("tag", "-a", "frontend/v1.0.0", "-m", "annotated")
	s.commit("two")
	for _, rev := range []string{hash, hash[:8], "frontend/v1.0.0", "refs/tags/frontend/v1.0.0", "main~1"} {
		commit, err := s.open().Resolve(t.Context(), rev)
		if err != nil || commit.Hash != hash || commit.Time.Hour() != 12 {
			t.Errorf("Resolve(%q) = %v, %v, want %s", rev, commit, err, hash)
		}
	}
}

func TestLastCommit(t *testing.T) {
	s := newSandbox(t)
	s.write("a/f", "1")
	first := s.commit("a")
	s.write("b/f", "1")
	second := s.commit("b")
	c := s.open()
	for _, tc := range []struct {
		paths []string
		want  string
	}{{[]string{"a"}, first}, {[]string{"a/f"}, first}, {[]string{"b"}, second}, {[]string{"a", "b"}, second}, {nil, second}, {[]string{"."},
		second}} {
		commit, err := c.LastCommit(t.Context(), "HEAD", tc.paths...)
		if err != nil || commit.Hash != tc.want {
			t.Errorf("LastCommit(HEAD, %q) = %v, %v, want %s", tc.paths, commit, err, tc.want)
		}
	}
	if commit, err := c.LastCommit(t.Context(), first, "b"); !errors.Is(err, ErrNoCommit) {
		t.Errorf("LastCommit before b = %v, %v, want ErrNoCommit", commit, err)
	}
	if commit, err := c.LastCommit(t.Context(), "HEAD", ":(top)a"); !errors.Is(err, ErrNoCommit) {
		t.Errorf("LastCommit of a pattern = %v, %v, want ErrNoCommit", commit, err)
	}
}

func TestLastCommit_namesTheMerge(t *testing.T) {
	s := newSandbox(t)
	s.write("a/f", "1")
	s.commit("a")
	s.git("checkout", "-q", "-b", "topic")
	s.write("a/f", "2")
	s.commit("topic")
	s.git("checkout", "-q", "main")
	s.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
	merge := s.git("rev-parse", "HEAD")
	s.write("b/f", "1")
	s.commit("b")
	commit, err := s.open().LastCommit(t.Context(), "HEAD", "a")
	if err != nil || commit.Hash != merge {
		t.Errorf("LastCommit = %v, %v, want the merge %s", commit, err, merge)
	}
}

func TestShallowClone(t *testing.T) {
	s := newSandbox(t)
	s.write("a/f", "1")
	first := s.commit("a")
	for _, path := range []string{"b/f", "c/f"} {
		s.write(path, "1")
		s.commit(path)
	}
	dir := t.TempDir()
	s.git("clone", "-q", "--depth=2", "file://"+s.dir, dir)
	c, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Shallow() || s.open().Shallow() {
		t.Error("Shallow() is to be true for the clone only")
	}
	if commit, err := c.LastCommit(t.Context(), "HEAD", "c"); err != nil || commit.Hash != s.git("rev-parse", "HEAD") {
		t.Errorf("LastCommit within the clone = %v, %v", commit, err)
	}
	commit, err := c.LastCommit(t.Context(), "HEAD", "a")
	wantError(t, err, ErrShallow, "fetch-depth: 0")
	if commit.Hash != s.git("rev-parse", "HEAD~1") {
		t.Errorf("LastCommit at the border = %v, want the border commit beside the error", commit)
	}
	_, err = c.ChangedSince(t.Context(), first)
	wantError(t, err, ErrUnknownRevision, "fetch-depth: 0")
	wantError(t, err, ErrUnknownRevision, "shallow")
}

func TestTagsAt(t *testing.T) {
	s := newSandbox(t)
	s.write("f", "1")
	first := s.commit("one")
	s.git("tag", "v1.0.0")
	s.git("tag", "-a", "frontend/v1.0.0", "-m", "annotated")
	second := s.commit("two")
	s.git("tag", "v2.0.0")
	s.git("branch", "not-a-tag")
	tags, err := s.open().TagsAt(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	wantStrings(t, "TagsAt", tags, []string{"frontend/v1.0.0", "v1.0.0"})
	if tags, err = s.open().TagsAt(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	wantStrings(t, "TagsAt", tags, []string{"v2.0.0"})
	for _, bad := range []string{"", "HEAD", "--format=x"} {
		if _, err := s.open().TagsAt(t.Context(), bad); err == nil {
			t.Errorf("TagsAt(%q) was accepted", bad)
		}
	}
}
