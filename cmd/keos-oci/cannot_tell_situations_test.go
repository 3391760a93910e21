package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// situation is one thing that is broken, and what a verb says then.
type situation struct {
	verb    []string // and its arguments
	keyless bool     // in the registry whose signatures are keyless
	breaks  func(t *testing.T, h *nightHouse, s *sandbox) (flags []string)
	code    int // 1 unless it is said
	want    []string
	hint    string
}

// front puts f in front of the sandbox's registry; f may leave requests to it.
func front(f func(w http.ResponseWriter, r *http.Request, registry http.Handler)) func(*testing.T, *nightHouse, *sandbox) []string {
	return func(t *testing.T, _ *nightHouse, s *sandbox) []string {
		behind := s.registry
		s.registry = registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, behind) }))
		return nil
	}
}

// server starts a server that answers everything with f.
func server(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	return registrytest.NewProxy(t, f).URL
}

// answers gives always the same answer.
func answers(code int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client has gone
	<-r.Context().Done()
}

// drips sends a byte now and then.
func drips(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// only breaks the requests whose path ends with, or has, what; the others get through.
func only(what string, f http.HandlerFunc) func(*testing.T, *nightHouse, *sandbox) []string {
	return front(func(w http.ResponseWriter, r *http.Request, registry http.Handler) {
		if strings.Contains(r.URL.Path, what) {
			f(w, r)
			return
		}
		registry.ServeHTTP(w, r)
	})
}

func all(f http.HandlerFunc) func(*testing.T, *nightHouse, *sandbox) []string {
	return front(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { f(w, r) })
}

// with gives flags.
func with(flags ...string) func(*testing.T, *nightHouse, *sandbox) []string {
	return func(*testing.T, *nightHouse, *sandbox) []string { return flags }
}

// fulcio is a certificate authority that does f instead, rekor a log.
func fulcio(f http.HandlerFunc) func(*testing.T, *nightHouse, *sandbox) []string {
	return func(t *testing.T, h *nightHouse, _ *sandbox) []string {
		return append(h.st.flags(), "--fulcio-url", server(t, f))
	}
}

func rekor(f http.HandlerFunc) func(*testing.T, *nightHouse, *sandbox) []string {
	return func(t *testing.T, h *nightHouse, _ *sandbox) []string {
		return append(h.st.flags(), "--rekor-url", server(t, f))
	}
}

// tuf is a TUF repository at an address, and own services, so that TUF serves the trusted root alone.
func tuf(address func(*testing.T) string) func(*testing.T, *nightHouse, *sandbox) []string {
	return func(t *testing.T, h *nightHouse, _ *sandbox) []string {
		return []string{"--tuf-mirror", address(t), "--tuf-root", h.tufRoot}
	}
}

// env sets variables.
func env(variables ...string) func(*testing.T, *nightHouse, *sandbox) []string {
	return func(_ *testing.T, _ *nightHouse, s *sandbox) []string {
		s.env = append(s.env, variables...)
		return nil
	}
}

// giveUp is how long a verb may take: parts have a second each here, and the machine may be busy.
const giveUp = 8 * time.Second

const (
	page         = "<html>Please log in</html>"
	slowRegistry = "a slow registry needs a larger --registry-timeout"
	slowSigstore = "a slow Sigstore needs a larger --sigstore-timeout"
	wayToTUF     = "open the way to TUF, or name a file that has the trusted root: --trusted-root FILE"
	inBetween    = "look at the address, and at what is in between"
	sameCommand  = "run the same command again"
)

// situations are what can be broken. {host} is replaced by the address of the registry.
func situations() map[string]situation {
	return map[string]situation{
		// The registry.
		"the registry says nothing": {verb: []string{"status", "frontend", "--key", "PUB"}, breaks: all(hangs),
			want: []string{"the registry {host} did not answer within 1 s"}, hint: slowRegistry},
		"the registry drips": {verb: []string{"rollback", "frontend", "--key", "KEY"}, breaks: only("/tags/list", drips),
			want: []string{"the registry {host} did not answer within 1 s"}, hint: slowRegistry},
		"the registry says nothing about content": {verb: []string{"promote", "frontend", "v1.2.0", "--key", "KEY"},
			breaks: only("/manifests/v1.2.0", hangs), want: []string{"the registry {host} did not answer within 1 s"}, hint: slowRegistry},
		"the registry says nothing to a publish": {verb: []string{"publish", "frontend", "--key", "KEY"}, breaks: all(hangs),
			want: []string{"the registry {host} did not answer within 1 s"}, hint: slowRegistry},
		"the registry takes no content": {verb: []string{"publish", "frontend", "--key", "KEY"}, breaks: only("/blobs/uploads/", hangs),
			want: []string{"the registry {host} did not answer within 1 s"}, hint: slowRegistry},
		"nobody listens": {verb: []string{"history", "frontend", "--key", "PUB"}, breaks: func(t *testing.T, _ *nightHouse, s *sandbox) []string {
			s.registry = registrytest.NewProxy(t, http.NotFoundHandler())
			s.registry.Close()
			return nil
		}, want: []string{"connection refused"}, hint: sameCommand},
		"no such host": {verb: []string{"list", "frontend"}, breaks: with("--registry", "nowhere.test/r/apps"),
			want: []string{"nowhere.test", "unavailable"}},
		"an unknown authority": {verb: []string{"verify", "frontend:v1.0.0", "--key", "PUB"},
			breaks: func(t *testing.T, _ *nightHouse, s *sandbox) []string {
				tls := httptest.NewTLSServer(s.registry)
				t.Cleanup(tls.Close)
				return []string{"--registry", tls.URL + "/r/apps"}
			}, want: []string{"certificate signed by unknown authority", "pass --registry-ca FILE"}},
		"a login page": {verb: []string{"list", "frontend"}, breaks: all(answers(200, "text/html", page)),
			want: []string{"the registry {host} answered with an HTML page (a login page?) instead of the registry API"}, hint: inBetween},
		"a way to a login page": {verb: []string{"verify", "frontend:v1.0.0", "--key", "PUB"},
			breaks: all(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/login" {
					answers(200, "text/html", page)(w, r)
					return
				}
				http.Redirect(w, r, "/login", http.StatusFound)
			}), want: []string{"instead of the registry API"}, hint: inBetween},
		"a page that is not found": {verb: []string{"status", "frontend", "--key", "PUB"}, breaks: all(answers(404, "text/html", page)),
			want: []string{"instead of the registry API"}, hint: inBetween},
		"another server": {verb: []string{"history", "frontend", "--key", "PUB"},
			breaks: all(answers(404, "text/plain", "404 page not found")), want: []string{"the registry {host} is no registry"}, hint: inBetween},
		"the list is a page": {verb: []string{"rollback", "frontend", "--key", "KEY"},
			breaks: only("/tags/list", answers(200, "text/html", page)), want: []string{"instead of the registry API"}, hint: inBetween},
		"the list is forbidden": {verb: []string{"rollback", "frontend", "--key", "KEY"},
			breaks: only("/tags/list", answers(403, "application/json", `{"errors":[{"code":"DENIED"}]}`)), want: []string{"forbidden"}},
		"the list is forbidden - in HTML": {verb: []string{"history", "frontend", "--key", "PUB"},
			breaks: only("/tags/list", answers(403, "text/html", page)), want: []string{"forbidden"}},
		"a login is wanted - in HTML": {verb: []string{"promote", "frontend", "v1.2.0", "--key", "KEY"},
			breaks: all(answers(401, "text/html", page)), want: []string{"not logged in"}, hint: "keos-oci login"},
		"the registry is broken": {verb: []string{"status", "frontend", "--key", "PUB"}, breaks: all(answers(503, "text/html", page)),
			want: []string{"the last try ended with HTTP 503"}, hint: sameCommand},
		"records are broken": {verb: []string{"history", "frontend", "--key", "PUB"},
			breaks: only("/manifests/latest-stable.", answers(500, "text/plain", "boom")), want: []string{"500"}},
		"records are broken - going back": {verb: []string{"rollback", "frontend", "--key", "KEY"},
			breaks: only("/manifests/latest-stable.", answers(500, "text/plain", "boom")), want: []string{"500"}, hint: sameCommand},
		"the signature is broken": {verb: []string{"verify", "frontend:v1.0.0", "--key", "PUB"},
			breaks: only("/manifests/sha256-", answers(500, "text/plain", "boom")), want: []string{"500"}, hint: sameCommand},
		"the proxy is dead": {verb: []string{"list", "frontend"}, breaks: func(t *testing.T, _ *nightHouse, s *sandbox) []string {
			proxy := strings.Replace(nobody(t), "http://", "http://me:s3cr3t@", 1)
			s.env = append(s.env, "HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "NO_PROXY=")
			return []string{"--registry", "registry.example.com/r/apps"}
		}, want: []string{"through the proxy 127.0.0.1:", "connection refused"}, hint: sameCommand},

		// Sigstore.
		"Fulcio says nothing": {verb: []string{"publish", "frontend"}, keyless: true, breaks: fulcio(hangs),
			want: []string{"Fulcio at 127.0.0.1:", "did not answer within 1 s"}, hint: slowSigstore},
		"Fulcio is a page": {verb: []string{"publish", "frontend"}, keyless: true, breaks: fulcio(answers(200, "text/html", page)),
			want: []string{"Fulcio at 127.0.0.1:", "answered with an HTML page"}, hint: inBetween},
		"Fulcio gives nothing": {verb: []string{"publish", "frontend"}, keyless: true,
			breaks: fulcio(answers(201, "application/json", "")), want: []string{"certificate from Fulcio at http://127.0.0.1:", "no JSON"}},
		"Fulcio is broken - going back": {verb: []string{"rollback", "frontend"}, keyless: true,
			breaks: fulcio(answers(500, "application/json", `{"message":"boom"}`)), want: []string{"Fulcio at", "HTTP 500"}},
		"Rekor says nothing": {verb: []string{"rollback", "frontend"}, keyless: true, breaks: rekor(hangs),
			want: []string{"Rekor at 127.0.0.1:", "did not answer within 1 s"}, hint: slowSigstore},
		"Rekor gives nothing": {verb: []string{"publish", "frontend"}, keyless: true,
			breaks: rekor(answers(201, "application/json", "")), want: []string{"Rekor at http://127.0.0.1:", "no complete log entry"}},
		"Rekor is a page": {verb: []string{"publish", "frontend"}, keyless: true, breaks: rekor(answers(200, "text/html", page)),
			want: []string{"Rekor at 127.0.0.1:", "answered with an HTML page"}, hint: inBetween},
		"the identity provider says nothing": {verb: []string{"publish", "frontend"}, keyless: true,
			breaks: func(t *testing.T, h *nightHouse, s *sandbox) []string {
				s.env = append(s.env, "ACTIONS_ID_TOKEN_REQUEST_URL="+server(t, hangs)+"?x=y")
				return h.st.flags()
			}, want: []string{"the identity provider at 127.0.0.1:", "did not answer within 1 s"}, hint: slowSigstore},
		"a token for another audience": {verb: []string{"publish", "frontend"}, keyless: true,
			breaks: func(t *testing.T, h *nightHouse, s *sandbox) []string {
				s.env = append(s.env, "ACTIONS_ID_TOKEN_REQUEST_URL=", "SIGSTORE_ID_TOKEN="+h.token(t, "audience=kubernetes"))
				return h.st.flags()
			}, want: []string{"another audience: it is for kubernetes, and Fulcio expects sigstore", "HTTP 4"}},
		"an old token": {verb: []string{"publish", "frontend"}, keyless: true, breaks: func(t *testing.T, h *nightHouse, s *sandbox) []string {
			s.env = append(s.env, "ACTIONS_ID_TOKEN_REQUEST_URL=", "SIGSTORE_ID_TOKEN="+h.token(t, "audience=sigstore&ttl=-10m"))
			return h.st.flags()
		}, want: []string{"the identity token has expired at", "this machine's clock says"}},
		"a wrong clock": {verb: []string{"publish", "frontend"}, keyless: true, breaks: fulcio(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-2*time.Hour).UTC().Format(http.TimeFormat))
			answers(400, "application/json", `{"message":"There was an error processing the identity token"}`)(w, r)
		}), want: []string{"HTTP 400", "this machine's clock is 2h0m", "ahead of Fulcio's"}},
		"TUF is down": {verb: []string{"verify", "frontend:v1.0.0"}, keyless: true, breaks: tuf(nobody),
			want: []string{"cannot check signatures", "connection refused"}, hint: wayToTUF},
		"TUF says nothing": {verb: []string{"verify", "frontend:v1.0.0"}, keyless: true,
			breaks: tuf(func(t *testing.T) string { return server(t, hangs) }),
			want:   []string{"cannot check signatures", "TUF at 127.0.0.1:", "did not answer within 0.5 s"}, hint: wayToTUF},
		"TUF is a page": {verb: []string{"verify", "frontend:v1.0.0"}, keyless: true,
			breaks: tuf(func(t *testing.T) string { return server(t, answers(200, "text/html", page)) }),
			want:   []string{"cannot check signatures", "answered with an HTML page"}, hint: wayToTUF},
		"TUF is down - the history": {verb: []string{"history", "frontend"}, keyless: true, breaks: tuf(nobody),
			want: []string{"cannot-check", "connection refused"}},
		"TUF is down - the status": {verb: []string{"status", "frontend"}, keyless: true, breaks: tuf(nobody),
			want: []string{"cannot tell", "connection refused"}},
		"TUF is down - going back": {verb: []string{"rollback", "frontend"}, keyless: true, breaks: tuf(nobody),
			want: []string{"connection refused"}, hint: wayToTUF},
		"TUF is behind a dead proxy": {verb: []string{"verify", "frontend:v1.0.0"}, keyless: true,
			breaks: func(t *testing.T, _ *nightHouse, s *sandbox) []string {
				return env("HTTPS_PROXY="+nobody(t))(t, nil, s)
			}, want: []string{"cannot check signatures", "through the proxy 127.0.0.1:"}, hint: wayToTUF},

		// Keys.
		"a public key that signs": {verb: []string{"promote", "frontend", "v1.2.0", "--key", "PUB"}, code: 2,
			want: []string{"is a public key. Signing needs the private key: pass --key cosign.key"}},
		"a public key that goes back": {verb: []string{"rollback", "frontend", "--key", "PUB"}, code: 2,
			want: []string{"is a public key. Signing needs the private key: pass --key cosign.key"}},
		"a public key that publishes": {verb: []string{"publish", "frontend", "--key", "PUB"}, code: 2,
			want: []string{"is a public key. Signing needs the private key: pass --key cosign.key"}},
		"no key at all": {verb: []string{"publish", "frontend", "--key", "JUNK"}, code: 2,
			want: []string{"has no key in PEM form"}},
		"a key that is not there": {verb: []string{"rollback", "frontend", "--key", "NONE"}, want: []string{"no such file"}},
		"a wrong password": {verb: []string{"rollback", "frontend", "--key", "KEY"}, breaks: env("COSIGN_PASSWORD=wrong"),
			want: []string{"cosign.key: wrong password"}, hint: "set COSIGN_PASSWORD"},
		"no password": {verb: []string{"promote", "frontend", "v1.2.0", "--key", "KEY"},
			breaks: func(_ *testing.T, _ *nightHouse, s *sandbox) []string {
				s.env = without(s.env, "COSIGN_PASSWORD")
				return nil
			}, want: []string{"cosign.key: COSIGN_PASSWORD is not set"}},
		"no key given": {verb: []string{"verify", "frontend:v1.0.0"}, breaks: trustsSomebody,
			want: []string{"no key is given to check it with"}},
		"no key given - the history": {verb: []string{"history", "frontend"}, breaks: trustsSomebody, want: []string{"cannot-check"}},
		"no key given - the status":  {verb: []string{"status", "frontend"}, breaks: trustsSomebody, want: []string{"cannot tell"}},
		"no key given - going back":  {verb: []string{"rollback", "frontend"}, breaks: trustsSomebody, want: []string{"--key"}},
		"another key":                {verb: []string{"verify", "frontend:v1.0.0", "--key", "STRANGE"}, want: []string{"another key"}},
		"another key - the history":  {verb: []string{"history", "frontend", "--key", "STRANGE"}, want: []string{"another key"}},
		"another key - the status":   {verb: []string{"status", "frontend", "--key", "STRANGE"}, want: []string{"another key"}},
	}
}
