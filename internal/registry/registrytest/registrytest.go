// Package registrytest runs a real registry for tests, behind a proxy that counts requests and can delay, break or
// refuse each of them.
package registrytest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/embedded"
)

// Request is one request that reached the proxy, and when it was answered: zero while it is not.
type Request struct {
	Method, Path string
	Start, End   time.Time
}

func (r Request) String() string { return r.Method + " " + r.Path }

// Proxy passes requests on to an HTTP service. Its fields may be set between requests through Set.
type Proxy struct {
	*httptest.Server

	deciding   sync.Mutex
	mu         sync.Mutex
	log        []Request
	generation int // of the log; Reset begins a new one
	fault      func(n int, r *http.Request) Fault
	delay      time.Duration
	login      string // "user:password" that the token endpoint wants, or ""
	basic      string // "user:password" that each request has to have, or ""
	forbid     bool
	frozen     map[string]bool // tags that may not be written again
	upstream   http.Handler
}

// Fault is what happens to one request.
type Fault int

// The faults: the request is answered with 429 or 500, the connection is reset before or after the request took effect,
// the answer's body is cut off, or bytes and digest header of the answer are changed. Block keeps it open forever, BlockAfter
// does so after the request took effect.
const (
	None Fault = iota
	TooManyRequests
	InternalError
	ResetBefore
	ResetAfter
	Truncated
	WrongDigest
	Block
	BlockAfter
)

func (f Fault) String() string {
	return []string{"none", "429", "500", "reset before", "reset after", "truncated", "wrong digest", "block", "block after"}[f]
}

// New starts a registry kept in a temporary folder and a proxy in front of it; both end with the test.
func New(t testing.TB) *Proxy {
	t.Helper()
	return NewIn(t, t.TempDir())
}

// NewIn is New for a registry that is kept in dir, such as the copy of another one's.
func NewIn(t testing.TB, dir string) *Proxy {
	t.Helper()
	handler, err := embedded.Handler(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return NewProxy(t, handler)
}

// NewProxy puts a proxy in front of any handler.
func NewProxy(t testing.TB, upstream http.Handler) *Proxy {
	p := &Proxy{upstream: upstream, frozen: map[string]bool{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() { p.CloseClientConnections(); p.Close() })
	return p
}

// To puts a proxy in front of another server.
func To(t testing.TB, target string) *Proxy {
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return NewProxy(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ErrorLog: log.New(io.Discard, "", 0)}) // clients that are killed are no news
}

// Host is host:port of the proxy.
func (p *Proxy) Host() string { return strings.TrimPrefix(p.URL, "http://") }

// FaultAt breaks the requests for which f says so; n counts from 0 since the last Reset.
func (p *Proxy) FaultAt(f func(n int, r *http.Request) Fault) { p.set(func() { p.fault = f }) }

// Delay makes every request wait first.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// RequireToken makes the registry answer 401 with a Bearer challenge, as ghcr.io does, unless a token is sent that its
// token endpoint gave for "user:password" with the right scope.
func (p *Proxy) RequireToken(login string) { p.set(func() { p.login = login }) }

// RequireBasic makes the registry answer 401 with a Basic challenge unless "user:password" is sent.
func (p *Proxy) RequireBasic(login string) { p.set(func() { p.basic = login }) }

// Forbid refuses all writes with 403.
func (p *Proxy) Forbid(on bool) { p.set(func() { p.forbid = on }) }

// Freeze makes a tag immutable, as ECR does: writing it again fails, even with the same digest.
func (p *Proxy) Freeze(tag string) { p.set(func() { p.frozen[tag] = true }) }

// Reset forgets the requests so far.
func (p *Proxy) Reset() { p.set(func() { p.log, p.generation = nil, p.generation+1 }) }

// Requests lists what arrived since the last Reset.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.log...)
}

// Chain is a longest list of these requests of which none began before the one before it was answered: as many may have
// waited for one another.
func Chain(requests []Request) []Request {
	byEnd := slices.SortedFunc(slices.Values(requests), func(a, b Request) int { return a.End.Compare(b.End) })
	var chain []Request
	for _, r := range byEnd {
		if len(chain) == 0 || r.Start.After(chain[len(chain)-1].End) {
			chain = append(chain, r)
		}
	}
	return chain
}

// Count is the number of requests that contain what, all for "".
func (p *Proxy) Count(what string) (n int) {
	for _, r := range p.Requests() {
		if strings.Contains(r.String(), what) {
			n++
		}
	}
	return n
}

func (p *Proxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	n := len(p.log)
	p.log = append(p.log, Request{Method: r.Method, Path: r.URL.Path, Start: time.Now()})
	generation := p.generation
	decide, delay, login, basic, forbid := p.fault, p.delay, p.login, p.basic, p.forbid
	frozen := r.Method == http.MethodPut && p.frozen[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
	p.mu.Unlock()
	defer p.set(func() {
		if p.generation == generation {
			p.log[n].End = time.Now()
		}
	})
	fault := None
	if decide != nil {
		fault = p.decide(decide, n, r)
	}
	time.Sleep(delay)
	if fault != None {
		p.fail(w, r, fault)
		return
	}
	if login != "" && !authorize(w, r, login) {
		return
	}
	if user, password, _ := r.BasicAuth(); basic != "" && user+":"+password != basic {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return
	}
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	if write && forbid {
		refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
		return
	}
	if frozen {
		refuse(w, http.StatusBadRequest, "TAG_INVALID", "The image tag already exists and cannot be overwritten because the tag is immutable.")
		return
	}
	p.upstream.ServeHTTP(w, r)
}

// decide asks one request at a time; the answer may itself change the proxy.
func (p *Proxy) decide(f func(int, *http.Request) Fault, n int, r *http.Request) Fault {
	p.deciding.Lock()
	defer p.deciding.Unlock()
	return f(n, r)
}

func refuse(w http.ResponseWriter, code int, name, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, name, message)
}

func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, fault Fault) {
	switch fault {
	case TooManyRequests:
		w.Header().Set("Retry-After", "0")
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down")
	case InternalError:
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "boom")
	case ResetBefore:
		panic(http.ErrAbortHandler)
	case ResetAfter:
		p.upstream.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case Block:
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client has gone
		<-r.Context().Done()
	case BlockAfter:
		p.record(r)
		<-r.Context().Done()
	case Truncated:
		rec := p.record(r)
		copyHeader(w, rec)
		w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()+1))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
		panic(http.ErrAbortHandler)
	case WrongDigest:
		rec := p.record(r)
		copyHeader(w, rec)
		if w.Header().Get("Docker-Content-Digest") != "" {
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		}
		body := bytes.Replace(rec.Body.Bytes(), []byte("a"), []byte("b"), 3)
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	}
}

func (p *Proxy) record(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	p.upstream.ServeHTTP(rec, r)
	return rec
}

func copyHeader(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
}

// authorize plays ghcr.io: tokens are "<scope>" in base64 and count only for that repository and those actions.
func authorize(w http.ResponseWriter, r *http.Request, login string) bool {
	if r.URL.Path == "/token" {
		user, password, _ := r.BasicAuth()
		if user+":"+password != login {
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "bad credentials")
			return false
		}
		token := base64.RawURLEncoding.EncodeToString([]byte(strings.Join(r.URL.Query()["scope"], " ")))
		fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, token)
		return false
	}
	scope := "repository:" + repository(r.URL.Path) + ":pull"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		scope += ",push"
	}
	raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if !strings.HasPrefix(string(raw)+",", scope+",") {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope=%q`, r.Host, scope))
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return false
	}
	return true
}

func repository(path string) string {
	path = strings.TrimPrefix(path, "/v2/")
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(path, part); i >= 0 {
			return path[:i]
		}
	}
	return path
}
