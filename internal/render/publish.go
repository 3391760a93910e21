package render

import (
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Publish is the answer of `keos-oci publish`.
type Publish struct{ *release.PublishResult }

// Text implements Result.
func (r Publish) Text(p *terminal.Page) {
	var rows []terminal.Row
	for _, c := range r.Components {
		var tags []string
		for _, m := range c.Tags {
			tags = append(tags, m.Tag)
		}
		rows = append(rows, terminal.Row{c.Name, c.Status, short(c.Digest.String()), strings.Join(tags, " ")})
	}
	p.Table([]terminal.Column{{Head: "COMPONENT"}, {Head: "STATUS"}, {Head: "DIGEST", Drop: dropDigest}, {Head: "TAGS", Cut: true}}, rows)
	for _, c := range r.Components {
		findings(p, c.Warnings)
		warnings(p, c.Name, c.Held)
		notes(p, c.Name, c.Notes)
	}
	p.Say("%d published, %d unchanged, %d failed", r.Summary.Published, r.Summary.Unchanged, r.Summary.Failed)
	if r.Summary.Held > 0 {
		p.Say(", %d held", r.Summary.Held)
	}
	if r.Summary.Planned > 0 {
		p.Say(", %d planned (dry run: nothing was changed)", r.Summary.Planned)
	}
	p.Say("\n")
}

// Markdown implements Result.
func (r Publish) Markdown() string {
	var t table
	var notes []string
	t.row("component", "status", "version", "digest", "moved", "changes", "signed by")
	for _, c := range r.Components {
		var moves []string
		for _, m := range c.Tags {
			moves = append(moves, code(m.Tag)+": "+arrow(escape(short(m.From.String())), escape(short(m.To.String()))))
		}
		t.row(link(c.Name, c.Repository), statusWith(c.Status, c.Error), escape(c.Version), code(short(c.Digest.String())),
			strings.Join(moves, "<br>"), size(c.Changed), signers(c.Signatures))
		for _, held := range c.Held {
			notes = append(notes, "⚠️ warning: "+escape(c.Name+": "+held))
		}
		notes = append(notes, remarks(c.Name, c.Notes, c.Error)...)
	}
	return "### keos-oci publish " + code(r.Ref) + "\n\n" + t.String() + bullets(notes)
}

// Annotations implements Result.
func (r Publish) Annotations() []finding.Finding {
	var all []finding.Finding
	for _, c := range r.Components {
		all = append(all, c.Warnings...)
		for _, held := range c.Held {
			all = append(all, finding.Finding{Severity: finding.Warning, Rule: "held", Message: c.Name + ": " + held})
		}
		if c.Error != nil {
			all = append(all, c.Error.Findings...)
		}
	}
	return all
}

// Outputs implements Result.
func (r Publish) Outputs() *Outputs {
	o := newOutputs()
	for _, c := range r.Components {
		o.add(c.Name, c.Digest, c.Status == release.StatusPublished)
	}
	return o
}

// Brief implements Result.
func (r Publish) Brief() any { return r }
