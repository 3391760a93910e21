package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Status is the answer of `keos-oci status`.
type Status struct {
	*release.StatusResult
	textAlone
}

// Text implements Result.
func (r Status) Text(p *terminal.Page) {
	columns := []terminal.Column{{Head: "COMPONENT"}, {Head: "CHANNEL"}, {Head: "VERSION"}, {Head: "DIGEST", Drop: dropDigest},
		{Head: "SINCE", Drop: dropWho}, {Head: "BY", Drop: dropWho}, {Head: "STATE", Cut: true}}
	var rows []terminal.Row
	for _, c := range r.Components {
		for _, ch := range c.Channels {
			version, to, since, by := cells(p, ch)
			rows = append(rows, terminal.Row{c.Name, ch.Name, version, to, since, by, cmp.Or(stateOf(c, ch), "-")})
		}
	}
	p.Table(columns, rows)
	for _, c := range r.Components {
		for _, ch := range c.Channels {
			warnings(p, c.Name+" "+ch.Name, ch.Notes)
		}
	}
}

// cells is the version, digest, time and actor of a channel: - for none, ? for what is not known.
func cells(p *terminal.Page, ch release.ChannelStatus) (version, to, since, by string) {
	if ch.Unknown {
		return "?", "?", "?", "?"
	}
	none := "-"
	if ch.Standing == tag.CannotCheck {
		none = "?"
	}
	version, to, since, by = cmp.Or(ch.Version, shortRevision(ch.Revision), none), short(ch.Digest.String()), none, cmp.Or(ch.Actor, none)
	if ch.Since != nil && ch.Standing != tag.CannotCheck {
		since = p.Age(*ch.Since)
	}
	return version, to, since, by
}

// stateOf is what the journal and the gate say of a channel, in words.
func stateOf(c release.ComponentStatus, ch release.ChannelStatus) string {
	words := slices.Clone(ch.State)
	settled := len(words) > 0 && words[0] == string(tag.Settled)
	switch {
	case ch.Unknown:
		return cmp.Or(strings.Join(words, ", "), "?")
	case ch.Digest == "" && settled:
		words = words[1:]
	case c.Drift && settled:
		words[0] += ", differs from " + c.Channels[0].Name
	}
	return strings.Join(words, ", ")
}

// shortRevision is main@01234567 of main@sha1:0123456789….
func shortRevision(revision string) string {
	ref, commit, ok := strings.Cut(revision, "@sha1:")
	if !ok {
		return ""
	}
	return ref + "@" + commit[:min(8, len(commit))]
}

// Brief implements Result.
func (r Status) Brief() any { return r }
