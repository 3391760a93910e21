package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry/embedded"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// impatient is a registry that is given little time.
func impatient(t *testing.T, limit time.Duration, f http.HandlerFunc) *Repository {
	t.Helper()
	client, err := New(Options{Timeout: limit, Retry: Retry{Wait: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	return client.Open(mustRepo(t, registrytest.NewProxy(t, f).Host()+"/a"))
}

// drip sends a few bytes now and then, until the client is gone.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Millisecond)
	}
}

// TestDeadline: whatever a registry does instead of answering, the request ends in time, and the error says who did not answer.
func TestDeadline(t *testing.T) {
	const limit = 300 * time.Millisecond
	blob := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 9 << 20}
	tags := func(ctx context.Context, r *Repository) error { _, err := r.Tags(ctx); return err }
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		ask    func(context.Context, *Repository) error
		want   string
	}{
		"says nothing":         {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, tags, " did not answer within 0.3 s"},
		"sends bytes for ever": {drip, tags, " did not answer within 0.3 s"},
		"is slow to be disabled": {func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(120 * time.Millisecond)
			w.WriteHeader(http.StatusServiceUnavailable)
		}, tags, "0.3 s"},
		"asks to come back": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
		}, tags,
			" gave no answer of use within 0.3 s: the last try ended with HTTP 429"},
		"stops in a blob": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(blob.Size))
			_, _ = w.Write(make([]byte, 1<<20))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, func(ctx context.Context, r *Repository) error { _, err := r.Blob(ctx, blob, 1<<30); return err }, " did not answer within 0.3 s"},
		"drips a blob": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(blob.Size))
			drip(w, r)
		},
			func(ctx context.Context, r *Repository) error { _, err := r.Blob(ctx, blob, 1<<30); return err }, " did not answer within 0.3 s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := impatient(t, limit, c.answer)
			start := time.Now()
			err := c.ask(t.Context(), r)
			var late *TimeoutError
			if !errors.As(err, &late) || !strings.Contains(err.Error(), "the registry 127.0.0.1:") || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
			if !errors.Is(err, ErrUnavailable) || !Unanswered(err) || errors.Is(err, context.DeadlineExceeded) || !late.Registry {
				t.Errorf("of no use to callers: %#v", err)
			}
			if took := time.Since(start); took > 2*limit+time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestSlowLine: a blob that takes longer than the limit gets through as long as it makes progress, up and down.
func TestSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chunk := make([]byte, minProgress)
		slow := roundTrip(func(req *http.Request) (*http.Response, error) {
			for {
				time.Sleep(30 * time.Second)
				if err := context.Cause(req.Context()); err != nil {
					return nil, err
				}
				if _, err := io.ReadFull(req.Body, chunk); err != nil {
					return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, nil
				}
			}
		})
		ctx := context.WithValue(t.Context(), contactKey{}, contact{"r.example", false, ""})
		put := func(kind string) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://r.example/v2/a/blobs/uploads/1",
				bytes.NewReader(make([]byte, 20*minProgress)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", kind)
			resp, err := (&timed{next: slow, part: Part{Limit: time.Minute}, waits: newWaits(nil)}).RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			return err
		}
		if err := put("application/octet-stream"); err != nil {
			t.Error(err)
		}
		if err := put("application/json"); err == nil || err.Error() != "the registry r.example did not answer within 60 s" {
			t.Errorf("what is no blob: %v", err)
		}
	})
}

// TestPartInAll: several requests have one limit together, and a part without a limit has none.
func TestPartInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := roundTrip(func(req *http.Request) (*http.Response, error) {
			select {
			case <-req.Context().Done():
				return nil, context.Cause(req.Context())
			case <-time.After(7 * time.Second):
				return &http.Response{Body: http.NoBody}, nil
			}
		})
		ask := func(part *timed) (n int, err error) {
			for n = range 5 {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://tuf.example/1.root.json", nil)
				if _, err = part.RoundTrip(req); err != nil { //nolint:bodyclose // it has none
					return n, err
				}
			}
			return n, nil
		}
		start := time.Now()
		n, err := ask(&timed{next: slow, part: Part{Name: "TUF", Limit: 15 * time.Second, InAll: true}, waits: newWaits(nil)})
		if n != 2 || err == nil || err.Error() != "TUF at tuf.example did not answer within 15 s" || time.Since(start) != 15*time.Second {
			t.Error(n, err, time.Since(start))
		}
		if _, err := ask(&timed{next: slow, part: Part{Name: "TUF"}, waits: newWaits(nil)}); err != nil {
			t.Error(err)
		}
	})
}

// TestWaitIsLogged: the log has who is waited for after a second, why, and when the wait is over.
func TestWaitIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		short := func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, slog.LevelKey, slog.MessageKey:
				return slog.Attr{}
			case "since":
				return slog.Duration("since", time.Since(a.Value.Time()))
			}
			return a
		}
		log := slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: short}))
		tries := 0
		answers := roundTrip(func(req *http.Request) (*http.Response, error) {
			tries++
			switch tries {
			case 1:
				time.Sleep(3 * time.Second)
				return &http.Response{StatusCode: http.StatusTooManyRequests, Body: http.NoBody, Header: http.Header{"Retry-After": {"20"}}}, nil
			case 2:
				time.Sleep(300 * time.Millisecond)
				return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody}, nil
			case 3:
				<-req.Context().Done()
			}
			return nil, req.Context().Err()
		})
		part := &timed{next: &retrying{next: answers, policy: Retry{}.orDefault()}, part: Part{Name: "Rekor", Limit: 50 * time.Second},
			waits: newWaits(log)}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://log.example/api", nil)
		_, err := part.RoundTrip(req) //nolint:bodyclose // it has none
		if err == nil || err.Error() != "Rekor at log.example did not answer within 50 s" {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		want := `waits="Rekor at log.example" since=1s
waited="Rekor at log.example"
waits="Rekor at log.example, which asks for a pause of 20 s (HTTP 429)" since=3s
waited="Rekor at log.example, which asks for a pause of 20 s (HTTP 429)"
waits="Rekor at log.example (try 3 of 5, after HTTP 502)" since=23.3s
waited="Rekor at log.example (try 3 of 5, after HTTP 502)"
`
		if said.String() != want {
			t.Errorf("got\n%s want\n%s", said.String(), want)
		}
		said.Reset()
		quick := &timed{next: roundTrip(func(*http.Request) (*http.Response, error) {
			time.Sleep(900 * time.Millisecond)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}), part: Part{Name: "Rekor", Limit: time.Minute}, waits: newWaits(log)}
		if _, err := quick.RoundTrip(req); err != nil || said.Len() > 0 { //nolint:bodyclose // it has none
			t.Error(err, said.String())
		}
	})
}

// TestDeadProxy: the error names the proxy, and not its password.
func TestDeadProxy(t *testing.T) {
	dead := registrytest.NewProxy(t, http.NotFoundHandler())
	dead.Close()
	for _, scheme := range []Scheme{HTTP, HTTPS} {
		client, err := New(Options{Scheme: scheme, Retry: Retry{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		client.base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: dead.Host(), User: url.UserPassword("me", "s3cr3t")})
		_, err = client.Open(mustRepo(t, "registry.example.com/a")).Tags(t.Context())
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "through the proxy "+dead.Host()) ||
			strings.Contains(err.Error(), "s3cr3t") {
			t.Error(scheme, err)
		}
	}
}

// TestAnswersToWrites: some registries call the text of their answers to writes HTML, and blobs as well. Nobody reads it.
func TestAnswersToWrites(t *testing.T) {
	upstream, err := embedded.Handler(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proxy := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		upstream.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		if read := r.Method == http.MethodGet || r.Method == http.MethodHead; !read || strings.Contains(r.URL.Path, "/blobs/") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	r := open(t, proxy.Host(), "a")
	empty := ocispec.DescriptorEmptyJSON
	if err := r.PushBlob(t.Context(), empty, empty.Data); err != nil {
		t.Fatal(err)
	}
	raw := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":{"mediaType":"` + empty.MediaType +
		`","digest":"` + empty.Digest.String() + `","size":2},"layers":[]}`)
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	if err := r.Tag(t.Context(), desc, raw, "v1"); err != nil {
		t.Fatal(err)
	}
	if data, err := r.Blob(t.Context(), empty, 10); err != nil || string(data) != "{}" {
		t.Error(string(data), err)
	}
}
