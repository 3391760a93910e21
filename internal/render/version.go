package render

import (
	"maps"
	"slices"

	"github.com/stratio/keos-oci/internal/terminal"
)

// Version is the answer of `keos-oci version`: what the program was built from.
type Version struct {
	Version   string            `json:"version"`
	Commit    string            `json:"commit,omitempty"`
	Time      string            `json:"time,omitempty"` // of the commit
	Modified  bool              `json:"modified,omitempty"`
	Go        string            `json:"go"`
	Platform  string            `json:"platform"`
	Libraries map[string]string `json:"libraries"`
	textAlone
}

// Text implements Result.
func (r Version) Text(p *terminal.Page) {
	rows := []terminal.Row{{"keos-oci", r.Version}}
	if r.Commit != "" {
		rows = append(rows, terminal.Row{"commit", r.Commit}, terminal.Row{"time", r.Time})
	}
	if r.Modified {
		rows = append(rows, terminal.Row{"", "with changes that were not committed"})
	}
	rows = append(rows, terminal.Row{"go", r.Go + " " + r.Platform})
	for _, name := range slices.Sorted(maps.Keys(r.Libraries)) {
		rows = append(rows, terminal.Row{name, r.Libraries[name]})
	}
	p.Table([]terminal.Column{{}, {}}, rows)
}

// Brief implements Result.
func (r Version) Brief() any { return r }
