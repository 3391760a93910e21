package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// everyTag judges each tag of frontend that a cluster could follow, by GitHub's default policies.
func everyTag(ctx context.Context, t testing.TB, s *sandbox, st *stack, what string) {
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	workspace := frontendOf(t, s)
	rules := &trust.Rules{Remote: func() (string, error) { return "https://github.com/org/apps", nil },
		Verifier: sign.NewVerifier(sign.VerifierOptions{Services: sign.Services{TrustedRoot: st.env["SIGSTORE_TRUSTED_ROOT"]},
			NotFound: isNotFound, Unanswered: registry.Unanswered})}
	gate := trust.New(rules, client, nil)
	repo := gate.Open(workspace.Repository)
	tags, err := repo.Tags(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	for _, name := range tags {
		if _, _, record := tag.ParseRecordTag(name); record || registry.IsReferrersTag(name) || tag.IsReleaseTag(name) {
			continue
		}
		_, raw, err := repo.Manifest(ctx, name)
		if errors.Is(err, registry.ErrNotFound) {
			continue // distribution lists a tag before it points to anything
		}
		if err != nil {
			t.Error(err)
			continue
		}
		a, err := pack.ParseArtifact(raw)
		if err != nil {
			t.Error(err)
			continue
		}
		if v := gate.Judge(ctx, trust.Question{Component: workspace, Tags: []string{name}, Artifact: a}); v.Answer != trust.Accepted {
			t.Errorf("after %s: %s is %s: %v", what, name, v.Answer, v.Err)
		}
	}
}

func frontendOf(t testing.TB, s *sandbox) component.Component {
	t.Helper()
	var app component.Component
	app.Name, app.GitTag = "frontend", "frontend/v{version}"
	app.Channels = component.Channels{{Name: "latest", From: component.FromBranch, Branch: "main"},
		{Name: "latest-stable", From: component.FromVersion, Promote: component.PromoteAuto, Journal: true}}
	app.Repository = mustRepository(t, s.registry.Host()+"/r/apps/frontend")
	return app
}

// together is a sandbox in which frontend is published by main, ready for several releases of the same commit.
func together(t testing.TB, st *stack, api bool) *sandbox {
	t.Helper()
	s := newSandbox(t)
	if api {
		s.registry = registrytest.NewProxy(t, ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0))))
	}
	s.component("frontend", "1")
	s.commit("one")
	s.git("remote", "add", "origin", "git@github.com:org/apps.git")
	main := *s
	main.keyless(st, "publish.yaml", "refs/heads/main")
	main.must(append([]string{"publish"}, st.flags()...)...)
	return s
}

// releaseOf is a release run of a version, and its command line.
func (s *sandbox) releaseOf(st *stack, version string) (*sandbox, []string) {
	c := *s
	c.keyless(st, "release.yaml", "refs/tags/frontend/"+version)
	return &c, append([]string{"publish", "--no-promote", "--ref", "refs/tags/frontend/" + version}, st.flags()...)
}

// TestReleasesTogether: one release is stopped at each of its requests in turn while another release of the same digest runs to
// its end, and then goes on. After every write every tag is what its policy accepts, and no signature is lost.
func TestReleasesTogether(t *testing.T) {
	st := githubSigstore(t)
	for _, api := range []bool{false, true} {
		t.Run(fmt.Sprintf("api %v", api), func(t *testing.T) {
			t.Parallel()
			count := together(t, st, api)
			run, args := count.releaseOf(st, "v1.0.0")
			alone := newStopper(t, count.registry.URL, -1, nil)
			if r := run.through(t, alone, args...)(); r.code != 0 {
				t.Fatal(r)
			}
			t.Logf("%d requests of one release", alone.n)
			if alone.n < 10 {
				t.Fatalf("only %d requests", alone.n)
			}
			for at := range alone.n {
				t.Run(fmt.Sprint(at), func(t *testing.T) {
					t.Parallel()
					s := together(t, st, api)
					var mu sync.Mutex
					after := func(what string) {
						mu.Lock()
						defer mu.Unlock()
						everyTag(t.Context(), t, s, st, what)
					}
					first, firstArgs := s.releaseOf(st, "v1.0.0")
					stopped := newStopper(t, s.registry.URL, at, after)
					wait := first.through(t, stopped, firstArgs...)
					done := make(chan result, 1)
					go func() { done <- wait() }()
					select {
					case <-stopped.reached:
					case r := <-done: // requests go side by side, so that one run may make one less
						if r.code != 0 {
							t.Error(r)
						}
						return
					}
					second, secondArgs := s.releaseOf(st, "v1.1.0")
					if r := second.through(t, newStopper(t, s.registry.URL, -1, after), secondArgs...)(); r.code != 0 {
						t.Errorf("the second release: %v", r)
					}
					close(stopped.release)
					if r := <-done; r.code != 0 {
						t.Errorf("the stopped release: %v", r)
					}
					released(t, s, st, "v1.0.0", "v1.1.0")
				})
			}
		})
	}
}

// released checks that each version is accepted, and that all are one digest.
func released(t *testing.T, s *sandbox, st *stack, versions ...string) {
	t.Helper()
	everyTag(t.Context(), t, s, st, "the end")
	repo := open(t, s, "frontend")
	digests := map[string]bool{}
	for _, v := range versions {
		d, err := repo.Resolve(t.Context(), v)
		if err != nil {
			t.Errorf("%s: %v", v, err)
		}
		digests[d.String()] = true
	}
	if len(digests) != 1 {
		t.Errorf("%v are different digests: %v", versions, digests)
	}
}

// TestThreeReleasesTogether: two are stopped, right before they read and right before they write the list of signatures, while a
// third runs to its end; then both go on at once.
func TestThreeReleasesTogether(t *testing.T) {
	st := githubSigstore(t)
	origin := together(t, st, false)
	run, args := origin.copyOf(t).releaseOf(st, "v1.0.0")
	probe := newStopper(t, run.registry.URL, -1, nil)
	if r := run.through(t, probe, args...)(); r.code != 0 {
		t.Fatal(r)
	}
	read, write := listRequests(t, probe)
	for _, at := range [][2]int{{read, read}, {read, write}, {write, read}, {write, write}} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			s := together(t, st, false)
			after := func(what string) { everyTag(t.Context(), t, s, st, what) }
			var stops []*stopper
			done := make(chan result, 2)
			for i, version := range []string{"v1.0.0", "v1.1.0"} {
				run, args := s.releaseOf(st, version)
				stop := newStopper(t, s.registry.URL, at[i], after)
				stops = append(stops, stop)
				wait := run.through(t, stop, args...)
				go func() { done <- wait() }()
				<-stop.reached
			}
			third, args := s.releaseOf(st, "v1.2.0")
			if r := third.through(t, newStopper(t, s.registry.URL, -1, after), args...)(); r.code != 0 {
				t.Errorf("the third release: %v", r)
			}
			for _, stop := range stops {
				close(stop.release)
			}
			for range stops {
				if r := <-done; r.code != 0 {
					t.Errorf("a stopped release: %v", r)
				}
			}
			released(t, s, st, "v1.0.0", "v1.1.0", "v1.2.0")
		})
	}
}

// TestOneVersionTwice: two runs release one version with different content, of which one is stopped at each request in turn. One of
// them gets the version, the other ends with 3; the version never changes, and its record says what it is.
func TestOneVersionTwice(t *testing.T) {
	st := githubSigstore(t)
	origin := together(t, st, false)
	probe, args := origin.copyOf(t).releaseOf(st, "v1.0.0")
	alone := newStopper(t, probe.registry.URL, -1, nil)
	if r := probe.through(t, alone, args...)(); r.code != 0 {
		t.Fatal(r)
	}
	for at := range alone.n {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			s := origin.copyOf(t)
			first, args := s.releaseOf(st, "v1.0.0")
			stopped := newStopper(t, s.registry.URL, at, nil)
			wait := first.through(t, stopped, args...)
			done := make(chan result, 1)
			go func() { done <- wait() }()
			<-stopped.reached
			other := *first
			other.dir = filepath.Join(t.TempDir(), "w")
			if out, err := exec.Command("cp", "-r", s.dir, other.dir).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			other.t = t
			other.component("frontend", "2")
			other.commit("two")
			second := other.run(args...)
			before, _ := open(t, s, "frontend").Resolve(t.Context(), "v1.0.0")
			close(stopped.release)
			r := <-done
			if codes := [2]int{r.code, second.code}; codes != [2]int{0, 3} && codes != [2]int{3, 0} {
				t.Errorf("exit codes %v: %v\n%v", codes, r, second)
			}
			after, err := open(t, s, "frontend").Resolve(t.Context(), "v1.0.0")
			if err != nil || before != "" && after != before {
				t.Errorf("v1.0.0 was %s and is %s: %v", before, after, err)
			}
			everyTag(t.Context(), t, s, st, "the end")
		})
	}
}

// listRequests finds the last read of the list of signatures before it is written, and the write.
func listRequests(t *testing.T, p *stopper) (read, write int) {
	t.Helper()
	isList := func(path string) bool {
		name := path[strings.LastIndex(path, "/")+1:]
		return strings.HasPrefix(name, "sha256-") && !strings.Contains(name, ".")
	}
	for i, r := range p.Requests() {
		switch {
		case !isList(r.Path):
		case r.Method == http.MethodPut:
			return read, i
		default:
			read = i
		}
	}
	t.Fatalf("the list of signatures was not written: %v", p.Requests())
	return 0, 0
}

// TestInteropCosignBeside: a release is stopped at each of its requests while cosign signs the same digest with a key.
func TestInteropCosignBeside(t *testing.T) {
	cosign := os.Getenv("KEOS_OCI_COSIGN3")
	if cosign == "" {
		t.Skip("needs KEOS_OCI_COSIGN3: run make interop")
	}
	st := githubSigstore(t)
	probe := together(t, st, false)
	run, args := probe.releaseOf(st, "v1.0.0")
	alone := newStopper(t, probe.registry.URL, -1, nil)
	if r := run.through(t, alone, args...)(); r.code != 0 {
		t.Fatal(r)
	}
	for at := range alone.n {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			s := together(t, st, false)
			key := s.key()
			after := func(what string) { everyTag(t.Context(), t, s, st, what) }
			run, args := s.releaseOf(st, "v1.0.0")
			stopped := newStopper(t, s.registry.URL, at, after)
			wait := run.through(t, stopped, args...)
			done := make(chan result, 1)
			go func() { done <- wait() }()
			select {
			case <-stopped.reached:
			case r := <-done: // as above
				if r.code != 0 {
					t.Error(r)
				}
				return
			}
			d, err := open(t, s, "frontend").Resolve(t.Context(), "latest")
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), cosign, "sign", "--key", key, "--tlog-upload=false", "--use-signing-config=false", "--yes",
				s.registry.Host()+"/r/apps/frontend@"+d.String())
			cmd.Env = append(slices.Clip(s.env), "COSIGN_PASSWORD=pw")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("cosign: %v\n%s", err, out)
			}
			close(stopped.release)
			if r := <-done; r.code != 0 {
				t.Errorf("the release: %v", r)
			}
			released(t, s, st, "v1.0.0")
		})
	}
}

func mustRepository(t testing.TB, s string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(s)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
