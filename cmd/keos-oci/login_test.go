package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// eavesdropper is an HTTP proxy that all hosts but this machine are reached through.
type eavesdropper struct {
	*registrytest.Proxy
	mu    sync.Mutex
	heard strings.Builder
}

// eavesdrop makes the sandbox's commands reach other hosts through a proxy, which answers as upstream does.
func (s *sandbox) eavesdrop(t *testing.T, upstream http.HandlerFunc) *eavesdropper {
	t.Helper()
	e := &eavesdropper{}
	e.Proxy = registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		fmt.Fprintln(&e.heard, r.Method, r.URL, r.Header, string(body))
		e.mu.Unlock()
		upstream(w, r)
	}))
	for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
		s.env = append(s.env, name+"="+e.URL)
	}
	s.env = append(s.env, "NO_PROXY=", "no_proxy=")
	return e
}

// logIn writes docker's config for the host, with a password or an identity token.
func (s *sandbox) logIn(t *testing.T, host, secret string, identity bool) {
	t.Helper()
	dir := t.TempDir()
	entry := fmt.Sprintf(`"auth": %q`, base64.StdEncoding.EncodeToString([]byte("user:"+secret)))
	if identity {
		entry = fmt.Sprintf(`"auth": %q, "identitytoken": %q`, base64.StdEncoding.EncodeToString([]byte("00000000-0000-0000-0000-000000000000:")), secret)
	}
	writeFile(t, filepath.Join(dir, "config.json"), fmt.Sprintf(`{"auths": {%q: {%s}}}`, host, entry))
	s.env = append(s.env, "DOCKER_CONFIG="+dir)
}

// TestLoginGoesNowhereElse: whatever token server a registry names, no login goes to another host without TLS, in the first request
// or through a redirect.
func TestLoginGoesNowhereElse(t *testing.T) {
	const secret, elsewhere = "hunter2hunter2", "http://elsewhere.test/token"
	for name, tc := range map[string]struct {
		identity, redirect bool
		want               string
	}{
		"password":                {want: "login not sent: 127.0.0.1"},
		"identity token":          {identity: true, want: "login not sent: 127.0.0.1"},
		"password redirected":     {redirect: true},
		"identity token, as well": {redirect: true, identity: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(t)
			s.component("frontend", "x")
			s.commit("one")
			s.registry = registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
					return
				}
				realm := elsewhere
				if tc.redirect {
					realm = "http://" + r.Host + "/token"
				}
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="x"`, realm))
				w.WriteHeader(http.StatusUnauthorized)
			}))
			e := s.eavesdrop(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"x"}`) })
			s.logIn(t, s.registry.Host(), secret, tc.identity)
			r := s.run("list", "frontend")
			heard := e.heard.String()
			if strings.Contains(heard, secret) || strings.Contains(heard, "Authorization") {
				t.Errorf("elsewhere got the login: %s", heard)
			}
			if r.code != 1 || !strings.Contains(r.stderr, tc.want) || strings.Contains(r.stderr, secret) || tc.want != "" &&
				!strings.Contains(r.stderr, "http://elsewhere.test") {
				t.Errorf("want %q: %v", tc.want, r)
			}
		})
	}
}

// TestLoginWithoutTLS: a registry without TLS may have its token server on the same host.
func TestLoginWithoutTLS(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "x")
	s.commit("one")
	key := s.key()
	s.must("publish", "--key", key)
	s.registry.RequireToken("user:secret")
	s.eavesdrop(t, s.registry.ServeHTTP)
	s.logIn(t, "registry.test", "secret", false)
	if r := s.must("list", "frontend", "--plain-http", "--registry", "registry.test/"+s.prefix); !strings.Contains(r.stdout, "latest") {
		t.Error(r)
	}
}
