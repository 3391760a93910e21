package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Mode says what a path of the checkout is. It comes from Git's index and not from the file system, whose permission
// bits depend on the umask.
type Mode int

const (
	// Regular is a file that becomes 0644.
	Regular Mode = iota
	// Executable is a file that becomes 0755.
	Executable
	// Symlink is refused: Flux drops symbolic links silently.
	Symlink
	// Submodule is refused: its files are not in the checkout's own tree.
	Submodule
)

// File is one path, slash-separated and relative to the workspace.
type File struct {
	Path    string
	Mode    Mode
	Content []byte // the content in the artifact, where it differs from the checkout's file or there is no such file; nil is that file's
	Filter  string // the Git filter that makes Git store something else than the file's content; such files are refused
}

// Source is what one artifact is packed from.
type Source struct {
	FS      fs.FS    // the workspace, confined: (*os.Root).FS or a test's map
	Root    string   // the folder that becomes the artifact's root; "." is the whole workspace
	Files   []File   // tracked files below Root
	Rules   []string // .sourceignore files that hold although they are not packed, relative to the workspace; any order
	Ignore  []string // patterns in .gitignore's syntax, relative to Root, added to Flux's defaults and .sourceignore
	MaxSize int64    // bytes all files together may have; 0 is no limit
}

// Tree is a packed source: its sorted entries and the digest of the uncompressed tar that they make.
type Tree struct {
	ContentDigest digest.Digest
	Size          int64             // bytes of all files together
	Files         []string          // packed files relative to the root, sorted as in the tar
	Ignored       map[string]string // tracked files left out, relative to the workspace -> the rule that did it

	fsys    fs.FS
	entries []entry
}

// entry is one header of the tar; name is relative to the artifact's root, path to the workspace.
type entry struct {
	name, path string
	mode       int64
	dir        bool
	size       int64
	content    []byte // nil is the file's
}

// ErrSymlink reports a symbolic link, ErrSubmodule a Git submodule among the files, ErrFilter a file of which Git stores what a
// filter makes of it, ErrName a file name that Extract refuses, ErrTooLarge more bytes than Source.MaxSize, ErrEmpty a source
// without a single file.
var (
	ErrSymlink   = errors.New("symbolic link")
	ErrSubmodule = errors.New("git submodule")
	ErrFilter    = errors.New("git filter")
	ErrName      = errors.New("file name that cannot be unpacked")
	ErrTooLarge  = errors.New("too large")
	ErrEmpty     = errors.New("no files")
)

// PathError names the file that cannot be packed; the path is relative to the workspace.
type PathError struct {
	Path string
	Err  error
}

func (e *PathError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap gives the reason.
func (e *PathError) Unwrap() error { return e.Err }

// Read lists and hashes the files of src without keeping their contents. All faults of single files are reported
// together, joined.
func Read(ctx context.Context, src Source) (*Tree, error) {
	t := &Tree{fsys: src.FS, Ignored: map[string]string{}}
	kept, dirs, err := t.filter(src)
	if err != nil {
		return nil, err
	}
	if err := t.stat(src, kept); err != nil {
		return nil, err
	}
	if len(t.entries) == 0 {
		return nil, &PathError{src.Root, ErrEmpty}
	}
	for dir := range dirs {
		t.entries = append(t.entries, entry{name: relative(src.Root, dir), path: dir, mode: 0o755, dir: true})
	}
	slices.SortFunc(t.entries, func(a, b entry) int { return comparePaths(a.name, b.name) })
	for _, e := range t.entries {
		if !e.dir {
			t.Files = append(t.Files, e.name)
		}
	}
	hash := digest.Canonical.Digester()
	if err := t.writeTar(ctx, hash.Hash()); err != nil {
		return nil, err
	}
	t.ContentDigest = hash.Digest()
	return t, nil
}

// filter splits src's files into the kept ones and t.Ignored, and answers with the folders of all of them that no rule
// ignores: like Flux, a folder stays although every file in it is ignored.
func (t *Tree) filter(src Source) ([]File, map[string]bool, error) {
	ignore, err := newIgnore(src)
	if err != nil {
		return nil, nil, err
	}
	var kept []File
	dirs := map[string]bool{}
	for _, f := range src.Files {
		for dir := path.Dir(f.Path); within(src.Root, dir) && !dirs[dir]; dir = path.Dir(dir) {
			if dir != src.Root && ignore.match(dir, true) != "" {
				continue
			}
			dirs[dir] = true
			if dir == "." {
				break
			}
		}
		if rule := ignore.match(f.Path, false); rule != "" {
			t.Ignored[f.Path] = "ignored by " + rule
			continue
		}
		kept = append(kept, f)
	}
	return kept, dirs, nil
}

// Ignored says which of src's files rules leave out, and which rule does; nothing of them is read.
func Ignored(src Source) (map[string]string, error) {
	t := &Tree{Ignored: map[string]string{}}
	_, _, err := t.filter(src)
	return t.Ignored, err
}

// stat checks each file against the file system: what Git calls a regular file may have been replaced since.
func (t *Tree) stat(src Source, files []File) error {
	var errs []error
	checked := map[string]error{}
	for _, f := range files {
		size, err := sizeOf(src.FS, f, checked)
		if refused := checkName(relative(src.Root, f.Path)); refused != nil {
			err = fmt.Errorf("%w: %w", ErrName, refused)
		}
		if err != nil {
			errs = append(errs, &PathError{f.Path, err})
			continue
		}
		mode := int64(0o644)
		if f.Mode == Executable {
			mode = 0o755
		}
		t.Size += size
		t.entries = append(t.entries, entry{name: relative(src.Root, f.Path), path: f.Path, mode: mode, size: size, content: f.Content})
	}
	if src.MaxSize > 0 && t.Size > src.MaxSize {
		errs = append(errs, tooLarge(t.entries, t.Size, src.MaxSize))
	}
	return errors.Join(errs...)
}

func tooLarge(entries []entry, size, limit int64) error {
	largest := slices.MaxFunc(entries, func(a, b entry) int { return int(min(max(a.size-b.size, -1), 1)) })
	return &PathError{largest.path, fmt.Errorf("%w: the component has %d bytes, more than artifact.maxSize %d; this file alone has %d",
		ErrTooLarge, size, limit, largest.size)}
}

// sizeOf is how many bytes of a file are in the artifact.
func sizeOf(fsys fs.FS, f File, checked map[string]error) (int64, error) {
	info, err := lstat(fsys, f, checked)
	switch {
	case f.Content != nil && (err == nil || errors.Is(err, fs.ErrNotExist)):
		return int64(len(f.Content)), nil
	case err != nil:
		return 0, err
	}
	return info.Size(), nil
}

// lstat refuses whatever is no regular file reached through real folders; checked remembers the folders of this run.
func lstat(fsys fs.FS, f File, checked map[string]error) (fs.FileInfo, error) {
	switch f.Mode {
	case Symlink:
		return nil, ErrSymlink
	case Submodule:
		return nil, fmt.Errorf("%w: its files are in another repository: copy them, or leave the path out with artifact.ignore", ErrSubmodule)
	}
	if f.Filter != "" {
		return nil, fmt.Errorf("%w %s: Git stores what the filter makes of this file, and not its content: "+
			"take the path out of .gitattributes and commit the file itself, or leave it out with artifact.ignore", ErrFilter, f.Filter)
	}
	for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
		err, ok := checked[dir]
		if !ok {
			err = realDir(fsys, dir)
			checked[dir] = err
		}
		if err != nil {
			return nil, err
		}
		if ok {
			break // its parents were looked at with it
		}
	}
	info, err := fs.Lstat(fsys, f.Path)
	if err != nil {
		return nil, cause(err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, ErrSymlink
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("not a regular file: %s", info.Mode().Type())
	}
	return info, nil
}

func realDir(fsys fs.FS, dir string) error {
	info, err := fs.Lstat(fsys, dir)
	if err != nil {
		return cause(err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("folder %s is a %w", dir, ErrSymlink)
	}
	return nil
}

// cause drops the path of a file system error, which PathError says already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
