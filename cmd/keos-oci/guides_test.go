package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	guideBlock     = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	guideCommand   = regexp.MustCompile(`(?m)(?:^|[ (])(keos-oci [^()\n]+)`)
	guideInline    = regexp.MustCompile("`(keos-oci [^`]+)`")
	guideContinued = regexp.MustCompile(`\\\n\s*`)
	guideIndented  = regexp.MustCompile(`(?m)^    (keos-oci .*)$`)
	guideFlag      = regexp.MustCompile(`^--?[a-zA-Z][a-z-]*`)
	guideLink      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	guideHeading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestGuides compares the guides with the command tree: each command line in them names a command with those flags, and
// each link leads somewhere.
func TestGuides(t *testing.T) {
	files, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	for _, file := range append(files, "../../README.md", "../../SECURITY.md") {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			text := string(raw)
			for _, line := range guideCommands(text) {
				if strings.HasPrefix(line, "keos-oci migrate: ") { // a comment that it writes
					continue
				}
				checkGuideCommand(t, line)
			}
			prose := guideBlock.ReplaceAllString(text, "")
			for _, m := range guideLink.FindAllStringSubmatch(prose, -1) {
				checkGuideLink(t, file, m[1])
			}
		})
	}
}

// guideCommands are the command lines of code blocks, and those in the text.
func guideCommands(text string) []string {
	var lines []string
	for _, block := range guideBlock.FindAllStringSubmatch(text, -1) {
		for _, m := range guideCommand.FindAllStringSubmatch(guideContinued.ReplaceAllString(block[2], ""), -1) {
			lines = append(lines, m[1])
		}
	}
	text = guideBlock.ReplaceAllString(text, "")
	for _, pattern := range []*regexp.Regexp{guideInline, guideIndented} {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			lines = append(lines, m[1])
		}
	}
	return lines
}

func checkGuideCommand(t *testing.T, line string) {
	t.Helper()
	command, _, _ := strings.Cut(line, " #")
	command, _, _ = strings.Cut(command, " | ")
	words := strings.Fields(command)[1:] // without keos-oci
	a := &app{in: os.Stdin, out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	root := a.root()
	root.SetContext(context.Background())
	found, rest, err := root.Find(words)
	if err != nil || found == root && len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		t.Errorf("no such command: %s (%v)", line, err)
		return
	}
	for _, word := range rest {
		if name := guideFlag.FindString(strings.TrimPrefix(word, "[")); name != "" && !knowsFlag(found, name) {
			t.Errorf("%s has no flag %s: %s", found.CommandPath(), name, line)
		}
	}
}

func knowsFlag(cmd *cobra.Command, name string) bool {
	cmd.InheritedFlags() // which merges those of the parents into Flags
	if long, ok := strings.CutPrefix(name, "--"); ok {
		return cmd.Flags().Lookup(long) != nil
	}
	return cmd.Flags().ShorthandLookup(name[1:2]) != nil
}

// checkGuideLink follows links to files of the project, with the heading that they name.
func checkGuideLink(t *testing.T, file, link string) {
	t.Helper()
	if strings.Contains(link, "://") {
		return
	}
	target, anchor, _ := strings.Cut(link, "#")
	to := file
	if target != "" {
		to = filepath.Join(filepath.Dir(file), filepath.FromSlash(target))
	}
	raw, err := os.ReadFile(to)
	if info, statErr := os.Stat(to); statErr == nil && info.IsDir() {
		return
	}
	if err != nil {
		t.Errorf("dead link %s: %v", link, err)
		return
	}
	if anchor == "" {
		return
	}
	for _, m := range guideHeading.FindAllStringSubmatch(string(raw), -1) {
		if guideAnchor(m[1]) == anchor {
			return
		}
	}
	t.Errorf("dead link %s: no such heading", link)
}

// guideAnchor is how GitHub names the anchor of a heading.
func guideAnchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// TestMigrateStopsAreExplained: the guide has the code of each stop.
func TestMigrateStopsAreExplained(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../internal/migrate/*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:\.stop\([^"\n]*|Stop\{[^"\n]*)"([a-z-]+)"`).FindAllStringSubmatch(string(code), -1) {
			if codes++; !strings.Contains(string(guide), "`"+m[1]+"`") {
				t.Errorf("%s: the guide does not explain the stop %s", filepath.Base(file), m[1])
			}
		}
	}
	if codes < 20 {
		t.Errorf("%d stops found", codes)
	}
}

// TestErrorsAreExplained: the guide has the code of each error, and the table has each error once.
func TestErrorsAreExplained(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[error]bool{}
	for _, k := range faults() {
		if k.Err != nil && seen[k.Err] {
			t.Errorf("%v is in the table twice", k.Err)
		}
		seen[k.Err] = true
		if k.Code != "" && !strings.Contains(string(guide), "["+k.Code+"]") {
			t.Errorf("the guide does not explain [%s]: %v", k.Code, k.Err)
		}
	}
}
