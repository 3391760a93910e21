package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Referrers come from the referrers API (distribution spec 1.1, "Listing Referrers") or, on registries without it, from
// an index under a tag named after the subject ("Referrers Tag Schema"). Which of the two a host has is found out once
// per run.

// capabilities remembers the hosts' answers.
type capabilities struct {
	mu    sync.Mutex
	hosts map[string]*capability
}

type capability struct {
	probe sync.Mutex // held by the first repository that asks
	state atomic.Int32
}

const (
	apiUnknown int32 = iota
	apiSupported
	apiMissing
)

func (c *capabilities) of(host string) *capability {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hosts == nil {
		c.hosts = map[string]*capability{}
	}
	if c.hosts[host] == nil {
		c.hosts[host] = &capability{}
	}
	return c.hosts[host]
}

// seen is what a listing of the tags showed when the run began.
type seen struct {
	mu   sync.Mutex
	tags map[string]bool // nil before the first listing
}

func (s *seen) listed(tags []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags = make(map[string]bool, len(tags))
	for _, t := range tags {
		s.tags[t] = true
	}
}

// wrote keeps the listing true after a write of this run.
func (s *seen) wrote(ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tags != nil {
		s.tags[ref] = true
	}
}

// lacks says that the listing was made and did not show tag.
func (s *seen) lacks(tag string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags != nil && !s.tags[tag]
}

// empty says that the listing was made and showed nothing: the repository was new.
func (s *seen) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags != nil && len(s.tags) == 0
}

func fallbackTag(subject digest.Digest) string {
	return subject.Algorithm().String() + "-" + subject.Encoded()
}

// IsReferrersTag reports whether tag belongs to signatures and other referrers and is nobody's version: the fallback of the
// referrers API, or cosign v2's suffixes of it.
func IsReferrersTag(tag string) bool {
	hex, ok := strings.CutPrefix(tag, "sha256-")
	if !ok {
		return false
	}
	hex, _, _ = strings.Cut(hex, ".")
	return digest.NewDigestFromEncoded(digest.SHA256, hex).Validate() == nil
}

// Referrers lists the manifests of one artifact type whose subject is the given digest; none when nothing refers to it
// or the repository does not exist. Registries that do not know artifact types list others with an empty config, too.
func (r *Repository) Referrers(ctx context.Context, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	list, err := r.referrersOf(ctx, subject)
	if err != nil {
		return nil, r.fault("list referrers of", subject.String(), err)
	}
	return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool { return !mayBe(d.ArtifactType, artifactType) }), nil
}

// SeenReferrers is Referrers for who can live with an old answer: where the run's listing of the tags showed that there are none,
// nothing is asked.
func (r *Repository) SeenReferrers(ctx context.Context, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	if r.seen.empty() {
		return nil, nil
	}
	if r.seen.lacks(fallbackTag(subject)) {
		supported, err := r.hasReferrersAPI(ctx, subject)
		if err != nil {
			return nil, r.fault("list referrers of", subject.String(), err)
		}
		if !supported {
			return nil, nil
		}
	}
	return r.Referrers(ctx, subject, artifactType)
}

// referrersOf asks in the way that the host is known to answer.
func (r *Repository) referrersOf(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, error) {
	found, err := r.probeReferrers(ctx, subject)
	switch {
	case err != nil:
		return nil, err
	case found.state == apiMissing:
		return r.referrersIndex(ctx, subject)
	case found.asked:
		return found.list, nil
	}
	list, supported, err := r.referrersAPI(ctx, subject)
	if err != nil || supported {
		return list, err
	}
	return r.referrersIndex(ctx, subject)
}

// probed is what is known of a host. asked is whether the answer is about the subject: then list is its referrers.
type probed struct {
	state int32
	asked bool
	list  []ocispec.Descriptor
}

// probeReferrers finds out whether the host has the referrers API. One repository asks, and the others wait for its answer alone: their
// own requests go side by side.
func (r *Repository) probeReferrers(ctx context.Context, subject digest.Digest) (probed, error) {
	c := r.client.referrers.of(r.remote.Reference.Registry)
	if state := c.state.Load(); state != apiUnknown {
		return probed{state: state}, nil
	}
	c.probe.Lock()
	defer c.probe.Unlock()
	if state := c.state.Load(); state != apiUnknown {
		return probed{state: state}, nil
	}
	list, _, err := r.referrersAPI(ctx, subject)
	return probed{c.state.Load(), true, list}, err
}

func (r *Repository) hasReferrersAPI(ctx context.Context, subject digest.Digest) (bool, error) {
	found, err := r.probeReferrers(ctx, subject)
	return found.state == apiSupported, err
}

// mayBe reports whether a listed type can stand for the wanted one: some registries list the config's media type instead,
// so for those the caller learns the type from the manifest itself.
func mayBe(listed, wanted string) bool {
	return listed == wanted || listed == ocispec.MediaTypeEmptyJSON
}

// referrersAPI asks the API and remembers whether the host has it.
func (r *Repository) referrersAPI(ctx context.Context, subject digest.Digest) (list []ocispec.Descriptor, supported bool, err error) {
	list, state, err := r.getReferrers(ctx, subject)
	if err == nil && state != apiUnknown {
		r.client.referrers.of(r.remote.Reference.Registry).state.Store(state)
	}
	return list, state != apiMissing, err
}

func (r *Repository) getReferrers(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, int32, error) {
	var list []ocispec.Descriptor
	err := r.remote.Referrers(listed(r.client.scoped(ctx, r.remote.Reference)), ocispec.Descriptor{Digest: subject}, "",
		func(page []ocispec.Descriptor) error {
			if list = append(list, page...); len(list) > maxReferrers {
				return fmt.Errorf("more than %d referrers", maxReferrers)
			}
			return nil
		})
	switch {
	case err == nil:
		return list, apiSupported, nil
	case isCode(err, errcode.ErrorCodeNameUnknown): // no such repository says nothing about the API
		return nil, apiUnknown, nil
	case errors.Is(err, errdef.ErrUnsupported), status(err) == http.StatusNotFound:
		return nil, apiMissing, nil
	}
	return nil, apiUnknown, err
}

// referrersIndex reads the fallback tag. What it names need not be an index: some registries resolve any such name to
// the subject itself.
func (r *Repository) referrersIndex(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, error) {
	desc, raw, err := r.Manifest(ctx, fallbackTag(subject))
	if errors.Is(err, ErrNotFound) || err == nil && desc.MediaType != ocispec.MediaTypeImageIndex {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("referrers index: %w", err)
	}
	return index.Manifests, nil
}
