package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpen_findsTop(t *testing.T) {
	s := newSandbox(t)
	s.write("a/b/file", "x")
	c, err := Open(t.Context(), filepath.Join(s.dir, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Top() != s.dir {
		t.Errorf("Top() = %q, want %q", c.Top(), s.dir)
	}
}

func TestOpen_ignoresCallersRepository(t *testing.T) {
	s := newSandbox(t)
	other := t.TempDir()
	t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
	t.Setenv("GIT_WORK_TREE", other)
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other, "index"))
	t.Setenv("GIT_GLOB_PATHSPECS", "1")
	if got := s.open().Top(); got != s.dir {
		t.Errorf("Top() = %q, want %q", got, s.dir)
	}
}

func TestOpen_refusals(t *testing.T) {
	s := newSandbox(t)
	bare := t.TempDir()
	s.git("init", "-q", "--bare", bare)
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	plain := t.TempDir()
	for name, tc := range map[string]struct {
		dir, text string
		is        error
	}{
		"no repository":   {plain, "run keos-oci inside a clone", ErrNotCheckout},
		"bare":            {bare, "bare repository", ErrNotCheckout},
		"git folder":      {filepath.Join(s.dir, ".git"), "", ErrNotCheckout},
		"no such folder":  {filepath.Join(plain, "absent"), "absent: not a git checkout: no such file", ErrNotCheckout},
		"option as a dir": {"--upload-pack=touch", "", ErrNotCheckout},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), tc.dir)
			wantError(t, err, tc.is, tc.text)
		})
	}
}

func TestOpen_dubiousOwnership(t *testing.T) {
	s := newSandbox(t)
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1") // git's own switch for its tests
	_, err := Open(t.Context(), s.dir)
	wantError(t, err, ErrNotCheckout, "safe.directory "+s.dir)
}

func TestOpen_withoutGit(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Open(t.Context(), t.TempDir())
	wantError(t, err, exec.ErrNotFound, "the git command is needed")
}

func TestOpen_canceled(t *testing.T) {
	s := newSandbox(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, s.dir)
	wantError(t, err, context.Canceled, "rev-parse")
}

func TestHead(t *testing.T) {
	s := newSandbox(t)
	_, err := s.open().Head(t.Context())
	wantError(t, err, ErrNoCommit, s.dir)

	s.write("f", "1")
	hash := s.commit("one")
	s.git("branch", "also-here")
	s.git("tag", "HEAD-lookalike")
	s.git("checkout", "-q", "-b", "feature/a,b")
	head, err := s.open().Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Head{Commit{hash, time.Date(2026, 11, 20, 12, 38, 12, 0, time.UTC)}, "feature/a,b"}
	if head != want {
		t.Errorf("Head() = %v, want %v", head, want)
	}

	s.git("checkout", "-q", "--detach")
	if head, err = s.open().Head(t.Context()); err != nil || head.Branch != "" || head.Hash != hash {
		t.Errorf("detached Head() = %v, %v, want no branch at %s", head, err, hash)
	}
}

func TestStatus(t *testing.T) {
	s := newSandbox(t)
	for _, path := range []string{"same", "changed", "deleted", "staged", "old name", "touched"} {
		s.write(path, path+" with enough content to be seen as a rename\n")
	}
	s.write(".gitignore", "ignored\n")
	s.commit("one")
	clean, err := s.open().Status(t.Context())
	if err != nil || !clean.Clean() {
		t.Fatalf("Status() of a fresh commit = %v, %v", clean, err)
	}

	s.write("changed", "x")
	s.remove("deleted")
	s.write("staged", "x")
	s.git("add", "staged")
	s.git("mv", "old name", "new name")
	s.write("ignored", "x")
	s.write("new/ú\tfile", "x")
	s.git("init", "-q", "nested")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(s.dir, "touched"), later, later); err != nil {
		t.Fatal(err)
	}
	status, err := s.open().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStrings(t, "Modified", status.Modified, []string{"changed", "deleted", "new name", "old name", "staged"})
	wantStrings(t, "Untracked", status.Untracked, []string{"nested", "new/ú\tfile"})
}

func TestStatus_unmerged(t *testing.T) {
	s := newSandbox(t)
	s.write("f", "1")
	s.commit("one")
	s.git("checkout", "-q", "-b", "other")
	s.write("f", "2")
	s.commit("two")
	s.git("checkout", "-q", "main")
	s.write("f", "3")
	s.commit("three")
	merge := exec.Command("git", "-C", s.dir, "-c", "user.name=A", "-c", "user.email=a@example.com", "merge", "other")
	if out, err := merge.CombinedOutput(); err == nil || !strings.Contains(string(out), "CONFLICT") {
		t.Fatalf("the merge was to conflict: %s", out)
	}
	status, err := s.open().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStrings(t, "Modified", status.Modified, []string{"f"})
	files, err := s.open().Files(t.Context())
	if err != nil || len(files) != 1 {
		t.Errorf("Files() = %v, %v, want f once", files, err)
	}
}

func TestParseStatus_rename(t *testing.T) {
	status, err := parseStatus([]string{"2 R. N... 100644 100644 100644 h h R100 new name", "old name"})
	if err != nil {
		t.Fatal(err)
	}
	wantStrings(t, "Modified", status.Modified, []string{"new name", "old name"})
	if _, err := parseStatus([]string{"1 short"}); err == nil {
		t.Error("a malformed entry was accepted")
	}
}

func TestFiles(t *testing.T) {
	s := newSandbox(t)
	s.write("a b/regular", "x")
	s.write("run.sh", "x")
	s.write("*", "a file whose name is a pattern")
	s.write("untracked", "x")
	if err := os.Symlink("run.sh", filepath.Join(s.dir, "link")); err != nil {
		t.Fatal(err)
	}
	s.git("add", "a b/regular", "run.sh", "link", ":(literal)*")
	s.git("update-index", "--chmod=+x", "run.sh")
	s.git("commit", "-q", "-m", "one")
	s.git("update-index", "--add", "--cacheinfo", "160000,"+s.git("rev-parse", "HEAD")+",sub")
	c := s.open()
	files, err := c.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	content, other := s.git("hash-object", "*"), s.git("hash-object", "run.sh")
	want := []File{{"*", Regular, content}, {"a b/regular", Regular, other}, {"link", Symlink, s.git("rev-parse", "HEAD:link")},
		{"run.sh", Executable, other}, {"sub", Submodule, s.git("rev-parse", "HEAD")}}
	if !slices.Equal(files, want) {
		t.Errorf("Files() = %v, want %v", files, want)
	}
	for _, tc := range []struct{ path, want string }{{"a b", "a b/regular"}, {"*", "*"}, {"--others", ""}, {":/", ""}} {
		files, err := c.Files(t.Context(), tc.path)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range files {
			got += f.Path
		}
		if got != tc.want {
			t.Errorf("Files(%q) = %q, want %q", tc.path, got, tc.want)
		}
	}
}

func TestRemoteURL(t *testing.T) {
	s := newSandbox(t)
	_, err := s.open().RemoteURL(t.Context())
	wantError(t, err, ErrNoRemote, "origin")
	s.git("remote", "add", "origin", "https://github.com/o/r.git")
	s.git("config", "url.https://token@github.com/.insteadOf", "https://github.com/")
	for set, want := range map[string]string{
		"https://github.com/o/r.git":               "https://github.com/o/r.git",
		"https://x-access-token:s3@github.com/o/r": "https://github.com/o/r",
		"https://u:p%zz@github.com/o/r":            "https://github.com/o/r",
		"ssh://git:pw@github.com:22/o/r.git":       "ssh://git@github.com:22/o/r.git",
		"git@github.com:o/r.git":                   "git@github.com:o/r.git",
		"/srv/git/r@x.git":                         "/srv/git/r@x.git",
	} {
		s.git("config", "remote.origin.url", set)
		if got, err := s.open().RemoteURL(t.Context()); err != nil || got != want {
			t.Errorf("RemoteURL of %s = %q, %v, want %q", set, got, err, want)
		}
	}
}

// TestHostileConfig puts a program into every setting that git would run for the questions asked here.
func TestHostileConfig(t *testing.T) {
	s := newSandbox(t)
	s.write("f", "1")
	s.write(".gitattributes", "* diff=evil\n")
	s.commit("one")
	s.sign()
	marker := filepath.Join(s.dir, "was-run")
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch '"+marker+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"core.fsmonitor", "core.pager", "pager.log", "diff.external", "diff.evil.command",
		"diff.evil.textconv", "gpg.program", "core.sshCommand", "core.editor", "alias.log"} {
		s.git("config", key, program)
	}
	s.git("config", "log.showSignature", "true")
	s.git("config", "core.hooksPath", filepath.Dir(program))
	s.write("f", "2")
	c := s.open()
	head, err := c.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, errStatus := c.Status(t.Context())
	_, errFiles := c.Files(t.Context())
	_, errChanged := c.ChangedSince(t.Context(), "HEAD")
	_, errLast := c.LastCommit(t.Context(), "HEAD", "f")
	_, errTags := c.TagsAt(t.Context(), head.Hash)
	if err := errors.Join(errStatus, errFiles, errChanged, errLast, errTags); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a program of the checkout's config was run")
	}
}

// sign gives HEAD a signature, which only log.showSignature would have checked.
func (s *sandbox) sign() {
	s.t.Helper()
	text := s.git("cat-file", "commit", "HEAD") + "\n"
	header, message, _ := strings.Cut(text, "\n\n")
	signature := "gpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----"
	file := filepath.Join(s.t.TempDir(), "commit")
	if err := os.WriteFile(file, []byte(header+"\n"+signature+"\n\n"+message), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.git("reset", "-q", "--soft", s.git("hash-object", "-t", "commit", "-w", file))
}

// TestNoNetwork has a partial clone whose missing commit would have to be fetched.
func TestNoNetwork(t *testing.T) {
	s := newSandbox(t)
	s.write("a/f", "1")
	s.commit("one")
	s.write("a/f", "2")
	s.commit("two")
	s.git("config", "uploadpack.allowFilter", "true")
	s.git("config", "uploadpack.allowAnySHA1InWant", "true")
	dir := t.TempDir()
	s.git("clone", "-q", "--no-checkout", "--filter=tree:0", "file://"+s.dir, dir)
	s.git("-C", dir, "config", "protocol.file.allow", "always")
	c, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if commit, err := c.LastCommit(t.Context(), "HEAD", "a"); err == nil {
		t.Errorf("LastCommit = %v, although its trees are elsewhere", commit)
	}
}

func BenchmarkPublishQuestions(b *testing.B) {
	b.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir := b.TempDir()
	for _, args := range [][]string{{"init", "-q", "-b", "main"},
		{"-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	for b.Loop() {
		c, err := Open(b.Context(), dir)
		if err != nil {
			b.Fatal(err)
		}
		_, errHead := c.Head(b.Context())
		_, errStatus := c.Status(b.Context())
		_, errFiles := c.Files(b.Context())
		if err := errors.Join(errHead, errStatus, errFiles); err != nil {
			b.Fatal(err)
		}
	}
}
