package render

import (
	"cmp"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
)

// History is the answer of `keos-oci history`.
type History struct {
	*release.HistoryResult
	textAlone
}

// Text implements Result.
func (r History) Text(p *terminal.Page) {
	p.Say("%s %s is %s at %s\n", r.Name, r.Channel, r.Standing, short(r.Digest.String()))
	columns := []terminal.Column{{Head: "WHEN"}, {Head: "ACTION", Drop: dropDetail}, {Head: "FROM", Drop: dropDetail}, {Head: "TO"},
		{Head: "BY", Drop: dropWho}, {Head: "STATE"}, {Head: "REASON", Cut: true}, {Head: "SIGNED BY", Drop: dropRepository}}
	var rows []terminal.Row
	for _, m := range r.Moves {
		if m.Error != "" {
			// who signed such a record is a claim
			rows = append(rows, terminal.Row{m.Tag, "-", "-", "-", "-", p.Paint(terminal.Red, m.State), m.Error, "-"})
			continue
		}
		at := m.Time
		if m.Logged != nil {
			at = *m.Logged
		}
		rows = append(rows, terminal.Row{p.Time(at), m.Action, cmp.Or(m.FromVersion, short(m.From.String())),
			cmp.Or(m.Version, short(m.To.String())), cmp.Or(m.Actor, "-"), historyState(m), cmp.Or(m.Reason, "-"), cmp.Or(m.Signer, "-")})
	}
	p.Table(columns, rows)
	warnings(p, "", r.Findings)
	if r.More {
		p.Say("older moves: --limit\n")
	}
}

func historyState(m release.HistoryMove) string {
	if m.Former {
		return m.State + " (former mover)"
	}
	return m.State
}

// Brief implements Result.
func (r History) Brief() any { return r }
