package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Generate is the answer of the generate commands.
type Generate struct{ *fileset.Result }

// Text implements Result. It prints the objects themselves, or the status of each file. Notes go aside, so that the objects can be applied
// as they are.
func (r Generate) Text(p *terminal.Page) {
	aside := *p
	aside.W = cmp.Or(p.Aside, p.W)
	notes(&aside, "", r.Notes)
	for i, f := range r.Files {
		if r.Printed {
			r.content(p, i)
			continue
		}
		p.Say("%s  %s%s\n", f.Status, f.Path, concerned(f))
		losses(p, f)
		Hunks(p, f.Diff)
	}
}

// content prints one of several files.
func (r Generate) content(p *terminal.Page, i int) {
	if i > 0 {
		fmt.Fprintln(p.W, "---")
	}
	if len(r.Files) > 1 {
		p.Say("# %s\n", r.Files[i].Path)
	}
	content := r.Files[i].Content
	if p.Terminal {
		content = terminal.VisibleLines(content)
	}
	fmt.Fprint(p.W, content)
}

// losses prints what would be lost with a file, or was lost, object by object.
func losses(p *terminal.Page, f fileset.Outcome) {
	verb := "lost"
	if f.Status == fileset.StatusDiffers {
		verb = "would be lost"
	}
	for _, l := range f.Lost {
		p.Say("  %s: %s\n", verb, l)
	}
}

// concerned says which components a change of a file concerns.
func concerned(f fileset.Outcome) string {
	var b strings.Builder
	for _, part := range []struct {
		verb  string
		names []string
	}{{"added", f.Added}, {"updated", f.Updated}, {"removed", f.Removed}} {
		if len(part.names) > 0 {
			terminal.Say(&b, "  %s %s", part.verb, strings.Join(part.names, ", "))
		}
	}
	return b.String()
}

// files prints the status of files, with their differences.
func files(p *terminal.Page, list []fileset.Outcome) {
	for _, f := range list {
		p.Say("%s  %s\n", f.Status, f.Path)
		Hunks(p, f.Diff)
	}
}

// Markdown implements Result.
func (r Generate) Markdown() string {
	if r.Printed {
		return ""
	}
	var t table
	t.row("file", "status", "components")
	for _, f := range r.Files {
		t.row(code(f.Path), escape(string(f.Status)), escape(concerned(f)))
	}
	return "### keos-oci generate\n\n" + t.String() + "\n"
}

// Annotations implements Result.
func (Generate) Annotations() []finding.Finding { return nil }

// Outputs implements Result.
func (r Generate) Outputs() *Outputs {
	o := newOutputs()
	o.Changed = slices.ContainsFunc(r.Files, func(f fileset.Outcome) bool { return f.Status != fileset.StatusUnchanged })
	return o
}

// Brief implements Result.
func (r Generate) Brief() any {
	short := *r.Result
	short.Files = slices.Clone(r.Files)
	for i := range short.Files {
		short.Files[i].Content, short.Files[i].Diff = "", ""
	}
	return Generate{&short}
}
