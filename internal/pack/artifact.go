package pack

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/oci"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Annotations of an artifact's manifest beside those of the OCI image spec.
const (
	// AnnotationComponent is the component's name.
	AnnotationComponent = "com.stratio.keos-oci.component"
	// AnnotationContentDigest is the digest of the uncompressed tar: it stays the same under another compressor.
	AnnotationContentDigest = "com.stratio.keos-oci.content-digest"
	// AnnotationDirty is "true" when files of the component differed from the commit that the revision names.
	AnnotationDirty = "com.stratio.keos-oci.dirty"
	// AnnotationRemoteBases lists, as JSON, the remote bases that are rendered in the content: url, file and digest of each.
	AnnotationRemoteBases = "com.stratio.keos-oci.remote-bases"
	// AnnotationUnrendered is what the content's digest would be without them: it stays the same when a base moves.
	AnnotationUnrendered = "com.stratio.keos-oci.unrendered-digest"
)

// Metadata is what a manifest says of its origin.
type Metadata struct {
	Component string
	Source    string    // URL of the Git repository
	Revision  string    // <branch or tag>@sha1:<commit>
	Created   time.Time // time of the commit, so that a re-run makes the same bytes
	Dirty     bool

	RemoteBases []RemoteBase
	Unrendered  digest.Digest // of the content without them
}

// RemoteBase is a base that was fetched from elsewhere and rendered into the content.
type RemoteBase struct {
	URL    string        `json:"url"`
	File   string        `json:"file"`   // relative to the artifact's root
	Digest digest.Digest `json:"digest"` // of that file
}

// Artifact is a manifest with its descriptor.
type Artifact struct {
	Descriptor ocispec.Descriptor
	Manifest   []byte
	Parsed     ocispec.Manifest
}

// Built is an artifact that this process has packed, as opposed to one that a registry gave: only NewArtifact makes one.
type Built struct{ artifact Artifact }

// Artifact is the manifest that was built.
func (b Built) Artifact() Artifact { return b.artifact }

// NewArtifact describes t's layer as a Flux artifact. The config is the empty JSON object: Flux reads only the media
// type, and a Sigstore bundle beside the artifact has the same config blob, so one upload serves both.
func NewArtifact(t *Tree, layer Layer, m Metadata) (Built, error) {
	annotations := map[string]string{
		oci.CreatedAnnotation:   m.Created.UTC().Format(time.RFC3339),
		oci.RevisionAnnotation:  m.Revision,
		AnnotationComponent:     m.Component,
		AnnotationContentDigest: t.ContentDigest.String(),
	}
	if m.Source != "" {
		annotations[oci.SourceAnnotation] = m.Source
	}
	if m.Dirty {
		annotations[AnnotationDirty] = "true"
	}
	if len(m.RemoteBases) > 0 {
		list, err := json.Marshal(m.RemoteBases)
		if err != nil {
			return Built{}, err
		}
		annotations[AnnotationRemoteBases], annotations[AnnotationUnrendered] = string(list), m.Unrendered.String()
	}
	config := ocispec.DescriptorEmptyJSON
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    ocispec.Descriptor{MediaType: string(oci.CanonicalConfigMediaType), Digest: config.Digest, Size: config.Size},
		Layers: []ocispec.Descriptor{{MediaType: string(oci.CanonicalContentMediaType), Digest: layer.Digest,
			Size: int64(len(layer.Bytes))}},
		Annotations: annotations,
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return Built{}, err
	}
	return Built{Artifact{Descriptor: descriptor(raw), Manifest: raw, Parsed: manifest}}, nil
}

// ParseArtifact reads a manifest that a registry gave. It accepts any OCI image manifest, since a repository may have
// artifacts of other tools. Only artifacts of keos-oci have a ContentDigest.
func ParseArtifact(raw []byte) (Artifact, error) {
	a := Artifact{Descriptor: descriptor(raw), Manifest: raw}
	if err := json.Unmarshal(raw, &a.Parsed); err != nil {
		return Artifact{}, fmt.Errorf("parse manifest %s: %w", a.Descriptor.Digest, err)
	}
	return a, nil
}

func descriptor(raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
}

// ContentDigest is the digest of the uncompressed tar as the manifest claims it, or "" when another tool made it.
func (a Artifact) ContentDigest() digest.Digest {
	return digest.Digest(a.Parsed.Annotations[AnnotationContentDigest])
}

// Layer is the descriptor of the Flux content, false when the manifest has none or more than one layer.
func (a Artifact) Layer() (ocispec.Descriptor, bool) {
	if len(a.Parsed.Layers) != 1 || a.Parsed.Layers[0].MediaType != string(oci.CanonicalContentMediaType) {
		return ocispec.Descriptor{}, false
	}
	return a.Parsed.Layers[0], true
}

// Flux reports whether the config is that of Flux's artifacts.
func (a Artifact) Flux() bool {
	return a.Parsed.Config.MediaType == string(oci.CanonicalConfigMediaType)
}

// Component is the component that the manifest claims to be of, "" when it claims none.
func (a Artifact) Component() string { return a.Parsed.Annotations[AnnotationComponent] }

// Source is the Git repository that the manifest claims to come from, "" when it claims none.
func (a Artifact) Source() string { return a.Parsed.Annotations[oci.SourceAnnotation] }

// Dirty says that the artifact was made of files that differed from its revision's.
func (a Artifact) Dirty() bool { return a.Parsed.Annotations[AnnotationDirty] == "true" }

// RemoteBases is what the manifest claims of the bases that are rendered in the content, nil when it claims nothing.
func (a Artifact) RemoteBases() []RemoteBase {
	var list []RemoteBase
	if json.Unmarshal([]byte(a.Parsed.Annotations[AnnotationRemoteBases]), &list) != nil {
		return nil
	}
	return list
}

// Unrendered is the digest of the content as it was before remote bases were rendered into it, "" where there are none.
func (a Artifact) Unrendered() digest.Digest {
	return digest.Digest(a.Parsed.Annotations[AnnotationUnrendered])
}

// Revision is the artifact's Git revision as its manifest claims it.
func (a Artifact) Revision() string { return a.Parsed.Annotations[oci.RevisionAnnotation] }

// Created is the commit time that the manifest claims, zero when it has none.
func (a Artifact) Created() time.Time {
	t, err := time.Parse(time.RFC3339, a.Parsed.Annotations[oci.CreatedAnnotation])
	if err != nil {
		return time.Time{}
	}
	return t
}
