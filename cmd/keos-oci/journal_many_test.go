package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

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
