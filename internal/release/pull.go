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

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/pack"
)

// ErrFolder reports a folder that nothing can be pulled into.
var ErrFolder = errors.New("cannot pull into this folder")

// PullRequest says which artifact goes into which folder, which must not exist or be empty.
type PullRequest struct {
	Target     Target
	Dir        string
	Unverified bool // unpack without asking whether the artifact may have its tag
}

// PullResult says what was unpacked. Revision is the Git revision that the artifact claims. Verified says that the gate accepts the
// digest for its tag.
type PullResult struct {
	Name      string        `json:"name"`
	Reference string        `json:"reference"`
	Digest    digest.Digest `json:"digest"`
	Revision  string        `json:"revision"`
	Dir       string        `json:"dir"`
	Files     int           `json:"files"`
	Verified  bool          `json:"verified"`
	Notes     []string      `json:"notes,omitempty"`
}

// Pull unpacks one artifact after the gate has accepted it. The folder appears whole or not at all.
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
	t := req.Target.orDefault(c)
	res := &PullResult{Name: c.Name, Reference: t.reference(c), Dir: req.Dir, Verified: !req.Unverified}
	a, err := s.artifactToPull(ctx, c, t, res)
	if err != nil {
		return nil, err
	}
	res.Digest, res.Revision = a.Descriptor.Digest, a.Revision()
	if res.Files, err = unpackAt(ctx, a.layer, dir); err != nil {
		return nil, fmt.Errorf("%s: %w", a.reference, err)
	}
	return res, nil
}

// artifactToPull downloads the very digest that the gate was asked about: the tag is read once.
func (s *Service) artifactToPull(ctx context.Context, c component.Component, t Target, res *PullResult) (fetched, error) {
	if !res.Verified {
		s.Log.Warn("the content is not verified: nothing says who made it", "reference", res.Reference)
		return s.fetch(ctx, c, t)
	}
	q, err := s.question(ctx, c, t)
	if err != nil {
		return fetched{}, err
	}
	v := s.Gate.Judge(ctx, q)
	if v.Err != nil {
		return fetched{}, fmt.Errorf("%s: %w", res.Reference, v.Err)
	}
	res.Notes = v.Notes
	return s.fetchLayer(ctx, c, t, q.Artifact)
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

// Git is the checkout.
func (s *Service) Git() *git.Checkout { return s.Checkout }

// Unpack pulls what a tag of a component points to into a new folder.
func (s *Service) Unpack(ctx context.Context, component, tag string) (folder string, err error) {
	into, err := os.MkdirTemp(s.TempDir, "artifact-")
	if err != nil {
		return "", err
	}
	_, err = s.Pull(ctx, PullRequest{Target: Target{Component: component, Tag: tag}, Dir: into})
	return into, err
}
