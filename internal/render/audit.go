package render

import (
	"fmt"
	"slices"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Audit is the answer of `keos-oci audit`.
type Audit struct{ *release.AuditResult }

// Text implements Result.
func (r Audit) Text(p *terminal.Page) {
	var rows []terminal.Row
	for _, c := range r.Components {
		for _, f := range c.Findings {
			rows = append(rows, terminal.Row{p.Paint(terminal.Red, f.Code), c.Name, f.Tag, f.Message + ": " + f.Do})
		}
		for _, f := range c.Unknown {
			rows = append(rows, terminal.Row{p.Paint(terminal.Yellow, "?"), c.Name, f.Tag, f.Message})
		}
	}
	p.Table(make([]terminal.Column, 4), rows)
	notes(p, "", r.Notes)
	p.Say("%s\n", r.summary())
}

func (r Audit) summary() string {
	s := r.Summary
	return fmt.Sprintf("%d versions, %d records and %d channels: %d findings, %d unknown", s.Versions, s.Records, s.Channels, s.Findings,
		s.Unknown)
}

// Markdown implements Result.
func (r Audit) Markdown() string {
	title := "### keos-oci audit\n\n" + r.summary() + "\n\n"
	if r.Summary.Findings+r.Summary.Unknown == 0 {
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

// Annotations implements Result.
func (Audit) Annotations() []finding.Finding { return nil }

// Outputs implements Result.
func (Audit) Outputs() *Outputs { return nil }

// Brief implements Result.
func (r Audit) Brief() any { return r }
