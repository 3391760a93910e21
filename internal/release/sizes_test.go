package release

import (
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/tag"
)

// TestPublishedChange: the sizes of a publication are those of the channel that followed. A tag of a version or of a commit was never
// something else.
func TestPublishedChange(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for name, c := range map[string]struct {
		published PublishedComponent
		from, to  digest.Digest
	}{
		"unchanged": {PublishedComponent{Status: StatusUnchanged, Digest: "a"}, "a", "a"},
		"branch":    {PublishedComponent{Tags: []tag.Move{{Tag: "main-01234567", To: "b"}, {Tag: "latest", From: "a", To: "b"}}}, "a", "b"},
		"version": {PublishedComponent{Version: "v1.0.0", Tags: []tag.Move{{Tag: "v1.0.0", To: "b"},
			{Tag: "latest-stable", To: "b"}}}, "", "b"},
		"no channel": {PublishedComponent{Version: "v1.0.0", Tags: []tag.Move{{Tag: "v1.0.0", To: "b"}}}, "", ""},
		"failed":     {PublishedComponent{Status: StatusFailed}, "", ""},
	} {
		if from, to := c.published.change(commit); from != c.from || to != c.to {
			t.Errorf("%s: from %q to %q, want %q and %q", name, from, to, c.from, c.to)
		}
	}
}

// TestSize: without a look at a registry it is known that something is new, or the same, or that there is nothing to compare.
func TestSize(t *testing.T) {
	s := &Service{}
	for _, c := range []struct {
		from, to digest.Digest
		want     string
	}{{"", "a", SizeNew}, {"a", "a", SizeNone}} {
		if got := s.sizeOf(t.Context(), "frontend", c.from, c.to); got == nil || *got != (Size{Change: c.want}) {
			t.Errorf("from %q to %q: %+v", c.from, c.to, got)
		}
	}
	if got := s.sizeOf(t.Context(), "frontend", "a", ""); got != nil {
		t.Errorf("%+v", got)
	}
	r := DiffResult{Files: []FileDiff{{Diff: "@@ -1 +1,2 @@\n-a\n+b\n+c\n"}, {Binary: true}}, Objects: []ObjectDiff{{Diff: "-d\n e\n"}}}
	if got := r.Size(); got != (Size{Change: SizeChanged, Files: 3, Added: 2, Removed: 2}) {
		t.Errorf("%+v", got)
	}
}
