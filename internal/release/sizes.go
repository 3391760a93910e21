package release

import (
	"context"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Size is how much of a component changed. Files, or objects, and lines are counted where Change is SizeChanged.
type Size struct {
	Change  string `json:"change"`
	Files   int    `json:"files,omitempty"`
	Added   int    `json:"added,omitempty"`   // lines
	Removed int    `json:"removed,omitempty"` // lines
}

// What Size.Change says.
const (
	SizeNew     = "new"     // there was nothing before
	SizeNone    = "none"    // the digest is the same
	SizeChanged = "changed" // Files, Added and Removed say how much
	SizeUnknown = "unknown" // the artifacts could not be compared
)

// sizeOf is how much of a component changed between two artifacts, nil where there is nothing to compare. It reads both artifacts. A run
// does not fail because of it.
func (s *Service) sizeOf(ctx context.Context, name string, from, to digest.Digest) *Size {
	switch {
	case to == "":
		return nil
	case from == "":
		return &Size{Change: SizeNew}
	case from == to:
		return &Size{Change: SizeNone}
	}
	before, after := Target{Component: name, Digest: from}, Target{Component: name, Digest: to}
	diff, err := s.Diff(ctx, DiffRequest{Component: name, From: before, To: &after})
	if err != nil {
		return &Size{Change: SizeUnknown}
	}
	size := diff.Size()
	return &size
}

// Size counts what differs.
func (r *DiffResult) Size() Size {
	size := Size{Change: SizeChanged, Files: len(r.Files) + len(r.Objects)}
	for _, f := range r.Files {
		size.count(f.Diff)
	}
	for _, o := range r.Objects {
		size.count(o.Diff)
	}
	return size
}

// count adds the lines of a unified diff without its header.
func (z *Size) count(hunks string) {
	for line := range strings.Lines(hunks) {
		switch line[0] {
		case '+':
			z.Added++
		case '-':
			z.Removed++
		}
	}
}

// sizes says how the channel of each component changed that followed, or would follow.
func (r *PublishResult) sizes(ctx context.Context, s *Service) {
	s.sideBySide(len(r.Components), func(i int) {
		c := &r.Components[i]
		from, to := c.change(r.Commit)
		c.Changed = s.sizeOf(ctx, c.Name, from, to)
	})
}

// change is what the channel that followed was, and is. Tags that are never moved have nothing to be compared with.
func (c *PublishedComponent) change(commit string) (from, to digest.Digest) {
	if c.Status == StatusUnchanged {
		return c.Digest, c.Digest
	}
	for _, m := range c.Tags {
		if m.Tag != c.Version && !strings.HasSuffix(m.Tag, "-"+short(commit)) {
			return m.From, m.To
		}
	}
	return "", ""
}

// sizes says how each channel changed.
func (r *MoveResult) sizes(ctx context.Context, s *Service) {
	s.sideBySide(len(r.Components), func(i int) {
		c := &r.Components[i]
		c.Changed = s.sizeOf(ctx, c.Name, c.From, c.To)
	})
}
