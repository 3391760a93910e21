package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// guideRun says, in a comment of a guide, on which landscape of internal/migrate/testdata its blocks of the kind console were run.
var (
	guideRun     = regexp.MustCompile(`(?m)^<!-- run on the landscape ([a-z0-9]+) -->$`)
	guideWord    = regexp.MustCompile(`"[^"]*"|\S+`)
	guideConsole = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
)

// TestGuideRuns runs the commands of guides in their order. They must print what the guide shows, where a line … means any lines.
// With KEOS_OCI_UPDATE_GUIDES=1 the guides get what is printed.
func TestGuideRuns(t *testing.T) {
	files, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		starts := guideRun.FindAllStringSubmatchIndex(text, -1)
		if len(starts) == 0 {
			continue
		}
		ran += len(starts)
		t.Run(filepath.Base(file), func(t *testing.T) {
			after := text[:starts[0][0]]
			for i, at := range starts {
				end := len(text)
				if i+1 < len(starts) {
					end = starts[i+1][0]
				}
				after += guideConsole.ReplaceAllStringFunc(text[at[0]:end], newGuide(t, text[at[2]:at[3]]).block)
			}
			if os.Getenv("KEOS_OCI_UPDATE_GUIDES") != "" && after != text {
				if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if ran < 3 {
		t.Errorf("%d parts of guides run", ran)
	}
}

// guide runs the blocks of a guide.
type guide struct {
	*sandbox
	folder string // where the commands run
}

// newGuide makes the checkouts of a landscape beside each other, publishes the branch main as latest and production as latest-stable, and
// begins in the fleet.
func newGuide(t *testing.T, landscape string) *guide {
	t.Helper()
	from := filepath.Join("..", "..", "internal", "migrate", "testdata", landscape)
	folders, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	s := newSandbox(t)
	root := filepath.Dir(s.dir)
	key := s.key()
	for _, suffix := range []string{".key", ".pub"} {
		data, err := os.ReadFile(strings.TrimSuffix(key, ".key") + suffix)
		s.check(err)
		writeFile(t, filepath.Join(root, "cosign"+suffix), string(data))
	}
	for _, folder := range folders {
		s.dir = filepath.Join(root, folder.Name())
		s.check(os.CopyFS(s.dir, os.DirFS(filepath.Join(from, folder.Name()))))
		s.git("init", "-q", "-b", "main")
		s.git("remote", "add", "origin", "https://git.example.com/"+landscape+"/"+folder.Name()+".git")
		s.settings(folder.Name())
		s.commit("as it is")
		s.git("branch", "production")
		s.remember()
		s.seed()
	}
	return &guide{sandbox: s, folder: filepath.Join(root, "fleet")}
}

// settings say whose signature counts, where clusters find the key, and the registry.
func (s *sandbox) settings(name string) {
	file := filepath.Join(s.dir, "keos-oci.yaml")
	config, err := os.ReadFile(file)
	if err != nil {
		config = []byte("apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n")
	}
	text := regexp.MustCompile(`(?m)^registry: .*\n`).ReplaceAllString(string(config), "")
	text += "registry: http://" + s.registry.Host() + "/" + name + "\nsigning: {key: ../cosign.pub}\ngenerate: {keySecret: cosign-pub}\n"
	if _, err := os.Stat(filepath.Join(s.dir, "clusters", "_TEMPLATE")); err == nil {
		text += "secrets: {allow: [{path: \"clusters/_TEMPLATE/**\", reason: placeholders}]}\n"
	}
	s.write("keos-oci.yaml", text)
}

// remember lets the remote's branches be what the local ones are, since nobody can push.
func (s *sandbox) remember() {
	for branch := range strings.FieldsSeq(s.git("for-each-ref", "--format=%(refname:short)", "refs/heads")) {
		s.git("update-ref", "refs/remotes/origin/"+branch, "refs/heads/"+branch)
	}
}

// seed publishes what clusters follow today: branches, and in repositories with components their version v1.0.0. Others have
// the tag v0.1.0.
func (s *sandbox) seed() {
	s.plain("publish", "--key", "../cosign.key", "--ref", "refs/heads/main")
	folders, err := os.ReadDir(filepath.Join(s.dir, "components"))
	if err != nil {
		s.git("tag", "v0.1.0")
		return
	}
	release := []string{"publish"}
	for _, folder := range folders {
		release = append(release, folder.Name())
	}
	s.plain(append(release, "--key", "../cosign.key", "--version", "v1.0.0")...)
}

// plain runs the command with the registry of the config.
func (s *sandbox) plain(args ...string) string {
	s.t.Helper()
	out, err := s.exec(s.dir, append([]string{"keos-oci"}, args...))
	if err != nil {
		s.t.Fatalf("keos-oci %v: %v\n%s", args, err, out)
	}
	return out
}

// exec runs keos-oci or git in a folder, and gives what they print on both streams, with the registry under its name in the guides.
func (s *sandbox) exec(folder string, words []string) (string, error) {
	s.t.Helper()
	exe := words[0]
	if exe == "keos-oci" {
		var err error
		exe, err = os.Executable()
		s.check(err)
	}
	cmd := exec.CommandContext(s.t.Context(), exe, words[1:]...)
	cmd.Dir = folder
	cmd.Env = append(s.env, "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.ReplaceAll(out.String(), s.registry.Host(), "registry.example.com"), err
}

// block runs the commands of a block, and gives the block with what they print.
func (g *guide) block(block string) string {
	g.t.Helper()
	text := strings.TrimSuffix(strings.TrimPrefix(block, "```console\n"), "```")
	var b strings.Builder
	b.WriteString("```console\n")
	for _, part := range strings.Split("\n"+text, "\n$ ")[1:] {
		command, shown := cutCommand(part)
		printed, failed := g.run(strings.ReplaceAll(command, "\\\n", " "))
		if failed && !strings.Contains(shown, "error: ") {
			g.t.Errorf("%s fails, which the guide does not show:\n%s", command, printed)
		}
		if !shows(shown, printed) {
			g.t.Errorf("%s prints\n%s\nthe guide shows\n%s", command, printed, shown)
		}
		if !strings.Contains(shown, "…\n") {
			shown = printed
		}
		fmt.Fprintf(&b, "$ %s\n%s", command, shown)
	}
	return b.String() + "```"
}

// cutCommand takes the command, which may go on after a backslash, from what it prints.
func cutCommand(part string) (command, shown string) {
	part = strings.TrimSuffix(part, "\n") + "\n"
	end := strings.Index(part, "\n")
	for end > 0 && part[end-1] == '\\' {
		end += 1 + strings.Index(part[end+1:], "\n")
	}
	return part[:end], part[end+1:]
}

// run runs a command line of a guide: keos-oci, git or cd. It reports whether the command failed.
func (g *guide) run(line string) (printed string, failed bool) {
	g.t.Helper()
	words := guideWord.FindAllString(line, -1)
	for i, word := range words {
		words[i] = strings.Trim(word, `"`)
	}
	if words[0] == "cd" {
		g.folder = filepath.Join(g.folder, words[1])
		return "", false
	}
	if line == "git push" {
		g.dir = g.folder
		g.remember()
		return "", false
	}
	var exit *exec.ExitError
	out, err := g.exec(g.folder, words)
	if err != nil && !errors.As(err, &exit) {
		g.t.Fatal(err)
	}
	return out, err != nil
}

// shows reports whether a text of a guide is what was printed. Lines … stand for any lines.
func shows(shown, printed string) bool {
	pattern := regexp.QuoteMeta(shown)
	pattern = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(pattern, `(?s:.*)`)
	return regexp.MustCompile(`\A` + pattern + `\z`).MatchString(printed)
}
