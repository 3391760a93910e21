package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/tag"
)

// TestRandomMoves: edits, publications from branches and of old commits, releases, promotions, rollbacks and trains at
// random, with what other tools do beside and with commands that are killed, lead to where the rules say. A failure prints
// its seed; make random tries others.
func TestRandomMoves(t *testing.T) {
	shelf := sequenceShelf(t)
	seed, runs := uint64(20261127), 40
	if text := os.Getenv("KEOS_OCI_SEED"); text != "" {
		fmt.Sscan(text, &seed)
		fmt.Sscan(os.Getenv("KEOS_OCI_RUNS"), &runs)
	}
	var all sideBySide
	for i := range runs {
		all.add(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			w := shelf.world(t, false)
			w.dir = filepath.Join(t.TempDir(), "w")
			if err := os.CopyFS(w.dir, os.DirFS(shelf.dir)); err != nil {
				t.Fatal(err)
			}
			newSequence(t, w, shelf.to(t, shelf.prefix, w.dir), rand.New(rand.NewPCG(seed+uint64(i), 2))).run(12)
		})
	}
	all.run(t, 8)
}

// sequenceShelf has a backend with three versions and no channel yet, and a frontend of which nothing is published. The
// repository of frontend has what is signed for backend, too, under no tag. Branch topic has a commit of its own.
func sequenceShelf(t *testing.T) *shelved {
	s := newSandbox(t)
	key := s.key()
	for i, version := range backendVersions() {
		s.component("backend", fmt.Sprint(i))
		s.commit(version)
		s.must("publish", "backend", "--key", key, "--version", version, "--no-promote")
	}
	s.component("frontend", "topic")
	s.git("checkout", "-q", "-b", "topic")
	s.commit("topic")
	s.git("checkout", "-q", "main")
	s.component("frontend", "0")
	s.commit("0")
	repo := s.registry.Host() + "/" + s.prefix
	d, err := open(t, s, "backend").Resolve(t.Context(), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := crane.Copy(repo+"/backend@"+d.String(), repo+"/frontend@"+d.String(), crane.Insecure); err != nil {
		t.Fatal(err)
	}
	list := "sha256-" + d.Encoded()
	if err := crane.Copy(repo+"/backend:"+list, repo+"/frontend:"+list, crane.Insecure); err != nil {
		t.Fatal(err)
	}
	return s.shelved(key)
}

func backendVersions() []string { return []string{"v1.0.0", "v1.1.0", "v2.0.0"} }

// frontendVersions are those that sequences publish.
func frontendVersions() []string {
	return []string{"v1.0.0", "v1.0.1", "v1.1.0", "v1.2.0-rc.1", "v1.2.0", "v2.0.0", "v2.1.0"}
}

// sequence is one random sequence, beside what should be.
type sequence struct {
	t       *testing.T
	w       *world
	s       *sandbox
	random  *rand.Rand
	m       *shadow // of latest-stable of frontend
	backend *shadow
	main    []commit // oldest first
	topic   commit
	latest  int // which of main's commits it has, -1 for none
	digest  digest.Digest
	seen    map[int][]digest.Digest // artifacts by their content
	gap     bool                    // records are gone: the rules do not say any more where the channel goes
	unique  int
	story   []string
}

// commit is one of the checkout. Its content is that of frontend.
type commit struct {
	hash    string
	content int
}

// topicContent is the content that only branch topic has.
const topicContent = 100

func newSequence(t *testing.T, w *world, s *sandbox, random *rand.Rand) *sequence {
	q := &sequence{t: t, w: w, s: s, random: random, m: newShadow(), backend: newShadow(), latest: -1, seen: map[int][]digest.Digest{}}
	q.main = []commit{{s.git("rev-parse", "main"), 0}}
	q.topic = commit{s.git("rev-parse", "topic"), topicContent}
	for _, version := range backendVersions() {
		q.backend.versions[version] = w.resolveIn("backend", version)
	}
	return q
}

// run makes so many steps.
func (q *sequence) run(steps int) {
	for range steps {
		q.step()
		if got := q.w.resolve("latest-stable"); got != q.m.channel {
			q.fatalf("latest-stable is %s, want %s\n%+v", q.m.named(got), q.m.named(q.m.channel), *q.m)
		}
		if got := q.w.resolve("latest"); got != q.digest {
			q.fatalf("latest is %s, want %s", got, q.digest)
		}
		if got := q.w.resolveIn("backend", "latest-stable"); got != q.backend.channel {
			q.fatalf("latest-stable of backend is %s, want %s", q.backend.named(got), q.backend.named(q.backend.channel))
		}
	}
	if h := q.w.history(); !q.gap && (h.Standing == tag.Outside) != (q.m.outside() && len(q.m.past) > 0) {
		q.t.Errorf("the journal is %s: %s", h.Standing, strings.Join(q.story, "\n"))
	}
}

// step does one thing.
func (q *sequence) step() {
	switch n := q.random.IntN(40); {
	case n < 10 || len(q.m.versions) < 2 && n < 30:
		q.do(q.release())
	case n < 15:
		q.do(q.promote())
	case n < 17:
		q.do(q.rollbackTo())
	case n < 20:
		q.do(q.rollback())
	case n < 23:
		q.do(q.publish())
	case n < 25:
		q.do(q.train())
	case n < 27:
		q.edit()
	case n < 28:
		q.publishTopic()
	case n < 29:
		q.publishDirty()
	case n < 33:
		q.kill([]func() command{q.release, q.promote, q.rollbackTo, q.rollback, q.publish}[q.random.IntN(5)]())
	case n < 35:
		q.versionByHand()
	case n < 38:
		q.channelByHand()
	case n < 39:
		q.deleteVersion()
	default:
		q.deleteRecord()
	}
}

func (q *sequence) fatalf(format string, args ...any) {
	q.t.Helper()
	q.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(q.story, "\n"))
}

func (q *sequence) tell(format string, args ...any) {
	q.story = append(q.story, fmt.Sprintf(format, args...))
}

func (q *sequence) version() string {
	return frontendVersions()[q.random.IntN(len(frontendVersions()))]
}

// target is a version to go to: most often one that exists.
func (q *sequence) target() string {
	list := q.m.tags()
	slices.Sort(list)
	if len(list) == 0 || q.random.IntN(8) == 0 {
		return q.version()
	}
	return list[q.random.IntN(len(list))]
}

// command is a command line, the exit code that it should have, and what it does where the code is 0.
type command struct {
	args   []string
	want   int
	effect func()
	to     digest.Digest // where it should bring latest-stable, "" for a publication
}

// do runs a command to its end.
func (q *sequence) do(c command) {
	q.t.Helper()
	if c.args == nil {
		return
	}
	q.tell("%s", strings.Join(c.args, " "))
	before := q.m.channel
	a := q.w.start("sequence", c.args...)
	a.finish()
	switch {
	case q.gap:
		q.afterGap(c, before, a.result)
	case c.want != either && a.result.code != c.want, a.result.code != 0 && a.result.code != 1 && a.result.code != 3:
		q.fatalf("exit %d, want %d: %v\n%+v", a.result.code, c.want, a.result, *q.m)
	case a.result.code == 0:
		c.effect()
	}
}
