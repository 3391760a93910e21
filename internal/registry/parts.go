package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Part is somebody that a run speaks to over the network, and how long the answers may take.
type Part struct {
	Name  string        // for messages, such as "Rekor"; "" is the registry of the request
	Limit time.Duration // of one request with its repetitions and its whole answer; 0 or less is none
	InAll bool          // the limit is of all requests together, from the first one on
}

// TimeoutError reports a part that did not answer in time. It is ErrUnavailable.
type TimeoutError struct {
	Who      string // the part and its host
	Limit    time.Duration
	Last     string // what the last try ended with, "" if it was still open
	Registry bool   // the part belongs to the registry, and not to Sigstore
}

func (e *TimeoutError) Error() string {
	if e.Last != "" {
		return fmt.Sprintf("%s gave no answer of use within %s: the last try ended with %s", e.Who, seconds(e.Limit), e.Last)
	}
	return fmt.Sprintf("%s did not answer within %s", e.Who, seconds(e.Limit))
}

// Is makes errors.Is find ErrUnavailable.
func (e *TimeoutError) Is(target error) bool { return target == ErrUnavailable }

// Timeout implements net.Error's.
func (e *TimeoutError) Timeout() bool { return true }

// overdue reports whether the time for an answer, repetitions included, is over.
func overdue(err error) bool {
	var late *TimeoutError
	return errors.As(err, &late)
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}

// minProgress is how many bytes of a blob have to pass within the limit of a part, which then begins anew. A server that sends a byte
// now and then makes no progress.
const minProgress = 64 << 10

// timed ends requests that take longer than their part's limit, and says on the log who is waited for. The limit includes the
// repetitions of a request and its whole answer: a server that sends a byte now and then, or nothing after its headers, does not
// hold up the run. Blobs have no such limit, because a large one on a slow line takes its time: their transfer ends when less than
// minProgress passes within the limit.
type timed struct {
	next  http.RoundTripper
	part  Part
	waits *waits

	once  sync.Once
	began time.Time // the first request, where the limit is of all together
}

// RoundTrip implements http.RoundTripper.
func (t *timed) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{ctx: ctx, cancel: cancel, waits: t.waits, since: time.Now(), transfer: transfers(req), limit: t.part.Limit,
		failed: &TimeoutError{Who: t.part.who(req), Limit: t.part.Limit, Registry: isRegistry(req)}}
	w.start(t.left())
	resp, err := t.next.RoundTrip(w.request(req))
	if err != nil {
		w.stop()
		return nil, w.explain(err)
	}
	if !w.transfer || req.Method == http.MethodHead {
		w.stop() // the answer was read whole
		return resp, nil
	}
	resp.Body = &watched{resp.Body, w}
	return resp, nil
}

// left is how long the next request may take.
func (t *timed) left() time.Duration {
	if !t.part.InAll {
		return t.part.Limit
	}
	t.once.Do(func() { t.began = time.Now() })
	return max(t.part.Limit-time.Since(t.began), 0)
}

// who names the part and the host that a request is for.
func (p Part) who(req *http.Request) string {
	c, ok := req.Context().Value(contactKey{}).(contact)
	switch {
	case !ok:
		return p.Name + " at " + req.URL.Host
	case req.Response != nil && !strings.EqualFold(req.URL.Host, first(req).URL.Host):
		return fmt.Sprintf("%s, to which the registry %s leads,", req.URL.Host, c.host)
	case !strings.HasPrefix(req.URL.Path, "/v2/"):
		return "the token server " + req.URL.Host
	}
	return "the registry " + req.URL.Host
}

// isRegistry reports whether a request is for a registry or its token server.
func isRegistry(req *http.Request) bool {
	_, ok := req.Context().Value(contactKey{}).(contact)
	return ok
}

// transfers reports whether a request moves a blob.
func transfers(req *http.Request) bool {
	if !isRegistry(req) {
		return false
	}
	return req.Method == http.MethodGet && strings.Contains(first(req).URL.Path, "/blobs/") ||
		req.Body != nil && req.Header.Get("Content-Type") == "application/octet-stream"
}

// watch is the time of one request.
type watch struct {
	ctx      context.Context //nolint:containedctx // of the request, which lives as long
	cancel   context.CancelCauseFunc
	waits    *waits
	limit    time.Duration
	transfer bool
	failed   *TimeoutError

	passed atomic.Int64 // bytes since the last progress
	mu     sync.Mutex
	since  time.Time // the beginning, or the last progress
	reason string    // why the answer takes long, "" if nothing is known
	said   string    // what the log says is waited for, "" while it says nothing
	end    *time.Timer
	notice *time.Timer
}

// start begins to measure. Nothing is measured where there is no limit, and nothing is said where there is no log.
func (w *watch) start(left time.Duration) {
	if w.limit > 0 {
		w.end = time.AfterFunc(left, func() { w.cancel(w.failed) })
	}
	if w.waits.log != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notice = time.AfterFunc(w.waits.first, w.say)
	}
}

func (w *watch) stop() {
	if w.end != nil {
		w.end.Stop()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notice != nil {
		w.notice.Stop()
	}
	w.quiet()
	w.cancel(nil)
}

// say says on the log who is waited for.
func (w *watch) say() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	w.quiet()
	w.said = strings.TrimSuffix(w.failed.Who, ",") + w.reason
	w.waits.begin(w.said, w.since)
}

// quiet says on the log that the wait is over, if the log has it.
func (w *watch) quiet() {
	if w.said != "" {
		w.waits.end(w.said)
		w.said = ""
	}
}

// because says why the answer takes long.
func (w *watch) because(reason string) {
	w.mu.Lock()
	w.reason = reason
	said := w.said != ""
	w.mu.Unlock()
	if said {
		w.say()
	}
}

// progress counts bytes of a blob.
func (w *watch) progress(n int) {
	if n == 0 || w.passed.Add(int64(n)) < minProgress {
		return
	}
	w.passed.Store(0)
	if w.end != nil {
		w.end.Reset(w.limit)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	w.quiet()
	if w.notice != nil {
		w.notice.Reset(w.waits.first)
	}
}

// request is req with the watch on it.
func (w *watch) request(req *http.Request) *http.Request {
	out := req.WithContext(context.WithValue(w.ctx, watchKey{}, w))
	if !w.transfer || out.Body == nil || out.Body == http.NoBody {
		return out
	}
	out.Body = &sent{req.Body, w}
	if req.GetBody != nil {
		out.GetBody = func() (io.ReadCloser, error) {
			body, err := req.GetBody()
			return &sent{body, w}, err
		}
	}
	return out
}

type watchKey struct{}

// explain replaces what a request that was cut says by who did not answer.
func (w *watch) explain(err error) error {
	var already *TimeoutError
	if w.ctx.Err() == nil || errors.As(err, &already) {
		return err
	}
	if cause := context.Cause(w.ctx); cause != context.Canceled { //nolint:errorlint // the one of stop, which nobody waits for any more
		return cause
	}
	return err
}

// sent is the body of a request.
type sent struct {
	io.ReadCloser
	watch *watch
}

func (s *sent) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.watch.progress(n)
	return n, err
}

// watched is the body of an answer. Its end is the end of the watch.
type watched struct {
	io.ReadCloser
	watch *watch
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.watch.progress(n)
	if err != nil && err != io.EOF { //nolint:errorlint // readers give it bare
		err = b.watch.explain(err)
	}
	if err != nil {
		b.watch.stop()
	}
	return n, err
}

func (b *watched) Close() error {
	b.watch.stop()
	return b.ReadCloser.Close()
}

// waits says on the log that a run waits for the answer to a request, and when it does not any more. Whoever reads the log decides which
// waits are worth a line.
type waits struct {
	log   *slog.Logger  // nil says nothing
	first time.Duration // until a request is one that is waited for
}

func newWaits(log *slog.Logger) *waits { return &waits{log: log, first: time.Second} }

func (w *waits) begin(what string, since time.Time) {
	w.log.Debug("waiting", "waits", what, "since", since)
}

func (w *waits) end(what string) { w.log.Debug("waiting no more", "waited", what) }
