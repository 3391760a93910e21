package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// PageError reports an answer that is not the part's own, such as the page of a login or a proxy. It is ErrNoRegistry.
type PageError struct{ text string }

func (e *PageError) Error() string { return e.text }

// Is makes errors.Is find ErrNoRegistry.
func (e *PageError) Is(target error) bool { return target == ErrNoRegistry }

// pages refuses answers of other servers: a page in HTML is no list of tags, and a 404 of a web server does not mean
// that the repository is empty.
type pages struct {
	next http.RoundTripper
	part Part

	hosts sync.Map // host -> whether its /v2/ answers as a registry's does
}

// RoundTrip implements http.RoundTripper.
func (t *pages) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || referrersOf(req) { // GHCR redirects readers of referrers to a page: it has no referrers API
		return resp, err
	}
	switch {
	case resp.StatusCode < http.StatusMultipleChoices && hasContent(req):
		err = t.read(req, resp)
	case resp.StatusCode == http.StatusBadRequest:
		err = t.plainToTLS(req, resp)
	case resp.StatusCode == http.StatusNotFound && isRegistry(req) && !inJSON(mediaType(resp)):
		err = t.absent(req, resp)
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// read refuses a page, also one that a server calls JSON. Other answers can still be read afterwards.
func (t *pages) read(req *http.Request, resp *http.Response) error {
	if isHTML(resp) {
		return t.page(req)
	}
	if req.Method == http.MethodHead {
		return nil
	}
	data, err := io.ReadAll(resp.Body) // read and bounded already, by buffering
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
		return t.page(req)
	}
	return nil
}

// page says who answers with a page, and where redirects led.
func (t *pages) page(req *http.Request) error {
	if !isRegistry(req) {
		return &PageError{t.part.who(req) + " answered with an HTML page (of a proxy?)"}
	}
	asked := first(req)
	redirected := ""
	if !strings.EqualFold(asked.URL.Host, req.URL.Host) {
		redirected = "redirected to " + req.URL.Host + " and "
	}
	return &PageError{fmt.Sprintf("%s %sanswered with an HTML page (a login page?) instead of the registry API", t.part.who(asked),
		redirected)}
}

// absent looks closer at a 404 that is not in a registry's form. Registries write an error in JSON, but not in the answer to HEAD, where
// a proxy may set any content type, and some say it in plain text.
func (t *pages) absent(req *http.Request, resp *http.Response) error {
	if req.Response != nil || !names(req) {
		return nil
	}
	if isHTML(resp) {
		if req.Method != http.MethodHead {
			return t.page(req)
		}
		_, kind, err := t.get(req, req.URL.Path)
		if err != nil || inJSON(kind) {
			return err
		}
		if kind == html {
			return t.page(req)
		}
	}
	known, ok := t.hosts.Load(req.URL.Host)
	if !ok {
		status, kind, err := t.get(req, "/v2/")
		if err != nil {
			return err
		}
		known = status != http.StatusNotFound && kind != html
		t.hosts.Store(req.URL.Host, known)
	}
	if known != true {
		return &PageError{t.part.who(req) + " is no registry: it does not know the path /v2/, as registries do"}
	}
	return nil
}

// get asks for another path in the same way, and answers with the status and the media type.
func (t *pages) get(req *http.Request, path string) (status int, kind string, err error) {
	resp, err := t.next.RoundTrip(getOf(req, path))
	if err != nil {
		return 0, "", err
	}
	resp.Body.Close()
	return resp.StatusCode, mediaType(resp), nil
}

// getOf is a request for another path of the same host, in the same way.
func getOf(req *http.Request, path string) *http.Request {
	again := req.Clone(req.Context())
	again.Method, again.URL.Path, again.URL.RawPath, again.URL.RawQuery = http.MethodGet, path, "", ""
	again.Body, again.GetBody, again.ContentLength = nil, nil, 0
	return again
}

// hasContent reports whether an answer is read. Answers to writes are not read, and Quay calls them HTML. Blobs are checked
// by their digest.
func hasContent(req *http.Request) bool {
	if !isRegistry(req) {
		return true
	}
	read := req.Method == http.MethodGet || req.Method == http.MethodHead
	return read && !strings.Contains(first(req).URL.Path, "/blobs/")
}

// names reports whether a request is about what a tag or a repository has.
func names(req *http.Request) bool {
	read := req.Method == http.MethodGet || req.Method == http.MethodHead
	return read && strings.HasPrefix(req.URL.Path, "/v2/") &&
		(strings.Contains(req.URL.Path, "/manifests/") || strings.HasSuffix(req.URL.Path, "/tags/list"))
}

func referrersOf(req *http.Request) bool {
	return isRegistry(req) && strings.Contains(first(req).URL.Path, "/referrers/")
}

const html = "text/html"

func isHTML(resp *http.Response) bool { return mediaType(resp) == html }

func inJSON(kind string) bool { return kind == "application/json" || strings.HasSuffix(kind, "+json") }

func mediaType(resp *http.Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// viaProxy says that a connection goes through a proxy when it fails: then it is the proxy that may be down.
type viaProxy struct{ base *http.Transport }

// RoundTrip implements http.RoundTripper.
func (t *viaProxy) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err == nil || t.base.Proxy == nil || req.Context().Err() != nil {
		return resp, err
	}
	proxy, failed := t.base.Proxy(req)
	if failed != nil {
		return nil, errors.New("HTTP_PROXY or HTTPS_PROXY is not the URL of a proxy") // the reason would show its password
	}
	if proxy == nil {
		return nil, err
	}
	return nil, fmt.Errorf("through the proxy %s: %w", proxy.Host, err) // the host alone: a proxy's URL may have a password
}
