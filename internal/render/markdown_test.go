package render

import (
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
)

// TestReportsAreTextAlone: nothing that a registry, a branch or a file made up becomes Markdown, HTML, a column, a mention or
// a command to the runner.
func TestReportsAreTextAlone(t *testing.T) {
	evil := "x | <img src=x> `y` **z** [a](http://b) @team\n::set-output name=a::b\n| zz"
	for what, text := range map[string]string{
		"check": Check{&release.CheckResult{Components: []release.CheckedComponent{{Name: "shop", Status: "refused",
			Findings: []finding.Finding{{Severity: finding.Error, File: evil, Message: evil}}}}}}.Markdown(),
		"publish": Publish{&release.PublishResult{Ref: "refs/heads/" + evil,
			Components: []release.PublishedComponent{{Name: "shop", Repository: "ghcr.io/org/apps/shop", Status: "failed",
				Error: &release.Problem{Code: "failed", Message: evil}, Notes: []string{evil}}}}}.Markdown(),
		"move": Move{&release.MoveResult{
			Components: []release.MovedComponent{{Name: "shop", FromVersion: evil, Notes: []string{evil}}}}}.Markdown(),
	} {
		for _, bad := range []string{"<img", "**z**", "[a](", "@team", "\n::", "\n| zz"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %q in\n%s", what, bad, text)
			}
		}
	}
	if text := (Publish{&release.PublishResult{Components: []release.PublishedComponent{{Name: "shop",
		Repository: "ghcr.io/org/apps/shop"}}}}).Markdown(); !strings.Contains(text, "[shop](https://ghcr.io/org/apps/shop)") {
		t.Errorf("no link:\n%s", text)
	}
	line := Annotation(finding.Finding{Severity: finding.Error, Rule: "reference", Line: 3, Message: "100%\n::error::x"}, "a,b:c\nd")
	if line != "::error file=a%2Cb%3Ac%0Ad,line=3,title=keos-oci reference::100%25%0A::error::x" {
		t.Error(line)
	}
}

// TestReportsAreCut: a comment on GitHub has no room for everything.
func TestReportsAreCut(t *testing.T) {
	long := strings.Repeat("+line ```` of text\n", 10_000)
	text := Diff{&release.DiffResult{Name: "shop", From: "a", To: "b",
		Files: []release.FileDiff{{Path: "x", Change: release.ChangeAdded, Diff: long}}}}.Markdown()
	if len(text) > 2*maxHunks || !strings.Contains(text, "The rest is left out.") ||
		!strings.Contains(text, "`````diff\n") || !strings.Contains(text, "+10000 −0") {
		t.Errorf("%d letters: %.300s", len(text), text)
	}
}
