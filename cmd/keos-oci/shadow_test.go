package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"
)

// shadow is what a channel of versions should be, by the rules of docs/guides/moves.md and nothing else.
type shadow struct {
	versions map[string]digest.Digest // tags that the gate accepts
	refused  map[string]bool          // tags that it refuses, made by hand
	unbound  map[string]bool          // tags without a release record
	content  map[string]int           // which content a version is bound to, by its tag or its release record
	released map[string]digest.Digest // by release records
	unsigned map[digest.Digest]bool   // what the channel pointed to by hand, and the gate refuses
	channel  digest.Digest
	past     []entry                  // where records say that the channel was, oldest first
	names    map[digest.Digest]string // as which version records know a digest
	off      map[string]digest.Digest
}

// entry is one place where the channel was.
type entry struct {
	version string
	digest  digest.Digest
}

func newShadow() *shadow {
	return &shadow{map[string]digest.Digest{}, map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]digest.Digest{},
		map[digest.Digest]bool{}, "", nil,
		map[digest.Digest]string{}, map[string]digest.Digest{}}
}

func (m *shadow) last() entry {
	if len(m.past) == 0 {
		return entry{}
	}
	return m.past[len(m.past)-1]
}

// outside reports whether the channel is not where its records say.
func (m *shadow) outside() bool { return m.last().digest != m.channel }

// floor is the version that records moved the channel to last.
func (m *shadow) floor() string {
	for _, e := range slices.Backward(m.past) {
		if e.version != "" {
			return e.version
		}
	}
	return ""
}

func above(a, b string) bool {
	if a == "" || b == "" {
		return a != ""
	}
	return semver.MustParse(a[1:]).GreaterThan(semver.MustParse(b[1:]))
}

func isPrerelease(version string) bool { return semver.MustParse(version[1:]).Prerelease() != "" }

// at is the version that the channel is known to be at: by its records, else by the highest tag.
func (m *shadow) at() string {
	if !m.outside() {
		return m.last().version
	}
	if version, known := m.names[m.channel]; known {
		return version
	}
	return m.highest(m.channel, true)
}

// highest is the highest version tag of a digest.
func (m *shadow) highest(d digest.Digest, prereleases bool) string {
	highest := ""
	for version, of := range m.versions {
		if of == d && d != "" && (prereleases || !isPrerelease(version)) && above(version, highest) {
			highest = version
		}
	}
	return highest
}

// rank is the highest of the version that the channel is at and its release tags.
func (m *shadow) rank() string {
	rank := m.highest(m.channel, false)
	if at := m.at(); above(at, rank) {
		return at
	}
	return rank
}

// exists reports whether the registry has the tag of a version.
func (m *shadow) exists(version string) bool {
	return m.versions[version] != "" || m.refused[version]
}

// backwards reports whether a move forward to a version would take the channel down.
func (m *shadow) backwards(version string) bool {
	return m.channel != "" && m.versions[version] != m.channel && above(m.rank(), version)
}

// isOff reports whether a rollback left a version, or passed over it.
func (m *shadow) isOff(version string) bool {
	_, off := m.off[version]
	for _, left := range m.off {
		off = off || left != "" && left == m.versions[version]
	}
	return off
}

// publish is the move that may follow a release.
func (m *shadow) publish(version string) {
	d := m.versions[version]
	recorded := len(m.past) > 0
	switch {
	case isPrerelease(version), m.backwards(version), m.isOff(version):
	case recorded && m.outside() && m.channel != "" && m.floor() != "" && !above(version, m.floor()):
	case recorded && m.channel == "" && above(m.floor(), version):
	case d == m.channel && (m.highest(d, false) != version || !above(version, m.at())):
	default:
		m.moveTo(entry{version, d}, false)
	}
}

// either is the exit code of a command that may succeed, or answer no.
const either = -1

// promote moves forward on purpose, and answers with the exit code.
func (m *shadow) promote(version string) int {
	switch {
	case !m.exists(version):
		return 1
	case m.refused[version], isPrerelease(version), m.backwards(version):
		return 3
	case m.unbound[version] && m.channel == m.versions[version]:
		return either
	case m.unbound[version]:
		return 3
	}
	return 0
}

// rollbackTo goes to a version on purpose, and answers with the exit code.
func (m *shadow) rollbackTo(version string) int {
	switch {
	case !m.exists(version):
		return 1
	case m.refused[version]:
		return 3
	case m.unbound[version]: // a record of a move may say which digest it is
		return either
	}
	return 0
}

// previous is where a rollback without a version goes, false for nowhere.
func (m *shadow) previous() (entry, bool) {
	past := m.past
	if !m.outside() && len(past) > 0 {
		past = past[:len(past)-1]
	}
	for _, e := range slices.Backward(past) {
		if !m.unsigned[e.digest] {
			return e, true
		}
	}
	return entry{}, false
}

// moveTo puts the channel somewhere, with a record.
func (m *shadow) moveTo(to entry, back bool) {
	from := m.last()
	if len(m.past) == 0 {
		from = entry{m.at(), m.channel}
	}
	m.leave(from, to, back)
	switch {
	case m.channel == "":
	case len(m.past) == 0:
		m.past = append(m.past, from)
	case m.outside():
		m.adopt()
	}
	switch at := slices.IndexFunc(m.past, func(e entry) bool { return e.digest == to.digest }); {
	case at >= 0 && back, at >= 0 && at == len(m.past)-1:
		m.past = m.past[:at]
	case back && len(m.past) > 0:
		m.past = slices.DeleteFunc(m.past[:len(m.past)-1], func(e entry) bool { return above(e.version, to.version) })
	}
	m.past, m.channel, m.names[to.digest] = append(m.past, to), to.digest, to.version
}

// leave says what is off after a move.
func (m *shadow) leave(from, to entry, back bool) {
	if back || from.digest != m.channel && above(from.version, to.version) {
		for _, v := range m.tags() {
			if _, there := m.off[v]; !there && above(v, to.version) && !above(v, from.version) {
				m.off[v] = ""
			}
		}
		if from.digest != "" && from.digest != to.digest {
			m.off[from.version] = from.digest
		}
	}
	maps.DeleteFunc(m.off, func(v string, left digest.Digest) bool {
		return v == to.version || left == to.digest || v != "" && to.version != "" && above(to.version, v)
	})
}

// tags is all version tags.
func (m *shadow) tags() []string {
	return slices.AppendSeq(slices.Collect(maps.Keys(m.versions)), maps.Keys(m.refused))
}

// adopt puts another tool's move on record.
func (m *shadow) adopt() {
	version := m.at()
	if at := slices.IndexFunc(m.past, func(e entry) bool { return e.digest == m.channel }); at >= 0 {
		m.past = m.past[:at]
	}
	m.past = append(m.past, entry{version, m.channel})
	if version != "" {
		m.names[m.channel] = version
	}
}

func (m *shadow) named(d digest.Digest) string {
	var names []string
	for version, other := range m.versions {
		if other == d {
			names = append(names, version)
		}
	}
	slices.Sort(names)
	return fmt.Sprint(d, names)
}
