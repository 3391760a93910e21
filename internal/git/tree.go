package git

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the name that Git gives an object; nothing is signed with it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxBlob is how many bytes of one file are read, which is done at once. Artifacts have some megabytes.
const maxBlob = 256 << 20

// Tree is the files that Git tracks: those of one commit, or those of the checkout as it is now. It is also a file system of them, and
// what it gives of a file is what Git stores: no line ending is converted, no $Id$ is filled in, no filter runs, whatever the
// attributes of a path say. Its methods may be called at the same time from several goroutines.
//
// A file of the work tree is read where it hashes to the object that Git has for the path, which is as good and faster than to ask Git
// for that object. In the tree of the checkout, a file that differs from HEAD is read as it is.
type Tree struct {
	Files  []File // sorted as bytes
	Commit Commit // zero for the checkout as it is

	checkout  *Checkout
	work      *os.Root // nil in a bare repository
	objects   *objects
	changed   func() (map[string]bool, error) // what differs from HEAD; nil for a commit
	converted atomic.Bool                     // a file of the work tree is not what Git stores, though it did not change
	folder    func() (string, error)
	folders   func() map[string]bool
	made      string // a folder to remove
}

// Tree returns the files of a commit, whatever is checked out. Close ends it; ctx is for all that it reads.
func (c *Checkout) Tree(ctx context.Context, commit Commit) (*Tree, error) {
	out, err := c.git(ctx, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit.Hash)
	if err != nil {
		return nil, c.revisionError(commit.Hash, err)
	}
	files, err := parseFiles(out, func(meta string) (string, string) {
		fields := strings.Fields(meta) // mode, type, object
		return fields[0], fields[len(fields)-1]
	})
	if err != nil {
		return nil, fmt.Errorf("list the files of %s: %w", commit.Hash, err)
	}
	t, err := c.newTree(ctx, files)
	if err == nil {
		t.Commit = commit
		t.folder = sync.OnceValues(func() (string, error) { return t.folderOf(ctx) })
	}
	return t, err
}

// WorkTree returns the tracked files of the checkout as it is now. Close ends it; ctx is for all that it reads.
func (c *Checkout) WorkTree(ctx context.Context) (*Tree, error) {
	files, err := c.Files(ctx)
	if err != nil {
		return nil, err
	}
	t, err := c.newTree(ctx, files)
	if err != nil {
		return nil, err
	}
	t.changed = sync.OnceValues(func() (map[string]bool, error) {
		status, err := c.Status(ctx)
		set := make(map[string]bool, len(status.Modified))
		for _, file := range status.Modified {
			set[file] = true
		}
		return set, err
	})
	t.folder = sync.OnceValues(func() (string, error) { return t.folderOf(ctx) })
	return t, nil
}

func (c *Checkout) newTree(ctx context.Context, files []File) (*Tree, error) {
	t := &Tree{Files: files, checkout: c, objects: newObjects(ctx, c.top)}
	t.folders = sync.OnceValue(t.listFolders)
	if c.bare {
		return t, nil
	}
	root, err := os.OpenRoot(c.top)
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	t.work = root
	return t, nil
}

// Close ends what reads objects, and removes the folder that Folder made.
func (t *Tree) Close() error {
	err := t.objects.close()
	if t.work != nil {
		err = errors.Join(err, t.work.Close())
	}
	if t.made != "" {
		err = errors.Join(err, os.RemoveAll(t.made))
	}
	return err
}

// Open implements fs.FS for tracked files.
func (t *Tree) Open(name string) (fs.File, error) {
	f, ok := t.find(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if f.Mode == Symlink || f.Mode == Submodule {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%w: not a regular file", fs.ErrInvalid)}
	}
	data, raw, err := t.read(f)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if raw {
		return t.work.Open(filepath.FromSlash(name))
	}
	return &openFile{bytes.NewReader(data), info{path.Base(name), int64(len(data)), f.Mode.fileMode()}}, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Stat implements fs.StatFS. It follows no symbolic link.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.Lstat(name) }

// Lstat implements fs.ReadLinkFS, for tracked files and for the folders that hold them.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	f, ok := t.find(name)
	if !ok {
		return t.statFolder(name)
	}
	if f.Mode == Symlink || f.Mode == Submodule {
		return info{path.Base(name), 0, f.Mode.fileMode()}, nil
	}
	data, raw, err := t.read(f)
	switch {
	case err != nil:
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	case raw:
		return t.work.Lstat(filepath.FromSlash(name))
	}
	return info{path.Base(name), int64(len(data)), f.Mode.fileMode()}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) {
	f, ok := t.find(name)
	if !ok || f.Mode != Symlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	data, err := t.objects.read(f.Blob)
	return string(data), err
}

// statFolder describes a folder. One that was replaced in the work tree, for example by a symbolic link, is what it is there: its files
// differ from HEAD.
func (t *Tree) statFolder(name string) (fs.FileInfo, error) {
	if !t.folders()[name] {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
	}
	folder := info{path.Base(name), 0, fs.ModeDir | 0o755}
	if t.changed == nil {
		return folder, nil
	}
	there, err := t.work.Lstat(filepath.FromSlash(name))
	if err == nil && there.IsDir() {
		return folder, nil
	}
	changed, failed := t.changed()
	if failed != nil {
		return nil, failed
	}
	for file := range changed {
		if strings.HasPrefix(file, name+"/") {
			return there, err
		}
	}
	return folder, nil
}

func (t *Tree) listFolders() map[string]bool {
	set := map[string]bool{".": true}
	for _, f := range t.Files {
		for dir := path.Dir(f.Path); !set[dir]; dir = path.Dir(dir) {
			set[dir] = true
		}
	}
	return set
}

func (t *Tree) find(name string) (File, bool) {
	i, ok := slices.BinarySearchFunc(t.Files, name, func(f File, name string) int { return strings.Compare(f.Path, name) })
	if !ok {
		return File{}, false
	}
	return t.Files[i], true
}

// read returns what Git stores of a file. raw says that the file differs from HEAD, and is to be read from the work tree.
func (t *Tree) read(f File) (data []byte, raw bool, err error) {
	if data, ok := t.fromWork(f); ok {
		return data, false, nil
	}
	if t.changed != nil {
		changed, err := t.changed()
		if err != nil || changed[f.Path] {
			return nil, true, err
		}
		t.converted.Store(true)
	}
	data, err = t.objects.read(f.Blob)
	return data, false, err
}

// fromWork reads a file of the work tree, false where it is not the object that Git has for the path.
func (t *Tree) fromWork(f File) ([]byte, bool) {
	if t.work == nil {
		return nil, false
	}
	file, err := t.work.Open(filepath.FromSlash(f.Path))
	if err != nil {
		return nil, false
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil || !stat.Mode().IsRegular() || stat.Size() > maxBlob {
		return nil, false
	}
	data := make([]byte, stat.Size(), stat.Size()+1)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, false
	}
	return data, blobName(data, len(f.Blob)) == f.Blob
}

// blobName is the name that Git gives to a file's content: the hash of a header and the content (gitformat, "Git objects").
func blobName(data []byte, length int) string {
	sum := sha1.New() //nolint:gosec // see the import
	if length == hex.EncodedLen(sha256.Size) {
		sum = sha256.New()
	}
	fmt.Fprintf(sum, "blob %d\x00", len(data))
	sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}

// Folder returns the path of a folder with these files, for programs that need one: the checkout where its files are what Git stores,
// else a temporary folder, which Close removes. In the tree of the checkout, files that differ from HEAD are as they are.
func (t *Tree) Folder() (string, error) {
	if t.changed != nil && !t.converted.Load() {
		return t.checkout.top, nil
	}
	return t.folder()
}

// folderOf makes the temporary folder, or finds that the checkout will do.
func (t *Tree) folderOf(ctx context.Context) (string, error) {
	if t.changed == nil && t.work != nil {
		if same, err := t.isCheckedOut(ctx); err != nil || same {
			return t.checkout.top, err
		}
	}
	dir, err := os.MkdirTemp("", "keos-oci-")
	if err != nil {
		return "", err
	}
	t.made = dir
	return dir, t.writeTo(dir)
}

// isCheckedOut reports whether the work tree has this commit's files, as Git stores them, and nothing else.
func (t *Tree) isCheckedOut(ctx context.Context) (bool, error) {
	head, err := t.checkout.Head(ctx)
	if err != nil || head.Hash != t.Commit.Hash {
		return false, ignoreNoCommit(err)
	}
	status, err := t.checkout.Status(ctx)
	if err != nil || !status.Clean() {
		return false, err
	}
	for _, f := range t.Files {
		if f.Mode != Regular && f.Mode != Executable {
			continue
		}
		if _, same := t.fromWork(f); !same {
			return false, nil
		}
	}
	return true, nil
}

func ignoreNoCommit(err error) error {
	if errors.Is(err, ErrNoCommit) {
		return nil
	}
	return err
}

// openFile is a file that was read.
type openFile struct {
	*bytes.Reader
	info info
}

// Stat implements fs.File.
func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements fs.File.
func (f *openFile) Close() error { return nil }

// info is a file or folder as Git knows it, which has no time.
type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
