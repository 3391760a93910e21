package render

import (
	"cmp"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Components is the answer of `keos-oci components`.
type Components struct {
	*component.List
	textAlone
}

// Text implements Result.
func (r Components) Text(p *terminal.Page) {
	columns := []terminal.Column{{Head: "COMPONENT"}, {Head: "KIND", Drop: dropDetail}, {Head: "VARIANTS", Cut: true},
		{Head: "REPOSITORY", Drop: dropRepository}}
	var rows []terminal.Row
	for _, c := range r.Components {
		rows = append(rows, terminal.Row{c.Name, c.Kind, strings.Join(c.Variants, ","), cmp.Or(c.Repository, "?")})
	}
	p.Table(columns, rows)
}

// Brief implements Result.
func (r Components) Brief() any { return r }

// Explain is the answer of `keos-oci components --explain`.
type Explain struct {
	*release.ExplainResult
	textAlone
}

// Text implements Result.
func (r Explain) Text(p *terminal.Page) {
	var rows []terminal.Row
	for _, f := range r.Files {
		rows = append(rows, terminal.Row{map[bool]string{true: "in", false: "out"}[f.In], f.Path, f.Why})
	}
	p.Table([]terminal.Column{{Head: "ARTIFACT"}, {Head: "FILE"}, {Head: "WHY"}}, rows)
}

// Brief implements Result.
func (r Explain) Brief() any { return r }
