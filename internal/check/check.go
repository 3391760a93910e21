// Package check is the gate a component passes before it is published: it says, with file and line, what a cluster could
// not build, what reaches outside the component, and what must never leave the repository in plain text.
//
// It looks at plain files. Packing (and with it symlinks and size limits), registries and configuration belong to others.
// Nothing is ever written, neither below the unpacked folder nor in the checkout, and no secret's value is ever printed.
package check

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/sourceignore/gitignore"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/substitution"
)

// Component is one component as it would be published.
type Component struct {
	Name      string
	Workspace string               // absolute path of the checkout's top folder
	Root      string               // folder of the workspace that became the artifact's root, slash-separated, "." for the whole workspace
	Files     []string             // the files in the tarball, slash-separated, relative to Root, sorted
	Unpacked  string               // absolute path of the folder the tarball was unpacked into
	Variants  []string             // folders relative to Root that a cluster may build
	Paths     []string             // what the component consists of, relative to Workspace; none is all below Root
	External  bool                 // what it refers to outside Paths, but below Root, was taken along
	Vendored  []kustomize.Vendored // the remote bases that are in the tarball, rendered

	// LeftOut says why a path (relative to Workspace) of the checkout is not in the tarball, "" when it does not know. It
	// may be nil.
	LeftOut func(path string) string
}

// Options are the workspace's own rules. The zero value is the strictest gate.
type Options struct {
	RemoteBases bool             // kustomizations may name remote URLs
	Allow       []Allowance      // files that may hold what looks like a secret
	Passwords   finding.Severity // of literal values of keys that are called like a secret; a warning where empty
}

// Allowance lets plaintext secrets pass in the files that match Path, a gitignore-like glob relative to the workspace.
type Allowance struct{ Path, Reason string }

// Run inspects c and returns what it found, sorted by file and line. The error is a fault of the machine (an unreadable
// folder) or of ctx, never one of the component.
func Run(ctx context.Context, c Component, o Options) ([]finding.Finding, error) {
	g := newGate(c, o)
	for _, name := range c.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := g.inspect(name); err != nil {
			return nil, err
		}
	}
	g.checkSelf()
	if err := g.checkReferences(); err != nil {
		return nil, err
	}
	if err := g.warnSubstitutions(); err != nil {
		return nil, err
	}
	if err := g.buildVariants(ctx); err != nil {
		return nil, err
	}
	return g.sorted(), nil
}

// gate is one run over one component. It keeps names, kustomizations and findings, not file contents, so that a large
// fleet costs no more memory than its largest file.
type gate struct {
	c      Component
	o      Options
	tree   *kustomize.Tree // of the artifact
	files  map[string]bool // relative to the root
	dirs   map[string]bool // every folder with a file, "." included
	broken map[string]bool // kustomizations, and files that configure plugins, with a finding of their own
	risky  map[string]bool // files that could blow up when kustomize parses them

	vendored map[string]bool               // kustomizations in which a remote base was replaced
	standIns map[string]kustomize.Vendored // by file, the remote base that it has, rendered

	appliers  []applier
	sources   map[string][]string // by kind and name, the files with Flux sources
	variables *substitution.Uses
	allow     []gitignore.Pattern
	findings  []finding.Finding
	seen      map[finding.Finding]bool
}

func newGate(c Component, o Options) *gate {
	c.Root = path.Clean(c.Root)
	g := &gate{
		c: c, o: o,
		files: make(map[string]bool, len(c.Files)), dirs: map[string]bool{".": true},
		broken: map[string]bool{}, risky: map[string]bool{},
		vendored: map[string]bool{}, standIns: map[string]kustomize.Vendored{}, sources: map[string][]string{},
		variables: substitution.New(), seen: map[finding.Finding]bool{},
	}
	g.tree = &kustomize.Tree{Files: c.Files, Root: ".", Read: g.readable}
	for _, name := range c.Files {
		g.files[name] = true
		for dir := path.Dir(name); !g.dirs[dir]; dir = path.Dir(dir) {
			g.dirs[dir] = true
		}
	}
	for _, base := range c.Vendored {
		g.vendored[relative(c.Root, base.File)], g.standIns[relative(c.Root, base.Path)] = true, base
	}
	for _, a := range o.Allow {
		g.allow = append(g.allow, gitignore.ParsePattern(a.Path, nil))
	}
	return g
}

// allowed reports whether an allowance covers a file, given relative to the root.
func (g *gate) allowed(name string) bool {
	segments := strings.Split(g.workspacePath(name), "/")
	return slices.ContainsFunc(g.allow, func(p gitignore.Pattern) bool {
		return p.Match(segments, false) == gitignore.Exclude
	})
}

// workspacePath turns a path below the root into one below the workspace.
func (g *gate) workspacePath(name string) string { return path.Join(g.c.Root, name) }

// report adds a finding whose File is relative to the root. Two variants meet the same fault in their common base: it is
// reported once.
func (g *gate) report(f finding.Finding) {
	if base, ok := g.standIns[f.File]; ok { // which only the artifact has
		f.Message = fmt.Sprintf("%s, rendered as %s, line %d: %s", base.URL, path.Base(f.File), f.Line, f.Message)
		f.File, f.Line = relative(g.c.Root, base.File), base.Line
	}
	f.File = g.workspacePath(f.File)
	if g.seen[f] {
		return
	}
	g.seen[f] = true
	g.findings = append(g.findings, f)
}

func (g *gate) sorted() []finding.Finding {
	finding.Sort(g.findings)
	return g.findings
}

// allowFix is the fix of every finding that an allowance can lift: what to write, ready to be copied.
func (g *gate) allowFix(advice, name string) string {
	return fmt.Sprintf("%s, or if this is no secret say so in keos-oci.yaml: secrets: {allow: [{path: %q, reason: \"…\"}]}",
		advice, g.workspacePath(name))
}

// prefix is how the paths below a folder begin.
func prefix(dir string) string {
	if dir == "." {
		return ""
	}
	return dir + "/"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
