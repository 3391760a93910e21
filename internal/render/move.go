package render

import (
	"cmp"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Move is the answer of `keos-oci promote`, `rollback` and `cancel`.
type Move struct{ *release.MoveResult }

// Text implements Result.
func (r Move) Text(p *terminal.Page) {
	columns := []terminal.Column{{Head: "COMPONENT"}, {Head: "CHANNEL", Drop: dropDetail}, {Head: "STATUS"}, {Head: "FROM", Drop: dropDetail},
		{Head: "TO"}, {Head: "DIGEST", Drop: dropDigest}}
	var rows []terminal.Row
	for _, c := range r.Components {
		rows = append(rows, terminal.Row{c.Name, c.Channel, c.Status, fromOf(c), cmp.Or(c.Version, "-"), short(c.To.String())})
	}
	p.Table(columns, rows)
	for _, c := range r.Components {
		notes(p, c.Name, c.Notes)
	}
	r.changes(p)
	p.Say("%d moved, %d unchanged, %d failed", r.Summary.Moved, r.Summary.Unchanged, r.Summary.Failed)
	if r.Summary.Held > 0 {
		p.Say(", %d held back", r.Summary.Held)
	}
	if r.Summary.Closed > 0 {
		p.Say(", %d closed", r.Summary.Closed)
	}
	if r.Summary.Planned > 0 {
		p.Say(", %d planned (dry run: nothing was changed)", r.Summary.Planned)
	}
	p.Say("\n")
}

func fromOf(c release.MovedComponent) string { return cmp.Or(c.FromVersion, short(c.From.String())) }

// changes is a dry run's answer to what would be different.
func (r Move) changes(p *terminal.Page) {
	any := false
	for _, c := range r.Components {
		for _, change := range c.Changes {
			what := "files"
			if change.Variant != "" {
				what = "objects of " + change.Variant
			}
			p.Say("\n%s %s:\n", p.Paint(terminal.Bold, c.Name), what)
			Diff{change}.Text(p)
			any = true
		}
	}
	if any {
		p.Say("\n")
	}
}

// Markdown implements Result.
func (r Move) Markdown() string {
	var t table
	var notes []string
	t.row("component", "channel", "status", "from", "to", "changes", "signed by", "record")
	for _, c := range r.Components {
		t.row(link(c.Name, c.Repository), code(c.Channel), statusWith(c.Status, c.Error), code(fromOf(c)),
			code(cmp.Or(c.Version, short(c.To.String()))), size(c.Changed), signers(c.Signatures), code(c.Record))
		notes = append(notes, remarks(c.Name, c.Notes, c.Error)...)
	}
	return "### keos-oci " + escape(string(r.Action)) + "\n\n" + t.String() + bullets(notes)
}

// Annotations implements Result.
func (Move) Annotations() []finding.Finding { return nil }

// Outputs implements Result.
func (r Move) Outputs() *Outputs {
	o := newOutputs()
	for _, c := range r.Components {
		o.add(c.Name, c.To, c.Status == release.StatusMoved)
	}
	return o
}

// Brief implements Result.
func (r Move) Brief() any { return r }
