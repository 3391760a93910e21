package registry

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

func open(t testing.TB, host, repo string) *Repository {
	t.Helper()
	c, err := New(Options{Retry: Retry{Wait: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := name.NewRepository(host + "/" + repo)
	if err != nil {
		t.Fatal(err)
	}
	return c.Open(n)
}

func blob(data string) (ocispec.Descriptor, []byte) {
	return ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromString(data), Size: int64(len(data))}, []byte(data)
}

func manifest(t testing.TB, layer string, subject *ocispec.Descriptor) (ocispec.Descriptor, []byte) {
	t.Helper()
	desc, _ := blob(layer)
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{desc}, Subject: subject}
	m.Config.Data = nil
	if subject != nil {
		m.ArtifactType = "application/test"
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw
}

// push stores an artifact with one layer and tags it, and refers to it.
func push(ctx context.Context, t testing.TB, r *Repository, layer string) error {
	t.Helper()
	desc, raw := manifest(t, layer, nil)
	for _, content := range []string{layer, "{}"} {
		d, data := blob(content)
		if err := r.PushBlob(ctx, d, data); err != nil {
			return err
		}
	}
	if err := r.PushManifest(ctx, desc, raw); err != nil {
		return err
	}
	if _, err := r.SeenReferrers(ctx, desc.Digest, "application/test"); err != nil {
		return err
	}
	referrer, refRaw := manifest(t, layer, &desc)
	if _, err := r.AddReferrer(ctx, referrer, refRaw, true); err != nil {
		return err
	}
	return r.Tag(ctx, desc, raw, "v1")
}

func check(ctx context.Context, t testing.TB, r *Repository, layer string) error {
	t.Helper()
	want, _ := manifest(t, layer, nil)
	desc, raw, err := r.Manifest(ctx, "v1")
	if err != nil {
		return err
	}
	if desc.Digest != want.Digest || digest.FromBytes(raw) != want.Digest {
		return fmt.Errorf("v1 is %s, want %s", desc.Digest, want.Digest)
	}
	d, _ := blob(layer)
	data, err := r.Blob(ctx, d, 1<<20)
	if err != nil {
		return err
	}
	if string(data) != layer {
		return fmt.Errorf("layer %q", data)
	}
	list, err := r.Referrers(ctx, want.Digest, "application/test")
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return fmt.Errorf("%d referrers, want 1", len(list))
	}
	return nil
}

func TestPushAndRead(t *testing.T) {
	p := registrytest.New(t)
	r := open(t, p.Host(), "a/b")
	if tags, err := r.Tags(t.Context()); err != nil || len(tags) > 0 {
		t.Fatalf("tags of a missing repository: %v, %v", tags, err)
	}
	if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "/a/b:v1") {
		t.Fatal(err)
	}
	if err := push(t.Context(), t, r, "layer"); err != nil {
		t.Fatal(err)
	}
	if err := check(t.Context(), t, open(t, p.Host(), "a/b"), "layer"); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsArePlain(t *testing.T) {
	p := registrytest.New(t)
	r := open(t, p.Host(), "a/b")
	if err := push(t.Context(), t, r, "layer"); err != nil {
		t.Fatal(err)
	}
	// 2 blobs x 2, 2 manifests, referrers API once, the index looked up, read, written and read back, the tag.
	if n := p.Count(""); n != 12 {
		t.Errorf("%d requests: %v", n, p.Requests())
	}
	p.Reset()
	other := r.client.Open(mustRepo(t, p.Host()+"/c"))
	if _, err := other.Referrers(t.Context(), digest.FromString("x"), ""); err != nil {
		t.Fatal(err)
	}
	if n := p.Count("/referrers/"); n != 0 {
		t.Errorf("a second repository of the host probes the referrers API again: %v", p.Requests())
	}
}

// TestNewRepositoryNeedsNoLookup: what the listing has shown to be absent is not asked for again, and what this run
// wrote itself is not forgotten.
func TestNewRepositoryNeedsNoLookup(t *testing.T) {
	p := registrytest.New(t)
	r := open(t, p.Host(), "a/b")
	if _, err := r.Tags(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := push(t.Context(), t, r, "layer"); err != nil {
		t.Fatal(err)
	}
	if n := p.Count("GET"); n != 4 { // the listing, the referrers API, and the index right before and after it is written
		t.Errorf("%d reads: %v", n, p.Requests())
	}
	if err := check(t.Context(), t, r, "layer"); err != nil {
		t.Error(err)
	}
}

// TestReferrersOfOthersStay: the fallback index is everybody's.
func TestReferrersOfOthersStay(t *testing.T) {
	p := registrytest.New(t)
	r := open(t, p.Host(), "a/b")
	if err := push(t.Context(), t, r, "layer"); err != nil {
		t.Fatal(err)
	}
	subject, _ := manifest(t, "layer", nil)
	d, data := blob("second")
	if err := r.PushBlob(t.Context(), d, data); err != nil {
		t.Fatal(err)
	}
	desc, raw := manifest(t, "second", &subject)
	for range 2 {
		if _, err := r.AddReferrer(t.Context(), desc, raw, false); err != nil {
			t.Fatal(err)
		}
	}
	list, err := r.Referrers(t.Context(), subject.Digest, "application/test")
	if err != nil || len(list) != 2 {
		t.Errorf("%d referrers, want 2: %v", len(list), err)
	}
}

// TestReferrersAPI: where the registry has the API, nothing is written under a tag.
func TestReferrersAPI(t *testing.T) {
	p := registrytest.NewProxy(t, ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0))))
	r := open(t, p.Host(), "a/b")
	if err := push(t.Context(), t, r, "layer"); err != nil {
		t.Fatal(err)
	}
	if err := check(t.Context(), t, open(t, p.Host(), "a/b"), "layer"); err != nil {
		t.Fatal(err)
	}
	tags, err := r.Tags(t.Context())
	if err != nil || slices.ContainsFunc(tags, IsReferrersTag) {
		t.Errorf("tags %v, %v", tags, err)
	}
}

func TestIsReferrersTag(t *testing.T) {
	hex := strings.Repeat("a1", 32)
	for tag, want := range map[string]bool{"sha256-" + hex: true, "sha256-" + hex + ".sig": true, "sha256-" + hex + ".att": true,
		"sha256-abc": false, "v1.0.0": false, "latest": false, "sha256-" + hex + "0": false} {
		if IsReferrersTag(tag) != want {
			t.Errorf("IsReferrersTag(%q) = %v", tag, !want)
		}
	}
}

func mustRepo(t testing.TB, s string) name.Repository {
	t.Helper()
	n, err := name.NewRepository(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	p := registrytest.New(t)
	r := open(t, p.Host(), "a/b")
	p.Forbid(true)
	if err := push(t.Context(), t, r, "x"); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	p.Forbid(false)
	desc, raw := manifest(t, "never pushed", nil)
	if err := r.PushManifest(t.Context(), desc, raw); !errors.Is(err, ErrMissingBlob) {
		t.Error(err)
	}
	down := open(t, "127.0.0.1:1", "a")
	if _, err := down.Resolve(t.Context(), "v1"); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1/a:v1") {
		t.Error(err)
	}
}

// TestImmutableTags is ECR's rule: writing a tag again fails, which is fine exactly when it names this digest already.
func TestImmutableTags(t *testing.T) {
	p := registrytest.New(t)
	r := open(t, p.Host(), "a/b")
	if err := push(t.Context(), t, r, "one"); err != nil {
		t.Fatal(err)
	}
	p.Freeze("v1")
	desc, raw := manifest(t, "one", nil)
	if err := r.Tag(t.Context(), desc, raw, "v1"); err != nil {
		t.Error("same digest:", err)
	}
	if err := push(t.Context(), t, r, "two"); !errors.Is(err, ErrImmutable) {
		t.Error("other digest:", err)
	}
}

func TestAnswersAreLimited(t *testing.T) {
	big := strings.Repeat("x", maxManifest+1)
	p := registrytest.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", digest.FromString(big).String())
		_, _ = w.Write([]byte(big))
	}))
	r := open(t, p.Host(), "a")
	if _, _, err := r.Manifest(t.Context(), "v1"); err == nil || !errors.Is(err, ErrTooLarge) ||
		!strings.Contains(err.Error(), "a manifest has more than 4 MiB") {
		t.Error(err)
	}
	if _, err := r.Blob(t.Context(), ocispec.Descriptor{Digest: digest.FromString("x"), Size: 100}, 99); err == nil {
		t.Error("blob above the limit was read")
	}
}

// TestOwnCertificates: a registry behind an own authority is trusted by --registry-ca and not without it.
func TestOwnCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	file := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, trusted := range map[string]bool{file: true, "": false} {
		client, err := New(Options{CAFile: ca, Retry: Retry{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Part(Part{Name: "test"}).Get(server.URL + "/v2/")
		if (err == nil) != trusted {
			t.Errorf("CA %q: %v", ca, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	for _, bad := range []string{filepath.Join(t.TempDir(), "none"), os.Args[0]} {
		if _, err := New(Options{CAFile: bad}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{"localhost:5000": true, "127.0.0.1": true, "127.9.9.9:1": true, "[::1]:5000": true,
		"ghcr.io": false, "localhost.evil.io": false, "10.0.0.1:5000": false, "127.0.0.1.evil.io": false} {
		if Loopback(host) != want {
			t.Errorf("Loopback(%q) = %v", host, !want)
		}
	}
}
