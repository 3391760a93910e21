package render

import (
	"strings"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Pull is the answer of `keos-oci pull`.
type Pull struct {
	*release.PullResult
	textAlone
}

// Text implements Result.
func (r Pull) Text(p *terminal.Page) {
	answer, advice := p.Paint(terminal.Green, "verified"), ""
	if !r.Verified {
		which := r.Reference[strings.LastIndex(r.Reference, "/")+1:]
		answer, advice = p.Paint(terminal.Yellow, "not verified"), ": keos-oci verify "+r.Name+which[strings.IndexAny(which, ":@"):]
	}
	p.Say("pulled  %s  %s  %d files into %s  (%s%s)\n", r.Reference, short(r.Digest.String()), r.Files, r.Dir, answer, advice)
	notes(p, "", r.Notes)
}

// Brief implements Result.
func (r Pull) Brief() any { return r }
