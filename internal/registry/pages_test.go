package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// TestPages: only a registry says that something is not there.
func TestPages(t *testing.T) {
	html := func(w http.ResponseWriter, code int) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<html>Please log in</html>")
	}
	text := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusNotFound)
	}
	unknown := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN"}]}`)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error // nil: the repository is empty
		words  string
	}{
		"a page": {func(w http.ResponseWriter, _ *http.Request) { html(w, 200) }, ErrNoRegistry,
			"answered with an HTML page (a login page?) instead of the registry API"},
		"a page that is not found": {func(w http.ResponseWriter, _ *http.Request) { html(w, 404) }, ErrNoRegistry, "answered with an HTML page"},
		"a way to a page": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				html(w, 200)
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		}, ErrNoRegistry, "answered with an HTML page"},
		"a server that is no registry": {func(w http.ResponseWriter, _ *http.Request) { text(w) }, ErrNoRegistry, "does not know the path /v2/"},
		"a registry in plain text": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				text(w)
			}
		}, nil, ""},
		"a registry with a login in plain text": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			text(w)
		}, nil, ""},
		"a registry": {func(w http.ResponseWriter, _ *http.Request) { unknown(w) }, nil, ""},
		"a registry whose proxy makes HEAD a page": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				html(w, 404)
				return
			}
			unknown(w)
		}, nil, ""},
		"a page that forbids":        {func(w http.ResponseWriter, _ *http.Request) { html(w, 403) }, ErrForbidden, ""},
		"a page that wants a login":  {func(w http.ResponseWriter, _ *http.Request) { html(w, 401) }, ErrUnauthorized, ""},
		"a page of a broken gateway": {func(w http.ResponseWriter, _ *http.Request) { html(w, 502) }, ErrUnavailable, ""},
		"a token server with a page": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				html(w, 200)
				return
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		}, ErrNoRegistry, "the token server 127"},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, registrytest.NewProxy(t, c.answer).Host(), "a")
			tags, err := r.Tags(t.Context())
			if c.want == nil && (err != nil || len(tags) != 0) || c.want != nil &&
				(!errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words)) {
				t.Error("list:", tags, err)
			}
			want := c.want
			if want == nil {
				want = ErrNotFound
			}
			if _, err := r.Resolve(t.Context(), "v1"); !errors.Is(err, want) || c.want != nil && (errors.Is(err, ErrNotFound) || !Unanswered(err)) {
				t.Error("ask:", err)
			}
			if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, want) || !strings.Contains(err.Error(), c.words) {
				t.Error("read:", err)
			}
		})
	}
}

// TestOneLookAtTheRoot: a registry that answers in plain text gets one more request, once in a run.
func TestOneLookAtTheRoot(t *testing.T) {
	var looks atomic.Int64
	r := answering(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v2/" {
			looks.Add(1)
			return
		}
		http.Error(w, "not found", http.StatusNotFound)
	})
	for range 3 {
		if _, err := r.Resolve(t.Context(), "v1"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	if looks.Load() != 1 {
		t.Error(looks.Load())
	}
}
