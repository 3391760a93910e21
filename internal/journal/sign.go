package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// Signed is a record that was signed, on its way to the registry.
type Signed struct {
	tag.Entry
	desc ocispec.Descriptor
	raw  []byte
}

// Sign signs a record and gives it as it will be read. Nothing is written yet.
func (l *Journal) Sign(ctx context.Context, r tag.Record) (Signed, error) {
	s := Signed{Entry: tag.Entry{Record: r}}
	title := strings.TrimSpace(fmt.Sprintf("%s %s %s to %s %s", r.Action, r.Component, r.Channel, r.Version, r.To))
	desc, raw, id, err := l.sign(ctx, recordMeaning, recordSubject(r), r, r.Time, title)
	if err != nil {
		return s, err
	}
	s.Tag, s.Digest, s.Signer, s.Logged = tag.RecordTag(l.o.Channel, r.Time, r.Request), desc.Digest, id.String(), id.Time
	s.desc, s.raw = desc, raw
	return s, nil
}

// Store writes a signed record under a tag of its own. Nothing is ever replaced: the tag has the time to the millisecond, and an end that
// comes from the request.
func (l *Journal) Store(ctx context.Context, s Signed) error {
	return l.store(ctx, s.Tag, s.desc, s.raw)
}

// Mark says that the move of a record is done.
func (l *Journal) Mark(ctx context.Context, s Signed) error {
	return l.o.Repo.Tag(ctx, s.desc, s.raw, tag.DoneTag(s.Tag))
}

// MarkRead is Mark for a record that was read.
func (l *Journal) MarkRead(ctx context.Context, e tag.Entry) error {
	desc, raw, err := l.o.Repo.Manifest(ctx, e.Digest.String())
	if err != nil {
		return err
	}
	return l.Mark(ctx, Signed{Entry: e, desc: desc, raw: raw})
}

// sign makes the manifest of a record.
func (l *Journal) sign(ctx context.Context, meaning string, subject digest.Digest, predicate any, at time.Time,
	title string) (ocispec.Descriptor, []byte, sign.Signed, error) {
	none := ocispec.Descriptor{}
	stated, err := asMap(predicate)
	if err != nil {
		return none, nil, sign.Signed{}, err
	}
	id, err := l.o.Signer.Identity(ctx)
	if err != nil {
		return none, nil, id, fmt.Errorf("sign the record: %w", err)
	}
	if err := l.MayMove(id); err != nil { // before anything of a stranger is signed, and logged
		return none, nil, id, err
	}
	bundle, id, err := l.o.Signer.SignStatement(ctx, sign.Statement{Repository: l.o.Names[0], Subject: subject, Type: meaning,
		Predicate: stated})
	if err != nil {
		return none, nil, id, fmt.Errorf("sign the record: %w", err)
	}
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: recordType,
		Config: empty(), Layers: []ocispec.Descriptor{empty()},
		Annotations: map[string]string{
			ocispec.AnnotationCreated: at.UTC().Format(time.RFC3339),
			recordBundle:              string(bundle),
			ocispec.AnnotationTitle:   title,
		},
	})
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw, id, err
}

func empty() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: ocispec.DescriptorEmptyJSON.Digest,
		Size: ocispec.DescriptorEmptyJSON.Size}
}

// store writes a record. The empty blob is there wherever keos-oci published; elsewhere the registry misses it.
func (l *Journal) store(ctx context.Context, name string, desc ocispec.Descriptor, raw []byte) error {
	return registry.WithEmptyBlob(ctx, l.o.Repo, func(ctx context.Context) error { return l.o.Repo.Tag(ctx, desc, raw, name) })
}

func asMap(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(raw, &m)
}
