package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"

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
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(result)
	case "yaml":
		raw, err := yaml.Marshal(result)
		if err != nil {
			return err
		}
		_, err = a.out.Write(raw)
		return err
	}
	return a.printText(result)
}

func (a *app) printText(result any) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	switch r := result.(type) {
	case *componentsResult:
		fmt.Fprintln(w, "COMPONENT\tKIND\tVARIANTS\tREPOSITORY")
		for _, c := range r.Components {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, c.Kind, strings.Join(c.Variants, ","), c.Repository)
		}
	case *release.ExplainResult:
		fmt.Fprintln(w, "ARTIFACT\tFILE\tWHY")
		for _, f := range r.Files {
			fmt.Fprintf(w, "%s\t%s\t%s\n", map[bool]string{true: "in", false: "out"}[f.In], printable(f.Path), printable(f.Why))
		}
	case *release.CheckResult:
		a.printCheck(w, r)
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
			fmt.Fprintln(w, printable(t))
		}
	}
	return w.Flush()
}

func (a *app) printCheck(w io.Writer, r *release.CheckResult) {
	for _, c := range r.Components {
		for _, f := range c.Findings {
			fmt.Fprintf(w, "%s: %s\n", a.paint(severityColour(string(f.Severity)), string(f.Severity)), a.paragraph(f.String()))
		}
		for _, base := range c.RemoteBases {
			fmt.Fprintf(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, a.paragraph(base.String()))
		}
	}
	for _, f := range r.Warnings {
		fmt.Fprintf(w, "%s: %s\n", a.paint(yellow, "warning"), a.paragraph(f.String()))
	}
	fmt.Fprintf(w, "%d passed, %d refused, %d failed\n", r.Summary.Passed, r.Summary.Refused, r.Summary.Failed)
}

func (a *app) printPublish(w io.Writer, r *release.PublishResult) {
	fmt.Fprintln(w, "COMPONENT\tSTATUS\tDIGEST\tTAGS")
	for _, c := range r.Components {
		var tags []string
		for _, m := range c.Tags {
			tags = append(tags, m.Tag)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, c.Status, short(c.Digest.String()), strings.Join(tags, " "))
	}
	for _, c := range r.Components {
		for _, f := range c.Warnings {
			fmt.Fprintf(w, "%s: %s\n", a.paint(yellow, "warning"), a.paragraph(f.String()))
		}
		for _, n := range c.Notes {
			fmt.Fprintf(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, a.paragraph(n))
		}
	}
	fmt.Fprintf(w, "%d published, %d unchanged, %d failed", r.Summary.Published, r.Summary.Unchanged, r.Summary.Failed)
	if r.Summary.Planned > 0 {
		fmt.Fprintf(w, ", %d planned (dry run: nothing was changed)", r.Summary.Planned)
	}
	fmt.Fprintln(w)
}

func (a *app) printVerify(w io.Writer, r *release.VerifyResult) {
	colour := map[trust.Answer]string{trust.Accepted: green, trust.Refused: red, trust.CannotTell: yellow}
	fmt.Fprintf(w, "%s  %s  %s\n", a.paint(colour[r.Answer], string(r.Answer)), r.Reference, short(r.Digest.String()))
	if r.Version != "" {
		fmt.Fprintf(w, "version  %s\n", printable(r.Version))
	}
	fmt.Fprintf(w, "expected  %s\n", r.Policy)
	for _, s := range r.Signatures {
		fmt.Fprintf(w, "signed by  %s\n", printable(s.String()))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "%s: %s\n", a.paint(bold, "note"), printable(n))
	}
	if a.explains {
		fmt.Fprintln(w, "\nRULE\tANSWER\tWHY")
		for _, rule := range r.Rules {
			fmt.Fprintf(w, "%s\t%s\t%s\n", rule.Name, a.paint(colour[rule.Answer], string(rule.Answer)), a.paragraph(rule.Detail))
		}
	}
}

// printable takes out what would steer a terminal: errors and tags may hold what a registry made up.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// paragraph is printable for a text of several lines. None of them passes for a command to the CI system: names and messages
// may be what the author of a pull request made up.
func (a *app) paragraph(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = printable(strings.TrimSuffix(line, "\n"))
		if len(lines) > 0 && a.getenv("GITHUB_ACTIONS") == "true" {
			line = noCommand(line)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
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

func severityColour(severity string) string {
	if severity == "error" {
		return red
	}
	return yellow
}

func (a *app) paint(colour, text string) string {
	if !isTerminal(a.err) || !isTerminal(a.out) || a.getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
