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

// afterGap demands what is right whatever the journal says: the exit code, that no publication takes the channel down, and
// that a rollback to a version works, at the latest after keos-oci cancel.
func (q *sequence) afterGap(c command, before digest.Digest, r result) {
	q.t.Helper()
	if r.code != 0 && r.code != 1 && r.code != 3 {
		q.fatalf("exit %d: %v", r.code, r)
	}
	if c.args[0] == "rollback" && c.want == 0 && c.to != "" && len(c.args) > 3 {
		if r.code == 3 {
			q.cancel()
			a := q.w.start("sequence", c.args...)
			a.finish()
			r = a.result
		}
		if now := q.w.resolve("latest-stable"); r.code != 0 || now != c.to {
			q.fatalf("a rollback to a version does not go there but to %s: %v", q.m.named(now), r)
		}
	}
	if r.code == 0 && c.args[0] == "publish" {
		c.effect()
	}
	q.m.channel, q.backend.channel = q.w.resolve("latest-stable"), q.w.resolveIn("backend", "latest-stable")
	was, is := q.m.highest(before, false), q.m.highest(q.m.channel, false)
	if c.args[0] == "publish" && above(was, is) {
		q.fatalf("a publication takes the channel from %s to %s", was, is)
	}
}

func (q *sequence) cancel() {
	q.t.Helper()
	a := q.w.start("cancel", "cancel", "frontend", "--now")
	if a.finish(); a.result.code != 0 {
		q.fatalf("cancel: %v", a.result)
	}
}

// release gives a version to HEAD, to an older commit or to one that was never on main.
func (q *sequence) release() command {
	version, of := q.version(), q.main[len(q.main)-1]
	switch q.random.IntN(6) {
	case 0:
		of = q.main[q.random.IntN(len(q.main))]
	case 1:
		of = q.topic
	case 2, 3:
		q.edit()
		of = q.main[len(q.main)-1]
	}
	want := 0
	if bound, known := q.m.content[version]; q.m.refused[version] || known && bound != of.content {
		want = 3
	}
	c := command{args: []string{"publish", "frontend", "--version", version, "--commit", of.hash}, want: want}
	moves := q.random.IntN(3) > 0
	if !moves {
		c.args = append(c.args, "--no-promote")
	}
	c.effect = func() {
		q.noteVersion(version, of)
		if moves && !q.gap {
			q.m.publish(version)
		}
	}
	return c
}

// noteVersion checks that a version is what was there with its content before.
func (q *sequence) noteVersion(version string, of commit) {
	q.t.Helper()
	d := q.w.resolve(version)
	if was := q.m.released[version]; d == "" || was != "" && was != d {
		q.fatalf("%s is %s, and was released as %s", version, d, was)
	}
	if q.reusable(of.content) && !slices.Contains(q.seen[of.content], d) {
		q.fatalf("%s is built again, though its content is published: %v", version, q.seen[of.content])
	}
	q.m.versions[version], q.m.content[version], q.m.released[version] = d, of.content, d
	delete(q.m.unbound, version)
	q.seen[of.content] = append(q.seen[of.content], d)
}

// reusable reports whether latest or a version has a content.
func (q *sequence) reusable(content int) bool {
	if q.latest >= 0 && q.main[q.latest].content == content {
		return true
	}
	for version := range q.m.versions {
		if q.m.content[version] == content {
			return true
		}
	}
	return false
}

func (q *sequence) promote() command {
	version := q.target()
	to := entry{version, q.m.versions[version]}
	return command{[]string{"promote", "frontend", version}, q.m.promote(version), func() { q.m.moveTo(to, false) }, to.digest}
}

func (q *sequence) rollbackTo() command {
	version := q.target()
	to := entry{version, q.m.versions[version]}
	return command{[]string{"rollback", "frontend", version, "--allow-prerelease"}, q.m.rollbackTo(version), func() { q.m.moveTo(to, true) },
		to.digest}
}

func (q *sequence) rollback() command {
	to, ok := q.m.previous()
	want := 0
	if !ok {
		want = 3
	}
	return command{[]string{"rollback", "frontend", "--allow-prerelease"}, want, func() { q.m.moveTo(to, true) }, to.digest}
}

// edit commits other content on main.
func (q *sequence) edit() {
	content := q.random.IntN(4)
	q.s.component("frontend", fmt.Sprint(content))
	q.main = append(q.main, commit{q.s.commit("edit"), content})
	q.tell("commit %d: content %d (%.8s)", len(q.main)-1, content, q.main[len(q.main)-1].hash)
}

// publish publishes main, or an older commit of it: latest follows to a newer commit with other content, and never back.
func (q *sequence) publish() command {
	if q.random.IntN(2) == 0 {
		q.edit()
	}
	i := len(q.main) - 1
	if q.random.IntN(2) == 0 {
		i = q.random.IntN(len(q.main))
	}
	c := command{args: []string{"publish", "frontend", "--commit", q.main[i].hash}, effect: func() {}}
	switch {
	case q.latest >= 0 && q.main[q.latest].content == q.main[i].content:
	case i < q.latest:
		c.want = 3
	default:
		c.effect = func() { q.published(i) }
	}
	return c
}

// published checks that latest is a commit's artifact.
func (q *sequence) published(i int) {
	q.t.Helper()
	d := q.w.resolve("main-" + q.main[i].hash[:8])
	if d == "" || d == q.digest {
		q.fatalf("the commit was not published: %s", d)
	}
	q.latest, q.digest = i, d
	q.seen[q.main[i].content] = append(q.seen[q.main[i].content], d)
}

// publishTopic publishes another branch, which moves nothing.
func (q *sequence) publishTopic() {
	q.do(command{args: []string{"publish", "frontend", "--ref", "refs/heads/topic", "--commit", q.topic.hash}, effect: func() {
		d := q.w.resolve("topic-" + q.topic.hash[:8])
		if d == "" {
			q.fatalf("the topic was not published")
		}
		q.seen[topicContent] = append(q.seen[topicContent], d)
	}})
}

// publishDirty publishes what is not committed, which moves nothing.
func (q *sequence) publishDirty() {
	q.unique++
	q.s.component("frontend", fmt.Sprint("dirty ", q.unique))
	q.do(command{args: []string{"publish", "frontend"}, effect: func() {}})
	q.s.git("checkout", "-q", "--", ".")
}

// train promotes both components in one command: both move, or neither.
func (q *sequence) train() command {
	version, other := q.target(), append(backendVersions(), "v9.0.0")[q.random.IntN(4)]
	file := filepath.Join(q.t.TempDir(), "train")
	writeFile(q.t, file, fmt.Sprintf("frontend %s\nbackend %s\n", version, other))
	codes := []int{q.m.promote(version), q.backend.promote(other)}
	if codes[0] == either {
		return command{}
	}
	want := max(codes[0], codes[1])
	if slices.Contains(codes, 1) {
		want = 1
	}
	q.tell("train: %s, backend %s", version, other)
	return command{[]string{"promote", "--from-file", file}, want, func() {
		q.m.moveTo(entry{version, q.m.versions[version]}, false)
		q.backend.moveTo(entry{other, q.backend.versions[other]}, false)
	}, ""}
}
