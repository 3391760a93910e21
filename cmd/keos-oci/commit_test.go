package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/release"
)

// published is the result of a publish with -o json.
func (s *sandbox) published(args ...string) release.PublishResult {
	s.t.Helper()
	r := s.must(append([]string{"publish", "-o", "json"}, args...)...)
	var res release.PublishResult
	if err := json.Unmarshal([]byte(r.stdout), &res); err != nil {
		s.t.Fatalf("%v: %v", err, r)
	}
	return res
}

// digests is what a run published, by component.
func digests(res release.PublishResult) string {
	var list []string
	for _, c := range res.Components {
		list = append(list, c.Name+" "+c.Digest.String()+" "+c.ContentDigest.String())
	}
	return strings.Join(list, "\n")
}

// to is a copy of the sandbox for another place of the same repository, whose artifacts have a prefix of their own.
func (s *sandbox) to(t *testing.T, prefix, dir string) *sandbox {
	c := *s
	c.t, c.prefix, c.dir = t, prefix, dir
	return &c
}

// object writes a Git object of its own making.
func (s *sandbox) object(kind, content string) string {
	s.t.Helper()
	cmd := exec.Command("git", "-C", s.dir, "hash-object", "-t", kind, "-w", "--stdin")
	cmd.Stdin = strings.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// releasedCheckout has a release of frontend, and after it a commit that must not be in it.
func releasedCheckout(t *testing.T) (s *sandbox, key string) {
	s = newSandbox(t)
	s.byHand = true
	key = s.key()
	s.component("frontend", "one")
	s.write("components/frontend/base/id.txt", "$Id$\n")
	s.write("components/frontend/base/lines.txt", "a\nb\n")
	one := s.commit("one")
	s.git("tag", "frontend/v1.0.0")
	s.git("tag", "-m", "annotated", "frontend/v1.0.1", one)
	signed := s.object("tag", "object "+one+"\ntype commit\ntag frontend/v1.0.2\ntagger t <t@example.com> 1767323045 +0000\n\nsigned\n"+
		"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n")
	s.git("update-ref", "refs/tags/frontend/v1.0.2", signed)
	s.git("-c", "advice.nestedTag=false", "tag", "-m", "nested", "frontend/v1.0.3", "frontend/v1.0.1")
	s.component("frontend", "two")
	s.write(".gitattributes", "*.txt text eol=crlf\nid.txt ident\n")
	s.commit("two")
	return s, key
}

// TestPublishNamedCommit: a tag publishes the commit that it points to, whatever is checked out and whatever became of the work tree.
func TestPublishNamedCommit(t *testing.T) {
	s, key := releasedCheckout(t)
	clone := func(t *testing.T, args ...string) string {
		dir := filepath.Join(t.TempDir(), "clone")
		s.git(append(append([]string{"clone", "-q"}, args...), "file://"+s.dir, dir)...)
		return dir
	}
	in := func(dir string) func(args ...string) {
		return func(args ...string) { s.git(append([]string{"-C", dir}, args...)...) }
	}
	for tag, version := range map[string]string{"light": "v1.0.0", "annotated": "v1.0.1", "signed": "v1.0.2", "nested": "v1.0.3"} {
		clean := clone(t)
		in(clean)("checkout", "-q", "frontend/"+version)
		ref := []string{"--key", key, "--ref", "refs/tags/frontend/" + version}
		want := digests(s.to(t, "clean/"+tag, clean).published(ref...))
		for name, dir := range map[string]func(t *testing.T) string{
			"main checked out": func(t *testing.T) string { return clone(t) },
			"other branch": func(t *testing.T) string {
				dir := clone(t)
				in(dir)("checkout", "-q", "--orphan", "other")
				in(dir)("rm", "-rfq", ".")
				return dir
			},
			"dirty": func(t *testing.T) string {
				dir := clone(t)
				in(dir)("checkout", "-q", "frontend/"+version)
				writeFile(t, filepath.Join(dir, "components/frontend/base/config.yaml"), "dirty: true\n")
				writeFile(t, filepath.Join(dir, "components/frontend/base/lines.txt"), "staged\n")
				in(dir)("add", "components/frontend/base/lines.txt")
				writeFile(t, filepath.Join(dir, "keos-oci.yaml"),
					"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nartifact: {ignore: ['*.txt']}\n")
				return dir
			},
			"hidden change": func(t *testing.T) string {
				dir := clone(t)
				in(dir)("checkout", "-q", "frontend/"+version)
				writeFile(t, filepath.Join(dir, "components/frontend/base/config.yaml"), "hidden: true\n")
				in(dir)("update-index", "--assume-unchanged", "components/frontend/base/config.yaml")
				return dir
			},
			"shallow": func(t *testing.T) string { return clone(t, "--depth", "1", "--branch", "frontend/"+version) },
			"bare":    func(t *testing.T) string { return clone(t, "--bare") },
			"worktree": func(t *testing.T) string {
				dir := filepath.Join(t.TempDir(), "tree")
				in(clone(t))("worktree", "add", "-q", "--detach", dir, "main")
				return dir
			},
			"autocrlf": func(t *testing.T) string {
				return clone(t, "-c", "core.autocrlf=true", "-c", "core.eol=crlf", "--branch", "frontend/"+version)
			},
			"sparse": func(t *testing.T) string {
				dir := clone(t)
				in(dir)("sparse-checkout", "set", "docs")
				return dir
			},
		} {
			if tag != "light" && name != "main checked out" && name != "bare" { // how a tag is peeled depends on no work tree
				continue
			}
			t.Run(tag+" "+name, func(t *testing.T) {
				got := s.to(t, strings.ReplaceAll(tag+"/"+name, " ", "-"), dir(t)).published(ref...)
				if digests(got) != want {
					t.Errorf("published\n%s\nwant\n%s", digests(got), want)
				}
				if got.Components[0].Tags[0].Tag != version || len(got.Components[0].Tags) != 2 {
					t.Errorf("tags %v", got.Components[0].Tags)
				}
			})
		}
	}
}

// TestPublishOneDigest: every clean way to publish one commit gives the same digests, also where attributes convert what is checked out.
func TestPublishOneDigest(t *testing.T) {
	s, key := releasedCheckout(t)
	head := s.git("rev-parse", "HEAD")
	s.git("tag", "frontend/v2.0.0")
	s.git("rm", "-q", "--cached", "-r", ".")
	s.git("reset", "-q", "--hard") // which converts
	if raw, _ := os.ReadFile(filepath.Join(s.dir, "components/frontend/base/lines.txt")); string(raw) != "a\r\nb\r\n" {
		t.Fatalf("the work tree has %q", raw)
	}
	ways := map[string][]string{
		"HEAD": nil, "branch": {"--ref", "refs/heads/main"}, "commit": {"--commit", head[:10]}, "both": {"--commit", "HEAD", "--ref",
			"refs/heads/main"},
		"tag": {"--ref", "refs/tags/frontend/v2.0.0"}, "version": {"--version", "v2.0.0"}, "version of a commit": {"--version", "v2.0.0",
			"--commit", "main"},
	}
	want := map[bool]string{}
	for name, flags := range ways {
		for i, state := range []string{"main", "detached", "elsewhere"} {
			if state == "elsewhere" && (flags == nil || name == "branch") { // these publish HEAD
				continue
			}
			if state == "detached" && (flags == nil || name == "commit") { // these need a branch
				continue
			}
			s.git(slices.Concat([]string{"checkout", "-q"}, [][]string{{"main"}, {"--detach", "main"}, {"--detach", "main~1"}}[i])...)
			if state == "elsewhere" && name == "both" {
				flags = []string{"--commit", head, "--ref", "refs/heads/main"}
			} else if state == "elsewhere" && name == "commit" {
				s.git("checkout", "-q", "main")
				s.git("checkout", "-q", "-B", "main2", "main~1")
				flags = []string{"--commit", head, "--ref", "refs/heads/main"}
			}
			released := strings.HasPrefix(name, "version") || name == "tag"
			got := digests(s.to(t, strings.ToLower(strings.ReplaceAll(name+"/"+state, " ", "-")),
				s.dir).published(append([]string{"--key", key}, flags...)...))
			if want[released] == "" {
				want[released] = got
			}
			if got != want[released] {
				t.Errorf("%s, %s: published\n%s\nwant\n%s", name, state, got, want[released])
			}
		}
	}
	if content := func(s string) string { return s[strings.LastIndex(s, " "):] }; content(want[true]) != content(want[false]) {
		t.Errorf("the version has other content:\n%s\n%s", want[true], want[false])
	}
}

// TestPublishCommitRefused: a run that names one commit and would publish another ends with 2, and nothing is written.
func TestPublishCommitRefused(t *testing.T) {
	s, key := releasedCheckout(t)
	first := s.git("rev-parse", "main~1")
	s.git("branch", "other", first)
	remote := filepath.Join(t.TempDir(), "remote")
	s.git("clone", "-q", "--bare", s.dir, remote)
	s.git("remote", "add", "origin", remote)
	s.git("fetch", "-q", "origin")
	blob := s.object("blob", "no commit\n")
	s.git("update-ref", "refs/tags/frontend/v9.0.0", blob)
	for name, c := range map[string]struct {
		prepare func()
		args    []string
		message string
	}{
		"missing tag": {nil, []string{"--ref", "refs/tags/frontend/v7.0.0"},
			"this clone has no Git tag frontend/v7.0.0: fetch it with git fetch origin tag frontend/v7.0.0"},
		"tag of a blob": {nil, []string{"--ref", "refs/tags/frontend/v9.0.0"}, "frontend/v9.0.0"},
		"tag and commit": {nil, []string{"--ref", "refs/tags/frontend/v1.0.0", "--commit", "main"},
			"the Git tag frontend/v1.0.0 points to commit " + first[:8]},
		"version and tag": {nil, []string{"--version", "v1.0.0", "--commit", "main"}, "the Git tag frontend/v1.0.0 points to commit " +
			first[:8]},
		"missing commit": {nil, []string{"--commit", "0123456789abcdef0123456789abcdef01234567"}, "unknown revision"},
		"a range":        {nil, []string{"--commit", "main~1..main"}, "want one commit"},
		"another branch": {func() { s.git("checkout", "-q", "other") }, []string{"--ref", "refs/heads/main"},
			"--ref names branch main, and HEAD is on branch other"},
		"a foreign commit": {func() { s.git("checkout", "-q", "--detach"); s.commit("nowhere") }, []string{"--ref", "refs/heads/main"},
			"is not on branch main"},
		"commit of none": {func() { s.git("checkout", "-q", "--detach"); s.commit("nowhere") },
			[]string{"--commit", "HEAD", "--ref", "refs/heads/main"}, "is not on branch main"},
		"no branch": {func() { s.git("checkout", "-q", "--detach") }, []string{"--commit", "HEAD"}, "on no branch (detached HEAD)"},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.git("checkout", "-qf", "main")
			if c.prepare != nil {
				c.prepare()
			}
			r := s.run(append([]string{"publish", "--key", key}, c.args...)...)
			if r.code != 2 || !strings.Contains(r.stderr, c.message) {
				t.Errorf("want exit 2 and %q: %v", c.message, r)
			}
		})
	}
	s.t = t
	if r := s.must("list", "frontend"); r.stdout != "" {
		t.Errorf("something was published:\n%s", r.stdout)
	}
	s.git("checkout", "-q", "--detach", "main~1") // CI's checkout of an older commit of the branch
	s.must("publish", "--key", key, "--ref", "refs/heads/main")
}

// TestPublishFiltered: what Git does not store as it is, and what it does not store at all, is refused with the file and what to do.
func TestPublishFiltered(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(s *sandbox)
		message string
	}{
		"LFS": {func(s *sandbox) {
			s.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
			s.write("components/frontend/base/model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
		}, "components/frontend/base/model.bin: git filter lfs: Git stores what the filter makes of this file"},
		"git-crypt": {func(s *sandbox) {
			s.write("components/frontend/base/.gitattributes", "data.txt filter=git-crypt\n")
			s.write("components/frontend/base/data.txt", "\x00GITCRYPT\x00x")
		}, "components/frontend/base/data.txt: git filter git-crypt"},
		"pointer without attribute": {func(s *sandbox) {
			s.write("components/frontend/base/model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
		}, "components/frontend/base/model.bin: this is a Git LFS pointer, not the file's content (git-filter)"},
		"submodule": {func(s *sandbox) {
			s.commit("before")
			s.git("update-index", "--add", "--cacheinfo", "160000,"+s.git("rev-parse", "HEAD")+",components/frontend/base/sub")
		}, "components/frontend/base/sub: git submodule: its files are in another repository"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(t)
			s.byHand = true
			key := s.key()
			s.component("frontend", "one")
			c.prepare(s)
			if name == "submodule" {
				s.git("commit", "-q", "-m", "sub")
			} else {
				s.commit("one")
			}
			s.git("tag", "frontend/v1.0.0")
			s.git("checkout", "-q", "--orphan", "elsewhere")
			for _, args := range [][]string{{"--ref", "refs/tags/frontend/v1.0.0"}, {"--commit", "main", "--ref", "refs/heads/main"}} {
				if r := s.run(append([]string{"publish", "--key", key}, args...)...); r.code != 3 && r.code != 1 ||
					!strings.Contains(r.stderr, c.message) {
					t.Errorf("%v: want %q: %v", args, c.message, r)
				}
			}
			s.git("checkout", "-qf", "main")
			if r := s.run("publish", "--key", key); r.code == 0 || !strings.Contains(r.stderr, c.message) {
				t.Errorf("HEAD: want %q: %v", c.message, r)
			}
			if r := s.must("list", "frontend"); r.stdout != "" {
				t.Errorf("something was published:\n%s", r.stdout)
			}
		})
	}
}

// TestConfigOfCommit: the config is that of the named commit, with the public key that it names.
func TestConfigOfCommit(t *testing.T) {
	s := newSandbox(t)
	s.byHand = true
	oldKey, newKey := s.key(), s.key()
	public := func(key string) string {
		raw, err := os.ReadFile(strings.TrimSuffix(key, ".key") + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	s.component("frontend", "one")
	s.write("keos-oci.yaml",
		"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning: {keys: [keys/team.pub]}\nartifact: {ignore: ['notes.txt']}\n")
	s.write("keys/team.pub", public(oldKey))
	s.write("components/frontend/notes.txt", "x")
	one := s.commit("one")
	s.git("tag", "frontend/v1.0.0")
	s.write("keys/team.pub", public(newKey))
	s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning: {keys: [keys/team.pub]}\n")
	s.commit("two")
	res := s.published("--key", oldKey, "--ref", "refs/tags/frontend/v1.0.0")
	if res.Config == nil || res.Config.File != "keos-oci.yaml" || res.Config.Commit != one || res.Commit != one {
		t.Errorf("%+v", res)
	}
	// Today's key is none of that commit's.
	if r := s.run("publish", "--key", newKey, "--version", "v1.0.1", "--commit", one); r.code == 0 {
		t.Errorf("a key that the commit does not accept: %v", r)
	}
	if res := s.published("--key", newKey); res.Components[0].ContentDigest == "" {
		t.Errorf("%+v", res)
	}
}
