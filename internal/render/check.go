package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Check is the answer of `keos-oci check`.
type Check struct{ *release.CheckResult }

// Text implements Result.
func (r Check) Text(p *terminal.Page) {
	seen := map[finding.Finding]bool{}
	for _, c := range r.Components {
		findings(p, unseen(c.Findings, seen))
		for _, base := range c.RemoteBases {
			notes(p, c.Name, []string{base.String()})
		}
	}
	findings(p, r.Warnings)
	findings(p, r.Notes)
	p.Say("%d passed, %d refused, %d failed", r.Summary.Passed, r.Summary.Refused, r.Summary.Failed)
	if r.Summary.Known > 0 {
		p.Say("; %d findings known", r.Summary.Known)
	}
	fmt.Fprintln(p.W)
}

// unseen is the findings that no component before had: a file may be in several components.
func unseen(list []finding.Finding, seen map[finding.Finding]bool) []finding.Finding {
	var left []finding.Finding
	for _, f := range list {
		if !seen[f] {
			left = append(left, f)
			seen[f] = true
		}
	}
	return left
}

// Markdown implements Result.
func (r Check) Markdown() string {
	var t table
	t.row("component", "status", "findings")
	for _, c := range r.Components {
		t.row(escape(c.Name), escape(c.Status), strings.Join(summaries(c.Findings), "<br>"))
	}
	return "### keos-oci check\n\n" + t.String() + bullets(summaries(slices.Concat(r.Warnings, r.Notes))) + "\n"
}

// summaries is findings in Markdown, many of one rule summed up.
func summaries(list []finding.Finding) []string {
	var lines []string
	for _, line := range finding.Summarise(list) {
		lines = append(lines, escape(string(line.Severity)+": "+line.Text))
	}
	return lines
}

// Annotations implements Result.
func (r Check) Annotations() []finding.Finding {
	all := slices.Concat(r.Warnings, r.Notes)
	seen := map[finding.Finding]bool{}
	for _, c := range r.Components {
		all = append(all, unseen(c.Findings, seen)...)
	}
	return all
}

// Outputs implements Result.
func (Check) Outputs() *Outputs { return nil }

// Brief implements Result.
func (r Check) Brief() any { return r }

// SARIF is what check found, for code hosts. The version is that of this program.
func (r Check) SARIF(version string) *finding.SARIF {
	var all []finding.Finding
	var failures []string
	for _, c := range r.Components {
		all = append(all, c.Findings...)
		if c.Error != nil && len(c.Error.Findings) == 0 {
			failures = append(failures, fmt.Sprintf("%s: %s", c.Name, c.Error.Message))
		}
	}
	return finding.NewSARIF(version, slices.Concat(all, r.Warnings, r.Notes), failures)
}
