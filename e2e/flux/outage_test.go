package flux

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync/atomic"
	"testing"
)

// outage is a proxy before the registry that can end all answers.
type outage struct{ down atomic.Bool }

// mayFail puts a proxy before the registry of a world. Artifacts that are published from now on have the proxy's address.
func (w *world) mayFail(t *testing.T) *outage {
	t.Helper()
	o, registry := &outage{}, w.registry
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", registry
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.down.Load() {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	w.registry = server.Listener.Addr().String()
	return o
}
