package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/trust"
)

// A command with output formats of its own names them in this annotation.
const (
	annotationFormats = "formats"
	formatMatrix      = "matrix"
)

func extraFormats(cmd *cobra.Command) []string {
	if f := cmd.Annotations[annotationFormats]; f != "" {
		return strings.Split(f, ",")
	}
	return nil
}

// finish prints a result and answers with the error that it holds: what succeeded is told even if something failed.
func (a *app) finish(result any, failed error) error {
	a.closeProgress()
	return errors.Join(failed, a.print(result), a.report(result), a.printForActions(result))
}

func (a *app) print(result any) error {
	switch a.global.output {
	case "json":
		return a.printJSON(result)
	case "yaml":
		raw, err := yaml.Marshal(result)
		if text := string(raw); err != nil || visibleLines(text) != text {
			return a.printJSON(result) // which is YAML, and has an escape for everything
		}
		_, err = a.out.Write(raw)
		return err
	case formatSARIF:
		if r, ok := result.(*release.CheckResult); ok {
			return a.printJSON(sarif(r))
		}
	}
	return a.printText(result)
}

func (a *app) printJSON(result any) error {
	e := json.NewEncoder(jsonWriter{a.out})
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(result)
}

func (a *app) printText(result any) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	switch r := result.(type) {
	case *componentsResult:
		fmt.Fprintln(w, "COMPONENT\tKIND\tVARIANTS\tREPOSITORY")
		for _, c := range r.Components {
			say(w, "%s\t%s\t%s\t%s\n", c.Name, c.Kind, strings.Join(c.Variants, ","), cmp.Or(c.Repository, "?"))
		}
	case *release.ExplainResult:
		fmt.Fprintln(w, "ARTIFACT\tFILE\tWHY")
		for _, f := range r.Files {
			say(w, "%s\t%s\t%s\n", map[bool]string{true: "in", false: "out"}[f.In], f.Path, f.Why)
		}
	case *release.CheckResult:
		a.printCheck(w, r)
	case *release.BaselineResult:
		a.printBaseline(w, r)
	case *release.PublishResult:
		a.printPublish(w, r)
	case *release.MoveResult:
		if err := a.printMoves(w, r); err != nil {
			return err
		}
	case *release.StatusResult:
		a.printStatus(w, r)
	case *release.HistoryResult:
		a.printHistory(w, r)
	case *release.AuditResult:
		a.printAudit(w, r)
	case *migrate.Plan:
		a.printPlan(w, r)
	case *phaseResult:
		a.printPhase(w, r)
	case *adoptResult:
		a.printAdopt(w, r)
	case *progressResult:
		a.printProgress(w, r)
	case *release.VerifyResult:
		a.printVerify(w, r)
	case *release.PullResult:
		a.printPull(w, r)
	case *versionResult:
		printVersion(w, r)
	case *generateResult:
		return a.printGenerated(a.out, r)
	case *initResult:
		return a.printInit(r)
	case *release.DiffResult:
		return a.printDiff(a.out, r)
	case *release.ListResult:
		for _, t := range append(r.Versions, r.Tags...) {
			say(w, "%s\n", t)
		}
	}
	return w.Flush()
}

func (a *app) printCheck(w io.Writer, r *release.CheckResult) {
	for _, c := range r.Components {
		a.printFindings(w, c.Findings)
		for _, base := range c.RemoteBases {
			say(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, a.paragraph(base.String()))
		}
	}
	a.printFindings(w, r.Warnings)
	a.printFindings(w, r.Notes)
	say(w, "%d passed, %d refused, %d failed", r.Summary.Passed, r.Summary.Refused, r.Summary.Failed)
	if r.Summary.Known > 0 {
		say(w, "; %d findings known", r.Summary.Known)
	}
	fmt.Fprintln(w)
}

// printFindings prints the findings of a component, many of one rule summed up.
func (a *app) printFindings(w io.Writer, list []finding.Finding) {
	for _, line := range finding.Summarise(list) {
		say(w, "%s: %s\n", a.paint(severityColour(line.Severity), string(line.Severity)), a.paragraph(line.Text))
	}
}

func (a *app) printPublish(w io.Writer, r *release.PublishResult) {
	fmt.Fprintln(w, "COMPONENT\tSTATUS\tDIGEST\tTAGS")
	for _, c := range r.Components {
		var tags []string
		for _, m := range c.Tags {
			tags = append(tags, m.Tag)
		}
		say(w, "%s\t%s\t%s\t%s\n", c.Name, c.Status, short(c.Digest.String()), strings.Join(tags, " "))
	}
	for _, c := range r.Components {
		a.printFindings(w, c.Warnings)
		for _, held := range c.Held {
			say(w, "%s: %s: %s\n", a.paint(yellow, "warning"), c.Name, a.paragraph(held))
		}
		for _, n := range c.Notes {
			say(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, a.paragraph(n))
		}
	}
	say(w, "%d published, %d unchanged, %d failed", r.Summary.Published, r.Summary.Unchanged, r.Summary.Failed)
	if r.Summary.Held > 0 {
		say(w, ", %d held", r.Summary.Held)
	}
	if r.Summary.Planned > 0 {
		say(w, ", %d planned (dry run: nothing was changed)", r.Summary.Planned)
	}
	fmt.Fprintln(w)
}

func (a *app) printVerify(w io.Writer, r *release.VerifyResult) {
	colour := map[trust.Answer]string{trust.Accepted: green, trust.Refused: red, trust.CannotTell: yellow}
	say(w, "%s  %s  %s\n", a.paint(colour[r.Answer], string(r.Answer)), r.Reference, short(r.Digest.String()))
	if r.Version != "" {
		say(w, "version  %s\n", r.Version)
	}
	say(w, "expected  %s\n", r.Policy)
	for _, s := range r.Signatures {
		say(w, "signed by  %s\n", s.String())
	}
	for _, n := range r.Notes {
		say(w, "%s: %s\n", a.paint(bold, "note"), n)
	}
	if a.explains {
		fmt.Fprintln(w, "\nRULE\tANSWER\tWHY")
		for _, rule := range r.Rules {
			say(w, "%s\t%s\t%s\n", rule.Name, a.paint(colour[rule.Answer], string(rule.Answer)), a.paragraph(rule.Detail))
		}
	}
}

// paragraph is printable for a text of several lines. None of them passes for a command to the CI system: names and messages
// may be what the author of a pull request made up.
func (a *app) paragraph(text string) shown {
	var lines []string
	for line := range strings.Lines(text) {
		line = printable(strings.TrimSuffix(line, "\n"))
		if len(lines) > 0 && a.getenv("GITHUB_ACTIONS") == "true" {
			line = noCommand(line)
		}
		lines = append(lines, line)
	}
	return shown(strings.Join(lines, "\n"))
}

// short is a digest as people compare it.
func short(digest string) string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return "-"
	}
	return algorithm + ":" + hex[:min(12, len(hex))]
}

// Colours, for terminals only.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
)

func severityColour(severity finding.Severity) string {
	switch severity {
	case finding.Error:
		return red
	case finding.Note:
		return bold
	}
	return yellow
}

// paint colours a text, whatever is in it.
func (a *app) paint(colour, text string) shown {
	text = visible(text, "\t")
	if !isTerminal(a.err) || !isTerminal(a.out) || a.getenv("NO_COLOR") != "" {
		return shown(text)
	}
	return shown("\x1b[" + colour + "m" + text + "\x1b[0m")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
