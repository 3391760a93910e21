package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/release"
)

// opened is a commit of a checkout, or the checkout as it is, and its workspace.
type opened struct {
	checkout  *git.Checkout // nil without a checkout
	tree      *git.Tree
	workspace *component.Workspace
}

// openIn opens the checkout that a folder is in, as it is.
func (o *Opener) openIn(ctx context.Context, dir string, newFleet bool) (*opened, error) {
	checkout, err := git.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	return o.open(ctx, checkout, release.Source{Head: true}, newFleet)
}

// open reads the files and the config of a commit.
func (o *Opener) open(ctx context.Context, checkout *git.Checkout, src release.Source, newFleet bool) (*opened, error) {
	var tree *git.Tree
	var err error
	if src.Head {
		tree, err = checkout.WorkTree(ctx)
	} else {
		tree, err = checkout.Tree(ctx, src.Commit)
	}
	if err != nil {
		return nil, err
	}
	o.AtEnd(func() { _ = tree.Close() })
	options, err := o.Options(ctx, checkout, tree)
	if err != nil {
		return nil, err
	}
	options.NewFleet, options.Unnamed = newFleet, o.Unnamed
	workspace, err := component.Load(options)
	return &opened{checkout, tree, workspace}, err
}

// Options is what the components of a commit, or of a checkout as it is, are loaded with.
func (o *Opener) Options(ctx context.Context, checkout *git.Checkout, tree *git.Tree) (component.Options, error) {
	paths := make([]string, len(tree.Files))
	for i, f := range tree.Files {
		paths[i] = f.Path
	}
	options := component.Options{Dir: checkout.Top(), FS: tree, Commit: tree.Commit.Hash, Registry: o.Registry, Files: paths,
		RemoteURL: func() (string, error) { return checkout.RemoteURL(ctx) }}
	if options.Commit != "" {
		options.Extract = func(file string) (string, error) { return o.extract(tree, file) }
	}
	if o.Config == "" {
		return options, nil
	}
	var err error
	options.ConfigFile, err = filepath.Abs(o.Config)
	return options, err
}

// Publish opens the commit that a publication is about, and writes it into the request.
func (o *Opener) Publish(ctx context.Context, want release.SourceRequest, req *release.PublishRequest, s *Signing) (*Session, error) {
	checkout, err := git.OpenBare(ctx, o.Directory)
	if err != nil {
		return nil, err
	}
	want.Version = req.Version != nil
	src, err := release.FindSource(ctx, checkout, want)
	if err != nil {
		return nil, err
	}
	w, err := o.open(ctx, checkout, src, false)
	if err != nil {
		return nil, err
	}
	if want.Version {
		if w, err = o.openVersion(ctx, w, &src, req); err != nil {
			return nil, err
		}
	}
	req.Source = src
	o.warnOfConfig(checkout, w.tree)
	session, err := o.serviceOf(ctx, w, s)
	if err == nil && src.Head {
		session.Committed = func(ctx context.Context) (*component.Workspace, error) {
			committed, err := o.open(ctx, checkout, release.Source{Commit: src.Commit}, false)
			if err != nil {
				return nil, err
			}
			return committed.workspace, nil
		}
	}
	return session, err
}

// openVersion opens the commit that the Git tag of a version points to, where there is one.
func (o *Opener) openVersion(ctx context.Context, w *opened, src *release.Source, req *release.PublishRequest) (*opened, error) {
	set, err := release.Versioned(w.workspace.Components, req.Names, req.Version)
	if err != nil {
		return nil, err
	}
	was := src.Commit
	if *src, err = src.OfVersion(ctx, w.checkout, set, req.Version); err != nil || src.Commit.Hash == was.Hash {
		return w, err
	}
	return o.open(ctx, w.checkout, *src, false)
}

// warnOfConfig says that a config which a person wrote has no effect, because the commit that is published has none.
func (o *Opener) warnOfConfig(checkout *git.Checkout, tree *git.Tree) {
	if tree.Commit.Hash == "" || o.Config != "" {
		return
	}
	if _, err := tree.Lstat(component.ConfigFile); err == nil {
		return
	}
	if _, err := os.Stat(filepath.Join(checkout.Top(), component.ConfigFile)); err == nil {
		o.Log.Warn(fmt.Sprintf("%s is not in commit %.8s, which is published: commit it, or say --config %s", component.ConfigFile,
			tree.Commit.Hash, component.ConfigFile))
	}
}

// tempDir makes the folder for what a run unpacks and builds, which is removed however the run ends. "" is the system's.
func (o *Opener) tempDir() string {
	dir, err := os.MkdirTemp("", "keos-oci-")
	if err != nil {
		return ""
	}
	o.AtEnd(func() { _ = os.RemoveAll(dir) })
	return dir
}

// extract writes a file of a commit, such as the public key of its config, to a folder where its readers find it. The path is "" where
// the commit does not have the file.
func (o *Opener) extract(tree *git.Tree, file string) (string, error) {
	data, err := tree.ReadFile(path.Clean(filepath.ToSlash(file)))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "keos-oci-")
	if err != nil {
		return "", err
	}
	o.AtEnd(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, path.Base(filepath.ToSlash(file)))
	return name, os.WriteFile(name, data, 0o600)
}
