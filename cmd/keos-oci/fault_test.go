package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/sign"
)

// services are the three servers of a keyless publish, each behind a proxy that can break requests.
type services struct {
	registry, fulcio, rekor *registrytest.Proxy
}

func (s services) all() []*registrytest.Proxy {
	return []*registrytest.Proxy{s.registry, s.fulcio, s.rekor}
}

// faulty is a sandbox whose publish signs keyless through breakable proxies.
func faulty(t testing.TB, st *stack) (*sandbox, services, []string) {
	t.Helper()
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	s.keyless(st, "publish.yaml", "refs/heads/main")
	v := services{s.registry, registrytest.To(t, st.env["SIGSTORE_FULCIO_URL"]), registrytest.To(t, st.env["SIGSTORE_REKOR_URL"])}
	return s, v, []string{"publish", "-o", "json", "--fulcio-url", v.fulcio.URL, "--rekor-url", v.rekor.URL, "--trusted-root",
		st.env["SIGSTORE_TRUSTED_ROOT"]}
}

// open gives a component's repository, read past the faults of the sandbox's proxy.
func open(t testing.TB, s *sandbox, component string) *registry.Repository {
	t.Helper()
	s.registry.FaultAt(nil)
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := name.NewRepository(s.registry.Host() + "/" + s.prefix + "/" + component)
	if err != nil {
		t.Fatal(err)
	}
	return client.Open(repo)
}

// tagged gives the digest of every tag that a cluster could follow, and checks that each is validly signed.
func tagged(t testing.TB, s *sandbox, st *stack) map[string]string {
	t.Helper()
	repo := open(t, s, "frontend")
	tags, err := repo.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	verifier := sign.NewVerifier(sign.VerifierOptions{Services: sign.Services{TrustedRoot: st.env["SIGSTORE_TRUSTED_ROOT"]},
		NotFound: isNotFound, Unanswered: registry.Unanswered})
	digests := map[string]string{}
	for _, tag := range tags {
		if registry.IsReferrersTag(tag) {
			continue
		}
		d, err := repo.Resolve(t.Context(), tag)
		if errors.Is(err, registry.ErrNotFound) {
			continue // distribution lists a tag before it names anything, for ever if the client goes in between
		}
		if err != nil {
			t.Fatal(err)
		}
		fresh := open(t, s, "frontend") // the listing above must not spare look-ups
		found, err := verifier.Signatures(t.Context(), fresh, d, sign.Search{Keyless: func() (bool, error) { return true, nil }})
		if err != nil || len(found.Valid) == 0 {
			t.Errorf("tag %s names unsigned content %s: %v %v", tag, d, found.Invalid, err)
		}
		if len(found.Valid) > 1 {
			t.Errorf("%s has %d signatures of one identity", d, len(found.Valid))
		}
		digests[tag] = d.String()
	}
	return digests
}

// TestKilledAtEveryRequest is promises 1 and 6: SIGKILL at each request of a run, in turn. No tag names unsigned content,
// and a second run completes it with the same digests.
func TestKilledAtEveryRequest(t *testing.T) {
	st := sigstore(t)
	s, _, args := faulty(t, st)
	s.must(args...)
	want := tagged(t, s, st)
	var steps []string
	for which, proxy := range []string{"registry", "fulcio", "rekor"} {
		for at := 0; ; at++ {
			before, after := killedRun(t, st, which, at, registrytest.Block, want), killedRun(t, st, which, at, registrytest.BlockAfter, want)
			if !before && !after {
				if at == 0 {
					t.Errorf("%s was never asked", proxy)
				}
				break
			}
			steps = append(steps, fmt.Sprint(proxy, at))
		}
	}
	t.Logf("killed at %d requests: %v", len(steps), steps)
	if len(steps) < 14 {
		t.Errorf("only %d requests were reached", len(steps))
	}
}

// killedRun kills a publish while request number at of one service is open, before or after it took effect, and answers
// whether the run came that far.
func killedRun(t *testing.T, st *stack, which, at int, fault registrytest.Fault, want map[string]string) bool {
	t.Helper()
	s, v, args := faulty(t, st)
	if !s.killedAt(t, v.all()[which], at, fault, args) {
		return false
	}
	for _, p := range v.all() {
		p.FaultAt(nil)
	}
	tagged(t, s, st)
	r := s.run(args...)
	if r.code != 0 {
		t.Errorf("%d/%d: the second run failed: %v", which, at, r)
		return true
	}
	if got := tagged(t, s, st); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d/%d: the second run made %v, want %v", which, at, got, want)
	}
	return true
}

// killedAt runs the command and kills it while request number at of one service is open; false when it ended before.
func (s *sandbox) killedAt(t *testing.T, proxy *registrytest.Proxy, at int, fault registrytest.Fault, args []string) bool {
	t.Helper()
	reached := make(chan struct{})
	proxy.FaultAt(func(n int, _ *http.Request) registrytest.Fault {
		if n != at {
			return registrytest.None
		}
		close(reached)
		return fault
	})
	defer proxy.FaultAt(nil)
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	cmd := s.command(ctx, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-reached:
		kill() // SIGKILL
		<-done
		return true
	case <-done:
		return false
	}
}

// TestEveryFault: each request answered in turn by each fault. The run repeats it away or reports it; a run that says
// done has done it, and no tag ever names unsigned content.
func TestEveryFault(t *testing.T) {
	st := sigstore(t)
	s, _, args := faulty(t, st)
	s.must(args...)
	want := tagged(t, s, st)
	for _, fault := range []registrytest.Fault{registrytest.TooManyRequests, registrytest.InternalError, registrytest.ResetBefore,
		registrytest.ResetAfter, registrytest.Truncated, registrytest.WrongDigest} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			var reported []string
			total := 0
			for which, service := range []string{"registry", "fulcio", "rekor"} {
				for at := 0; ; at++ {
					r, reached := faultedRun(t, st, which, at, fault, want)
					if !reached {
						break
					}
					total++
					if r.code != 0 {
						reported = append(reported, fmt.Sprint(service, at))
					}
				}
			}
			t.Logf("%d requests, reported: %v", total, reported)
			if total < 14 {
				t.Errorf("only %d requests were reached", total)
			}
			if fault != registrytest.WrongDigest && len(reported) > 0 {
				t.Errorf("a single fault was reported instead of repeated: %v", reported)
			}
		})
	}
}

func faultedRun(t *testing.T, st *stack, which, at int, fault registrytest.Fault, want map[string]string) (result, bool) {
	t.Helper()
	s, v, args := faulty(t, st)
	reached := false
	v.all()[which].FaultAt(func(n int, _ *http.Request) registrytest.Fault {
		if n != at {
			return registrytest.None
		}
		reached = true
		return fault
	})
	r := s.run(args...)
	v.all()[which].FaultAt(nil)
	if !reached {
		return r, false
	}
	got := tagged(t, s, st)
	if r.code == 0 && fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d/%d: reported as done, but the tags are %v, want %v", which, at, got, want)
	}
	if again := s.run(args...); again.code != 0 {
		t.Errorf("%d/%d: the next run failed: %v", which, at, again)
	} else if got := tagged(t, s, st); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d/%d: after the next run the tags are %v, want %v", which, at, got, want)
	}
	return r, true
}

// TestRequests counts what a run costs: 3 requests for an unchanged component, at most 16 for a new or changed one with its
// bundle, on a registry without the referrers API, which is probed once a run.
func TestRequests(t *testing.T) {
	s := newSandbox(t)
	key := s.key()
	names := []string{"a", "b", "c", "d"}
	publish := func(value string) int {
		for _, n := range names {
			s.component(n, value)
		}
		s.commit(value)
		s.registry.Reset()
		s.must("publish", "--key", key)
		return s.registry.Count("")
	}
	for what, c := range map[string]struct {
		got, limit int
	}{"first": {publish("1"), 16 * len(names)}, "changed": {publish("2"), 16 * len(names)}, "unchanged": {publish("2"), 3*len(names) + 1}} {
		t.Logf("%s: %d requests for %d components", what, c.got, len(names))
		if c.got > c.limit {
			t.Errorf("%s: %d requests for %d components, at most %d: %v", what, c.got, len(names), c.limit, s.registry.Requests())
		}
	}
	one := newSandbox(t)
	one.component("a", "1")
	one.commit("1")
	key = one.key()
	for _, value := range []string{"1", "2"} {
		one.component("a", value)
		one.commit(value)
		one.registry.Reset()
		one.must("publish", "--key", key)
		if n := one.registry.Count(""); n > 16 {
			t.Errorf("a single component took %d requests: %v", n, one.registry.Requests())
		}
	}
}

// TestTokensOfARun: with a token server as ghcr.io has, one token per repository, and no secret in any output or process
// list.
func TestTokensOfARun(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.component("backend", "1")
	s.commit("one")
	key := s.key()
	const password = "s3cr3t-passw0rd"
	s.registry.RequireToken("bot:" + password)
	home := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"username":"bot","password":%q}}}`, s.registry.Host(), password)
	writeFile(t, home+"/config.json", config)
	s.env = append(slices.Clip(s.env), "DOCKER_CONFIG="+home)
	r := s.must("publish", "--key", key, "--log-level", "debug", "-o", "json")
	if n := s.registry.Count("GET /token"); n != 2 {
		t.Errorf("%d token requests for 2 repositories", n)
	}
	writeFile(t, home+"/config.json", strings.Replace(config, password, "wrong-passw0rd", 1))
	bad := s.run("publish", "--key", key, "--log-level", "debug", "-o", "json")
	if bad.code != 1 || !strings.Contains(bad.stderr, "not logged in") {
		t.Error(bad)
	}
	for _, secret := range []string{password, "wrong-passw0rd", "Bearer", "Basic"} {
		if strings.Contains(r.stdout+r.stderr+bad.stdout+bad.stderr, secret) {
			t.Errorf("the output shows %q", secret)
		}
	}
}
