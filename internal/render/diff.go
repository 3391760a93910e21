package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// maxHunks bounds the text of one diff in a report: GitHub takes 65536 letters in a comment.
const maxHunks = 20_000

// Diff is the answer of `keos-oci diff`, and a part of a dry run's.
type Diff struct{ *release.DiffResult }

// Text implements Result. It writes line by line what a registry gave.
func (r Diff) Text(p *terminal.Page) {
	if r.Equal {
		p.Line("", fmt.Sprintf("no difference between %s and %s", r.From, r.To))
	}
	for _, f := range r.Files {
		fileDiff(p, f)
	}
	for _, o := range r.Objects {
		p.Line(terminal.Bold, objectTitle(o))
		Hunks(p, o.Diff)
	}
}

func fileDiff(p *terminal.Page, f release.FileDiff) {
	name := terminal.Printable(f.Path)
	from, to := "a/"+name, "b/"+name
	switch f.Change {
	case release.ChangeAdded:
		from = "/dev/null"
	case release.ChangeRemoved:
		to = "/dev/null"
	}
	if f.Mode != "" {
		p.Line(terminal.Bold, fmt.Sprintf("mode %s: %s", f.Mode, name))
	}
	switch {
	case f.Binary:
		p.Line(terminal.Bold, fmt.Sprintf("Binary files %s and %s differ", from, to))
	case f.TooLarge:
		p.Line(terminal.Bold, fmt.Sprintf("Files %s and %s differ and are too large to show", from, to))
	case f.Diff != "" || f.Mode == "":
		p.Line(terminal.Bold, "--- "+from)
		p.Line(terminal.Bold, "+++ "+to)
	}
	Hunks(p, f.Diff)
}

func objectTitle(o release.ObjectDiff) string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + name
	}
	return terminal.Printable(fmt.Sprintf("%s: %s %s %s %s", o.Variant, o.Change, o.APIVersion, o.Kind, name))
}

// Hunks writes those of a unified diff.
func Hunks(p *terminal.Page, diff string) {
	colours := map[byte]terminal.Colour{'+': terminal.Green, '-': terminal.Red, '@': terminal.Cyan}
	for line := range strings.Lines(diff) {
		line = strings.TrimSuffix(line, "\n")
		p.Line(colours[(line + " ")[0]], line)
	}
}

// Markdown implements Result.
func (r Diff) Markdown() string {
	title := fmt.Sprintf("### %s: %s\n\n", escape(r.Name), arrow(code(r.From), code(r.To)))
	if r.Equal {
		return title + "No difference.\n\n"
	}
	var text strings.Builder
	for _, f := range r.Files {
		fmt.Fprintf(&text, "%s %s\n%s", terminal.Printable(f.Change), terminal.Printable(f.Path), terminal.VisibleLines(f.Diff))
	}
	for _, o := range r.Objects {
		fmt.Fprintf(&text, "%s\n%s", objectTitle(o), terminal.VisibleLines(o.Diff))
	}
	body, cut := text.String(), ""
	if len(body) > maxHunks {
		body, cut = body[:strings.LastIndex(body[:maxHunks], "\n")+1], "\nThe rest is left out.\n"
	}
	fence := "```"
	for strings.Contains(body, fence) {
		fence += "`"
	}
	size := r.Size()
	return fmt.Sprintf("%s<details><summary>%d changed, +%d −%d lines</summary>\n\n%sdiff\n%s%s\n%s\n</details>\n\n", title, size.Files,
		size.Added, size.Removed, fence, body, fence, cut)
}

// Annotations implements Result.
func (Diff) Annotations() []finding.Finding { return nil }

// Outputs implements Result.
func (r Diff) Outputs() *Outputs {
	o := newOutputs()
	o.Changed = !r.Equal
	return o
}

// Brief implements Result.
func (r Diff) Brief() any {
	short := *r.DiffResult
	short.Files, short.Objects = slices.Clone(r.Files), slices.Clone(r.Objects)
	for i := range short.Files {
		short.Files[i].Diff = ""
	}
	for i := range short.Objects {
		short.Objects[i].Diff = ""
	}
	return Diff{&short}
}
