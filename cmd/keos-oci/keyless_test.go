package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
)

func published(t testing.TB, r result) release.PublishResult {
	t.Helper()
	var res release.PublishResult
	if err := json.Unmarshal([]byte(r.stdout), &res); err != nil {
		t.Fatalf("%v\n%v", err, r)
	}
	return res
}

// TestKeylessPublish: a workflow on main publishes, verify accepts it for latest and for nothing else.
func TestKeylessPublish(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	for _, name := range []string{"frontend", "backend"} {
		s.component(name, "1")
	}
	s.commit("one")
	s.git("remote", "add", "origin", "https://github.com/org/apps.git")
	s.keyless(st, "publish.yaml", "refs/heads/main")

	fulcio, rekor := registrytest.To(t, st.env["SIGSTORE_FULCIO_URL"]), registrytest.To(t, st.env["SIGSTORE_REKOR_URL"])
	flags := []string{"--fulcio-url", fulcio.URL, "--rekor-url", rekor.URL, "--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"]}
	res := published(t, s.must(append([]string{"publish", "-o", "json"}, flags...)...))
	if res.Summary.Published != 2 {
		t.Fatalf("%+v", res)
	}
	for _, c := range res.Components {
		if len(c.Signatures) != 1 || c.Signatures[0].Subject != "https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main" {
			t.Errorf("%s signed by %v", c.Name, c.Signatures)
		}
	}
	if n := fulcio.Count(""); n != 1 {
		t.Errorf("%d requests to Fulcio for 2 components", n)
	}
	if n := rekor.Count(""); n != 2 {
		t.Errorf("%d requests to Rekor for 2 signatures: %v", n, rekor.Requests())
	}
	trust := []string{"--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"]}
	issuer := []string{"--certificate-oidc-issuer", st.env["SIGSTORE_ISSUER"]}
	verify := func(args ...string) result { return s.run(append(append([]string{"verify"}, args...), trust...)...) }
	subject := "https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main"
	if r := verify(append(issuer, "frontend", "--certificate-identity", subject)...); r.code != 0 {
		t.Error(r)
	}
	for what, args := range map[string][]string{
		"other subject":      append(issuer, "frontend", "--certificate-identity", subject+"x"),
		"unanchored pattern": append(issuer, "frontend", "--certificate-identity-regexp", "https://github.com/org/app"),
		"other issuer": {"frontend", "--certificate-identity", subject, "--certificate-oidc-issuer",
			"https://token.actions.githubusercontent.com"},
	} {
		if r := verify(args...); r.code != 3 {
			t.Errorf("%s: %v", what, r)
		}
	}
	config := filepath.Join(s.dir, "keos-oci.yaml")
	kept := mustRead(t, config)
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	if r := verify("frontend"); r.code != 3 {
		t.Errorf("the default of GitHub's issuer: %v", r)
	}
	s.registry.Reset()
	if r := s.run(append([]string{"publish"}, flags...)...); r.code != 3 || s.registry.Count("PUT")+s.registry.Count("POST") != 0 {
		t.Errorf("publish asks what verify asks, and this run's identity is not of GitHub's issuer: %v %v", r, s.registry.Requests())
	}
	writeFile(t, config, kept)
	if r := s.must(append([]string{"publish", "-o", "json"}, flags...)...); published(t, r).Summary.Unchanged != 2 {
		t.Error(r)
	}
	if n := fulcio.Count(""); n != 2 { // the first run, and the one that was refused
		t.Errorf("an unchanged run asked Fulcio: %d", n)
	}
}

// TestReleaseAddsItsIdentity: the version names the digest that staging runs, with a second signature.
func TestReleaseAddsItsIdentity(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.component("backend", "1")
	branch := *s
	branch.keyless(st, "publish.yaml", "refs/heads/main")
	s.commit("one")
	tagged := *s
	tagged.keyless(st, "release.yaml", "refs/tags/frontend/v1.0.0")

	first := published(t, branch.must(append([]string{"publish", "-o", "json"}, st.flags()...)...))
	second := published(t, tagged.must(append([]string{"publish", "-o", "json", "--ref", "refs/tags/frontend/v1.0.0"}, st.flags()...)...))
	if len(second.Components) != 1 || second.Components[0].Digest != first.Components[1].Digest || second.Components[0].Reused != "latest" {
		t.Fatalf("the version is not what the branch published:\n%+v\n%+v", first, second)
	}
	for identity, code := range map[string]int{"publish.yaml@refs/heads/main": 0, "release.yaml@refs/tags/frontend/v1.0.0": 0,
		"release.yaml@refs/tags/backend/v1.0.0": 3} {
		r := s.run("verify", "frontend:v1.0.0", "--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"], "--certificate-oidc-issuer",
			st.env["SIGSTORE_ISSUER"],
			"--certificate-identity", "https://github.com/org/apps/.github/workflows/"+identity)
		if r.code != code {
			t.Errorf("%s: want %d, got %v", identity, code, r)
		}
	}
	s.registry.Reset()
	again := published(t, tagged.must(append([]string{"publish", "-o", "json", "--ref", "refs/tags/frontend/v1.0.0"}, st.flags()...)...))
	if again.Summary.Unchanged != 1 || s.registry.Count("PUT") != 0 {
		t.Errorf("a repeated release wrote: %v", s.registry.Requests())
	}
}

func TestTokenFaults(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	plain := s.env
	for what, c := range map[string]struct {
		env  []string
		code int
		want string
	}{
		"no id-token: write": {[]string{"GITHUB_ACTIONS=true"}, 1, "id-token: write"},
		"expired token": {[]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=runner-token", "ACTIONS_ID_TOKEN_REQUEST_URL=" +
			st.env["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&ttl=-10m"}, 1, "expired"},
		"wrong runner token": {[]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=s3cr3t-runner", "ACTIONS_ID_TOKEN_REQUEST_URL=" +
			st.env["ACTIONS_ID_TOKEN_REQUEST_URL"]}, 1, "401"},
		"no token at all": {nil, 1, "SIGSTORE_ID_TOKEN"},
		"not a token":     {[]string{"SIGSTORE_ID_TOKEN=s3cr3t"}, 1, "no JWT"},
	} {
		t.Run(what, func(t *testing.T) {
			s.env = append(plain[:len(plain):len(plain)], c.env...)
			s.registry.Reset()
			r := s.run(append([]string{"publish", "--log-level", "debug"}, st.flags()...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) || strings.Contains(r.stdout+r.stderr, "s3cr3t") {
				t.Errorf("want %d and %q: %v", c.code, c.want, r)
			}
			if n := s.registry.Count("PUT") + s.registry.Count("POST"); n != 0 {
				t.Errorf("the registry was changed: %v", s.registry.Requests())
			}
		})
	}
}

// TestResign: --resign adds another identity to what has not changed, once.
func TestResign(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	first, second := *s, *s
	first.keyless(st, "publish.yaml", "refs/heads/main")
	second.keyless(st, "other.yaml", "refs/heads/main")
	first.must(append([]string{"publish"}, st.flags()...)...)
	for i, signatures := range []int{1, 2, 2} {
		if i > 0 {
			second.must(append([]string{"publish", "--resign"}, st.flags()...)...)
		}
		r := s.must("verify", "frontend", "-o", "json", "--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"], "--certificate-oidc-issuer",
			st.env["SIGSTORE_ISSUER"],
			"--certificate-identity", "https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main")
		if n := strings.Count(r.stdout, `"subject"`); n != signatures {
			t.Errorf("run %d: %d signatures, want %d: %v", i, n, signatures, r)
		}
	}
}

// TestConfiguredIdentity: a run whose identity clusters would refuse is refused before anything is tagged.
func TestConfiguredIdentity(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.write("keos-oci.yaml",
		"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning:\n  identity: {issuer: "+st.env["SIGSTORE_ISSUER"]+
			", subject: https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main}\n")
	s.commit("one")
	stranger := *s
	stranger.keyless(st, "evil.yaml", "refs/heads/main")
	r := stranger.run(append([]string{"publish"}, st.flags()...)...)
	if r.code != 3 ||
		!strings.Contains(r.stderr, "clusters expect https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main") {
		t.Error(r)
	}
	if r := s.must("list", "frontend"); r.stdout != "" {
		t.Errorf("tagged: %v", r)
	}
	s.keyless(st, "publish.yaml", "refs/heads/main")
	s.must(append([]string{"publish"}, st.flags()...)...)
	s.must("verify", "frontend", "--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"])
}

// TestSigningConfig: the services may come from a signing_config.json, as Sigstore's own TUF root gives them.
func TestSigningConfig(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	s.keyless(st, "publish.yaml", "refs/heads/main")
	s.must("publish", "--signing-config", st.env["SIGSTORE_SIGNING_CONFIG"], "--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"])
}

// TestKeyWithLog: with --key and --rekor-url the signature is logged as well.
func TestKeyWithLog(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	key := s.key()
	rekor := registrytest.To(t, st.env["SIGSTORE_REKOR_URL"])
	s.must("publish", "--key", key, "--rekor-url", rekor.URL, "--signature-format", "both")
	if n := rekor.Count("POST /api/v1/log/entries"); n != 2 {
		t.Errorf("%d log entries for a bundle and a legacy signature", n)
	}
	s.must("verify", "frontend", "--key", strings.TrimSuffix(key, ".key")+".pub")
}

// TestGitHubDefaults: on GitHub nothing needs to be configured. Branch, release and mover each have the identity that the
// default policy expects of them, and whoever has another one is refused before anything is written.
func TestGitHubDefaults(t *testing.T) {
	st := githubSigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.component("backend", "1")
	s.commit("one")
	s.git("remote", "add", "origin", "git@github.com:org/apps.git")
	as := func(workflow, ref string) *sandbox {
		c := *s
		c.keyless(st, workflow, ref)
		return &c
	}
	trust := []string{"--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"]}
	run := func(s *sandbox, args ...string) result { return s.run(append(args, st.flags()...)...) }
	expect := func(what string, code int, r result) {
		t.Helper()
		if r.code != code {
			t.Errorf("%s: want exit %d: %v", what, code, r)
		}
	}
	branch, release := as("publish.yaml", "refs/heads/main"), as("release.yaml", "refs/tags/frontend/v1.0.0")
	expect("another branch that says it is main", 3, run(as("publish.yaml", "refs/heads/evil"), "publish", "--ref", "refs/heads/main"))
	if n := s.registry.Count("PUT") + s.registry.Count("POST"); n != 0 {
		t.Errorf("the refused run wrote: %v", s.registry.Requests())
	}
	expect("main", 0, run(branch, "publish"))
	expect("verify latest", 0, s.run(append(trust, "verify", "frontend")...))
	expect("another component's release", 3, run(as("release.yaml", "refs/tags/backend/v1.0.0"), "publish", "--version", "v1.0.0", "frontend"))
	expect("the release", 0, run(release, "publish", "--ref", "refs/tags/frontend/v1.0.0"))
	for _, tag := range []string{"v1.0.0", "latest-stable", "latest"} {
		expect("verify "+tag, 0, s.run(append(trust, "verify", "frontend:"+tag)...))
	}
	s.component("frontend", "2")
	s.commit("two")
	expect("next release", 0, run(as("release.yaml", "refs/tags/frontend/v1.1.0"), "publish", "--ref", "refs/tags/frontend/v1.1.0",
		"--no-promote"))
	expect("a mover from another branch", 3, run(as("promote.yaml", "refs/heads/evil"), "promote", "frontend", "v1.1.0"))
	expect("a mover from main", 0, run(as("promote.yaml", "refs/heads/main"), "promote", "frontend", "v1.1.0"))
	r := s.run(append(trust, "history", "frontend", "-o", "json")...)
	if strings.Contains(r.stdout, `"invalid"`) || !strings.Contains(r.stdout, `"done"`) {
		t.Error(r)
	}
}
