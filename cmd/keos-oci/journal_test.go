package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
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

// writer signs records as a sandbox's key does.
func writer(t *testing.T, s *sandbox, key string) (*journal.Journal, *sign.Signer) {
	t.Helper()
	signer := sign.NewSigner(sign.Options{Key: openedKey(key), Now: time.Now,
		NotFound: func(err error) bool { return errors.Is(err, registry.ErrNotFound) }, Unanswered: registry.Unanswered})
	movers := func() (sign.Policies, error) { return signer.Verifier().KeyPolicies() }
	return journal.Open(journal.Options{Repo: open(t, s, "frontend"), Names: []string{s.prefix + "/frontend"}, Component: "frontend",
		Channel:  "latest-stable",
		Verifier: signer.Verifier(), Movers: movers, Signer: signer, Now: time.Now}), signer
}

// held takes over the records that are written, instead of the registry behind.
func (c *crowd) holdRecords() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if _, _, record := tag.ParseRecordTag(name); r.Method != http.MethodPut || !record && !tag.IsDoneTag(name) {
			c.ServeHTTP(w, r)
			return
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		c.add(body.Bytes(), name)
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(body.Bytes()).String())
		w.WriteHeader(http.StatusCreated)
	})
}

// TestManyTags: what a repository has beside the newest records costs no request where the registry begins lists as it is
// asked to. Elsewhere it costs one a page. It is the table of docs/guides/registries.md.
func TestManyTags(t *testing.T) {
	origin, key, pub := rolledBack(t)
	others := func(n int) []string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("main-%08x", i*7919)
		}
		return names
	}
	costs := map[string]map[string]int{}
	for _, c := range []struct {
		what string
		kind listing
		tags int
	}{{"20 other tags", bySpec, 20}, {"20,000 other tags", bySpec, 20000}, {"20,000 other tags", ignoring, 20000}, {"20,000 other tags", byAge, 20000},
		{"20,000 other tags", byToken, 20000}, {"20,000 other tags", allAtOnce, 20000}} {
		t.Run(fmt.Sprintf("%s, %s", c.what, c.kind), func(t *testing.T) {
			s := origin.copyOf(t)
			inFront(t, s, 100, c.kind, false).add(junk(), others(c.tags)...)
			cost := map[string]int{}
			for _, args := range [][]string{{"status", "frontend", "--key", pub}, {"history", "frontend", "--key", pub},
				{"promote", "frontend", "v1.2.0", "--key", key},
				{"rollback", "frontend", "--key", key}, {"rollback", "frontend", "v1.0.0", "--key", key}} {
				s.registry.Reset()
				s.must(args...)
				verb := strings.Join(args[:len(args)-2], " ")
				cost[verb] = s.registry.Count("")
				lists := s.registry.Count("tags/list")
				if lists > 2*(c.tags/100+2) {
					t.Errorf("%s: %d lists", verb, lists)
				}
				t.Logf("%s: %d requests, %d of them lists", verb, cost[verb], lists)
			}
			s.at(t, "v1.0.0")
			costs[fmt.Sprint(c.kind, c.tags)] = cost
			if c.kind == bySpec && c.tags > 20 && fmt.Sprint(cost) != fmt.Sprint(costs[fmt.Sprint(bySpec, 20)]) {
				t.Errorf("%d other tags cost %v, and 20 cost %v", c.tags, cost, costs[fmt.Sprint(bySpec, 20)])
			}
		})
	}
}

// TestManyRecords: a journal of 10,000 records, all of them of the last days, and one of which the newest is older than 30 days.
func TestManyRecords(t *testing.T) {
	s, key, pub := night(t)
	inFront(t, s, 1000, bySpec, true)
	log, _ := writer(t, s, key)
	repo := open(t, s, "frontend")
	var at [2]digest.Digest
	for i, v := range []string{"v1.0.0", "v1.2.0"} {
		var err error
		if at[i], err = repo.Resolve(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	newest := newestRecord(t, log, at[1])
	for i := range 10000 {
		to := i % 2
		r := tag.Record{Component: "frontend", Channel: "latest-stable", Action: []tag.Action{tag.ActionRollback, tag.ActionPromote}[to],
			Version: []string{"v1.0.0", "v1.2.0"}[to],
			To:      at[to], From: at[1-to], FromVersion: []string{"v1.2.0",
				"v1.0.0"}[to], Time: newest.Time.Add(time.Millisecond), Previous: newest.Digest, Sequence: newest.Sequence + 1,
			Request: fmt.Sprint("many", i)}
		signed, err := log.Sign(t.Context(), r)
		if err == nil {
			err = log.Store(t.Context(), signed)
		}
		if err == nil {
			err = log.Mark(t.Context(), signed)
		}
		if err != nil {
			t.Fatal(err)
		}
		newest = signed.Entry
	}
	for _, age := range []time.Duration{0, 40 * 24 * time.Hour} {
		s.registry.Reset()
		var h release.HistoryResult
		r := s.clocked(t, age, "history", "frontend", "--key", pub, "-o", "json")
		if err := json.Unmarshal([]byte(r.stdout), &h); err != nil || h.Standing != tag.Settled || len(h.Moves) != 20 ||
			h.Moves[0].Sequence != 10003 {
			t.Errorf("%s later: %v: %v", age, err, r)
		}
		t.Logf("%s later: history: %d requests", age, s.registry.Count(""))
		if n := s.registry.Count("tags/list"); n > 45 { // two tags each, a thousand a page, and once more where the last 30 days tell nothing
			t.Errorf("%s later: %d lists", age, n)
		}
		s.registry.Reset()
		if r := s.clocked(t, age, "rollback", "frontend", "--key", key, "--dry-run"); r.code != 0 || !strings.Contains(r.stdout, "v1.0.0") {
			t.Errorf("%s later: %v", age, r)
		}
		t.Logf("%s later: rollback: %d requests", age, s.registry.Count(""))
	}
}

func newestRecord(t *testing.T, l *journal.Journal, points digest.Digest) tag.Entry {
	t.Helper()
	tags, err := l.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j, err := l.Read(t.Context(), &tags, 1, points)
	newest, ok := j.Newest()
	if err != nil || !ok {
		t.Fatal(err, ok)
	}
	return newest
}

// clocked runs a command in this process, whose clock is ahead, or behind.
func (s *sandbox) clocked(t *testing.T, ahead time.Duration, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	env := func(name string) string { return "" }
	run := &app{in: in, out: &out, err: &errs, getenv: env, keys: openedKey, now: func() time.Time { return time.Now().Add(ahead) }}
	code := run.run(context.WithoutCancel(t.Context()),
		append([]string{"-C", s.dir, "--registry", s.registry.Host() + "/" + s.prefix}, args...))
	return result{code, out.String(), errs.String()}
}

// TestClocks: a clock that is a day ahead or behind changes neither the order of moves nor what is read of them.
func TestClocks(t *testing.T) {
	for _, ahead := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			s, key, pub := rolledBack(t)
			if r := s.clocked(t, ahead, "promote", "frontend", "v1.2.0", "--key", key); r.code != 0 {
				t.Fatal(r)
			}
			s.must("rollback", "frontend", "--key", key) // by the right clock
			s.at(t, "v1.1.0")
			if r := s.clocked(t, ahead, "rollback", "frontend", "--key", key); r.code != 0 {
				t.Fatal(r)
			}
			s.at(t, "v1.0.0")
			var actions []string
			h := s.journal(t, pub)
			for _, m := range h.Moves {
				actions = append(actions, fmt.Sprintf("%s %s %d %s", m.Action, m.Version, m.Sequence, m.State))
			}
			want := []string{"rollback v1.0.0 7 done", "rollback v1.1.0 6 done", "promote v1.2.0 5 done", "rollback v1.1.0 4 done"}
			if h.Standing != tag.Settled || !slices.Equal(actions[:4], want) {
				t.Errorf("%s: %q", h.Standing, actions)
			}
		})
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

// TestAudit: each kind of harm is a finding, with what to do.
func TestAudit(t *testing.T) {
	origin, _, pub := rolledBack(t)
	if r := origin.must("audit", "--key", pub); !strings.Contains(r.stdout, "3 versions, 7 records and 1 channels: 0 findings, 0 unknown") {
		t.Errorf("nothing was harmed: %v", r)
	}
	moves := origin.journal(t, pub).Moves
	for code, harm := range map[string]func(t *testing.T, s *sandbox){
		"invalid-record":  func(t *testing.T, s *sandbox) { damage(t, s, moves[0].Tag) },
		"gap":             func(t *testing.T, s *sandbox) { s.untag(t, moves[2].Tag) },
		"moved-outside":   func(t *testing.T, s *sandbox) { s.crane(t, "v1.0.0") },
		"unrecorded":      func(t *testing.T, s *sandbox) { s.untag(t, moves[0].Tag, moves[1].Tag, moves[2].Tag, moves[3].Tag) },
		"deleted-version": func(t *testing.T, s *sandbox) { s.untag(t, "v1.0.0") },
		"no-record":       func(t *testing.T, s *sandbox) { s.untag(t, "release.v1.0.0") },
		"signature-gone": func(t *testing.T, s *sandbox) {
			d, err := open(t, s, "frontend").Resolve(t.Context(), "v1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			s.untag(t, strings.Replace(d.String(), ":", "-", 1))
		},
		"relabelled": relabel,
		"changed":    func(t *testing.T, s *sandbox) { relabel(t, s); s.untag(t, "release.v1.0.0") },
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := origin.copyOf(t)
			harm(t, s)
			r := s.run("audit", "--key", pub, "-o", "json")
			var res release.AuditResult
			if err := json.Unmarshal([]byte(r.stdout), &res); err != nil || r.code != 3 {
				t.Fatal(err, r)
			}
			findings := res.Components[0].Findings
			if i := slices.IndexFunc(findings, func(f release.AuditFinding) bool { return f.Code == code }); i < 0 || findings[i].Do == "" ||
				findings[i].Message == "" {
				t.Errorf("%+v", findings)
			}
		})
	}
	if r := origin.run("audit", "--key", strings.TrimSuffix(origin.key(), ".key")+".pub"); r.code != 1 ||
		!strings.Contains(r.stdout, "signed with another key") || strings.Contains(r.stdout, "unsigned") {
		t.Errorf("with another key: %v", r)
	}
}

// TestMirror: a copy of a registry has a journal that counts. At another path the config says where it was copied from.
func TestMirror(t *testing.T) {
	origin, key, pub := rolledBack(t)
	s := origin.copyOf(t)
	repositories := filepath.Join(s.content, "docker/registry/v2/repositories")
	if err := os.CopyFS(filepath.Join(repositories, "edge/mirror"), os.DirFS(filepath.Join(repositories, origin.prefix))); err != nil {
		t.Fatal(err)
	}
	s.must("rollback", "frontend", "--key", key, "--dry-run") // another host, the same path
	s.prefix = "edge/mirror"
	if r := s.run("status", "frontend", "--key", pub, "--exit-code"); r.code != 3 || !strings.Contains(r.stdout, "invalid record") {
		t.Errorf("records of elsewhere count: %v", r)
	}
	s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nmirrors: ["+origin.prefix+"]\n")
	s.commit("mirrors")
	s.must("status", "frontend", "--key", pub, "--exit-code")
	s.must("rollback", "frontend", "--key", key)
	s.at(t, "v1.0.0")
	if h := s.journal(t, pub); h.Standing != tag.Settled || h.Moves[0].Sequence != 5 {
		t.Errorf("%+v", h)
	}
}

// TestPublishUnread: a record that the registry does not give stops a publication from moving the channel, with 1, and no promotion.
func TestPublishUnread(t *testing.T) {
	s, key, pub := rolledBack(t)
	newest := s.journal(t, pub).Moves[0].Tag
	s.component("frontend", "new")
	s.commit("new")
	broken := func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, newest) {
			return registrytest.InternalError
		}
		return registrytest.None
	}
	s.registry.FaultAt(broken)
	r := s.run("publish", "frontend", "--key", key, "--version", "v1.3.0")
	if r.code != 1 ||
		!strings.Contains(r.stderr, "v1.3.0 is published, but latest-stable did not follow: record "+newest+" cannot be checked") {
		t.Errorf("%v", r)
	}
	s.at(t, "v1.1.0")
	s.registry.FaultAt(broken)
	if r := s.run("status", "frontend", "--key", pub); r.code != 1 || !strings.Contains(r.stdout, "cannot-check") {
		t.Errorf("%v", r)
	}
	if r := s.must("promote", "frontend", "v1.3.0", "--key", key); !strings.Contains(r.stdout,
		"the move goes on without it, and says so on record") {
		t.Errorf("%v", r)
	}
	s.at(t, "v1.3.0")
	s.must("status", "frontend", "--key", pub, "--exit-code")
}

// searchable is a log in front of another one that answers searches, as Rekor does with an index: for the digests that a
// statement is about.
func searchable(t *testing.T, upstream string) *httptest.Server {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	index := map[string][]string{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.URL.Path == "/api/v1/index/retrieve" {
			var asked struct{ Hash string }
			_ = json.Unmarshal(body, &asked)
			mu.Lock()
			defer mu.Unlock()
			_ = json.NewEncoder(w).Encode(slices.Concat([]string{}, index[asked.Hash]))
			return
		}
		rec := httptest.NewRecorder()
		proxy.ServeHTTP(rec, r)
		if r.URL.Path == "/api/v1/log/entries" && rec.Code == http.StatusCreated {
			var entry struct {
				Spec struct{ ProposedContent struct{ Envelope string } }
			}
			var envelope struct{ Payload []byte }
			var statement struct {
				Subject []struct{ Digest map[string]string }
			}
			var made map[string]any
			err := errors.Join(json.Unmarshal(body, &entry), json.Unmarshal([]byte(entry.Spec.ProposedContent.Envelope), &envelope),
				json.Unmarshal(envelope.Payload, &statement),
				json.Unmarshal(rec.Body.Bytes(), &made))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			for id := range made {
				key := "sha256:" + statement.Subject[0].Digest["sha256"]
				index[key] = append(index[key], id)
			}
			mu.Unlock()
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	return server
}

// TestAuditAsksTheLog: the log knows of a record that somebody deleted.
func TestAuditAsksTheLog(t *testing.T) {
	st := sigstore(t)
	log := searchable(t, st.env["SIGSTORE_REKOR_URL"])
	own := *st
	own.env = maps.Clone(st.env)
	own.env["SIGSTORE_REKOR_URL"] = log.URL
	s := shelf(t, &own)
	s.must(append([]string{"rollback", "frontend"}, own.flags()...)...)
	if r := s.must("audit", "--rekor-url", log.URL); !strings.Contains(r.stdout, "0 findings, 0 unknown") {
		t.Errorf("nothing is missing: %v", r)
	}
	newest := s.history(t).Moves[0]
	s.untag(t, newest.Tag, tag.DoneTag(newest.Tag))
	s.crane(t, "v2.0.0") // as it was before
	s.must("audit")
	r := s.run("audit", "--rekor-url", log.URL)
	if r.code != 3 || !strings.Contains(r.stdout, "not-here") || !strings.Contains(r.stdout, "publish.yaml@refs/heads/main") {
		t.Errorf("a deleted record: %v", r)
	}
	if r := s.must("audit", "--rekor-url", st.env["SIGSTORE_REKOR_URL"]); !strings.Contains(r.stdout,
		"note: the transparency log has no search index") {
		t.Errorf("a log without an index: %v", r)
	}
	if r := s.run("audit", "--rekor-url", "http://127.0.0.1:1"); r.code != 1 || !strings.Contains(r.stderr, "Rekor") {
		t.Errorf("no log: %v", r)
	}
}
