package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ErrTooLarge reports an answer that is larger than any real registry's.
var ErrTooLarge = errors.New("answer too large")

// errListing reports a listing whose next page is not one to ask for.
var errListing = errors.New("bad listing")

// Limits of what is read from a registry, in bytes unless they say otherwise. Real registries do not come near them; they keep a
// hostile one from filling the memory.
const (
	maxPage      = 8 << 20   // one page of a listing: registries give 100 to 1000 entries of a few hundred bytes
	maxListing   = 64 << 20  // all pages of a listing: half a million tags of the longest kind
	maxPages     = 1000      // pages of a listing
	maxReferrers = 10_000    // entries of a list of referrers
	maxManifest  = 4 << 20   // the distribution spec asks registries to take manifests of at least 4 MiB
	maxToken     = 128 << 10 // a token server's answer: two tokens that each fit into a header, as oras-go reads them
	maxAnswer    = 1 << 20   // any other answer: errors have a few KiB, with a proxy's page in HTML some more
	maxHeaders   = 1 << 20   // the headers of an answer
	maxBlob      = 512 << 20
)

// bound is what an answer may have.
type bound struct {
	what  string
	limit int64 // 0 for a blob, whose reader knows its size
	page  bool  // of a listing
}

func (b bound) exceeded() error {
	if b.limit < 1<<20 {
		return fmt.Errorf("%w: %s has more than %d KiB", ErrTooLarge, b.what, b.limit>>10)
	}
	return fmt.Errorf("%w: %s has more than %d MiB", ErrTooLarge, b.what, b.limit>>20)
}

// boundOf says what the answer to req may have. The path that counts is the one that was asked for first: registries redirect
// readers of blobs to other servers.
func boundOf(req *http.Request, status int) bound {
	path := strings.Split(first(req).URL.Path, "/")
	if status >= http.StatusMultipleChoices {
		return bound{what: "the text of an error", limit: maxAnswer}
	}
	if kind := path[max(0, len(path)-2)]; req.Method == http.MethodGet && path[min(1, len(path)-1)] == "v2" {
		switch kind {
		case "tags", "referrers":
			return bound{what: "a page of " + kind, limit: maxPage, page: true}
		case "manifests":
			return bound{what: "a manifest", limit: maxManifest}
		case "blobs":
			return bound{what: "a blob"}
		}
	}
	if _, ok := req.Context().Value(contactKey{}).(contact); ok {
		return bound{what: "the answer of " + req.URL.Host, limit: maxToken}
	}
	return bound{what: "the answer of " + req.URL.Host, limit: maxAnswer}
}

// first is the request that redirects led away from.
func first(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

// listing is what was read of one listing so far.
type listing struct {
	bytes int64
	pages map[string]bool
}

type listingKey struct{}

// listed bounds all pages that are read with the context together.
func listed(ctx context.Context) context.Context {
	return context.WithValue(ctx, listingKey{}, &listing{pages: map[string]bool{}})
}

// add counts one page and looks at where the next one is: on the same host, and not one that was read already.
func (l *listing) add(req *http.Request, header http.Header, size int) error {
	if l.bytes += int64(size); l.bytes > maxListing {
		return bound{what: "a listing, all pages together,", limit: maxListing}.exceeded()
	}
	from := first(req).URL
	l.pages[from.String()] = true
	next := nextPage(req.URL, header.Get("Link"))
	switch {
	case next == nil:
		return nil
	case !strings.EqualFold(next.Hostname(), from.Hostname()):
		return fmt.Errorf("%w: its next page is on another host, %s", errListing, next.Host)
	case l.pages[next.String()]:
		return fmt.Errorf("%w: its next page, %s, was read already", errListing, next.Path)
	}
	return nil
}

// nextPage is where a Link header (RFC 8288) leads to, nil for nowhere.
func nextPage(from *url.URL, link string) *url.URL {
	link, _, found := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !found {
		return nil
	}
	next, err := from.Parse(link)
	if err != nil {
		return nil // who follows the link says what is wrong with it
	}
	return next
}
