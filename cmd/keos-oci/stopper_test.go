package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// stopper is a proxy between one process and the registry. It stops one request until the test lets it go on, and calls after when
// the registry has answered a write of a manifest.
type stopper struct {
	*registrytest.Proxy
	mu      sync.Mutex
	n       int
	at      int           // which request is held, counted from 0; -1 for none
	reached chan struct{} // closed when it arrived
	release chan struct{} // closed to let it go
	after   func(what string)
}

func newStopper(t testing.TB, target string, at int, after func(string)) *stopper {
	s := &stopper{at: at, reached: make(chan struct{}), release: make(chan struct{}), after: after}
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	upstream := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, ErrorLog: log.New(io.Discard, "", 0)}
	s.Proxy = registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		held := s.n == s.at
		s.n++
		s.mu.Unlock()
		if held {
			close(s.reached)
			select {
			case <-s.release:
			case <-r.Context().Done():
			}
		}
		upstream.ServeHTTP(w, r)
		if s.after != nil && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			s.after(r.Method + " " + r.URL.Path)
		}
	}))
	return s
}

// through starts a command whose registry is reached through the stopper. The repositories keep their names.
func (s *sandbox) through(t testing.TB, stop *stopper, args ...string) (wait func() result) {
	t.Helper()
	c := *s
	c.registry = stop.Proxy
	var out, errs bytes.Buffer
	cmd := c.command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() result {
		_ = cmd.Wait()
		return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	}
}
