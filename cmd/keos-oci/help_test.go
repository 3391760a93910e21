package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tree is a command tree of its own that writes to out.
func tree(t *testing.T, out io.Writer) *cobra.Command {
	t.Helper()
	a := &app{in: os.Stdin, out: out, err: io.Discard, getenv: func(string) string { return "" }}
	root := a.root()
	root.SetContext(t.Context())
	return root
}

// shownCommands lists the paths of all commands that the help shows.
func shownCommands(t *testing.T) []string {
	t.Helper()
	var paths []string
	everyCommand(tree(t, io.Discard), func(cmd *cobra.Command) {
		if !cmd.Hidden {
			paths = append(paths, cmd.CommandPath())
		}
	})
	return paths
}

// helpOf gives the help of a command as it is without a terminal: 80 columns wide.
func helpOf(t *testing.T, path string) string {
	t.Helper()
	var out bytes.Buffer
	root := tree(t, &out)
	root.SetArgs(append(strings.Fields(path)[1:], "--help"))
	if err := root.Execute(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out.String()
}

// TestHelpGroups: a new command needs a place in commandGroups, else nobody finds it.
func TestHelpGroups(t *testing.T) {
	root := tree(t, io.Discard)
	for _, c := range root.Commands() {
		if !c.Hidden && c.GroupID == "" && c.Name() != topicFlags {
			t.Errorf("%s has no group: add it to commandGroups", c.Name())
		}
	}
	help := helpOf(t, "keos-oci")
	inOrder(t, help, "\nPublish:", "\n  init ", "\n  publish ", "\nMove channels:", "\n  promote ", "\nLook:", "\n  status ", "\nClusters:",
		"\n  generate ", "\nOther:", "\n  help ")
}

// inOrder checks that a text has all words, one after the other.
func inOrder(t *testing.T, text string, words ...string) {
	t.Helper()
	rest := text
	for _, word := range words {
		var found bool
		if _, rest, found = strings.Cut(rest, word); !found {
			t.Fatalf("%q is missing or at the wrong place:\n%s", word, text)
		}
	}
}

// TestHelpFits: no line is wider than a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	for _, path := range shownCommands(t) {
		if strings.HasPrefix(path, "keos-oci completion ") { // cobra's own words
			continue
		}
		for line := range strings.Lines(helpOf(t, path)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", path, n, line)
			}
		}
	}
}

// TestHelpFlags: everyday flags come first, the others are under their headings, and global flags are folded.
func TestHelpFlags(t *testing.T) {
	help := helpOf(t, "keos-oci promote")
	order := []string{"\nFlags:", "--channel", "--dry-run", "--key", "--reason", "\nJournal flags:", "--anchor", "--request",
		"\nSigning and Sigstore flags:",
		"--certificate-identity", "--fulcio-url", "--tuf-root", "\nGlobal flags:", "--directory", "--output", "\nMore global flags: keos-oci help flags"}
	inOrder(t, help, order...)
	if strings.Contains(help, "--log-format") {
		t.Error("the help of a command has all global flags")
	}
	if help := helpOf(t, "keos-oci check"); !strings.Contains(help, "text, json, yaml or sarif") {
		t.Errorf("check does not say which formats it has:\n%s", help)
	}
	topic := helpOf(t, "keos-oci flags")
	tree(t, io.Discard).PersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if !strings.Contains(topic, "--"+flag.Name) {
			t.Errorf("help flags lacks --%s", flag.Name)
		}
	})
}

// TestHelpExamples: each command says what it does and shows how, and each example is a command line that the program understands.
func TestHelpExamples(t *testing.T) {
	for _, path := range shownCommands(t) {
		cmd, _, err := tree(t, io.Discard).Find(strings.Fields(path)[1:])
		if err != nil {
			t.Fatal(err)
		}
		if cmd.HasSubCommands() && cmd.HasParent() || cmd.Name() == topicFlags {
			continue
		}
		if utf8.RuneCountInString(cmd.Short) < 15 || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s: short %q, %d letters of description, example %q", path, cmd.Short, len(cmd.Long), cmd.Example)
		}
		lines := exampleLines(cmd.Example)
		for _, line := range lines {
			if err := understood(t, line); err != nil {
				t.Errorf("%s: %s: %v", path, line, err)
			}
		}
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, strings.TrimPrefix(path, "keos-oci ")) }) {
			t.Errorf("%s: no example shows the command: %q", path, lines)
		}
	}
}

// TestUnderstood: the check of examples finds what is wrong with one.
func TestUnderstood(t *testing.T) {
	for _, line := range []string{"keos-oci promot frontend v1", "keos-oci promote frontend", "keos-oci promote frontend v1 --dry-rum",
		"keos-oci generate cluster prod", "keos-oci verify a b c", "keos-oci status --timeout never", "ls"} {
		if understood(t, line) == nil {
			t.Errorf("%s passes", line)
		}
	}
}

var (
	exampleComment = regexp.MustCompile(` +# .*`)
	exampleWord    = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
)

// exampleLines joins continued lines and takes comments off.
func exampleLines(example string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(example, "\\\n", " "), "\n") {
		if line = strings.TrimSpace(exampleComment.ReplaceAllString(line, "")); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// understood parses an example as the program does, but for running it.
func understood(t *testing.T, line string) error {
	t.Helper()
	_, line, found := strings.Cut(line, "keos-oci ")
	if !found {
		return os.ErrInvalid
	}
	line, _, _ = strings.Cut(line, " |")
	line, _, _ = strings.Cut(line, " >")
	var words []string
	for _, word := range exampleWord.FindAllString(strings.TrimSuffix(line, ")"), -1) {
		words = append(words, strings.Trim(word, `'"`))
	}
	root := tree(t, io.Discard)
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return missingFlags(cmd)
}

// TestMistypedCommandLine: a mistake on the command line is answered in one line, with exit code 2.
func TestMistypedCommandLine(t *testing.T) {
	s := newSandbox(t)
	for line, want := range map[string]string{
		"promot frontend --reason x":       `unknown command "promot"; did you mean promote?`,
		"fizzbuzz":                         `unknown command "fizzbuzz"; see keos-oci --help`,
		"generate clustr prod --domain x":  `unknown command "clustr" of generate; did you mean cluster?`,
		"migrate plna":                     `unknown command "plna" of migrate; see keos-oci migrate --help`,
		"registry sreve":                   `unknown command "sreve" of registry; see keos-oci registry --help`,
		"help promot":                      `unknown command "promot"; did you mean promote?`,
		"help generate clustr":             `unknown command "clustr" of generate; did you mean cluster?`,
		"promote --dry-rum frontend v1":    `unknown flag --dry-rum of promote; did you mean --dry-run?`,
		"status --zzz":                     `unknown flag --zzz of status; see keos-oci status --help`,
		"status -q":                        `unknown flag -q of status; see keos-oci status --help`,
		"promote":                          `promote needs COMPONENT and VERSION; usage: keos-oci promote COMPONENT VERSION`,
		"promote frontend":                 `promote needs VERSION; usage: keos-oci promote COMPONENT VERSION`,
		"promote frontend:v1.0.0 v1.2.0":   `promote does not take "v1.2.0"; usage: keos-oci promote COMPONENT VERSION`,
		"rollback":                         `rollback needs COMPONENT; usage: keos-oci rollback COMPONENT [VERSION]`,
		"verify frontend:v1.0.0 v1.2.0":    `verify does not take "v1.2.0"; usage: keos-oci verify COMPONENT[:TAG|@DIGEST] [TAG]`,
		"version now":                      `version does not take "now"; usage: keos-oci version`,
		"history frontend --limit few":     `--limit few: want a number such as 4`,
		"status --timeout soon":            `--timeout soon: want a time such as 90s or 5m`,
		"history frontend --limit":         `--limit needs a value; see keos-oci history --help`,
		"generate cluster prod --domain x": `generate cluster needs --channel and --environment; usage: keos-oci generate cluster NAME`,
		"status -o xm":                     `--output xm is unknown; use text, json or yaml`,
	} {
		r := s.run(strings.Fields(line)...)
		got, _, _ := strings.Cut(strings.TrimPrefix(r.stderr, "error: "), " [usage]")
		if r.code != exitUsage || strings.TrimSpace(got) != want || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("%s: want %q: %v", line, want, r)
		}
	}
}

// TestManPages: each command has a page that man can read.
func TestManPages(t *testing.T) {
	s := newSandbox(t)
	dir := t.TempDir()
	s.env = append(s.env, "SOURCE_DATE_EPOCH=1767323045")
	s.must("docs", "--format", "man", dir)
	for _, name := range []string{"keos-oci.1", "keos-oci-promote.1", "keos-oci-generate-cluster.1", "keos-oci-publish.1"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), `"Jan 2026"`) || !strings.Contains(string(raw), ".SH SYNOPSIS") {
			t.Errorf("%s:\n%s", name, raw)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "keos-oci-publish.1"))
	if err != nil || !strings.Contains(string(raw), "<branch>-<commit>") {
		t.Errorf("angle brackets are lost: %v\n%s", err, raw)
	}
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("man is not installed: nobody reads the pages here")
	}
	out, err := exec.Command("man", "--warnings", "-l", filepath.Join(dir, "keos-oci-promote.1")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "keos-oci promote COMPONENT VERSION") || strings.Contains(string(out), "warning") {
		t.Errorf("%v\n%s", err, out)
	}
}
