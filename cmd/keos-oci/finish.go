package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/terminal"
)

// A command with output formats of its own names them in this annotation.
const (
	annotationFormats = "formats"
	formatMatrix      = "matrix"
	formatSARIF       = "sarif"
)

// formatsOf lists the values of --output of a command.
func formatsOf(cmd *cobra.Command) []string {
	formats := []string{"text", "json", "yaml"}
	if f := cmd.Annotations[annotationFormats]; f != "" {
		formats = append(formats, strings.Split(f, ",")...)
	}
	return formats
}

// finish prints a result and returns the error that it has: people learn what succeeded even if something failed.
func (a *app) finish(r render.Result, failed error) error {
	a.closeProgress()
	return errors.Join(failed, a.print(r), a.report(r), a.forActions(r))
}

// print writes a result to stdout in the format of --output.
func (a *app) print(r render.Result) error {
	a.answered = true
	a.closeProgress()
	if pager := a.pager(); pager != nil {
		return a.browse(pager, r)
	}
	out := bufio.NewWriter(a.out)
	err := a.format(out, r)
	return errors.Join(err, out.Flush())
}

func (a *app) format(out io.Writer, r render.Result) error {
	switch a.global.output {
	case "json":
		return render.JSON(out, r)
	case "yaml":
		return render.YAML(out, r)
	case formatSARIF:
		if r, ok := r.(interface{ SARIF(string) *finding.SARIF }); ok {
			return render.JSON(out, r.SARIF(version()))
		}
	}
	r.Text(a.page(out))
	return nil
}

// page is what text for people is written on.
func (a *app) page(w io.Writer) *terminal.Page {
	stream := a.out
	if w == a.err {
		stream = a.err
	}
	p := &terminal.Page{W: w, Aside: a.err, CI: a.inActions(), Now: time.Now(), Zone: time.Local, Terminal: terminal.IsTerminal(stream)}
	if a.now != nil {
		p.Now = a.now()
	}
	p.Colour = terminal.ColourMode(a.global.color).Coloured(stream, a.getenv)
	if p.Terminal {
		p.Width, _ = terminal.Screen(stream)
	}
	return p
}

func (a *app) inActions() bool { return a.getenv("GITHUB_ACTIONS") == "true" }

// report writes the result as Markdown to --report, and to the step's summary in GitHub Actions.
func (a *app) report(r render.Result) error {
	if !a.reports() {
		return nil
	}
	text := r.Markdown()
	return errors.Join(render.Append(a.global.report, text), render.Append(a.summaryFile(), text))
}

// reports says whether anybody reads a report.
func (a *app) reports() bool { return a.global.report != "" || a.summaryFile() != "" }

func (a *app) summaryFile() string {
	if !a.inActions() {
		return ""
	}
	return a.getenv("GITHUB_STEP_SUMMARY")
}

// forActions gives GitHub Actions outputs for the steps that follow, and annotations in the files that are to blame.
func (a *app) forActions(r render.Result) error {
	if !a.inActions() {
		return nil
	}
	for _, f := range r.Annotations() {
		fmt.Fprintln(a.err, render.Annotation(f, a.fromWorkspace(f.File)))
	}
	lines, whole, err := render.StepOutputs(r)
	if err != nil {
		return err
	}
	if !whole {
		slog.New(a.progress).Warn("the result is larger than GitHub takes as an output: use -o json instead")
	}
	return render.Append(a.getenv("GITHUB_OUTPUT"), lines)
}

// fromWorkspace is a file of the checkout as GitHub knows it, which may have been checked out into a folder of its own.
func (a *app) fromWorkspace(file string) string {
	top := a.getenv("GITHUB_WORKSPACE")
	if file == "" || top == "" || a.top == "" {
		return file
	}
	if inner, err := filepath.Rel(top, a.top); err == nil && filepath.IsLocal(inner) {
		return filepath.ToSlash(filepath.Join(inner, file))
	}
	return file
}
