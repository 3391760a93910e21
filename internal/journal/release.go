package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// Release is the signed statement that a version of a component is one digest. A key pair binds versions by it, as a
// certificate's Git ref does for keyless signatures.
type Release struct {
	Component string        `json:"component"`
	Version   string        `json:"version"`
	Digest    digest.Digest `json:"digest"`
	Commit    string        `json:"commit,omitempty"`
	Time      time.Time     `json:"time"`

	Signer sign.Signed `json:"-"`
}

const releaseMeaning = "https://keos-oci.stratio.com/release/v1"

// ErrNoRecord reports a version without a release record, ErrInvalidRecord one whose record does not count.
var (
	ErrNoRecord      = errors.New("no release record")
	ErrInvalidRecord = errors.New("invalid release record")
)

// ReadRelease reads the record of a version. The error is ErrNoRecord or ErrInvalidRecord when the registry answered, and
// sign.ErrCannotCheck when the signature could not be checked.
func (l *Journal) ReadRelease(ctx context.Context, version string) (Release, error) {
	var r Release
	name := tag.ReleaseTag(version)
	_, raw, err := l.o.Repo.Manifest(ctx, name)
	if errors.Is(err, registry.ErrNotFound) {
		return r, ErrNoRecord
	}
	if err != nil {
		if registry.Unanswered(err) {
			return r, err
		}
		return r, fmt.Errorf("%w: %s: %w", ErrInvalidRecord, name, err) // damaged or too large
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.ArtifactType != recordType {
		return r, fmt.Errorf("%w: %s is not a record", ErrInvalidRecord, name)
	}
	st, signed, err := l.statement([]byte(m.Annotations[recordBundle]))
	if errors.Is(err, sign.ErrCannotCheck) {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %s: %w", ErrInvalidRecord, name, err)
	}
	predicate, err := json.Marshal(st.Predicate)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(predicate, &r); err != nil {
		return r, fmt.Errorf("%w: %s states no release: %w", ErrInvalidRecord, name, err)
	}
	if st.Type != releaseMeaning || !l.named(st.Repository) || r.Component != l.o.Component || r.Version != version || r.Digest != st.Subject {
		return r, fmt.Errorf("%w: %s states %s of %s (%s)", ErrInvalidRecord, name, r.Version, r.Component, st.Repository)
	}
	r.Signer = signed
	return r, nil
}

// WriteRelease signs and stores the record of a version, and reads it back: another run may have written one at the same time.
func (l *Journal) WriteRelease(ctx context.Context, r Release) (Release, error) {
	title := fmt.Sprintf("release %s %s is %s", r.Component, r.Version, r.Digest)
	desc, raw, _, err := l.sign(ctx, releaseMeaning, r.Digest, r, r.Time, title)
	if err != nil {
		return r, err
	}
	if err := l.store(ctx, tag.ReleaseTag(r.Version), desc, raw); err != nil {
		return r, err
	}
	return l.ReadRelease(ctx, r.Version)
}
