package render

import (
	"slices"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// List is the answer of `keos-oci list`.
type List struct {
	*release.ListResult
	textAlone
}

// Text implements Result.
func (r List) Text(p *terminal.Page) {
	for _, t := range slices.Concat(r.Versions, r.Tags) {
		p.Say("%s\n", t)
	}
}

// Brief implements Result.
func (r List) Brief() any { return r }
