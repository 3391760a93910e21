package tag

import (
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"
)

// off says why a publication leaves the channel alone, "" where the move is allowed.
func (v View) off(t Target) string {
	for _, o := range v.Journal.SkippedVersions() {
		switch {
		case o.Version == t.Version:
			return t.Version + " was rolled back, or a rollback passed over it"
		case o.Digest != "" && o.Digest == t.Digest:
			return fmt.Sprintf("%s has the content of %s, which was rolled back", t.Version, o.Version)
		}
	}
	for _, e := range v.Journal.Unfinished() {
		if e.Request != v.Request && higher(e.Version, t.Version) {
			return fmt.Sprintf("the move to %s is unfinished (record %s)", e.Version, e.Tag)
		}
	}
	last := v.Journal.floor()
	switch standing, _ := v.Journal.Agreement(); {
	case standing != Outside || last == "" || higher(t.Version, last):
		return ""
	case v.Digest == "" && !higher(last, t.Version):
		return "" // the channel was deleted, and gets its version back
	}
	return fmt.Sprintf("another tool moved it, and %s is not above %s, which it was moved to last", t.Version, last)
}

// maxOff bounds what a record says about versions that are off: with more, only the newest are listed.
const maxOff = 256

// offAfter is what publish leaves alone after a move: what was off and is above the target, and for a rollback what it leaves and passes
// over.
func (v View) offAfter(action Action, t Target) []Target {
	var off []Target
	add := func(o Target) {
		if o.Version != t.Version && o.Digest != t.Digest && !higher(t.Version, o.Version) &&
			!slices.ContainsFunc(off, func(other Target) bool { return other.Version == o.Version }) {
			off = append(off, o)
		}
	}
	from := Target{v.Version, v.Digest}
	if standing, _ := v.Journal.Agreement(); standing == Outside || from.Version == "" {
		if last, ok := v.Journal.Effective(); ok {
			from = Target{last.Version, last.To} // what another tool left counts as left
		}
	}
	left := action == ActionRollback || from.Digest != v.Digest && higher(from.Version, t.Version)
	if left && from.Digest != "" {
		add(from)
	}
	for _, o := range v.Journal.SkippedVersions() {
		add(o)
	}
	for _, version := range v.Versions {
		if left && higher(version, t.Version) && !higher(version, from.Version) {
			add(Target{Version: version})
		}
	}
	return off[:min(len(off), maxOff)]
}

// Above picks the versions above v that a channel of versions may have had, newest first; pre-releases are not among them.
func Above(v *semver.Version, versions []string) []string {
	var above []string
	for _, s := range versions { // newest first
		if other, err := ParseVersion(s); err == nil && other.Prerelease() == "" && other.GreaterThan(v) {
			above = append(above, s)
		}
	}
	return above
}

// Nearest lists the published versions next to one that is missing, at most three to each side, newest first.
func Nearest(missing *semver.Version, versions []string) []string {
	var above, below []string
	for _, s := range versions { // newest first
		v, err := ParseVersion(s)
		if err != nil {
			continue
		}
		if v.GreaterThan(missing) {
			above = append(above, s)
		} else {
			below = append(below, s)
		}
	}
	return append(above[max(0, len(above)-3):], below[:min(3, len(below))]...)
}
