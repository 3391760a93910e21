package release

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/pack"
)

// contents has the files of a component's artifact.
type contents struct {
	component component.Component
	source    pack.Source
	reached   *kustomize.Inputs // the files that builds read; nil where only the paths decide
	closure   bool              // only reached is packed
	external  bool              // references were followed out of the paths

	remote     []kustomize.Vendored // remote bases that were rendered into source
	unrendered digest.Digest        // of the content without them, where there are any
	warnings   []finding.Finding    // about them
}

// contents lists what c is packed from. References are followed only where the config lets them decide.
func (s *Service) contents(ctx context.Context, c component.Component) (contents, error) {
	artifact := s.Workspace.Config.Artifact
	out := contents{component: c, closure: artifact.Mode == component.ModeClosure, external: artifact.External == component.ExternalInclude,
		source: pack.Source{FS: s.FS, Root: c.Root, Ignore: c.Ignore, MaxSize: c.MaxSize}}
	if out.closure || out.external {
		reached, err := s.walk(ctx, out)
		if err != nil {
			return out, fmt.Errorf("follow references: %w", err)
		}
		out.reached = &reached
	}
	for _, f := range s.below(c.Root) {
		if out.takes(f.Path) {
			out.source.Files = append(out.source.Files, pack.File{Path: f.Path, Mode: packMode(f.Mode), Filter: s.Filters[f.Path]})
		} else if path.Base(f.Path) == ".sourceignore" && f.Mode != git.Symlink && within(c.Root, f.Path) {
			out.source.Rules = append(out.source.Rules, f.Path)
		}
	}
	return out, nil
}

// read lists and hashes what c is packed from, remote bases included.
func (s *Service) read(ctx context.Context, c component.Component) (contents, *pack.Tree, error) {
	all, err := s.contents(ctx, c)
	if err == nil && s.Workspace.Config.Artifact.RemoteBases == component.RemoteBasesVendor {
		err = s.vendor(ctx, &all)
	}
	if err != nil {
		return all, nil, err
	}
	tree, err := pack.Read(ctx, all.source)
	return all, tree, err
}

// vendor renders remote bases into the source. Files that rules ignore are not looked at.
func (s *Service) vendor(ctx context.Context, all *contents) error {
	files, err := all.regular()
	if err != nil {
		return err
	}
	made, err := s.Remotes.Vendor(ctx, s.FS, files)
	if err != nil {
		return fmt.Errorf("render remote bases: %w", err)
	}
	refused, warnings := bySeverity(made.Findings)
	if len(refused) > 0 {
		return &RefusedError{refused}
	}
	if len(made.Bases) == 0 {
		return nil
	}
	plain, err := pack.Read(ctx, all.source)
	if err != nil {
		return err
	}
	all.remote, all.warnings, all.unrendered = made.Bases, warnings, plain.ContentDigest
	for i, f := range all.source.Files {
		all.source.Files[i].Content = made.Contents[f.Path]
		delete(made.Contents, f.Path)
	}
	for file, content := range made.Contents {
		all.source.Files = append(all.source.Files, pack.File{Path: file, Content: content})
	}
	return all.rendered()
}

// rendered refuses rules that keep a rendered base out of the artifact.
func (c contents) rendered() error {
	ignored, err := pack.Ignored(c.source)
	if err != nil {
		return err
	}
	var refused []finding.Finding
	for _, base := range c.remote {
		if rule := ignored[base.Path]; rule != "" {
			refused = append(refused, finding.Finding{Severity: finding.Error, Rule: finding.RuleRemote, File: base.File, Line: base.Line,
				Message: fmt.Sprintf("%s is to be rendered as %s, which is %s", base.URL, path.Base(base.Path), rule),
				Fix:     "let no ignore rule match remote-base-*.yaml"})
		}
	}
	if len(refused) > 0 {
		return &RefusedError{refused}
	}
	return nil
}

// below is the tracked files in a folder, or the file of that name. The files are sorted as bytes, so the files of a
// folder are next to each other.
func (s *Service) below(folder string) []git.File {
	if folder == "." {
		return s.Files
	}
	at := func(name string) int {
		i, _ := slices.BinarySearchFunc(s.Files, name, func(f git.File, name string) int { return strings.Compare(f.Path, name) })
		return i
	}
	return s.Files[at(folder+"/"):at(folder+"0")] // the letter after the slash
}

// walk follows the references of variants, and without a closure those of all files of the component.
func (s *Service) walk(ctx context.Context, all contents) (kustomize.Inputs, error) {
	c, tree := all.component, s.tree(all)
	var starts []string
	for _, v := range c.Variants {
		starts = append(starts, path.Join(c.Root, v))
	}
	if !all.closure {
		starts = append(starts, tree.Folders()...)
	}
	return tree.Walk(ctx, starts...)
}

// tree is the checkout as builds of a component see it.
func (s *Service) tree(all contents) *kustomize.Tree {
	c := all.component
	tree := &kustomize.Tree{Root: c.Root, Paths: c.Paths, External: all.external, Read: kustomize.InFolder(s.FS)}
	for _, f := range s.Files {
		if f.Mode == git.Regular || f.Mode == git.Executable {
			tree.Files = append(tree.Files, f.Path)
		}
	}
	return tree
}

// takes reports whether a tracked file is packed, unless rules leave it out.
func (c contents) takes(file string) bool {
	if c.reached != nil {
		if _, read := c.reached.Files[file]; read {
			return true
		}
	}
	return !c.closure && c.component.Contains(file)
}

// dirty reports whether a file that differs from the commit is in the artifact, or decides which files are.
func (c contents) dirty(ch changes) bool {
	return slices.ContainsFunc(ch.modified, func(file string) bool {
		return c.takes(file) || path.Base(file) == ".sourceignore" && c.changedBy(file)
	})
}

// changedBy reports whether a changed file may change the artifact.
func (c contents) changedBy(file string) bool {
	return c.component.ChangedBy(file) || c.reached != nil && c.reached.Concerns(file)
}

// paths are the paths in which a commit may have changed the artifact.
func (c contents) paths() []string {
	if c.reached == nil {
		return c.component.Paths
	}
	var list []string
	if !c.closure {
		list = slices.Clone(c.component.Paths)
	}
	for file := range c.reached.Files {
		if c.closure || !c.component.Contains(file) {
			list = append(list, file)
		}
	}
	slices.Sort(list)
	if len(list) > maxPaths {
		return []string{c.component.Root}
	}
	return append(list, c.source.Rules...)
}

// maxPaths is how many paths one call of Git gets, because a command line has a limit.
const maxPaths = 2000

// ChangedIn returns the components of set that a change to files may concern, like component.Set. It
// also knows which files components include from others.
func (s *Service) ChangedIn(ctx context.Context, set component.Set, files []string) (component.Set, error) {
	var changed component.Set
	for _, c := range set {
		concerned := slices.ContainsFunc(files, c.ChangedBy)
		if !concerned && len(files) > 0 { // following references costs more than comparing paths
			all, err := s.contents(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			concerned = slices.ContainsFunc(files, all.changedBy)
		}
		if concerned {
			changed = append(changed, c)
		}
	}
	return changed, nil
}

// within reports whether a path is root or below it.
func within(root, p string) bool { return root == "." || p == root || strings.HasPrefix(p, root+"/") }
