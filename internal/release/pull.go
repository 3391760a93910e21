package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/pack"
)

// ErrFolder reports a folder that nothing can be pulled into.
var ErrFolder = errors.New("cannot pull into this folder")

// PullRequest says which artifact goes into which folder, which must not exist or be empty.
type PullRequest struct {
	Target Target
	Dir    string
}

// PullResult says what was unpacked. Revision is the Git revision that the artifact claims.
type PullResult struct {
	Name      string        `json:"name"`
	Reference string        `json:"reference"`
	Digest    digest.Digest `json:"digest"`
	Revision  string        `json:"revision"`
	Dir       string        `json:"dir"`
	Files     int           `json:"files"`
}

// Pull unpacks one artifact. The folder appears whole or not at all. Signatures are not looked at: that is Verify's.
func (s *Service) Pull(ctx context.Context, req PullRequest) (*PullResult, error) {
	c, err := s.Workspace.Components.Find(req.Target.Component)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(req.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkFolder(dir); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFolder, req.Dir, err)
	}
	a, err := s.fetch(ctx, c, req.Target.orDefault(c))
	if err != nil {
		return nil, err
	}
	files, err := unpackAt(ctx, a.layer, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.reference, err)
	}
	return &PullResult{Name: c.Name, Reference: a.reference, Digest: a.Descriptor.Digest, Revision: a.Revision(), Dir: req.Dir, Files: files}, nil
}

// checkFolder demands a place that is free before anything is downloaded.
func checkFolder(dir string) error {
	parent, err := os.Stat(filepath.Dir(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the folder above it does not exist")
	case err != nil:
		return err
	case !parent.IsDir():
		return errors.New("what is above it is not a folder")
	}
	there, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !there.IsDir():
		return errors.New("it is not a folder")
	}
	if here, err := os.Stat("."); err == nil && os.SameFile(here, there) {
		return errors.New("it is the current folder, which cannot be replaced: name a new one")
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = errors.New("it is not empty")
	}
	return err
}

// unpackAt unpacks into a private folder beside dir, which is on the same file system, and renames the result.
func unpackAt(ctx context.Context, layer []byte, dir string) (files int, err error) {
	private, err := os.MkdirTemp(filepath.Dir(dir), ".keos-oci-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(private)) }()
	content := filepath.Join(private, "content")
	if err := os.Mkdir(content, 0o755); err != nil {
		return 0, err
	}
	if err := pack.Extract(ctx, bytes.NewReader(layer), content, pack.Limits{}); err != nil {
		return 0, err
	}
	tree, err := listFiles(content)
	if err != nil {
		return 0, err
	}
	return len(tree), replace(content, dir)
}

// replace puts from in the place of dir. Go renames onto no folder, not even an empty one; removing it fails if something
// was put into it meanwhile.
func replace(from, dir string) error {
	removed := os.Remove(dir)
	if removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		return removed
	}
	err := os.Rename(from, dir)
	if err != nil && removed == nil {
		return errors.Join(err, os.Mkdir(dir, 0o755))
	}
	return err
}

// listFiles maps the regular files below dir, slash-separated, to whether they are executable.
func listFiles(dir string) (map[string]bool, error) {
	files := map[string]bool{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			files[name] = info.Mode()&0o100 != 0
		}
		return err
	})
	return files, err
}
