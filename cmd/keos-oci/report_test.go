package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/release"
)

// TestReportsAreTextAlone: nothing that a registry, a branch or a file made up becomes Markdown, HTML, a column, a mention or
// a command to the runner.
func TestReportsAreTextAlone(t *testing.T) {
	evil := "x | <img src=x> `y` **z** [a](http://b) @team\n::set-output name=a::b\n| zz"
	a := &app{err: os.Stderr, getenv: func(string) string { return "" }}
	for what, text := range map[string]string{
		"check": a.markdown(&release.CheckResult{Components: []release.CheckedComponent{{Name: "shop", Status: "refused",
			Findings: []finding.Finding{{Severity: finding.Error, File: evil, Message: evil}}}}}),
		"publish": a.markdown(&release.PublishResult{Ref: "refs/heads/" + evil,
			Components: []release.PublishedComponent{{Name: "shop", Repository: "ghcr.io/org/apps/shop", Status: "failed",
				Error: &release.Problem{Code: "failed", Message: evil}, Notes: []string{evil}}}}),
		"move": a.markdown(&release.MoveResult{Components: []release.MovedComponent{{Name: "shop", FromVersion: evil, Notes: []string{evil}}}}),
	} {
		for _, bad := range []string{"<img", "**z**", "[a](", "@team", "\n::", "\n| zz"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %q in\n%s", what, bad, text)
			}
		}
	}
	if text := a.markdown(&release.PublishResult{Components: []release.PublishedComponent{{Name: "shop",
		Repository: "ghcr.io/org/apps/shop"}}}); !strings.Contains(text, "[shop](https://ghcr.io/org/apps/shop)") {
		t.Errorf("no link:\n%s", text)
	}
	line := a.annotation(finding.Finding{Severity: finding.Error, Rule: "reference", File: "a,b:c\nd", Line: 3, Message: "100%\n::error::x"})
	if line != "::error file=a%2Cb%3Ac%0Ad,line=3,title=keos-oci reference::100%25%0A::error::x" {
		t.Error(line)
	}
}

// TestReportsAreCut: a comment on GitHub has no room for everything.
func TestReportsAreCut(t *testing.T) {
	long := strings.Repeat("+line ```` of text\n", 10_000)
	text := diffReport(&release.DiffResult{Name: "shop", From: "a", To: "b",
		Files: []release.FileDiff{{Path: "x", Change: release.ChangeAdded, Diff: long}}})
	if len(text) > 2*maxHunks || !strings.Contains(text, "The rest is left out.") || !strings.Contains(text, "`````diff\n") || !strings.Contains(text, "+10000 −0") {
		t.Errorf("%d letters: %.300s", len(text), text)
	}
}

// TestParagraphs: what a pull request calls its files, or what a build says of them, is no command to the runner.
func TestParagraphs(t *testing.T) {
	a := &app{getenv: func(name string) string { return map[string]string{"GITHUB_ACTIONS": "true"}[name] }}
	got := string(a.paragraph("components/x\n::stop-commands::y\n  ::add-mask::z\n##[error]w\x1b[31m"))
	for line := range strings.Lines(got) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "\x1b") {
			t.Errorf("%q", line)
		}
	}
	if strings.Count(got, "\n") != 3 {
		t.Errorf("%q", got)
	}
}

// TestWriteFollowsNoLink: a link at the place beside a file, where its new content goes first, is not written through.
func TestWriteFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "precious"), "keep me")
	if err := os.Symlink("precious", filepath.Join(dir, ".out.yaml.keos-oci")); err != nil {
		t.Fatal(err)
	}
	a := &app{out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	if err := a.finishFiles(outputFlags{dir: dir}, []flux.File{{Path: "out.yaml", Content: []byte("new")}}, nil); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "precious"))
	if err != nil || string(kept) != "keep me" {
		t.Errorf("%q %v", kept, err)
	}
	info, err := os.Lstat(filepath.Join(dir, "out.yaml"))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v %v", info, err)
	}
}
