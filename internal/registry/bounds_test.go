package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// answering is a registry that answers everything with f.
func answering(t *testing.T, f http.HandlerFunc) *Repository {
	t.Helper()
	return open(t, registrytest.NewProxy(t, f).Host(), "a")
}

// tooLarge demands the error that says what was too large, and by how much.
func tooLarge(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), want) || Unanswered(err) || errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func tagPage(w io.Writer, page, bytes int) {
	fmt.Fprint(w, `{"name":"a","tags":["first"`)
	for i := range bytes / 131 {
		fmt.Fprintf(w, `,"%0128d"`, page*1_000_000+i)
	}
	fmt.Fprint(w, `]}`)
}

// TestListingIsBounded: many pages that are each small enough are too much together.
func TestListingIsBounded(t *testing.T) {
	var sent atomic.Int64
	r := answering(t, func(w http.ResponseWriter, req *http.Request) {
		var page int
		_, _ = fmt.Sscan(req.URL.Query().Get("page"), &page)
		w.Header().Set("Link", fmt.Sprintf(`</v2/a/tags/list?page=%d>; rel="next"`, page+1))
		sent.Add(2 << 20)
		if page == 70 {
			w.Header().Del("Link")
		}
		tagPage(w, page, 2<<20)
	})
	_, err := r.Tags(t.Context())
	tooLarge(t, err, "a listing, all pages together, has more than 64 MiB")
	if sent.Load() > maxListing+8<<20 {
		t.Errorf("%d bytes were asked for", sent.Load())
	}
}

func TestPageIsBounded(t *testing.T) {
	r := answering(t, func(w http.ResponseWriter, _ *http.Request) { tagPage(w, 0, maxPage+1<<20) })
	_, err := r.Tags(t.Context())
	tooLarge(t, err, "a page of tags has more than 8 MiB")
}

// TestPageBelowBound: what is large and within the bound is read whole.
func TestPageBelowBound(t *testing.T) {
	r := answering(t, func(w http.ResponseWriter, _ *http.Request) { tagPage(w, 0, 7<<20) })
	if tags, err := r.Tags(t.Context()); err != nil || len(tags) != 7<<20/131+1 {
		t.Error(len(tags), err)
	}
}

func TestReferrersAreBounded(t *testing.T) {
	r := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		fmt.Fprintf(w, `{"manifests":[],"annotations":{"x":%q}}`, strings.Repeat("x", maxPage))
	})
	_, err := r.Referrers(t.Context(), digest.FromString("x"), "t")
	tooLarge(t, err, "a page of referrers has more than 8 MiB")
}

// TestReferrersEnd: pages without entries go on for ever.
func TestReferrersEnd(t *testing.T) {
	var page atomic.Int64
	r := answering(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, req.URL.Path, page.Add(1)))
		fmt.Fprint(w, `{"manifests":[]}`)
		if page.Load() > 2*maxPages {
			t.Error("goes on")
			w.Header().Del("Link")
		}
	})
	if _, err := r.Referrers(t.Context(), digest.FromString("x"), "t"); err == nil || !strings.Contains(err.Error(), "1000 pages") {
		t.Error(err)
	}
}

// TestReferrersIndexIsBounded: the index under the fallback tag is a manifest.
func TestReferrersIndexIsBounded(t *testing.T) {
	r := answering(t, func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/referrers/") {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		w.Header().Set("Docker-Content-Digest", digest.FromString("x").String())
		_, _ = io.WriteString(w, strings.Repeat(" ", maxManifest+1))
	})
	_, err := r.Referrers(t.Context(), digest.FromString("x"), "t")
	tooLarge(t, err, "a manifest has more than 4 MiB")
}

func TestTokenAnswerIsBounded(t *testing.T) {
	r := answering(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			fmt.Fprintf(w, `{"token":%q}`, strings.Repeat("x", maxToken))
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token"`, req.Host))
		w.WriteHeader(http.StatusUnauthorized)
	})
	_, err := r.Tags(t.Context())
	tooLarge(t, err, "has more than 128 KiB")
}

func TestErrorTextIsBounded(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError} {
		r := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Repeat("x", maxAnswer+1))
		})
		_, err := r.Tags(t.Context())
		tooLarge(t, err, "the text of an error has more than 1 MiB")
	}
}

// TestNextPage: a listing goes on where it began, and does not turn in a circle.
func TestNextPage(t *testing.T) {
	elsewhere := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Link", fmt.Sprintf(`<http://%s/v2/a/tags/list?page=9>; rel="next"`, req.Host))
		tagPage(w, 0, 0)
	}))
	far := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	for name, tc := range map[string]struct {
		next func(req *http.Request, w http.ResponseWriter)
		want string
	}{
		"circle": {func(req *http.Request, w http.ResponseWriter) {
			next := map[string]string{"": "?page=1", "1": ""}[req.URL.Query().Get("page")]
			w.Header().Set("Link", `</v2/a/tags/list`+next+`>; rel="next"`)
		}, "was read already"},
		"itself": {func(req *http.Request, w http.ResponseWriter) {
			w.Header().Set("Link", `<`+req.URL.String()+`>; rel="next"`)
		}, "was read already"},
		"elsewhere": {func(_ *http.Request, w http.ResponseWriter) {
			w.Header().Set("Link", `<`+far+`/v2/a/tags/list>; rel="next"`)
		}, "is on another host, localhost:"},
		"redirected": {func(_ *http.Request, w http.ResponseWriter) {
			w.Header().Set("Location", far+"/v2/a/tags/list")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "is on another host, localhost:"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			r := answering(t, func(w http.ResponseWriter, req *http.Request) {
				asked++
				tc.next(req, w)
				tagPage(w, 0, 0)
			})
			if _, err := r.Tags(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if asked > 2 {
				t.Errorf("%d pages were asked for", asked)
			}
		})
	}
}
