package migrate

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/secret"
)

// content is what a Kustomization applies: a folder of the fleet, or of what a workspace delivers.
type content struct {
	files       *Fleet
	folder      string
	repo        string // name of the workspace, "" for the fleet
	component   bool   // a component of a workspace has it
	remoteBases bool   // kustomizations may name URLs
}

// contentOf finds what a Kustomization applies. It is nil where that is not here: what components build is compared later, and that says
// what is wrong.
func (l *landscape) contentOf(ctx context.Context, a *applier) *content {
	if c := l.known[a.name]; c != nil {
		return c
	}
	folder := repositoryPath(a.Path)
	switch {
	case a.Source == l.own:
		c := &content{files: l.fleet, folder: folder}
		if ws, _ := l.workspaceOf(l.sources[l.own]); ws != nil && a.Kind == gitRepository {
			_, c.component = ws.componentAt(folder, true)
			c.remoteBases = ws.RemoteBases
		}
		return c
	case a.Kind == gitRepository:
		s := l.sources[a.Source]
		ws, _ := l.workspaceOf(s)
		if ws == nil || s.revision() == "" {
			return nil
		}
		dir, err := ws.Checkout(ctx, s.revision())
		return ws.content(dir, folder, err)
	case a.Kind == ociRepository:
		from := l.prepared[a.Source]
		ws, c, ok := l.deliverer(a.Source, from)
		if !ok {
			return nil
		}
		dir, err := ws.Artifact(ctx, c, from.Tag)
		return ws.content(dir, folder, err)
	}
	return nil
}

const (
	gitRepository = "GitRepository"
	ociRepository = "OCIRepository"
)

// revision is what of a repository a source follows: a branch, or refs/tags/… of a tag. It is "" where that is not known.
func (s source) revision() string {
	if tag, ok := strings.CutPrefix(s.Ref, "tag "); ok && s.Branch == "" {
		return "refs/tags/" + tag
	}
	if strings.Contains(s.Branch, "${") {
		return ""
	}
	return s.Branch
}

// content is a folder that the workspace delivers.
func (w *Workspace) content(dir, folder string, err error) *content {
	if err != nil {
		return nil
	}
	files, err := filesBelow(dir)
	if err != nil {
		return nil
	}
	return &content{files: files, folder: folder, repo: w.Name, component: true, remoteBases: w.RemoteBases}
}

// filesBelow lists the files of a folder, without those of Git itself.
func filesBelow(dir string) (*Fleet, error) {
	f := &Fleet{Dir: dir, Read: kustomize.InFolder(os.DirFS(dir))}
	err := fs.WalkDir(os.DirFS(dir), ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case entry.Type().IsRegular():
			f.Files = append(f.Files, file)
		}
		return nil
	})
	slices.Sort(f.Files)
	return f, err
}

// deliverer finds the component of an OCIRepository: by its address, else, where clusters fetch from another place, by its name.
func (l *landscape) deliverer(n name, from artifact) (*Workspace, component.Component, bool) {
	for _, fits := range []func(component.Component) bool{
		func(c component.Component) bool { return from.URL == "oci://"+c.Repository.String() },
		func(c component.Component) bool {
			return n.Name == c.Name && path.Base(from.URL) == path.Base(c.Repository.String())
		},
	} {
		for i := range l.workspaces {
			if at := slices.IndexFunc(l.workspaces[i].Components, fits); at >= 0 {
				return &l.workspaces[i], l.workspaces[i].Components[at], true
			}
		}
	}
	return nil, component.Component{}, false
}

// componentAt finds the component that has a folder of a checkout. Of a fleet's own files it must have all of the folder.
func (w *Workspace) componentAt(folder string, own bool) (component.Component, bool) {
	i := slices.IndexFunc(w.Components, func(c component.Component) bool {
		if own && c.Kind == component.Fleet {
			return false
		}
		has := func(q string) bool { return within(q, folder) || !own && within(folder, q) }
		return within(c.Root, folder) && slices.ContainsFunc(c.Paths, has)
	})
	if i < 0 {
		return component.Component{}, false
	}
	return w.Components[i], true
}

// encryptedIn is the first file of a component that SOPS encrypted, "" for none.
func encryptedIn(checkout string, c component.Component) string {
	found := ""
	for _, p := range c.Paths {
		_ = filepath.WalkDir(filepath.Join(checkout, filepath.FromSlash(p)), func(full string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || found != "" {
				return nil //nolint:nilerr // what cannot be read does not build either
			}
			data, err := os.ReadFile(full)
			if err == nil && secret.HasEncrypted(data) {
				rel, _ := filepath.Rel(checkout, full)
				found = filepath.ToSlash(rel)
			}
			return nil
		})
	}
	return found
}
