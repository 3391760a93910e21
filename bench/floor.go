package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// floor is the reference client: one process, one pool of connections, the fewest requests per component that the
// distribution specification allows for the job. It signs in Cosign's legacy layout (sha256-<hex>.sig), the cheapest
// that `cosign verify --key` and Flux accept, and checks nothing.
type floor struct {
	registry string
	http     *http.Client
	key      *ecdsa.PrivateKey
	commit   string
}

const (
	typeManifest  = "application/vnd.oci.image.manifest.v1+json"
	typeConfig    = "application/vnd.oci.image.config.v1+json"
	typeFlux      = "application/vnd.cncf.flux.config.v1+json"
	typeContent   = "application/vnd.cncf.flux.content.v1.tar+gzip"
	typeSignature = "application/vnd.dev.cosign.simplesigning.v1+json"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Size        int               `json:"size"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Size: len(content), Digest: digestOf(content)}
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// floorMain publishes every component of a checkout and prints a summary as keos-oci does.
func floorMain(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench floor", flag.ContinueOnError)
	registry := flags.String("registry", "", "address of the registry")
	prefix := flags.String("prefix", "", "of the repositories")
	checkout := flags.String("C", "", "folder with components/")
	commit := flags.String("commit", "", "that is published")
	keyFile := flags.String("key", "", "plain EC private key, PEM")
	jobs := flags.Int("j", 16, "components in flight")
	if err := flags.Parse(args); err != nil {
		return err
	}
	key, err := readKey(*keyFile)
	if err != nil {
		return err
	}
	components, err := os.ReadDir(filepath.Join(*checkout, "components"))
	if err != nil {
		return err
	}
	f := &floor{registry: *registry, key: key, commit: *commit, http: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, DisableCompression: true},
	}}
	var out summary
	var errs []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, *jobs)
	for _, c := range components {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			published, err := f.publish(ctx, *prefix+"/"+c.Name(), filepath.Join(*checkout, "components", c.Name()))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				out.Failed++
				errs = append(errs, err)
			case published:
				out.Published++
			default:
				out.Unchanged++
			}
		})
	}
	wg.Wait()
	errs = append(errs, json.NewEncoder(os.Stdout).Encode(result{Summary: out}))
	return errors.Join(errs...)
}

func readKey(file string) (*ecdsa.PrivateKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM", file)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

// publish publishes and signs dir unless latest holds the same layer.
func (f *floor) publish(ctx context.Context, repo, dir string) (published bool, err error) {
	layer, err := pack(dir)
	if err != nil {
		return false, err
	}
	latest, err := f.latest(ctx, repo)
	if err != nil {
		return false, err
	}
	if len(latest.Layers) == 1 && latest.Layers[0].Digest == digestOf(layer) {
		return false, nil
	}
	config := []byte(`{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`)
	artifact, err := json.Marshal(manifest{
		SchemaVersion: 2, MediaType: typeManifest,
		Config: describe(typeFlux, config),
		Layers: []descriptor{describe(typeContent, layer)},
		Annotations: map[string]string{
			"org.opencontainers.image.created":  "1970-01-01T00:00:00Z",
			"org.opencontainers.image.source":   "https://github.com/example/apps",
			"org.opencontainers.image.revision": "main@sha1:" + f.commit,
		},
	})
	if err != nil {
		return false, err
	}
	signature, blobs, err := f.sign(repo, digestOf(artifact))
	if err != nil {
		return false, err
	}
	blobs = append(blobs, layer)
	if latest.Config.Digest != digestOf(config) {
		blobs = append(blobs, config)
	}
	if err := f.putBlobs(ctx, repo, blobs); err != nil {
		return false, err
	}
	// Content first, signature second, tags last: nobody meets a tag without its signature.
	digest := digestOf(artifact)
	for _, put := range []struct {
		reference string
		manifest  []byte
	}{
		{digest, artifact},
		{strings.Replace(digest, ":", "-", 1) + ".sig", signature},
		{"main-" + f.commit[:8], artifact},
		{"latest", artifact},
	} {
		if _, err := f.do(ctx, http.MethodPut, f.url(repo, "manifests", put.reference), typeManifest, put.manifest, http.StatusCreated); err != nil {
			return false, err
		}
	}
	return true, nil
}

// sign answers with the manifest of a legacy signature of the digest and the two blobs it names.
func (f *floor) sign(repo, digest string) (signature []byte, blobs [][]byte, err error) {
	payload, err := json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": f.registry + "/" + repo},
			"image":    map[string]string{"docker-manifest-digest": digest},
			"type":     "cosign container image signature",
		},
		"optional": nil,
	})
	if err != nil {
		return nil, nil, err
	}
	hash := sha256.Sum256(payload)
	raw, err := ecdsa.SignASN1(rand.Reader, f.key, hash[:])
	if err != nil {
		return nil, nil, err
	}
	config := []byte(`{"architecture":"","config":{},"created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["` + digestOf(payload) + `"]}}`)
	layer := describe(typeSignature, payload)
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(raw)}
	signature, err = json.Marshal(manifest{SchemaVersion: 2, MediaType: typeManifest, Config: describe(typeConfig, config), Layers: []descriptor{layer}})
	return signature, [][]byte{payload, config}, err
}

// latest is the manifest that latest names, zero where there is none.
func (f *floor) latest(ctx context.Context, repo string) (m manifest, err error) {
	raw, err := f.do(ctx, http.MethodGet, f.url(repo, "manifests", "latest"), "", nil, http.StatusOK)
	if errors.Is(err, errNotFound) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(raw, &m)
}

func (f *floor) putBlobs(ctx context.Context, repo string, blobs [][]byte) error {
	errs := make([]error, len(blobs))
	var wg sync.WaitGroup
	for i, blob := range blobs {
		wg.Go(func() { errs[i] = f.putBlob(ctx, repo, blob) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// putBlob uploads in two requests, POST and PUT: registries need not offer the single POST.
func (f *floor) putBlob(ctx context.Context, repo string, blob []byte) error {
	resp, err := f.send(ctx, http.MethodPost, f.url(repo, "blobs", "uploads/"), "", nil)
	if err != nil {
		return err
	}
	if _, err := read(resp, http.StatusAccepted); err != nil {
		return err
	}
	to, err := resp.Location()
	if err != nil {
		return err
	}
	query := to.Query()
	query.Set("digest", digestOf(blob))
	to.RawQuery = query.Encode()
	_, err = f.do(ctx, http.MethodPut, to.String(), "application/octet-stream", blob, http.StatusCreated)
	return err
}

func (f *floor) url(repo, kind, name string) string {
	return "http://" + f.registry + "/v2/" + repo + "/" + kind + "/" + name
}

var errNotFound = errors.New("not found")

func (f *floor) do(ctx context.Context, method, url, contentType string, body []byte, want int) ([]byte, error) {
	resp, err := f.send(ctx, method, url, contentType, body)
	if err != nil {
		return nil, err
	}
	return read(resp, want)
}

func (f *floor) send(ctx context.Context, method, url, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", typeManifest)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return f.http.Do(req)
}

// read reads and closes the body, for the connection to be used again.
func read(resp *http.Response, want int) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == want:
		return body, nil
	case resp.StatusCode == http.StatusNotFound:
		err = errNotFound
	default:
		err = errors.New(resp.Status)
	}
	return nil, fmt.Errorf("%s %s: %w %s", resp.Request.Method, resp.Request.URL, err, body)
}

// pack makes the layer of dir: sorted, no times, fixed modes and owner.
func pack(dir string) ([]byte, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if err := tw.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := tw.Write(content); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(tw.Close(), gz.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
