package render

import (
	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Baseline is the answer of `keos-oci check --write-baseline`.
type Baseline struct {
	*release.BaselineResult
	textAlone
}

// Text implements Result.
func (r Baseline) Text(p *terminal.Page) {
	p.Say("%s: took %d findings in %d files as known\n", r.File, r.Findings, r.Files)
	if !r.Configured {
		notes(p, "", []string{"to use it, write into " + component.ConfigFile + ": baseline: " + r.File})
	}
}

// Brief implements Result.
func (r Baseline) Brief() any { return r }
