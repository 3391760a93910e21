package main

import (
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/terminal"
)

// This file is for the results that have no view in package render yet. It goes away with the last of them.

type (
	componentEntry = release.ListedComponent
	shown          = terminal.Shown
	versionResult  = render.Version
)

const (
	red    = terminal.Red
	green  = terminal.Green
	yellow = terminal.Yellow
	bold   = terminal.Bold
)

func say(w io.Writer, format string, args ...any) { terminal.Say(w, format, args...) }

func visibleLines(text string) string { return terminal.VisibleLines(text) }

func (a *app) paint(colour terminal.Colour, text string) shown {
	return a.page(a.out).Paint(colour, text)
}

func (a *app) paragraph(text string) shown { return a.page(a.out).Paragraph(text) }

// short is a digest as people compare it.
func short(digest string) string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return "-"
	}
	return algorithm + ":" + hex[:min(12, len(hex))]
}

func newComponentsResult(w *component.Workspace, set component.Set) *release.ComponentsResult {
	return release.NewComponents(w, set)
}

func orEmpty(list []string) []string { return append([]string{}, list...) }

// diffPrinter writes diffs line by line.
type diffPrinter struct {
	*app
	out strings.Builder
}

func (p *diffPrinter) hunks(diff string) { render.Hunks(p.page(&p.out), diff) }

// viewOf is the view of a result, whichever kind it is of.
func (a *app) viewOf(result any) render.Result {
	if r, ok := result.(render.Result); ok {
		return r
	}
	return interim{a, result}
}

// interim is the view of a result that has none.
type interim struct {
	app    *app
	result any
}

// Text implements render.Result.
func (i interim) Text(p *terminal.Page) { _ = i.print(p) }

func (i interim) print(p *terminal.Page) error {
	a := i.app
	w := tabwriter.NewWriter(p.W, 0, 0, 2, ' ', 0)
	switch r := i.result.(type) {
	case *migrate.Plan:
		a.printPlan(w, r)
	case *phaseResult:
		a.printPhase(w, r)
	case *adoptResult:
		a.printAdopt(w, r)
	case *progressResult:
		a.printProgress(w, r)
	case *generateResult:
		return a.printGenerated(a.out, r) // which looks whether that is a terminal
	case *initResult:
		return a.printInit(r)
	}
	return w.Flush()
}

// Markdown implements render.Result.
func (i interim) Markdown() string {
	if r, ok := i.result.(*generateResult); ok && !r.printed {
		return render.FilesReport("generate", generatedRows(r))
	}
	return ""
}

func generatedRows(r *generateResult) [][3]string {
	var rows [][3]string
	for _, f := range r.Files {
		rows = append(rows, [3]string{f.Path, f.Status, f.components()})
	}
	return rows
}

// Annotations implements render.Result.
func (i interim) Annotations() []finding.Finding { return nil }

// Outputs implements render.Result.
func (i interim) Outputs() *render.Outputs {
	if r, ok := i.result.(*generateResult); ok {
		return &render.Outputs{Changed: slices.ContainsFunc(r.Files, func(f generatedFile) bool { return f.Status != fileUnchanged })}
	}
	return nil
}

// Brief implements render.Result.
func (i interim) Brief() any {
	r, ok := i.result.(*generateResult)
	if !ok {
		return i.result
	}
	short := *r
	short.Files = slices.Clone(r.Files)
	for i := range short.Files {
		short.Files[i].Content, short.Files[i].Diff = "", ""
	}
	return &short
}
