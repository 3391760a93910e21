package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// tlsServer starts a server with TLS and without a log.
func tlsServer(t *testing.T, h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// openWith opens a repository with a scheme. The client trusts the certificate of server, where there is one.
func openWith(t *testing.T, scheme Scheme, server *httptest.Server, host string) *Repository {
	t.Helper()
	c, err := New(Options{Scheme: scheme, Retry: Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if server != nil {
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		c.base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return c.Open(mustRepo(t, host+"/a/b"))
}

// advised fails the test if an error is not of a kind, or its text lacks one of the words.
func advised(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	var advice *AdviceError
	if !errors.As(err, &advice) {
		t.Errorf("%T: %v", err, err)
		return
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("%v is not %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nlacks: %s", err, w)
		}
	}
}

func TestPlainHTTPToTLS(t *testing.T) {
	server := tlsServer(t, http.NotFoundHandler())
	_, err := openWith(t, HTTP, nil, server.Listener.Addr().String()).Tags(t.Context())
	advised(t, err, ErrNoRegistry, "uses TLS, and the request was plain HTTP: use https:// or --plain-http=false")
	nginx := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<center>The plain HTTP request was sent to HTTPS port</center>")
	}))
	_, _, err = openWith(t, HTTP, nil, nginx.Host()).Manifest(t.Context(), "v1")
	advised(t, err, ErrNoRegistry, "use https:// or --plain-http=false")
}

func TestTLSToPlainHTTP(t *testing.T) {
	p := registrytest.New(t)
	_, err := openWith(t, HTTPS, nil, p.Host()).Tags(t.Context())
	advised(t, err, ErrUnavailable, p.Host()+" does not use TLS: pass --plain-http")
}

func TestCertificates(t *testing.T) {
	server := tlsServer(t, http.NotFoundHandler())
	host := server.Listener.Addr().String()
	_, err := openWith(t, HTTPS, nil, host).Tags(t.Context())
	advised(t, err, ErrUnavailable, "the certificate of "+host+" is signed by an unknown authority: pass --registry-ca FILE")
	local := strings.Replace(host, "127.0.0.1", "localhost", 1)
	_, err = openWith(t, HTTPS, server, local).Tags(t.Context())
	advised(t, err, ErrUnavailable, "the certificate of "+local+" is for another host")
	r := openWith(t, HTTPS, server, host)
	r.client.base.TLSClientConfig.Time = func() time.Time { return server.Certificate().NotAfter.Add(time.Hour) }
	_, err = r.Tags(t.Context())
	advised(t, err, ErrUnavailable, "the certificate of "+host+" is expired or not valid yet")
}

func TestUploadAddresses(t *testing.T) {
	leads := func(location func(host string) string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Location", location(r.Host))
			w.WriteHeader(http.StatusAccepted)
		})
	}
	desc, data := blob("x")
	other := registrytest.NewProxy(t, leads(func(string) string { return "http://registry:5000/v2/a/b/blobs/uploads/1" }))
	advised(t, openWith(t, HTTP, nil, other.Host()).PushBlob(t.Context(), desc, data), nil,
		"the reverse proxy of "+other.Host()+" sends wrong upload addresses", "Host with its port, and X-Forwarded-Proto", "registry:5000")
	plain := tlsServer(t, leads(func(host string) string { return fmt.Sprintf("http://%s/v2/a/b/blobs/uploads/1", host) }))
	advised(t, openWith(t, HTTPS, plain, plain.Listener.Addr().String()).PushBlob(t.Context(), desc, data), nil,
		"X-Forwarded-Proto", "downgrades scheme")
}

func TestReadOnlyMirror(t *testing.T) {
	mirror := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(map[bool]int{true: http.StatusNotFound, false: http.StatusMethodNotAllowed}[r.Method == http.MethodHead])
		if r.Method != http.MethodHead {
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}`)
		}
	}))
	r := openWith(t, HTTP, nil, mirror.Host())
	desc, data := blob("x")
	advised(t, r.PushBlob(t.Context(), desc, data), nil, mirror.Host()+" is a read-only mirror: publish to its origin", "unsupported")
	var advice *AdviceError
	if _, err := r.Tags(t.Context()); err == nil || errors.As(err, &advice) {
		t.Error("a 405 to a read is no sign of a mirror:", err)
	}
}

// TestLoginMayNotPush: the registry gives the login tokens for pull alone.
func TestLoginMayNotPush(t *testing.T) {
	p := registrytest.New(t)
	desc, data := blob("x")
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		front := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, _, ok := r.BasicAuth()
			read := r.Method == http.MethodGet || r.Method == http.MethodHead
			switch {
			case !ok || user != "reader":
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			case !read:
				if code == http.StatusUnauthorized {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				}
				w.WriteHeader(code)
			default:
				p.ServeHTTP(w, r)
			}
		}))
		want := map[int]error{http.StatusUnauthorized: ErrUnauthorized, http.StatusForbidden: ErrForbidden}[code]
		dockerConfig(t, front.Host(), "reader", "secret")
		r := openWith(t, HTTP, nil, front.Host())
		advised(t, r.PushBlob(t.Context(), desc, data), want, "the login may not push to "+front.Host()+"/a/b")
		if _, err := r.Tags(t.Context()); err != nil {
			t.Fatal(err)
		}
		advised(t, r.PushBlob(t.Context(), desc, data), want, "the login may pull but not push to "+front.Host()+"/a/b")

		dockerConfig(t, "other.test", "reader", "secret")
		var advice *AdviceError
		if err := openWith(t, HTTP, nil, front.Host()).PushBlob(t.Context(), desc, data); !errors.Is(err, ErrUnauthorized) ||
			errors.As(err, &advice) {
			t.Error("no login:", err)
		}
	}
}

// TestPageCalledJSON: a page is recognised by its text, whatever the server calls it.
func TestPageCalledJSON(t *testing.T) {
	page := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "\n<!DOCTYPE html><title>Log in</title>")
	}))
	_, err := openWith(t, HTTP, nil, page.Host()).Tags(t.Context())
	want := "the registry " + page.Host() + " answered with an HTML page (a login page?) instead of the registry API"
	if !errors.Is(err, ErrNoRegistry) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
