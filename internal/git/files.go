package git

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Mode is what kind of entry Git keeps for a path.
type Mode string

// The modes a path can have; their values are Git's own.
const (
	Regular    Mode = "100644"
	Executable Mode = "100755"
	Symlink    Mode = "120000"
	Submodule  Mode = "160000"
)

// File is one path that Git tracks, slash-separated and relative to the top folder.
type File struct {
	Path string
	Mode Mode
}

// Files returns the tracked files below paths (all of them where there is none), in the order of Git's index, which is
// that of their bytes. A path that Git does not track adds nothing.
func (c *Checkout) Files(ctx context.Context, paths ...string) ([]File, error) {
	out, err := c.git(ctx, append([]string{"ls-files", "-z", "--stage", "--"}, paths...)...)
	if err != nil {
		return nil, fmt.Errorf("list tracked files: %w", err)
	}
	files := make([]File, 0, bytes.Count(out, []byte{0}))
	for entry := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		if len(entry) == 0 {
			break // nothing is tracked
		}
		meta, path, found := bytes.Cut(entry, []byte("\t"))
		mode, known := modeOf(meta)
		if !found || !known {
			return nil, fmt.Errorf("list tracked files: unexpected answer %q of git ls-files", entry)
		}
		// An unmerged path has an entry for each side of the conflict.
		if n := len(files); n > 0 && files[n-1].Path == string(path) {
			continue
		}
		files = append(files, File{Path: string(path), Mode: mode})
	}
	return files, nil
}

// modeOf reads the mode that an entry begins with. It is one of the constants, so that a file holds no more of Git's answer than
// its path.
func modeOf(entry []byte) (Mode, bool) {
	for _, mode := range []Mode{Regular, Executable, Symlink, Submodule} {
		if bytes.HasPrefix(entry, []byte(mode+" ")) {
			return mode, true
		}
	}
	return "", false
}

// Status is how the work tree differs from HEAD, in slash paths relative to the top folder, in lexical order.
type Status struct {
	Modified  []string // changed, staged, deleted, renamed (both sides) or unmerged
	Untracked []string // neither tracked nor ignored; a repository nested in this one is one path
}

// Clean tells whether the work tree is exactly what HEAD says.
func (s Status) Clean() bool { return len(s.Modified) == 0 && len(s.Untracked) == 0 }

// Status returns how the work tree differs from HEAD.
func (c *Checkout) Status(ctx context.Context) (Status, error) {
	// Content inside a submodule is never published, and looking there would obey yet another config.
	out, err := c.git(ctx, "status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames",
		"--ignore-submodules=dirty")
	if err != nil {
		return Status{}, fmt.Errorf("read status: %w", err)
	}
	return parseStatus(fields(out))
}

// parseStatus reads the entries of git status --porcelain=v2 -z.
func parseStatus(entries []string) (Status, error) {
	var status Status
	for i := 0; i < len(entries); i++ {
		path, known := statusPath(entries[i])
		switch {
		case !known:
			return Status{}, fmt.Errorf("read status: unexpected answer %q of git status", entries[i])
		case entries[i][0] == '?':
			status.Untracked = append(status.Untracked, strings.TrimSuffix(path, "/"))
		default:
			status.Modified = append(status.Modified, path)
		}
		if entries[i][0] == '2' && i+1 < len(entries) { // a rename's old path is an entry of its own
			i++
			status.Modified = append(status.Modified, entries[i])
		}
	}
	slices.Sort(status.Modified)
	slices.Sort(status.Untracked)
	return status, nil
}

// statusPath cuts the path off an entry, which is everything after a number of fields that depends on its kind.
func statusPath(entry string) (string, bool) {
	var before int
	switch {
	case strings.HasPrefix(entry, "? "):
		before = 1
	case strings.HasPrefix(entry, "1 "):
		before = 8
	case strings.HasPrefix(entry, "2 "):
		before = 9
	case strings.HasPrefix(entry, "u "):
		before = 10
	default:
		return "", false
	}
	parts := strings.SplitN(entry, " ", before+1)
	return parts[len(parts)-1], len(parts) == before+1
}

// ChangedSince returns the files that differ between rev and the work tree, in lexical order: added, modified, deleted,
// both sides of a rename, and untracked. The error is ErrUnknownRevision where rev is not in this clone; it says how to
// fetch it.
func (c *Checkout) ChangedSince(ctx context.Context, rev string) ([]string, error) {
	single, err := commitOf(rev)
	if err != nil {
		return nil, err
	}
	diff, err := c.git(ctx, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv",
		"--no-relative", "--ignore-submodules=dirty", "--end-of-options", single, "--")
	if err != nil {
		return nil, c.revisionError(rev, err)
	}
	others, err := c.git(ctx, "ls-files", "-z", "--others", "--exclude-standard", "--")
	if err != nil {
		return nil, fmt.Errorf("list untracked files: %w", err)
	}
	changed := fields(diff)
	for _, path := range fields(others) {
		changed = append(changed, strings.TrimSuffix(path, "/"))
	}
	slices.Sort(changed)
	return slices.Compact(changed), nil
}
