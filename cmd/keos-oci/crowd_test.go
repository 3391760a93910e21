package main

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry/embedded"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// crowd is a registry with many tags beside those of the registry behind it. It lists by pages, as one of several kinds of registries does.
type crowd struct {
	upstream http.Handler
	page     int
	kind     listing

	mu    sync.Mutex
	tags  map[string][]byte // manifests by tag
	known []string          // all tags, in order; nil after a write
}

// listing is how a registry answers a list that is to begin behind a tag.
type listing string

const (
	bySpec    listing = "as the specification says" // sorted, behind last
	ignoring  listing = "last is ignored"           // from the beginning
	byAge     listing = "not sorted"                // the oldest tag first, behind last
	byToken   listing = "last is a token"           // its own alone: others are refused
	allAtOnce listing = "without pages"
)

// inFront puts a crowd in front of a sandbox's registry. With records, it also takes the records that are written.
func inFront(t *testing.T, s *sandbox, page int, kind listing, records bool) *crowd {
	t.Helper()
	upstream, err := embedded.Handler(t.Context(), s.content)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{upstream: upstream, page: page, kind: kind, tags: map[string][]byte{}}
	s.registry = registrytest.NewProxy(t, c)
	if records {
		s.registry = registrytest.NewProxy(t, c.holdRecords())
	}
	return c
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		defer c.add(nil)
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/frontend/tags/list"):
		c.list(w, r)
	case strings.Contains(r.URL.Path, "/frontend/manifests/") && c.manifest(name) != nil && r.Method != http.MethodPut:
		raw := c.manifest(name)
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(raw).String())
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(raw)
		}
	default:
		c.upstream.ServeHTTP(w, r)
	}
}

func (c *crowd) manifest(name string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tags[name]
}

// add gives tags that the registry behind does not have.
func (c *crowd) add(raw []byte, names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = nil
	for _, name := range names {
		c.tags[name] = raw
	}
}

// all are the tags in the order of the registry's kind.
func (c *crowd) all(r *http.Request) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known != nil {
		return slices.Clone(c.known)
	}
	rec := httptest.NewRecorder()
	c.upstream.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, r.URL.Path, nil))
	var page struct{ Tags []string }
	_ = json.NewDecoder(rec.Body).Decode(&page)
	all := slices.AppendSeq(page.Tags, maps.Keys(c.tags))
	if slices.Sort(all); c.kind == byAge {
		slices.SortFunc(all, func(a, b string) int { return cmp.Compare(digest.FromString(a), digest.FromString(b)) })
	}
	c.known = slices.Clone(all)
	return all
}

func (c *crowd) list(w http.ResponseWriter, r *http.Request) {
	all, last := c.all(r), r.URL.Query().Get("last")
	own, mine := strings.CutPrefix(last, "token:")
	switch {
	case last == "" || c.kind == ignoring && !mine || c.kind == allAtOnce:
	case c.kind == byToken && !mine:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNSUPPORTED","message":"Invalid parameter at 'last'"}]}`)
		return
	case c.kind == byAge:
		all = all[slices.Index(all, own)+1:]
	default:
		all = slices.DeleteFunc(all, func(t string) bool { return t <= own })
	}
	if c.page > 0 && len(all) > c.page && c.kind != allAtOnce {
		all = all[:c.page]
		next := all[c.page-1]
		if c.kind != bySpec {
			next = "token:" + next
		}
		w.Header().Set("Link", "<"+r.URL.Path+"?n="+strconv.Itoa(c.page)+"&last="+next+`>; rel="next"`)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "r/apps/frontend", "tags": all})
}
