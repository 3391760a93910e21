package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// floor is the reference client: one process, one pool of connections, and for each component the requests that a safe
// publish needs on a registry without the referrers API. It signs with a Sigstore bundle, as keos-oci does, and lists the
// bundle in the index of the referrers tag schema. It sends side by side what may go side by side, and nothing twice.
type floor struct {
	registry string
	http     *http.Client
	key      *ecdsa.PrivateKey
	commit   string

	probe    sync.Once // asks for the referrers API, once a run
	probeErr error
}

const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeEmpty    = "application/vnd.oci.empty.v1+json"
	typeFlux     = "application/vnd.cncf.flux.config.v1+json"
	typeContent  = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// emptyConfig is the config of artifacts and of bundles: one upload serves both.
var emptyConfig = []byte("{}")

type descriptor struct {
	MediaType    string `json:"mediaType"`
	ArtifactType string `json:"artifactType,omitempty"`
	Size         int    `json:"size"`
	Digest       string `json:"digest"`
	Data         []byte `json:"data,omitempty"` // the content, so that who reads the manifest need not ask for the blob
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
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
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

// publish publishes and signs dir, unless latest has the same layer and a signature.
func (f *floor) publish(ctx context.Context, repo, dir string) (published bool, err error) {
	layer, err := pack(dir)
	if err != nil {
		return false, err
	}
	latest, current, err := f.latest(ctx, repo)
	if err != nil {
		return false, err
	}
	if len(latest.Layers) == 1 && latest.Layers[0].Digest == digestOf(layer) {
		if signed, err := f.isSigned(ctx, repo, current); err != nil || signed {
			return false, err
		}
	}
	artifact, err := json.Marshal(manifest{
		SchemaVersion: 2, MediaType: typeManifest,
		Config: describe(typeFlux, emptyConfig),
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
	content := [][]byte{layer}
	if latest.Config.Digest != digestOf(emptyConfig) {
		content = append(content, emptyConfig)
	}
	isNew, commitTag := current == "", "main-"+f.commit[:8]
	// Nobody meets any of this: no tag names it, and no index lists the signature.
	var raw []byte
	err = together(
		func() error { return f.mayTag(ctx, repo, commitTag, digestOf(artifact), isNew) },
		func() error {
			if err := f.putBlobs(ctx, repo, content); err != nil {
				return err
			}
			return f.putManifest(ctx, repo, digestOf(artifact), typeManifest, artifact)
		},
		func() (err error) { raw, err = f.sign(ctx, repo, digestOf(artifact), isNew); return err },
	)
	if err != nil {
		return false, err
	}
	if raw != nil {
		if err := f.attach(ctx, repo, artifact, raw); err != nil {
			return false, err
		}
	}
	// Tags move last and latest after the commit's tag: nobody meets a tag without its signature.
	for _, tag := range []string{commitTag, "latest"} {
		if err := f.putManifest(ctx, repo, tag, typeManifest, artifact); err != nil {
			return false, err
		}
	}
	return true, nil
}

// mayTag refuses to move an immutable tag. For a repository that may be new it lists the tags, as keos-oci does.
func (f *floor) mayTag(ctx context.Context, repo, tag, digest string, isNew bool) error {
	if isNew {
		raw, err := f.do(ctx, http.MethodGet, f.url(repo, "tags", "list"), "", nil, http.StatusOK)
		if errors.Is(err, errNotFound) {
			return nil
		}
		var list struct{ Tags []string }
		if err == nil {
			err = json.Unmarshal(raw, &list)
		}
		if err != nil || !slices.Contains(list.Tags, tag) {
			return err
		}
	}
	resp, err := f.send(ctx, http.MethodHead, f.url(repo, "manifests", tag), "", nil)
	if err != nil {
		return err
	}
	_, err = read(resp, http.StatusOK)
	switch {
	case errors.Is(err, errNotFound):
		return nil
	case err == nil && resp.Header.Get("Docker-Content-Digest") != digest:
		return fmt.Errorf("%s:%s names another digest", repo, tag)
	}
	return err
}

// sign uploads a signature of the digest as a blob and answers with it, nil where the digest is signed. Nothing of a new
// repository is.
func (f *floor) sign(ctx context.Context, repo, digest string, isNew bool) ([]byte, error) {
	if !isNew {
		if signed, err := f.isSigned(ctx, repo, digest); err != nil || signed {
			return nil, err
		}
	}
	raw, err := signed(f.key, digest)
	if err != nil {
		return nil, err
	}
	return raw, f.putBlob(ctx, repo, raw)
}

// attach lists the signature as a referrer of the artifact. The signature's manifest has a tag of its own, because
// registries delete what only an index names, or what a lost write of the index no longer names.
func (f *floor) attach(ctx context.Context, repo string, artifact, raw []byte) error {
	subject, layer := describe(typeManifest, artifact), describe(typeBundle, raw)
	layer.Data = raw
	m, err := json.Marshal(manifest{
		SchemaVersion: 2, MediaType: typeManifest, ArtifactType: typeBundle,
		Config: describe(typeEmpty, emptyConfig), Layers: []descriptor{layer}, Subject: &subject,
		Annotations: map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicateType},
	})
	if err != nil {
		return err
	}
	entry := describe(typeManifest, m)
	entry.ArtifactType = typeBundle
	tag := indexTag(subject.Digest)
	// Others must see that this run is about to write before it reads: else it may write over what they added meanwhile.
	if err := f.putManifest(ctx, repo, tag+"."+strings.TrimPrefix(entry.Digest, "sha256:")[:8], typeManifest, m); err != nil {
		return err
	}
	list, err := f.referrers(ctx, repo, subject.Digest)
	if err != nil {
		return err
	}
	next, err := json.Marshal(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: append(list, entry)})
	if err != nil {
		return err
	}
	if err := f.putManifest(ctx, repo, tag, typeIndex, next); err != nil {
		return err
	}
	// Registries cannot compare and swap: only reading it again shows whether another run wrote over it.
	if list, err = f.referrers(ctx, repo, subject.Digest); err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(d descriptor) bool { return d.Digest == entry.Digest }) {
		return fmt.Errorf("%s: another run wrote over the index of %s", repo, subject.Digest)
	}
	return nil
}

// isSigned reports whether the index of the digest lists a bundle of the floor's key, and reads that.
func (f *floor) isSigned(ctx context.Context, repo, digest string) (bool, error) {
	list, err := f.referrers(ctx, repo, digest)
	if err != nil {
		return false, err
	}
	for _, entry := range list {
		if entry.ArtifactType != typeBundle {
			continue
		}
		raw, err := f.do(ctx, http.MethodGet, f.url(repo, "manifests", entry.Digest), "", nil, http.StatusOK)
		if err != nil {
			return false, err
		}
		var m manifest
		if digestOf(raw) != entry.Digest || json.Unmarshal(raw, &m) != nil || len(m.Layers) != 1 {
			return false, fmt.Errorf("%s@%s is no bundle", repo, entry.Digest)
		}
		if accepts(&f.key.PublicKey, m.Layers[0].Data, digest) == nil {
			return true, nil
		}
	}
	return false, nil
}
