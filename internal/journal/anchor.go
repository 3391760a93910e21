package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
)

// Head is the newest record of a channel when somebody looked, with the record itself, which a mover has signed. Sequence and Tag are said
// once more for people; what counts is in the record.
type Head struct {
	Component  string        `json:"component"`
	Repository string        `json:"repository"` // without host
	Channel    string        `json:"channel"`
	Sequence   int           `json:"sequence"`
	Tag        string        `json:"tag"`
	Digest     digest.Digest `json:"digest"`
	Record     []byte        `json:"record"` // the manifest
}

// Anchor is the heads of journals, kept outside the registry: who can write to the registry can take away records, but not what is kept
// elsewhere. It is safe for concurrent use.
type Anchor struct {
	mu      sync.Mutex
	heads   []Head
	changed bool
}

// ErrAnchor reports an anchor whose records are not those that it claims. ErrCut reports a journal without a record of the anchor.
var (
	ErrAnchor = fmt.Errorf("%w: bad anchor", tag.ErrDoubt)
	ErrCut    = fmt.Errorf("%w: cut off", tag.ErrDoubt)
)

type anchorFile struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Heads      []Head `json:"heads"`
}

const (
	anchorVersion = "keos-oci.stratio.com/v1alpha1"
	anchorKind    = "Anchor"
)

// ParseAnchor reads an anchor's file. Nothing is checked yet but its form.
func ParseAnchor(raw []byte) (*Anchor, error) {
	var f anchorFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnchor, err)
	}
	if f.APIVersion != anchorVersion || f.Kind != anchorKind {
		return nil, fmt.Errorf("%w: it is %s %s, not %s %s", ErrAnchor, f.APIVersion, f.Kind, anchorVersion, anchorKind)
	}
	return &Anchor{heads: f.Heads}, nil
}

// File is the anchor as a file, in the order of repositories and channels.
func (a *Anchor) File() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortFunc(a.heads, func(x, y Head) int {
		return cmp.Or(cmp.Compare(x.Repository, y.Repository), cmp.Compare(x.Channel, y.Channel))
	})
	raw, err := json.MarshalIndent(anchorFile{anchorVersion, anchorKind, a.heads}, "", "  ")
	return append(raw, '\n'), err
}

// Changed reports whether a head was put in since the file was read.
func (a *Anchor) Changed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

// of finds the head of a journal.
func (a *Anchor) of(l *Journal) (Head, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.index(l)
	if i < 0 {
		return Head{}, false
	}
	return a.heads[i], true
}

func (a *Anchor) index(l *Journal) int {
	return slices.IndexFunc(a.heads, func(h Head) bool { return l.named(h.Repository) && h.Channel == l.o.Channel })
}

func (a *Anchor) put(l *Journal, h Head) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.index(l)
	switch {
	case i < 0:
		a.heads = append(a.heads, h)
	case a.heads[i].Digest == h.Digest:
		return
	default:
		a.heads[i] = h
	}
	a.changed = true
}

// Check reports whether the journal still has its record of the anchor. The error is ErrCut or ErrAnchor when it does not. A
// channel that the anchor does not know is as it should be.
func (a *Anchor) Check(ctx context.Context, l *Journal, j tag.Journal) error {
	h, known := a.of(l)
	if !known {
		return nil
	}
	e, err := l.anchored(h)
	if err != nil {
		return err
	}
	now, err := l.o.Repo.Resolve(ctx, e.Tag)
	switch {
	case err != nil && !errors.Is(err, registry.ErrNotFound):
		return err
	case now != e.Digest:
		return fmt.Errorf("%w: the anchor has record %s of %s (number %d, %s to %s), and the registry has it no longer: somebody took it away, with all that came after",
			ErrCut, e.Tag, l.o.Channel, e.Sequence, e.Action, cmp.Or(e.Version, e.To.String()))
	}
	if newest, ok := j.Newest(); !ok || newest.Sequence < e.Sequence {
		return fmt.Errorf("%w: the newest valid record of %s has number %d, and the anchor has number %d", ErrCut, l.o.Channel, newest.Sequence,
			e.Sequence)
	}
	return nil
}

// anchored is the record of a head, if it is one that a mover signed for this channel.
func (l *Journal) anchored(h Head) (tag.Entry, error) {
	f := l.parse(h.Tag, digest.FromBytes(h.Record), h.Record)
	switch {
	case f.Unchecked:
		return f.Entry, fmt.Errorf("the anchor's record of %s: %w", l.o.Channel, f.Err)
	case f.Err != nil:
		return f.Entry, fmt.Errorf("%w: its record of %s does not count: %w", ErrAnchor, l.o.Channel, f.Err)
	case f.Digest != h.Digest || f.Sequence != h.Sequence:
		return f.Entry, fmt.Errorf("%w: its record of %s is number %d (%s), and it says number %d (%s)", ErrAnchor, l.o.Channel, f.Sequence,
			f.Digest, h.Sequence, h.Digest)
	}
	return f.Entry, nil
}

// Keep puts the newest valid record of a journal into the anchor.
func (a *Anchor) Keep(ctx context.Context, l *Journal, j tag.Journal) error {
	newest, ok := j.Newest()
	if !ok {
		return nil
	}
	if h, known := a.of(l); known && h.Digest == newest.Digest {
		return nil
	}
	_, raw, err := l.o.Repo.Manifest(ctx, newest.Digest.String())
	if err != nil {
		return err
	}
	a.put(l, l.head(newest, raw))
	return nil
}

// KeepSigned puts a record into the anchor that this run has written.
func (a *Anchor) KeepSigned(l *Journal, s Signed) { a.put(l, l.head(s.Entry, s.raw)) }

func (l *Journal) head(e tag.Entry, raw []byte) Head {
	return Head{Component: l.o.Component, Repository: l.o.Names[0], Channel: l.o.Channel, Sequence: e.Sequence, Tag: e.Tag, Digest: e.Digest,
		Record: raw}
}

// parse is the record in a manifest.
func (l *Journal) parse(name string, d digest.Digest, raw []byte) found {
	f := found{Entry: tag.Entry{Tag: name, Digest: d}}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.ArtifactType != recordType {
		f.Err = errors.New("it is no record of a move")
		return f
	}
	l.check(&f, []byte(m.Annotations[recordBundle]))
	return f
}
