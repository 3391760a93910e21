package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/scaffold"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Init is the answer of `keos-oci init`.
type Init struct {
	*scaffold.Result
	textAlone
}

// Text implements Result.
func (r Init) Text(p *terminal.Page) {
	decided := slices.ContainsFunc(r.Found, func(f scaffold.FoundLayout) bool { return f.Chosen })
	if !decided {
		p.Say("This checkout can be read in %d ways; choose one with --layout:\n\n", len(r.Found))
	}
	for _, f := range r.Found {
		if f.Chosen || !decided {
			layout(p, f, decided)
		}
	}
	for _, f := range r.Found {
		if decided && !f.Chosen {
			p.Say("Also possible, with --layout %s: %s.\n\n", f.Layout, f.Rule)
		}
	}
	r.files(p)
	notes(p, "", r.Notes)
}

func layout(p *terminal.Page, f scaffold.FoundLayout, decided bool) {
	heading := string(f.Layout)
	if f.By == scaffold.ByApp {
		heading += ", by app"
	}
	p.Say("%s: %s.\n", p.Paint(terminal.Bold, heading), f.Rule)
	for _, reason := range f.Reasons {
		p.Say("  %s\n", reason)
	}
	fmt.Fprintln(p.W)
	releases(p, f)
	fmt.Fprintln(p.W)
	if !decided {
		p.Say("%s\n", cmp.Or(indented(f.Config), "  Needs no keos-oci.yaml.\n"))
	}
}

// releases prints the components of a layout, with what releases them.
func releases(p *terminal.Page, f scaffold.FoundLayout) {
	columns := []terminal.Column{{Head: "COMPONENT"}, {Head: "KIND", Drop: dropDetail}, {Head: "VARIANTS", Cut: true},
		{Head: "PHASES", Drop: dropDetail}, {Head: "GIT TAG"}, {Head: "REPOSITORY", Drop: dropRepository}}
	var rows []terminal.Row
	if f.List != nil {
		for _, c := range f.Components {
			rows = append(rows, terminal.Row{c.Name, c.Kind, cmp.Or(strings.Join(c.Variants, ","), "-"), cmp.Or(strings.Join(c.Phases, ","), "-"),
				strings.Replace(c.GitTag, "{version}", "X.Y.Z", 1), cmp.Or(c.Repository, "?")})
		}
	}
	p.Table(columns, rows)
}

// files prints what is or would be written.
func (r Init) files(p *terminal.Page) {
	config := false
	for _, f := range r.Files {
		config = config || f.Path == component.ConfigFile
		switch f.Status {
		case fileset.StatusPrinted:
			p.Say("would write  %s\n%s\n", f.Path, indented(f.Content))
		case fileset.StatusDiffers:
			p.Say("differs  %s\n", f.Path)
			Hunks(p, f.Diff)
			fmt.Fprintln(p.W)
		default:
			p.Say("%s  %s\n", f.Status, f.Path)
		}
	}
	if config {
		return
	}
	for _, f := range r.Found {
		if f.Chosen && f.Layout != scaffold.LayoutConfig {
			fmt.Fprintln(p.W, "No keos-oci.yaml is needed.")
		}
	}
}

func indented(text string) terminal.Shown {
	var b strings.Builder
	for line := range strings.Lines(terminal.VisibleLines(text)) {
		b.WriteString("  " + line)
	}
	return terminal.Shown(b.String())
}

// Brief implements Result.
func (r Init) Brief() any { return r }
