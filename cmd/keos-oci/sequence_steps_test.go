package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
)

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
