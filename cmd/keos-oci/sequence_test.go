package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/tag"
)

// shadow is what latest-stable should be, by the rules of docs/guides/moves.md and nothing else.
type shadow struct {
	versions map[string]digest.Digest
	content  map[string]int
	channel  digest.Digest
	past     []entry // where records say that the channel was, oldest first
	off      map[string]digest.Digest
}

type entry struct {
	version string
	digest  digest.Digest
}

func (m *shadow) last() entry {
	if len(m.past) == 0 {
		return entry{}
	}
	return m.past[len(m.past)-1]
}

// outside tells whether the channel is not where its records say.
func (m *shadow) outside() bool { return m.last().digest != m.channel }

func above(a, b string) bool {
	if a == "" || b == "" {
		return a != ""
	}
	return semver.MustParse(a[1:]).GreaterThan(semver.MustParse(b[1:]))
}

func isPrerelease(version string) bool { return semver.MustParse(version[1:]).Prerelease() != "" }

// rank is the highest version, pre-releases aside, that the channel's digest has.
func (m *shadow) rank() string {
	highest := ""
	if !m.outside() {
		highest = m.last().version
	}
	for version, d := range m.versions {
		if d == m.channel && !isPrerelease(version) && above(version, highest) {
			highest = version
		}
	}
	return highest
}

// publish is the move that may follow a release.
func (m *shadow) publish(version string) {
	d := m.versions[version]
	_, off := m.off[version]
	for _, left := range m.off {
		off = off || left == d
	}
	switch {
	case isPrerelease(version), m.channel != "" && d != m.channel && above(m.rank(), version), off:
	case len(m.past) > 0 && m.outside() && m.channel != "" && !above(version, m.last().version):
	case len(m.past) > 0 && m.channel == "" && above(m.last().version, version):
	case d == m.channel && !above(version, m.rank()) && m.rank() != version:
	case d == m.channel && m.last().version == version:
	default:
		m.moveTo(version, false)
	}
}

// moveTo puts the channel on a version, with a record.
func (m *shadow) moveTo(version string, back bool) {
	d := m.versions[version]
	from := m.last()
	if !m.outside() || m.channel == "" {
		from = m.last()
	}
	if m.outside() && m.channel != "" && len(m.past) > 0 {
		m.adopt()
	}
	if back || above(from.version, version) {
		for v := range m.versions {
			if above(v, version) && !above(v, from.version) {
				if _, there := m.off[v]; !there {
					m.off[v] = ""
				}
			}
		}
		if above(from.version, version) && from.digest != d {
			m.off[from.version] = from.digest
		}
	}
	for v, left := range m.off {
		if !above(v, version) || left == d {
			delete(m.off, v)
		}
	}
	switch at := slices.IndexFunc(m.past, func(e entry) bool { return e.digest == d }); {
	case at >= 0 && back, at >= 0 && at == len(m.past)-1:
		m.past = m.past[:at]
	case back && len(m.past) > 0:
		m.past = slices.DeleteFunc(m.past[:len(m.past)-1], func(e entry) bool { return above(e.version, version) })
	}
	m.past, m.channel = append(m.past, entry{version, d}), d
}

// adopt puts another tool's move on record.
func (m *shadow) adopt() {
	if at := slices.IndexFunc(m.past, func(e entry) bool { return e.digest == m.channel }); at >= 0 {
		m.past = m.past[:at]
	}
	m.past = append(m.past, entry{"", m.channel})
}

// TestRandomMoves: releases, promotions and rollbacks at random, with moves by another tool and deleted channels, lead to where the rules say. A
// failure prints its seed; make random tries others.
func TestRandomMoves(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "0")
	s.commit("0")
	shelved := s.shelved(s.key())
	seed, runs := uint64(20261127), 40
	if text := os.Getenv("KEOS_OCI_SEED"); text != "" {
		fmt.Sscan(text, &seed)
		fmt.Sscan(os.Getenv("KEOS_OCI_RUNS"), &runs)
	}
	var all sideBySide
	for i := range runs {
		all.add(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			w := shelved.world(t, false)
			w.dir = filepath.Join(t.TempDir(), "w")
			if err := os.CopyFS(w.dir, os.DirFS(s.dir)); err != nil {
				t.Fatal(err)
			}
			sequence(t, w, s.to(t, s.prefix, w.dir), rand.New(rand.NewPCG(seed+uint64(i), 2)))
		})
	}
	all.run(t, 4)
}

// sequence runs one of them.
func sequence(t *testing.T, w *world, s *sandbox, random *rand.Rand) {
	m := &shadow{versions: map[string]digest.Digest{}, content: map[string]int{}, off: map[string]digest.Digest{}}
	names := []string{"v1.0.0", "v1.0.1", "v1.1.0", "v1.2.0-rc.1", "v1.2.0", "v2.0.0", "v2.1.0"}
	var story []string
	for range 12 {
		version := names[random.IntN(len(names))]
		_, exists := m.versions[version]
		want, what := 0, ""
		var args []string
		switch verb := random.IntN(10); {
		case verb < 4 || len(m.versions) == 0:
			content := random.IntN(4)
			s.component("frontend", fmt.Sprint(content))
			s.commit(version)
			what, args = fmt.Sprintf("publish %s with content %d", version, content), []string{"publish", "frontend", "--version", version}
			if exists && m.content[version] != content {
				want = 3
				break
			}
			m.content[version] = content
		case verb < 6:
			what, args = "promote "+version, []string{"promote", "frontend", version}
			switch {
			case !exists:
				want = 1
			case isPrerelease(version), m.channel != "" && m.versions[version] != m.channel && above(m.rank(), version):
				want = 3
			default:
				m.moveTo(version, false)
			}
		case verb < 7:
			what, args = "rollback "+version, []string{"rollback", "frontend", version, "--allow-prerelease"}
			if !exists {
				want = 1
				break
			}
			m.moveTo(version, true)
		case verb < 8:
			what, args = "rollback", []string{"rollback", "frontend", "--allow-prerelease"}
			want = m.rollback()
		case verb < 9 && exists:
			what = "crane " + version
			w.crane(version)
			m.channel = m.versions[version]
		default:
			what = "delete"
			if m.channel != "" {
				w.deleteByHand("frontend", "latest-stable")
			}
			m.channel = ""
		}
		story = append(story, what)
		if args != nil {
			a := w.start(what, args...)
			a.finish()
			if a.result.code != want {
				t.Fatalf("%s: exit %d, want %d\n%s\n%v", what, a.result.code, want, strings.Join(story, "\n"), a.result)
			}
			if args[0] == "publish" && want == 0 {
				m.versions[version] = w.resolve(version)
				m.publish(version)
			}
		}
		if got := w.resolve("latest-stable"); got != m.channel {
			t.Fatalf("%s: latest-stable is %s, want %s\n%s\n%+v", what, m.named(got), m.named(m.channel), strings.Join(story, "\n"), *m)
		}
	}
	if h := w.history(); (h.Standing == tag.Outside) != (m.outside() && len(m.past) > 0) {
		t.Errorf("the journal is %s: %s", h.Standing, strings.Join(story, "\n"))
	}
}

// rollback goes back without a version, and answers with the exit code.
func (m *shadow) rollback() int {
	past := m.past
	if !m.outside() && len(past) > 0 {
		past = past[:len(past)-1]
	}
	for i := len(past) - 1; i >= 0; i-- {
		for version, d := range m.versions {
			if d == past[i].digest && version == past[i].version {
				m.moveTo(version, true)
				return 0
			}
		}
	}
	return 3
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
