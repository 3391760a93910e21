package registry

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// TestWithEmptyBlob: the blob is uploaded only where the registry misses it.
func TestWithEmptyBlob(t *testing.T) {
	r := open(t, registrytest.New(t).Host(), "a")
	empty := ocispec.DescriptorEmptyJSON
	raw := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":{"mediaType":"` + empty.MediaType +
		`","digest":"` + empty.Digest.String() + `","size":2},"layers":[]}`)
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	for _, want := range []int{2, 1} {
		tries := 0
		err := WithEmptyBlob(t.Context(), r, func(ctx context.Context) error {
			tries++
			return r.Tag(ctx, desc, raw, "v1")
		})
		if err != nil || tries != want {
			t.Errorf("%d tries, want %d: %v", tries, want, err)
		}
	}
}

// TestAnswersOfNoHelp: what cannot work is recognised by the answer.
func TestAnswersOfNoHelp(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	host := strings.TrimPrefix(server.URL, "https://")
	_, err := open(t, host, "a").Resolve(t.Context(), "v1")
	if !errors.Is(err, ErrSpeaksTLS) || !strings.Contains(err.Error(), host+" uses TLS") {
		t.Error(err)
	}
	nginx := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<center>The plain HTTP request was sent to HTTPS port</center>")
	})
	if _, err := nginx.Tags(t.Context()); !errors.Is(err, ErrSpeaksTLS) {
		t.Error(err)
	}
	other := answering(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) })
	if _, err := other.Tags(t.Context()); err == nil || errors.Is(err, ErrSpeaksTLS) || !strings.Contains(err.Error(), "400") {
		t.Error(err)
	}
	empty := ocispec.DescriptorEmptyJSON
	mirror := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) })
	if err := mirror.PushBlob(t.Context(), empty, empty.Data); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	proxied := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://registry.internal/v2/a/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	})
	if err := proxied.PushBlob(t.Context(), empty, empty.Data); !errors.Is(err, ErrUploadAddress) {
		t.Error(err)
	}
}
