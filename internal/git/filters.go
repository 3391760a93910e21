package git

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Filters returns the paths of the tree that Git passes through a filter, and its name: of such a file, Git stores what the filter makes
// of the content, for example a pointer of Git LFS or what git-crypt encrypted.
func (t *Tree) Filters(ctx context.Context) (map[string]string, error) {
	if !slices.ContainsFunc(t.Files, func(f File) bool { return path.Base(f.Path) == ".gitattributes" }) {
		return nil, nil
	}
	var index []string
	if t.changed == nil {
		dir, err := os.MkdirTemp("", "keos-oci-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		// Git reads the attributes of a commit from an index (gitattributes, --cached).
		index = []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
		if _, err := runWith(ctx, t.checkout.top, nil, index, "read-tree", t.Commit.Hash); err != nil {
			return nil, fmt.Errorf("read attributes: %w", err)
		}
	}
	var paths bytes.Buffer
	for _, f := range t.Files {
		paths.WriteString(f.Path)
		paths.WriteByte(0)
	}
	out, err := runWith(ctx, t.checkout.top, paths.Bytes(), index, "check-attr", "--cached", "-z", "--stdin", "filter")
	if err != nil {
		return nil, fmt.Errorf("read attributes: %w", err)
	}
	filters := map[string]string{}
	for entry := range slices.Chunk(fields(out), 3) { // path, attribute, value
		if len(entry) == 3 && entry[2] != "unspecified" && entry[2] != "unset" {
			filters[entry[0]] = entry[2]
		}
	}
	return filters, nil
}
