package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// referrers is what the index of the digest lists, none where there is no index. The first call of a run asks for the
// referrers API as well: the index is the way only where there is none.
func (f *floor) referrers(ctx context.Context, repo, digest string) ([]descriptor, error) {
	var list index
	err := together(
		func() error {
			f.probe.Do(func() {
				_, f.probeErr = f.do(ctx, http.MethodGet, f.url(repo, "referrers", digest), "", nil, http.StatusNotFound)
			})
			return f.probeErr
		},
		func() error {
			raw, err := f.do(ctx, http.MethodGet, f.url(repo, "manifests", indexTag(digest)), "", nil, http.StatusOK)
			if errors.Is(err, errNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			return json.Unmarshal(raw, &list)
		},
	)
	return list.Manifests, err
}

// indexTag is the tag of the referrers tag schema.
func indexTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// latest is the manifest that latest names and its digest, zero where there is none.
func (f *floor) latest(ctx context.Context, repo string) (m manifest, digest string, err error) {
	raw, err := f.do(ctx, http.MethodGet, f.url(repo, "manifests", "latest"), "", nil, http.StatusOK)
	if errors.Is(err, errNotFound) {
		return m, "", nil
	}
	if err != nil {
		return m, "", err
	}
	return m, digestOf(raw), json.Unmarshal(raw, &m)
}

func (f *floor) putManifest(ctx context.Context, repo, reference, mediaType string, content []byte) error {
	_, err := f.do(ctx, http.MethodPut, f.url(repo, "manifests", reference), mediaType, content, http.StatusCreated)
	return err
}

func (f *floor) putBlobs(ctx context.Context, repo string, blobs [][]byte) error {
	var puts []func() error
	for _, blob := range blobs {
		puts = append(puts, func() error { return f.putBlob(ctx, repo, blob) })
	}
	return together(puts...)
}

// together calls the functions side by side.
func together(calls ...func() error) error {
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(func() { errs[i] = call() })
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
	req.Header.Set("Accept", typeManifest+", "+typeIndex)
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
