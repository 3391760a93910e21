// Package tag knows which tags there are and when they may move: immutable versions and channels, which follow. Its
// decisions are pure; Apply alone writes.
package tag

import (
	"errors"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// ErrVersion reports a version that cannot be a tag.
var ErrVersion = errors.New("invalid version")

// ErrPin reports that a registry does not have what clusters are to be pinned to.
var ErrPin = errors.New("nothing to pin to")

// ParseVersion reads strict semver with a leading v, as in v1.2.3 or v1.3.0-rc.1. Build metadata is legal in semver but
// "+" is not in a tag (distribution spec, "Pulling manifests"), so it is refused.
func ParseVersion(s string) (*semver.Version, error) {
	bare, ok := strings.CutPrefix(s, "v")
	if !ok {
		return nil, fmt.Errorf("%w %q: write it with a leading v, for example v1.2.3", ErrVersion, s)
	}
	v, err := semver.StrictNewVersion(bare)
	if err != nil {
		return nil, fmt.Errorf("%w %q: not MAJOR.MINOR.PATCH as semver.org has it, for example v1.2.3", ErrVersion, s)
	}
	if v.Metadata() != "" {
		return nil, fmt.Errorf("%w %q: a tag cannot hold build metadata; drop +%s", ErrVersion, s, v.Metadata())
	}
	if len(s) > maxTag {
		return nil, fmt.Errorf("%w: %d characters are more than a tag's %d", ErrVersion, len(s), maxTag)
	}
	return v, nil
}

// Version is the tag of v.
func Version(v *semver.Version) string { return "v" + v.String() }

// maxTag is the longest tag that the distribution spec allows.
const maxTag = 128

// Commit is the immutable tag of what a branch had at a commit: <branch>-<first 8 of the commit>. Characters that a tag
// cannot hold become dashes.
func Commit(branch, commit string) string {
	suffix := "-" + commit[:min(8, len(commit))]
	safe := []byte(branch)
	for i, c := range safe {
		if !legal(c, i == 0) {
			safe[i] = '-'
		}
	}
	name := strings.TrimLeft(string(safe), "-.")
	if name == "" {
		name = "branch"
	}
	return name[:min(len(name), maxTag-len(suffix))] + suffix
}

// Legal reports whether s can be a tag: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} (distribution spec, "Pulling manifests").
func Legal(s string) bool {
	for i := range len(s) {
		if !legal(s[i], i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxTag
}

// legal reports whether c may stand in a tag.
func legal(c byte, first bool) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
		return true
	}
	return !first && (c == '.' || c == '-')
}
