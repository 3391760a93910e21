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

// File is one path that Git tracks, slash-separated and relative to the top folder. Blob is the name of the object that has its content.
type File struct {
	Path string
	Mode Mode
	Blob string
}

// Files returns the tracked files below paths (all of them where there is none), in the order of Git's index, which is
// that of their bytes. A path that Git does not track adds nothing.
func (c *Checkout) Files(ctx context.Context, paths ...string) ([]File, error) {
	out, err := c.git(ctx, append([]string{"ls-files", "-z", "--stage", "--"}, paths...)...)
	if err != nil {
		return nil, fmt.Errorf("list tracked files: %w", err)
	}
	files, err := parseFiles(out, func(meta string) (string, string) {
		mode, rest, _ := strings.Cut(meta, " ") // mode, object, stage
		object, _, _ := strings.Cut(rest, " ")
		return mode, object
	})
	if err != nil {
		return nil, fmt.Errorf("list tracked files: %w", err)
	}
	return files, nil
}

// parseFiles reads a list whose entries are fields, a tab and a path. One copy of the answer serves all paths.
func parseFiles(out []byte, fieldsOf func(string) (mode, object string)) ([]File, error) {
	files := make([]File, 0, bytes.Count(out, []byte{0}))
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if entry == "" {
			break // nothing is tracked
		}
		meta, path, found := strings.Cut(entry, "\t")
		mode, object := fieldsOf(meta)
		known, ok := modeOf(mode)
		if !found || !ok || !isHash(object) {
			return nil, fmt.Errorf("unexpected entry %q", entry)
		}
		// An unmerged path has an entry for each side of the conflict.
		if n := len(files); n > 0 && files[n-1].Path == path {
			continue
		}
		files = append(files, File{Path: path, Mode: known, Blob: object})
	}
	return files, nil
}

// modeOf is the constant for a mode of Git.
func modeOf(text string) (Mode, bool) {
	for _, mode := range []Mode{Regular, Executable, Symlink, Submodule} {
		if text == string(mode) {
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

// Clean reports whether the work tree is exactly what HEAD says.
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
	changed, err := c.diff(ctx, rev, single)
	if err != nil {
		return nil, err
	}
	others, err := c.git(ctx, "ls-files", "-z", "--others", "--exclude-standard", "--")
	if err != nil {
		return nil, fmt.Errorf("list untracked files: %w", err)
	}
	for _, path := range fields(others) {
		changed = append(changed, strings.TrimSuffix(path, "/"))
	}
	slices.Sort(changed)
	return slices.Compact(changed), nil
}

// ChangedBetween returns the files that differ between two commits, in lexical order: added, modified, deleted, and both sides of a
// rename. The error is ErrUnknownRevision where one of them is not in this clone.
func (c *Checkout) ChangedBetween(ctx context.Context, from, to string) ([]string, error) {
	a, err := commitOf(from)
	if err != nil {
		return nil, err
	}
	b, err := commitOf(to)
	if err != nil {
		return nil, err
	}
	changed, err := c.diff(ctx, from, a, b)
	slices.Sort(changed)
	return changed, err
}

// diff lists the files that differ between revisions, or between one and the work tree; rev is how the first was given.
func (c *Checkout) diff(ctx context.Context, rev string, revisions ...string) ([]string, error) {
	args := []string{"diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-relative",
		"--ignore-submodules=dirty", "--end-of-options"}
	out, err := c.git(ctx, append(append(args, revisions...), "--")...)
	if err != nil {
		return nil, c.revisionError(rev, err)
	}
	return fields(out), nil
}
