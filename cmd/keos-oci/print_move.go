package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

func (a *app) printMoves(w io.Writer, r *release.MoveResult) error {
	fmt.Fprintln(w, "COMPONENT\tCHANNEL\tSTATUS\tFROM\tTO\tDIGEST")
	for _, c := range r.Components {
		say(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, c.Channel, c.Status,
			cmp.Or(c.FromVersion, short(c.From.String())), cmp.Or(c.Version, "-"), short(c.To.String()))
	}
	for _, c := range r.Components {
		for _, n := range c.Notes {
			say(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, n)
		}
	}
	say(w, "%d moved, %d unchanged, %d failed", r.Summary.Moved, r.Summary.Unchanged, r.Summary.Failed)
	if r.Summary.Held > 0 {
		say(w, ", %d held back", r.Summary.Held)
	}
	if r.Summary.Closed > 0 {
		say(w, ", %d closed", r.Summary.Closed)
	}
	if r.Summary.Planned > 0 {
		say(w, ", %d planned (dry run: nothing was changed)", r.Summary.Planned)
	}
	fmt.Fprintln(w)
	return a.printChanges(w, r)
}

// printChanges is a dry run's answer to what would be different.
func (a *app) printChanges(w io.Writer, r *release.MoveResult) error {
	for _, c := range r.Components {
		for _, change := range c.Changes {
			what := "files"
			if change.Variant != "" {
				what = "objects of " + change.Variant
			}
			say(w, "\n%s %s:\n", a.paint(bold, c.Name), what)
			if err := a.printDiff(w, change); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *app) printStatus(w io.Writer, r *release.StatusResult) {
	fmt.Fprintln(w, "COMPONENT\tCHANNEL\tVERSION\tDIGEST\tSINCE\tBY\tSTATE")
	for _, c := range r.Components {
		for _, ch := range c.Channels {
			version, to, since, by := cells(ch)
			say(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, ch.Name, version, to, since, by, cmp.Or(stateOf(c, ch), "-"))
		}
	}
	for _, c := range r.Components {
		for _, ch := range c.Channels {
			for _, n := range ch.Notes {
				say(w, "%s: %s %s: %s\n", a.paint(yellow, "warning"), c.Name, ch.Name, n)
			}
		}
	}
}

// cells is the version, digest, time and actor of a channel: - for none, ? for what is not known.
func cells(ch release.ChannelStatus) (version, to, since, by string) {
	if ch.Unknown {
		return "?", "?", "?", "?"
	}
	none := "-"
	if ch.Standing == tag.CannotCheck {
		none = "?"
	}
	version, to, since, by = cmp.Or(ch.Version, shortRevision(ch.Revision), none), short(ch.Digest.String()), none, cmp.Or(ch.Actor, none)
	if ch.Since != nil && ch.Standing != tag.CannotCheck {
		since = age(time.Since(*ch.Since))
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

// age is how people tell how long ago something was.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func (a *app) printHistory(w io.Writer, r *release.HistoryResult) {
	say(w, "%s %s is %s at %s\n", r.Name, r.Channel, r.Standing, short(r.Digest.String()))
	fmt.Fprintln(w, "WHEN\tACTION\tFROM\tTO\tBY\tSTATE\tREASON")
	for _, m := range r.Moves {
		if m.Error != "" {
			say(w, "%s\t-\t-\t-\t-\t%s\t%s\n", m.Tag, a.paint(red, m.State), m.Error)
			continue
		}
		at := m.Time
		if m.Logged != nil {
			at = *m.Logged
		}
		say(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", at.UTC().Format("2006-01-02 15:04:05"), m.Action,
			cmp.Or(m.FromVersion, short(m.From.String())), cmp.Or(m.Version, short(m.To.String())), cmp.Or(m.Actor, "-"), historyState(m), m.Reason)
	}
	for _, f := range r.Findings {
		say(w, "%s: %s\n", a.paint(yellow, "warning"), f)
	}
	if r.More {
		fmt.Fprintln(w, "older moves: --limit")
	}
}

func historyState(m release.HistoryMove) string {
	if m.Former {
		return m.State + " (former mover)"
	}
	return m.State
}
