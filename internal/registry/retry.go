package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Retry bounds how long one request is tried again; zero fields mean the defaults.
type Retry struct {
	Attempts int           // tries in all, 5 by default
	Wait     time.Duration // before the second try, doubled for each next one, 250 ms by default
	Budget   time.Duration // of waiting for one request, 60 s by default; a longer Retry-After is reported at once
}

func (r Retry) orDefault() Retry {
	if r.Attempts == 0 {
		r.Attempts = 5
	}
	if r.Wait == 0 {
		r.Wait = 250 * time.Millisecond
	}
	if r.Budget == 0 {
		r.Budget = time.Minute
	}
	return r
}

// retrying sends a request again when the network or the server failed in a way that may pass.
type retrying struct {
	next   http.RoundTripper
	policy Retry
}

// once marks requests that must not be sent again once they were processed: what a late repetition writes may be older than
// what others wrote meanwhile.
func once(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }

type onceKey struct{}

// RoundTrip implements http.RoundTripper.
func (t *retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	var waited time.Duration
	for attempt := 1; ; attempt++ {
		resp, err := t.next.RoundTrip(req)
		if !again(req, resp, err) || attempt == t.policy.Attempts {
			return resp, err
		}
		wait := t.policy.backoff(attempt, resp)
		if waited += wait; waited > t.policy.Budget || !rewind(req) {
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
		t.explain(req, resp, attempt+1, wait)
		if interrupted := sleep(req.Context(), wait); interrupted != nil {
			return nil, after(interrupted, resp, err)
		}
	}
}

// explain says to whoever watches the request why it takes long.
func (t *retrying) explain(req *http.Request, resp *http.Response, next int, wait time.Duration) {
	w, ok := req.Context().Value(watchKey{}).(*watch)
	switch {
	case !ok:
	case resp == nil:
		w.because(fmt.Sprintf(" (try %d of %d)", next, t.policy.Attempts))
	case resp.Header.Get("Retry-After") != "" && wait >= time.Second:
		w.because(fmt.Sprintf(", which asks for a pause of %s (HTTP %d)", seconds(wait.Round(time.Second)), resp.StatusCode))
	default:
		w.because(fmt.Sprintf(" (try %d of %d, after HTTP %d)", next, t.policy.Attempts, resp.StatusCode))
	}
}

// after adds to the end of a part's time what the last try ended with.
func after(interrupted error, resp *http.Response, err error) error {
	var late *TimeoutError
	if !errors.As(interrupted, &late) {
		return interrupted
	}
	last := *late
	if last.Last = fmt.Sprint(err); err == nil {
		last.Last = "HTTP " + strconv.Itoa(resp.StatusCode)
	}
	return &last
}

// again reports whether a fault may pass. A blob's bytes are not sent again to the same upload: after a broken PUT its
// session is in doubt, so PushBlob starts a new one. A 429 was not processed, so it may always be repeated.
func again(req *http.Request, resp *http.Response, err error) bool {
	if err == nil && resp.StatusCode == http.StatusTooManyRequests {
		return true
	}
	if req.Context().Value(onceKey{}) != nil {
		return false
	}
	if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/blobs/uploads/") {
		return false
	}
	if err != nil {
		return req.Context().Err() == nil && passing(err)
	}
	return transientStatus(resp.StatusCode)
}

func transientStatus(code int) bool {
	return code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
}

// passing reports whether a network error may pass. A name that does not resolve or a certificate that is not trusted does
// not; a refused connection may, a registry that restarts refuses for a moment.
func passing(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsTemporary || dns.IsTimeout
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout() ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, errDamaged) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNREFUSED) ||
		strings.Contains(err.Error(), "server closed idle connection") || strings.Contains(err.Error(), "http2: ")
}

// backoff doubles with a tenth of jitter; a Retry-After of the server (RFC 9110, section 10.2.3) wins when it is longer.
func (r Retry) backoff(attempt int, resp *http.Response) time.Duration {
	wait := r.Wait << (attempt - 1)
	wait += rand.N(wait/10 + 1)
	if resp == nil {
		return wait
	}
	return max(wait, retryAfter(resp.Header.Get("Retry-After"), time.Now()))
}

func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(s, 0), 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return t.Sub(now)
	}
	return 0
}

func rewind(req *http.Request) bool {
	if req.Body == nil || req.Body == http.NoBody {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	if err != nil {
		return false
	}
	req.Body = body
	return true
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// maxBuffered is the size up to which a blob is read whole before anybody sees it, so that a body that breaks off is a fault of the
// request and repeated like one. Other answers are always read whole, within their bounds.
const maxBuffered = 8 << 20

// errDamaged reports an answer whose bytes do not match what its headers promise.
var errDamaged = errors.New("damaged answer")

// buffering reads answers whole, and refuses what is larger than its bound.
type buffering struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *buffering) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || req.Method == http.MethodHead {
		return resp, err
	}
	b := boundOf(req, resp.StatusCode)
	if b.limit == 0 {
		return bufferBlob(resp)
	}
	defer resp.Body.Close()
	if resp.ContentLength > b.limit {
		return nil, b.exceeded()
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, b.limit+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if int64(len(data)) > b.limit {
		return nil, b.exceeded()
	}
	if l, ok := req.Context().Value(listingKey{}).(*listing); ok && b.page {
		if err := l.add(req, resp.Header, len(data)); err != nil {
			return nil, err
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return resp, nil
}

// bufferBlob reads a small blob whole, and leaves a large one to its reader.
func bufferBlob(resp *http.Response) (*http.Response, error) {
	if resp.ContentLength > maxBuffered {
		return resp, nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBuffered+1))
	if err == nil && len(data) > maxBuffered {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(data), resp.Body), resp.Body}
		return resp, nil
	}
	resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return resp, nil
}
