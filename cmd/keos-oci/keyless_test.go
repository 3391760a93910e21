package main

import (
	"encoding/json"
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
		"other subject":                  append(issuer, "frontend", "--certificate-identity", subject+"x"),
		"unanchored pattern":             append(issuer, "frontend", "--certificate-identity-regexp", "https://github.com/org/app"),
		"other issuer":                   {"frontend", "--certificate-identity", subject, "--certificate-oidc-issuer", "https://token.actions.githubusercontent.com"},
		"the default of GitHub's issuer": {"frontend"},
	} {
		if r := verify(args...); r.code != 3 {
			t.Errorf("%s: %v", what, r)
		}
	}
	if r := s.must(append([]string{"publish", "-o", "json"}, flags...)...); published(t, r).Summary.Unchanged != 2 {
		t.Error(r)
	}
	if n := fulcio.Count(""); n != 1 {
		t.Errorf("an unchanged run asked Fulcio: %d", n)
	}
}

// TestReleaseAddsItsIdentity is promise 4: the version names the digest that staging runs, with a second signature.
func TestReleaseAddsItsIdentity(t *testing.T) {
	st := sigstore(t)
	s := newSandbox(t)
	s.component("frontend", "1")
	s.component("backend", "1")
	s.commit("one")
	branch := *s
	branch.keyless(st, "publish.yaml", "refs/heads/main")
	tagged := *s
	tagged.keyless(st, "release.yaml", "refs/tags/frontend/v1.0.0")

	first := published(t, branch.must(append([]string{"publish", "-o", "json"}, st.flags()...)...))
	second := published(t, tagged.must(append([]string{"publish", "-o", "json", "--ref", "refs/tags/frontend/v1.0.0"}, st.flags()...)...))
	if len(second.Components) != 1 || second.Components[0].Digest != first.Components[1].Digest || second.Components[0].Reused != "latest" {
		t.Fatalf("the version is not what the branch published:\n%+v\n%+v", first, second)
	}
	for identity, code := range map[string]int{"publish.yaml@refs/heads/main": 0, "release.yaml@refs/tags/frontend/v1.0.0": 0, "release.yaml@refs/tags/backend/v1.0.0": 3} {
		r := s.run("verify", "frontend:v1.0.0", "--trusted-root", st.env["SIGSTORE_TRUSTED_ROOT"], "--certificate-oidc-issuer", st.env["SIGSTORE_ISSUER"],
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
		"expired token":      {[]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=runner-token", "ACTIONS_ID_TOKEN_REQUEST_URL=" + st.env["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&ttl=-10m"}, 1, "expired"},
		"wrong runner token": {[]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN=s3cr3t-runner", "ACTIONS_ID_TOKEN_REQUEST_URL=" + st.env["ACTIONS_ID_TOKEN_REQUEST_URL"]}, 1, "401"},
		"no token at all":    {nil, 1, "SIGSTORE_ID_TOKEN"},
		"not a token":        {[]string{"SIGSTORE_ID_TOKEN=s3cr3t"}, 1, "no JWT"},
	} {
		t.Run(what, func(t *testing.T) {
			s.env = append(plain[:len(plain):len(plain)], c.env...)
			r := s.run(append([]string{"publish", "--log-level", "debug"}, st.flags()...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) || strings.Contains(r.stdout+r.stderr, "s3cr3t") {
				t.Errorf("want %d and %q: %v", c.code, c.want, r)
			}
			if n := s.registry.Count("PUT /v2/r/apps/frontend/manifests/latest"); n != 0 {
				t.Error("latest moved")
			}
		})
	}
}
