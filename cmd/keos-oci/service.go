package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/trust"
)

// service opens the checkout of -C and joins everything that a verb needs.
func (a *app) service(ctx context.Context, s *signFlags) (*release.Service, error) {
	return a.serviceIn(ctx, a.global.directory, false, s)
}

// serviceIn is service for any checkout. One in which nothing is found may be a fleet without any cluster yet.
func (a *app) serviceIn(ctx context.Context, dir string, newFleet bool, s *signFlags) (*release.Service, error) {
	w, err := a.openIn(ctx, dir, newFleet)
	if err != nil {
		return nil, err
	}
	return a.serviceOf(ctx, w, s)
}

// openIn opens the checkout that a folder is in, as it is.
func (a *app) openIn(ctx context.Context, dir string, newFleet bool) (*opened, error) {
	checkout, err := git.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	return a.open(ctx, checkout, release.Source{Head: true}, newFleet)
}

// serviceFor is service for verbs that need no checkout, and says what the components are called in it. A full repository
// name, or --registry where no checkout has components, is enough.
func (a *app) serviceFor(ctx context.Context, s *signFlags, names ...string) (*release.Service, []string, error) {
	prefix, short, err := splitNames(names)
	if err != nil {
		return nil, nil, err
	}
	w, err := a.openIn(ctx, a.global.directory, false)
	absent := errors.Is(err, git.ErrNotCheckout) || errors.Is(err, component.ErrNoComponents)
	switch {
	case prefix == "" && absent && a.global.registry != "" && len(names) > 0:
		prefix = a.global.registry
	case prefix == "":
	case err == nil && w.workspace.Registry == prefix && w.workspace.Has(namesOf(short)...):
		prefix = "" // the checkout knows more of them
	}
	if prefix != "" {
		w = &opened{}
		w.workspace, err = component.Standalone(prefix, namesOf(short))
	}
	if err != nil {
		return nil, nil, err
	}
	svc, err := a.serviceOf(ctx, w, s)
	return svc, short, err
}

// namesOf takes tags and digests off.
func namesOf(targets []string) []string {
	names := make([]string, len(targets))
	for i, target := range targets {
		names[i], _, _ = strings.Cut(target, "@")
		names[i], _, _ = strings.Cut(names[i], ":")
	}
	return names
}

// splitNames takes the registry and prefix off full repository names.
func splitNames(names []string) (prefix string, short []string, err error) {
	for _, name := range names {
		at := strings.LastIndex(name, "/")
		if at < 0 {
			short = append(short, name)
			continue
		}
		if prefix != "" && prefix != name[:at] {
			return "", nil, fmt.Errorf("%w: %s and %s are in different places of the registry: name them in two commands", errUsage, prefix,
				name[:at])
		}
		prefix = name[:at]
		short = append(short, name[at+1:])
	}
	return prefix, short, nil
}

// opened is a commit of a checkout, or the checkout as it is, and the workspace that it is.
type opened struct {
	checkout  *git.Checkout
	tree      *git.Tree
	workspace *component.Workspace
}

// open reads the files and the config of a commit.
func (a *app) open(ctx context.Context, checkout *git.Checkout, src release.Source, newFleet bool) (*opened, error) {
	a.top = checkout.Top()
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
	a.atEnd(func() { _ = tree.Close() })
	o, err := a.componentOptions(ctx, checkout, tree)
	if err != nil {
		return nil, err
	}
	o.NewFleet, o.Unnamed = newFleet, a.unnamed
	workspace, err := component.Load(o)
	return &opened{checkout, tree, workspace}, err
}

// warnOfConfig says that a config which a person wrote is not obeyed, because the commit that is published has none.
func (a *app) warnOfConfig(checkout *git.Checkout, tree *git.Tree) {
	if tree.Commit.Hash == "" || a.global.config != "" {
		return
	}
	if _, err := tree.Lstat(component.ConfigFile); err == nil {
		return
	}
	if _, err := os.Stat(filepath.Join(checkout.Top(), component.ConfigFile)); err == nil {
		slog.New(a.progress).Warn(fmt.Sprintf("%s is not in commit %.8s, which is published: commit it, or say --config %s", component.ConfigFile,
			tree.Commit.Hash, component.ConfigFile))
	}
}

// serviceOf joins everything that a verb needs.
func (a *app) serviceOf(ctx context.Context, w *opened, s *signFlags) (*release.Service, error) {
	checkout, workspace := w.checkout, w.workspace
	scheme, err := a.scheme(workspace)
	if err != nil {
		return nil, err
	}
	client, err := registry.New(registry.Options{Scheme: scheme, CAFile: a.global.registryCA, UserAgent: "keos-oci/" + version(),
		Timeout: cmp.Or(a.global.registryTimeout, -1), Log: slog.New(a.progress)})
	if err != nil {
		return nil, err
	}
	svc := &release.Service{
		Workspace: workspace, Checkout: checkout,
		Log:         slog.New(a.progress),
		Concurrency: a.global.concurrency,
		Now:         a.clock(),
		TempDir:     a.tempDir(),
		Finishing:   a.finishing,
		Remotes:     new(kustomize.Remotes),
	}
	if w.tree != nil {
		svc.FS, svc.Files, svc.Folder = w.tree, w.tree.Files, w.tree.Folder
		if svc.Filters, err = w.tree.Filters(ctx); err != nil {
			return nil, err
		}
	}
	_, prefix, _ := strings.Cut(workspace.Registry, "/")
	rules := &trust.Rules{Now: a.clock(), Formerly: workspace.Config.Formerly, Prefix: prefix, Mirrors: workspace.Config.Mirrors,
		Remote: sync.OnceValues(func() (string, error) { return remoteOf(ctx, checkout) })}
	var signer *sign.Signer
	if s == nil {
		rules.Verifier = sign.NewVerifier(sign.VerifierOptions{Services: sign.Services{TrustedRoot: workspace.Config.Signing.TrustedRoot,
			TUF: a.tuf(ctx, client, &signFlags{})}, NotFound: isNotFound, Unanswered: registry.Unanswered})
	} else if signer, err = a.sigstore(ctx, rules, workspace, s, client); err != nil {
		return nil, err
	}
	if s != nil && s.services.RekorURL != "" {
		a.rekor = sign.NewLog(client.Part(registry.Part{Name: "Rekor", Limit: a.global.sigstoreTimeout}), s.services.RekorURL)
	}
	svc.Gate = trust.New(rules, client, signer)
	return svc, nil
}

// clock is what says when something happens.
func (a *app) clock() func() time.Time {
	if a.now != nil {
		return a.now
	}
	return time.Now
}

// remoteOf names the checkout's remote as artifacts do, "" where there is none.
func remoteOf(ctx context.Context, checkout *git.Checkout) (string, error) {
	if checkout == nil {
		return "", nil
	}
	remote, err := checkout.RemoteURL(ctx)
	if errors.Is(err, git.ErrNoRemote) {
		return "", nil
	}
	return trust.Normalise(remote), err
}

// componentOptions is what the files of a commit, or of the checkout as it is, are loaded with.
func (a *app) componentOptions(ctx context.Context, checkout *git.Checkout, tree *git.Tree) (component.Options, error) {
	paths := make([]string, len(tree.Files))
	for i, f := range tree.Files {
		paths[i] = f.Path
	}
	o := component.Options{Dir: checkout.Top(), FS: tree, Commit: tree.Commit.Hash, Registry: a.global.registry, Files: paths,
		RemoteURL: func() (string, error) { return checkout.RemoteURL(ctx) }}
	if o.Commit != "" {
		o.Extract = func(file string) (string, error) { return a.extract(tree, file) }
	}
	if a.global.config == "" {
		return o, nil
	}
	var err error
	o.ConfigFile, err = filepath.Abs(a.global.config)
	return o, err
}

// tempDir makes the folder for what a run unpacks and builds, which is removed however the run ends. "" is the system's.
func (a *app) tempDir() string {
	dir, err := os.MkdirTemp("", "keos-oci-")
	if err != nil {
		return ""
	}
	a.atEnd(func() { _ = os.RemoveAll(dir) })
	return dir
}

// extract writes a file that a commit's config names, such as a public key, where its readers find it. The path is "" where the commit
// does not have the file.
func (a *app) extract(tree *git.Tree, file string) (string, error) {
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
	a.atEnd(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, path.Base(filepath.ToSlash(file)))
	return name, os.WriteFile(name, data, 0o600)
}
