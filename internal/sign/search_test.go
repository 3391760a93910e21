package sign

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestLogAnswers: what a log, or a proxy before it, may answer to a search.
func TestLogAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		code           int
		index, entries string
		want           string // of the error
	}{
		"no index":              {501, `{"code":501,"message":"not enabled"}`, "", ErrNoIndex.Error()},
		"no such path":          {404, `<html>`, "", ErrNoIndex.Error()},
		"nothing":               {200, `[]`, "", ""},
		"null":                  {200, `null`, "", ""},
		"a page":                {200, `<html>log in</html>`, "", "search Rekor at "},
		"a fault":               {500, `{"message":"boom"}`, "", "boom"},
		"entries that are none": {200, `["a"]`, `[{"a":{"body":"e30=","integratedTime":1}},{"b":{}},null]`, ""},
		"another kind":          {200, `["a"]`, `[{"a":{"body":"eyJraW5kIjoiaGFzaGVkcmVrb3JkIn0="}}]`, ""},
		"no signer": {200, `["a"]`,
			`[{"a":{"body":"eyJraW5kIjoiZHNzZSIsInNwZWMiOnsic2lnbmF0dXJlcyI6W3sidmVyaWZpZXIiOiJlQT09In1dfX0="}}]`, ""},
		"entries as a page": {200, `["a"]`, `<html>`, "search Rekor at "},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/index/retrieve") {
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, c.index)
				return
			}
			_, _ = io.WriteString(w, c.entries)
		}))
		list, err := NewLog(server.Client(), server.URL+"/").About(t.Context(), digest.FromString("x"))
		server.Close()
		if len(list) > 0 || (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", name, list, err, c.want)
		}
		if (c.want == ErrNoIndex.Error()) != errors.Is(err, ErrNoIndex) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
