package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
)

// maxHunks bounds the text of one diff in a report: GitHub takes 65536 letters in a comment.
const maxHunks = 20_000

// report writes the result as Markdown to --report, and to the step's summary in GitHub Actions.
func (a *app) report(result any) error {
	if !a.reports() {
		return nil
	}
	text := a.markdown(result)
	if text == "" {
		return nil
	}
	return errors.Join(appendTo(a.global.report, text), appendTo(a.summaryFile(), text))
}

// reports tells whether anybody reads a report.
func (a *app) reports() bool { return a.global.report != "" || a.summaryFile() != "" }

func (a *app) summaryFile() string {
	if a.getenv("GITHUB_ACTIONS") != "true" {
		return ""
	}
	return a.getenv("GITHUB_STEP_SUMMARY")
}

// markdown is a result in the words of a comment on a pull request; "" for one that nobody would read there.
func (a *app) markdown(result any) string {
	switch r := result.(type) {
	case *release.PublishResult:
		return a.publishReport(r)
	case *release.MoveResult:
		return a.moveReport(r)
	case *release.CheckResult:
		return checkReport(r)
	case *release.AuditResult:
		return auditReport(r)
	case *release.DiffResult:
		return diffReport(r)
	case *generateResult:
		return generateReport(r)
	}
	return ""
}

func (a *app) publishReport(r *release.PublishResult) string {
	var t table
	t.row("component", "status", "version", "digest", "moved", "changes", "signed by")
	changes := make([]change, len(r.Components))
	for i, c := range r.Components {
		changes[i] = changeOf(c, r.Commit)
	}
	sizes := a.sizes(changes)
	for i, c := range r.Components {
		status := c.Status
		if c.Error != nil {
			status += " (" + c.Error.Code + ")"
		}
		var moves []string
		for _, m := range c.Tags {
			moves = append(moves, code(m.Tag)+": "+arrow(escape(short(m.From.String())), escape(short(m.To.String()))))
		}
		t.row(link(c.Name, c.Repository), escape(status), escape(c.Version), code(short(c.Digest.String())), strings.Join(moves, "<br>"),
			sizes[i], signers(c.Signatures))
	}
	var notes []string
	for _, c := range r.Components {
		for _, held := range c.Held {
			notes = append(notes, "⚠️ warning: "+escape(c.Name+": "+held))
		}
		notes = append(notes, remarks(c.Name, c.Notes, c.Error)...)
	}
	return "### keos-oci publish " + code(r.Ref) + "\n\n" + t.String() + bullets(notes)
}

// changeOf is how the channel that followed, or would follow, changes. Tags that are never moved have nothing to be compared
// with.
func changeOf(c release.PublishedComponent, commit string) change {
	if c.Status == release.StatusUnchanged {
		return change{c.Name, c.Digest, c.Digest}
	}
	ofCommit := "-" + commit[:min(8, len(commit))]
	for _, m := range c.Tags {
		if m.Tag != c.Version && !strings.HasSuffix(m.Tag, ofCommit) {
			return change{c.Name, m.From, m.To}
		}
	}
	return change{name: c.Name}
}

func (a *app) moveReport(r *release.MoveResult) string {
	var t table
	t.row("component", "channel", "status", "from", "to", "changes", "signed by", "record")
	var notes []string
	changes := make([]change, len(r.Components))
	for i, c := range r.Components {
		changes[i] = change{c.Name, c.From, c.To}
	}
	sizes := a.sizes(changes)
	for i, c := range r.Components {
		status := c.Status
		if c.Error != nil {
			status += " (" + c.Error.Code + ")"
		}
		t.row(link(c.Name, c.Repository), code(c.Channel), escape(status), code(cmp.Or(c.FromVersion, short(c.From.String()))),
			code(cmp.Or(c.Version, short(c.To.String()))),
			sizes[i], signers(c.Signatures), code(c.Record))
		notes = append(notes, remarks(c.Name, c.Notes, c.Error)...)
	}
	return "### keos-oci " + escape(string(r.Action)) + "\n\n" + t.String() + bullets(notes)
}

func checkReport(r *release.CheckResult) string {
	var t table
	t.row("component", "status", "findings")
	for _, c := range r.Components {
		var findings []string
		for _, line := range finding.Summarise(c.Findings) {
			findings = append(findings, escape(string(line.Severity)+": "+line.Text))
		}
		t.row(escape(c.Name), escape(c.Status), strings.Join(findings, "<br>"))
	}
	var remarks []string
	for _, line := range finding.Summarise(slices.Concat(r.Warnings, r.Notes)) {
		remarks = append(remarks, escape(string(line.Severity)+": "+line.Text))
	}
	return "### keos-oci check\n\n" + t.String() + bullets(remarks) + "\n"
}

func auditReport(r *release.AuditResult) string {
	s := r.Summary
	title := fmt.Sprintf("### keos-oci audit\n\n%d versions, %d records and %d channels: %d findings, %d unknown\n\n", s.Versions, s.Records,
		s.Channels, s.Findings, s.Unknown)
	if s.Findings+s.Unknown == 0 {
		return title
	}
	var t table
	t.row("component", "finding", "tag", "what", "what to do")
	for _, c := range r.Components {
		for _, f := range slices.Concat(c.Findings, c.Unknown) {
			t.row(link(c.Name, c.Repository), escape(f.Code), code(f.Tag), escape(f.Message), escape(f.Do))
		}
	}
	return title + t.String() + "\n"
}

func diffReport(r *release.DiffResult) string {
	title := fmt.Sprintf("### %s: %s\n\n", escape(r.Name), arrow(code(r.From), code(r.To)))
	if r.Equal {
		return title + "No difference.\n\n"
	}
	var text strings.Builder
	files, added, removed := measure(r)
	for _, f := range r.Files {
		fmt.Fprintf(&text, "%s %s\n%s", printable(f.Change), printable(f.Path), visibleLines(f.Diff))
	}
	for _, o := range r.Objects {
		fmt.Fprintf(&text, "%s\n%s", objectTitle(o), visibleLines(o.Diff))
	}
	body, cut := text.String(), ""
	if len(body) > maxHunks {
		body, cut = body[:strings.LastIndex(body[:maxHunks], "\n")+1], "\nThe rest is left out.\n"
	}
	fence := "```"
	for strings.Contains(body, fence) {
		fence += "`"
	}
	return fmt.Sprintf("%s<details><summary>%d changed, +%d −%d lines</summary>\n\n%sdiff\n%s%s\n%s\n</details>\n\n", title, files, added, removed,
		fence, body, fence, cut)
}

func generateReport(r *generateResult) string {
	if r.printed {
		return ""
	}
	var t table
	t.row("file", "status", "components")
	for _, f := range r.Files {
		t.row(code(f.Path), escape(f.Status), escape(f.components()))
	}
	return "### keos-oci generate\n\n" + t.String() + "\n"
}

// comparing lets reports tell how much of a component changed, which takes a look at both artifacts.
func (a *app) comparing(ctx context.Context, svc *release.Service) {
	a.compare = func(name string, from, to digest.Digest) (*release.DiffResult, error) {
		return svc.Diff(ctx, release.DiffRequest{Component: name, From: release.Target{Component: name, Digest: from},
			To: &release.Target{Component: name, Digest: to}})
	}
}

// change is what a component was and is.
type change struct {
	name     string
	from, to digest.Digest
}

// sizes is how much of each component changed, looked up side by side.
func (a *app) sizes(changes []change) []string {
	sizes := make([]string, len(changes))
	var group errgroup.Group
	group.SetLimit(max(a.global.concurrency, 1))
	for i, c := range changes {
		group.Go(func() error { sizes[i] = a.size(c); return nil })
	}
	_ = group.Wait() // none fails
	return sizes
}

// size is how much of a component changed. A report is no reason for a run to fail.
func (a *app) size(c change) string {
	switch {
	case c.from == "" && c.to != "":
		return "new"
	case c.from == "" || c.to == "" || a.compare == nil:
		return ""
	case c.from == c.to:
		return "none"
	}
	r, err := a.compare(c.name, c.from, c.to)
	if err != nil {
		return "unknown"
	}
	files, added, removed := measure(r)
	return fmt.Sprintf("%d files, +%d −%d", files, added, removed)
}

// measure counts what changed: files or objects, and lines.
func measure(r *release.DiffResult) (count, added, removed int) {
	hunks := make([]string, 0, len(r.Files)+len(r.Objects))
	for _, f := range r.Files {
		hunks = append(hunks, f.Diff)
	}
	for _, o := range r.Objects {
		hunks = append(hunks, o.Diff)
	}
	for _, h := range hunks {
		for line := range strings.Lines(h) {
			switch line[0] {
			case '+':
				added++
			case '-':
				removed++
			}
		}
	}
	return len(hunks), added, removed
}

// table is one of Markdown, whose first row is its head.
type table struct{ rows []string }

func (t *table) row(cells ...string) {
	t.rows = append(t.rows, "| "+strings.Join(cells, " | ")+" |")
	if len(t.rows) == 1 {
		t.rows = append(t.rows, strings.Repeat("| --- ", len(cells))+"|")
	}
}

func (t *table) String() string { return strings.Join(t.rows, "\n") + "\n" }

// escape keeps a text from being Markdown, HTML or a column of its own: names and messages may come from others.
func escape(text string) string {
	text = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", "\\*", "_", "\\_", "[",
		"\\[", "]", "\\]", "\n", " ", "\r", "",
		"@", "&#64;").Replace(text)
	return printable(text)
}

// code is a text in type of one width, "" for none.
func code(text string) string {
	if text == "" || text == "-" {
		return ""
	}
	return "<code>" + escape(text) + "</code>"
}

func arrow(from, to string) string {
	if from == "" || from == "-" {
		return to
	}
	return from + " → " + to
}

// link leads to the package of a component where its registry has pages for people.
func link(name, repository string) string {
	if !strings.HasPrefix(repository, "ghcr.io/") {
		return escape(name)
	}
	return fmt.Sprintf("[%s](%s)", escape(name), (&url.URL{Scheme: "https", Host: "ghcr.io",
		Path: strings.TrimPrefix(repository, "ghcr.io")}).String())
}

func signers(identities []sign.Identity) string {
	var all []string
	for _, i := range identities {
		if text := code(cmp.Or(i.Subject, "key "+i.Key)); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, "<br>")
}

func remarks(name string, notes []string, problem *release.Problem) []string {
	var all []string
	for _, n := range notes {
		all = append(all, escape(name+": "+n))
	}
	if problem != nil {
		all = append(all, "**"+escape(name+": "+problem.Message)+"**")
	}
	return all
}

func bullets(lines []string) string {
	if len(lines) == 0 {
		return "\n"
	}
	return "\n- " + strings.Join(lines, "\n- ") + "\n\n"
}
