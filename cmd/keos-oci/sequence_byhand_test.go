package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/tag"
)

// What happens to a sequence beside its own commands: other tools, and kills.

// kill ends a command at one of its requests. Whoever comes next closes what it began, and names a version.
func (q *sequence) kill(c command) {
	q.t.Helper()
	at := q.random.IntN(16)
	q.tell("killed at request %d: %s", at, strings.Join(c.args, " "))
	outside, records := q.m.outside() && q.m.channel != "", len(q.records())
	a := q.w.start("sequence", c.args...)
	n := 0
	a.mu.Lock()
	a.fault = func(step, *http.Request) fault {
		if n++; n > at {
			return faultKill
		}
		return faultNone
	}
	a.mu.Unlock()
	a.finish()
	if !a.isKilled() && c.want != either && !q.gap && a.result.code != c.want {
		q.fatalf("exit %d, want %d: %v", a.result.code, c.want, a.result)
	}
	q.cancel()
	q.gap = q.gap || outside && len(q.records()) > records // another tool's move may be on record now, or not
	q.afterKill(c, len(q.records()) > records)
}

// afterKill finds out how far a command came.
func (q *sequence) afterKill(c command, recorded bool) {
	q.t.Helper()
	q.noteKilled(c)
	now := q.w.resolve("latest-stable")
	switch moved := now != q.m.channel || recorded && c.confirms(q.m); {
	case q.gap:
		q.m.channel = now
		return
	case moved && c.args[0] == "publish":
		q.m.publish(c.args[3])
	case moved:
		c.effect()
	}
	if version := q.bound(); version != "" {
		q.do(command{[]string{"rollback", "frontend", version, "--allow-prerelease"}, 0,
			func() { q.m.moveTo(entry{version, q.m.versions[version]}, true) }, q.m.versions[version]})
	}
}

// confirms reports whether a command has a record, but does not write the channel.
func (c command) confirms(m *shadow) bool {
	if c.args[0] == "publish" {
		return c.args[2] == "--version" && m.versions[c.args[3]] == m.channel
	}
	return c.to == m.channel
}

// noteKilled notes what a killed publication has published.
func (q *sequence) noteKilled(c command) {
	q.t.Helper()
	if c.args[0] != "publish" {
		return
	}
	if i := slices.IndexFunc(q.main, func(m commit) bool { return m.hash == c.args[len(c.args)-1] }); c.args[2] == "--commit" {
		if now := q.w.resolve("latest"); now != q.digest {
			q.published(i)
		} else if d := q.w.resolve("main-" + q.main[i].hash[:8]); d != "" {
			q.seen[q.main[i].content] = append(q.seen[q.main[i].content], d)
		}
		return
	}
	version, of := c.args[3], q.topic
	if i := slices.IndexFunc(q.main, func(m commit) bool { return m.hash == c.args[5] }); i >= 0 {
		of = q.main[i]
	}
	_, record := q.w.tags["frontend"][tag.ReleaseTag(version)]
	switch {
	case c.want != 0 || !record:
	case q.w.resolve(version) != "":
		q.noteVersion(version, of)
	default:
		q.m.content[version], q.m.released[version] = of.content, q.stated(version)
		q.seen[of.content] = append(q.seen[of.content], q.m.released[version])
	}
}

// stated is the digest that a release record says in its title.
func (q *sequence) stated(version string) digest.Digest {
	var m struct{ Annotations map[string]string }
	_ = json.Unmarshal(q.w.ask(http.MethodGet, "frontend/manifests/"+tag.ReleaseTag(version), nil).Body.Bytes(), &m)
	_, d, _ := strings.Cut(m.Annotations["org.opencontainers.image.title"], " is ")
	return digest.Digest(d)
}

// bound is a version that a rollback can go to, "" where there is none.
func (q *sequence) bound() string {
	var list []string
	for version := range q.m.versions {
		if !q.m.unbound[version] {
			list = append(list, version)
		}
	}
	slices.Sort(list)
	if len(list) == 0 {
		return ""
	}
	return list[q.random.IntN(len(list))]
}

// records is the tags of the records of latest-stable.
func (q *sequence) records() []string {
	return tag.RecordTags(q.tags(), "latest-stable")
}

func (q *sequence) tags() []string {
	var list []string
	for name := range q.w.tags["frontend"] {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// unsigned is an artifact of frontend that nobody signed, with the content of one that is there.
func (q *sequence) unsigned() (raw []byte, ok bool) {
	version := q.bound()
	if version == "" {
		return nil, false
	}
	q.unique++
	var m map[string]any
	if err := json.Unmarshal(q.w.ask(http.MethodGet, "frontend/manifests/"+version, nil).Body.Bytes(), &m); err != nil {
		q.t.Fatal(err)
	}
	m["annotations"].(map[string]any)["by-hand"] = fmt.Sprint(q.unique)
	raw, err := json.Marshal(m)
	return raw, err == nil
}

// versionByHand gives a version that nobody published to a signed artifact, to one that nobody signed, or to one of backend.
func (q *sequence) versionByHand() {
	version := q.version()
	if _, bound := q.m.content[version]; bound || q.m.exists(version) {
		return
	}
	switch q.random.IntN(3) {
	case 0:
		of := q.bound()
		if of == "" {
			return
		}
		q.tell("%s by hand, of %s", version, of)
		q.m.versions[version], q.m.content[version], q.m.unbound[version], q.w.unbound[version] = q.m.versions[of], q.m.content[of], true, true
		q.w.tagByHand("frontend", of, version)
		to := q.m.versions[version]
		q.do(command{[]string{"promote", "frontend", version}, q.m.promote(version), func() { q.m.moveTo(entry{version, to}, false) }, to})
	case 1:
		if raw, ok := q.unsigned(); ok {
			q.refusedByHand(raw, version)
		}
	default:
		q.refusedByHand(q.w.ask(http.MethodGet, "backend/manifests/v1.0.0", nil).Body.Bytes(), version)
	}
}

// refusedByHand gives a version to what the gate refuses: nobody can promote it, go back to it, or publish that version.
func (q *sequence) refusedByHand(raw []byte, version string) {
	q.t.Helper()
	q.tell("%s by hand, which the gate refuses", version)
	q.m.refused[version], q.w.refused["frontend:"+version] = true, digest.FromBytes(raw)
	q.w.putByHand("frontend", raw, version)
	for _, args := range [][]string{{"promote", "frontend", version}, {"rollback", "frontend", version, "--allow-prerelease"},
		{"publish", "frontend", "--version", version}} {
		q.do(command{args: args, want: 3})
	}
}

// channelByHand deletes the channel, or moves it to a version or to what nobody signed.
func (q *sequence) channelByHand() {
	switch version := q.bound(); {
	case q.random.IntN(3) == 0 && q.m.channel != "":
		q.tell("delete latest-stable")
		q.w.deleteByHand("frontend", "latest-stable")
		q.m.channel = ""
	case version == "":
	case q.random.IntN(2) == 0:
		q.tell("crane %s", version)
		q.w.crane(version)
		q.m.channel = q.m.versions[version]
	default:
		raw, _ := q.unsigned()
		d := digest.FromBytes(raw)
		q.tell("crane %s, which nobody signed", d)
		q.m.unsigned[d], q.w.refused["frontend:latest-stable"] = true, d
		q.w.putByHand("frontend", raw, "latest-stable")
		q.m.channel = d
	}
}

// deleteVersion deletes a version's tag. Its release record stays, so the version is still what it was.
func (q *sequence) deleteVersion() {
	version := q.bound()
	if version == "" || q.gap {
		return
	}
	q.tell("delete %s", version)
	q.w.deleteByHand("frontend", version)
	delete(q.m.versions, version)
}

// deleteRecord deletes a record of a move, a mark, or the release record of a version that has its tag.
func (q *sequence) deleteRecord() {
	list := slices.DeleteFunc(q.tags(), func(name string) bool {
		version, release := strings.CutPrefix(name, "release.")
		_, _, record := tag.ParseRecordTag(name)
		return !record && !tag.IsDoneTag(name) && (!release || q.m.versions[version] == "")
	})
	if len(list) == 0 {
		return
	}
	name := list[q.random.IntN(len(list))]
	q.tell("delete %s", name)
	if version, release := strings.CutPrefix(name, "release."); release {
		q.m.unbound[version], q.w.unbound[version] = true, true
		delete(q.m.released, version)
	}
	q.w.deleteByHand("frontend", name)
	q.gap = true
}
