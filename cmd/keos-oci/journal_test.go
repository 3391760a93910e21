package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/tag"
)

// rolledBack is night after a rollback: latest-stable was at v1.2.0, which is bad, and is at v1.1.0. Its journal has four records.
func rolledBack(t *testing.T) (s *sandbox, key, pub string) {
	s, key, pub = night(t)
	s.must("rollback", "frontend", "--key", key, "--reason", "errors")
	return s, key, pub
}

// junk is the manifest of a tag that is named like a record and is none.
func junk() []byte {
	raw, _ := json.Marshal(ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: ocispec.DescriptorEmptyJSON})
	return raw
}

// junkTags are so many names of records, from some time on.
func junkTags(n int, from time.Time) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = tag.RecordTag("latest-stable", from.Add(time.Duration(i)*time.Millisecond), "junk")
	}
	return names
}

// untag takes a tag away as a clean-up job does that removes tags.
func (s *sandbox) untag(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		dir := filepath.Join(s.content, "docker/registry/v2/repositories", s.prefix, "frontend/_manifests/tags", name)
		if _, err := os.Stat(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournals: whatever somebody does to the records of a rollback, the bad release does not come back by itself, status
// says what is odd, and moves to a version go on.
func TestJournals(t *testing.T) {
	origin, key, pub := rolledBack(t)
	moves := origin.journal(t, pub).Moves // newest first
	gone := func(i int) func(*testing.T, *sandbox, *crowd) {
		return func(t *testing.T, s *sandbox, _ *crowd) { s.untag(t, moves[i].Tag, tag.DoneTag(moves[i].Tag)) }
	}
	for name, c := range map[string]struct {
		harm   func(t *testing.T, s *sandbox, c *crowd)
		status string // what status says
		code   int    // of status --exit-code
		doubt  bool   // publications move nothing
	}{
		"nothing": {func(*testing.T, *sandbox, *crowd) {}, "settled", 0, false},
		"50 newer junk records": {func(_ *testing.T, _ *sandbox, c *crowd) { c.add(junk(), junkTags(50, time.Now().Add(time.Minute))...) },
			"settled, invalid record", 3, true},
		"50 older junk records": {func(_ *testing.T, _ *sandbox, c *crowd) { c.add(junk(), junkTags(50, time.Now().Add(-time.Hour))...) },
			"settled", 0, false},
		"5000 newer junk records": {func(_ *testing.T, _ *sandbox, c *crowd) {
			c.add(junk(), junkTags(5000, moves[0].Time.Add(time.Millisecond))...)
		}, "settled, invalid record", 3, true},
		"the newest record is gone": {gone(0), "moved outside", 3, false},
		"one in the middle is gone": {gone(1), "settled, gap", 3, true},
		"the oldest record is gone": {gone(3), "settled", 0, true}, // status looks at the newest alone
		"the newest one is damaged": {func(t *testing.T, s *sandbox, _ *crowd) { damage(t, s, moves[0].Tag) }, "moved outside, invalid record",
			3, true},
		"one in the middle, damaged": {func(t *testing.T, s *sandbox, _ *crowd) { damage(t, s, moves[1].Tag) }, "settled", 0,
			true}, // status reads the newest alone
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := origin.copyOf(t)
			s.dir = filepath.Join(t.TempDir(), "w")
			if err := os.CopyFS(s.dir, os.DirFS(origin.dir)); err != nil {
				t.Fatal(err)
			}
			c.harm(t, s, inFront(t, s, 100, bySpec, false))
			if r := s.run("status", "frontend", "--key", pub, "--exit-code"); r.code != c.code || !says(r, strings.Split(c.status, ", ")) {
				t.Errorf("status: want %d %q: %v", c.code, c.status, r)
			}
			if r := s.must("history", "frontend", "--key", pub, "--limit", "100"); name == "the oldest record is gone" &&
				!strings.Contains(r.stdout, "gap: the record before") {
				t.Error(r)
			}
			r := s.run("publish", "frontend", "--key", key, "--version", "v1.2.0") // the bad release's job, once more
			if (r.code == 3) != c.doubt || r.code != 0 && r.code != 3 {
				t.Errorf("publish of v1.2.0: %v", r)
			}
			s.at(t, "v1.1.0")
			s.component("frontend", "new")
			s.commit("new")
			next := s.run("publish", "frontend", "--key", key, "--version", "v1.3.0")
			if c.doubt {
				if next.code != 3 || !strings.Contains(next.stderr, "v1.3.0 is published, but latest-stable did not follow: the journal is in doubt") {
					t.Errorf("a new version: %v", next)
				}
				s.at(t, "v1.1.0")
			} else if next.code != 0 {
				t.Errorf("a new version: %v", next)
			}
			s.must("rollback", "frontend", "v1.0.0", "--key", key)
			s.at(t, "v1.0.0")
			s.must("promote", "frontend", "v1.3.0", "--key", key)
			s.at(t, "v1.3.0")
			if r := s.run("status", "frontend", "--key", pub, "--exit-code"); r.code != 0 { // what was gone on without is no news any more
				t.Errorf("after a promotion: %v", r)
			}
		})
	}
}

func says(r result, words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(r.stdout, word) })
}

// damage changes the bytes of a record.
func damage(t *testing.T, s *sandbox, name string) {
	rewrite(t, s, name, name, func(m *ocispec.Manifest) { m.Annotations["edited"] = "yes" })
	rewrite(t, s, name, name, func(m *ocispec.Manifest) {
		m.Annotations["com.stratio.keos-oci.move"] = strings.Replace(m.Annotations["com.stratio.keos-oci.move"], `"payload":"`, `"payload":"AAAA`, 1)
	})
}

// TestFormerMover: records of a former mover stay valid. Without a day, a newer record of an unknown signer stops automatic moves.
func TestFormerMover(t *testing.T) {
	st := sigstore(t)
	s := shelf(t, st)
	config := mustRead(t, filepath.Join(s.dir, "keos-oci.yaml"))
	movers := func(list ...string) {
		s.write("keos-oci.yaml", config+"channels: {latest-stable: {movers: ["+strings.Join(list, ", ")+"]}}\n")
		s.commit("movers")
	}
	id := func(workflow, more string) string {
		return "{issuer: " + st.env["SIGSTORE_ISSUER"] + ", subjectRegexp: 'https://github\\.com/org/apps/\\.github/workflows/" + workflow +
			"\\.yaml@refs/.*'" + more + "}"
	}
	s.git("tag", "frontend/v2.0.0", "HEAD~1")
	movers(id("publish", ""), id("oncall", ""))
	oncall := *s
	oncall.keyless(st, "oncall.yaml", "refs/heads/main")
	oncall.must(append([]string{"rollback", "frontend", "v1.0.0"}, st.flags()...)...)
	for name, c := range map[string]struct {
		movers []string
		says   string
		code   int
	}{
		"with a day": {[]string{id("publish", ""), id("oncall", ", until: 2099-01-01")}, "done", 0},
		"the day is over": {[]string{id("publish", ""), id("oncall", ", until: '"+time.Now().Add(time.Second).UTC().Format(time.RFC3339)+"'")},
			"done (former mover)", 0},
		"taken away": {[]string{id("publish", "")}, "invalid", 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.copyOf(t)
			movers(c.movers...)
			time.Sleep(1100 * time.Millisecond)
			if r := s.must("history", "frontend"); !strings.Contains(strings.Split(r.stdout, "\n")[2], c.says) {
				t.Errorf("want %q: %v", c.says, r)
			}
			if r := s.run(append([]string{"publish", "frontend", "--version", "v2.0.0", "--config", "keos-oci.yaml"},
				st.flags()...)...); r.code != c.code {
				t.Errorf("the bad release's job once more: %v", r)
			}
			if got := s.stable(t); got != "v1.0.0" {
				t.Errorf("latest-stable is %s", got)
			}
			r := oncall.copyOf(t).run(append([]string{"rollback", "frontend", "v2.0.0"}, st.flags()...)...)
			if may := name == "with a day"; (r.code == 0) != may {
				t.Errorf("the former mover moves: %v", r)
			}
		})
	}
	// A record of a present mover vouches for the ones before it.
	movers(id("publish", ""), id("oncall", ""))
	s.must(append([]string{"promote", "frontend", "v3.0.0"}, st.flags()...)...)
	movers(id("publish", ""))
	h := s.history(t)
	if m := h.Moves[1]; m.State != tag.StateDone || !m.Former || m.Version != "v1.0.0" || h.Standing != tag.Settled {
		t.Errorf("%+v", h)
	}
}

// TestTruncated: somebody deletes the newest records, and points the channel to an old signed version. What is left looks
// whole. An anchor shows it to audit, promote and publish.
func TestTruncated(t *testing.T) {
	s, key, pub := night(t)
	anchor := filepath.Join(t.TempDir(), "anchor.json")
	s.must("audit", "--key", pub, "--anchor", anchor, "--write-anchor")
	before := mustRead(t, anchor)
	s.component("frontend", "3")
	s.commit("3")
	s.must("publish", "frontend", "--key", key, "--version", "v1.3.0", "--anchor", anchor)
	s.must("promote", "frontend", "v1.3.0", "--key", key, "--anchor", anchor)
	if now := mustRead(t, anchor); now == before {
		t.Error("the anchor did not follow the moves")
	}
	s.must("audit", "--key", pub, "--anchor", anchor)
	moves := s.journal(t, pub).Moves
	for _, m := range moves[:4] {
		s.untag(t, m.Tag)
		if m.State == tag.StateDone && m.From != m.To {
			s.untag(t, tag.DoneTag(m.Tag))
		}
	}
	s.crane(t, "v1.0.0")
	if r := s.must("status", "frontend", "--key", pub, "--exit-code"); !strings.Contains(r.stdout, "settled") {
		t.Errorf("nothing but the anchor can tell: %v", r)
	}
	kept := mustRead(t, anchor)
	for _, args := range [][]string{{"audit", "--key", pub, "--anchor", anchor, "--write-anchor"},
		{"promote", "frontend", "v1.2.0", "--key", key, "--anchor", anchor},
		{"publish", "frontend", "--version", "v1.3.0", "--key", key, "--anchor", anchor}} {
		if r := s.run(args...); r.code != 3 || !strings.Contains(r.stdout+r.stderr, "cut off") {
			t.Errorf("%s: %v", args[0], r)
		}
		s.at(t, "v1.0.0")
	}
	if mustRead(t, anchor) != kept {
		t.Error("the anchor forgot what was taken away")
	}
	s.must("promote", "frontend", "v1.2.0", "--key", key) // who knows better goes on without it
}

// TestForgedAnchor: an anchor that was edited is not reported as a journal that was cut.
func TestForgedAnchor(t *testing.T) {
	s, key, pub := rolledBack(t)
	anchor := filepath.Join(t.TempDir(), "anchor.json")
	s.must("audit", "--key", pub, "--anchor", anchor, "--write-anchor")
	good := mustRead(t, anchor)
	for name, bad := range map[string]string{
		"a number":    strings.Replace(good, `"sequence": 4`, `"sequence": 3`, 1),
		"a record":    strings.Replace(good, `"record": "ey`, `"record": "fy`, 1),
		"no anchor":   `{"apiVersion": "keos-oci.stratio.com/v1alpha1", "kind": "Workspace"}`,
		"no JSON":     "heads:",
		"another tag": strings.Replace(good, `"tag": "latest-stable.2`, `"tag": "latest-stable.1`, 1),
	} {
		if bad == good {
			t.Fatal(name)
		}
		s.write("../anchor.json", bad)
		file := filepath.Join(s.dir, "../anchor.json")
		for _, args := range [][]string{{"audit", "--key", pub, "--anchor", file},
			{"promote", "frontend", "v1.2.0", "--key", key, "--anchor", file}} {
			if r := s.run(args...); r.code != 3 || !strings.Contains(r.stdout+r.stderr, "bad anchor") {
				t.Errorf("%s: %s: %v", name, args[0], r)
			}
		}
		s.at(t, "v1.1.0")
	}
}

// relabel points v1.0.0 to what v1.1.0 is.
func relabel(t *testing.T, s *sandbox) {
	t.Helper()
	repo := open(t, s, "frontend")
	desc, raw, err := repo.Manifest(t.Context(), "v1.1.0")
	if err == nil {
		err = repo.Tag(t.Context(), desc, raw, "v1.0.0")
	}
	if err != nil {
		t.Fatal(err)
	}
}
