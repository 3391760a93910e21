// Package component says what a Git checkout can publish: it reads the config file, finds the components and gives each
// its repository.
//
// It only looks: at the list of files that Git tracks, at the config file, and at the YAML below clusters/. It promises
// that what it returns is valid as a whole, with no two components that share a file, a repository or a Git tag; packing,
// checking and building are left to others.
package component

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/name"
)

// ErrUnknown says that there is no component, or channel, of a name.
var ErrUnknown = errors.New("unknown")

// Kind is what a component is for, which decides by which Flux objects clusters follow it.
type Kind string

// The kinds of components.
const (
	Fleet Kind = "fleet" // what clusters are made of
	Infra Kind = "infra" // delivered in phases, with cluster-wide rights
	App   Kind = "app"   // delivered to one tenant
)

// Component is a part of a checkout that is published as one artifact. Its paths are slash-separated.
type Component struct {
	Name       string
	Kind       Kind
	Dir        string          // primary folder, relative to the workspace; "." for a fleet
	Root       string          // folder that becomes the artifact's root, relative to the workspace
	Paths      []string        // folders and files it consists of, relative to the workspace, sorted; none within another
	Repository name.Repository // where it is published
	Variants   []string        // folders that a cluster may build, relative to Root, sorted
	Phases     []string        // "controllers" and "configs", as far as they exist, in that order
	GitTag     string          // the Git tags that release it, with {version} in the place of X.Y.Z
	Ignore     []string        // patterns like those of .gitignore, relative to Root
	MaxSize    int64           // largest size of the artifact, in bytes
	Signing    Signing
	Channels   Channels

	decidedBy []string // files that say what belongs to it or may refuse it: the config file, the baseline, kustomizations that enable it
}

// GitTagOf returns the Git tag that releases a version such as v1.2.3.
func (c Component) GitTagOf(version string) string {
	return strings.Replace(c.GitTag, versionMark, strings.TrimPrefix(version, "v"), 1)
}

// Contains reports whether file, relative to the workspace, belongs to the component. Ignore patterns are not looked at.
func (c Component) Contains(file string) bool {
	return slices.ContainsFunc(c.Paths, func(p string) bool { return within(p, file) })
}

// PathOf returns the one of the component's paths that contains a file, empty where none does.
func (c Component) PathOf(file string) string {
	for _, p := range c.Paths {
		if within(p, file) {
			return p
		}
	}
	return ""
}

// ChangedBy reports whether a changed file may change the artifact: one of its own, or one that says what belongs to it.
// What it refers to outside its paths is for those to know who follow references.
func (c Component) ChangedBy(file string) bool {
	if slices.Contains(c.decidedBy, file) || c.Contains(file) {
		return true
	}
	return path.Base(file) == ".sourceignore" && slices.ContainsFunc(c.Paths, func(p string) bool { return within(path.Dir(file), p) })
}

// Set is the components of a workspace, in the order of their names.
type Set []Component

// Names returns the names of all components.
func (s Set) Names() []string {
	names := make([]string, len(s))
	for i, c := range s {
		names[i] = c.Name
	}
	return names
}

// Find returns the component of that name. The error is ErrUnknown; it lists names that are alike, and those there are.
func (s Set) Find(name string) (Component, error) {
	for _, c := range s {
		if c.Name == name {
			return c, nil
		}
	}
	return Component{}, unknown("component", name, s.Names())
}

// Select returns the components of these names in the order of the set, each once; all of them where no name is given.
// The error is ErrUnknown, and lists every name that does not exist.
func (s Set) Select(names ...string) (Set, error) {
	if len(names) == 0 {
		return s, nil
	}
	var faults []error
	for _, name := range names {
		if _, err := s.Find(name); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return slices.DeleteFunc(slices.Clone(s), func(c Component) bool { return !slices.Contains(names, c.Name) }), nil
}

// ChangedIn returns the components that a change to files, relative to the workspace, may concern: those which hold one
// of them, or all where the config file is among them. An ignored file counts too: whether the artifact really differs
// is for its content to tell.
func (s Set) ChangedIn(files []string) Set {
	return slices.DeleteFunc(slices.Clone(s), func(c Component) bool { return !slices.ContainsFunc(files, c.ChangedBy) })
}

// Shards splits the set into at most n parts of nearly the same size, none of them empty, always in the same way.
func (s Set) Shards(n int) []Set {
	n = min(max(n, 1), len(s))
	shards := make([]Set, n)
	for i := range shards {
		shards[i] = s[i*len(s)/n : (i+1)*len(s)/n]
	}
	return shards
}

// unknown words the error for a name that is not among those known.
func unknown(what, name string, known []string) error {
	switch near := Nearest(name, known); {
	case len(known) == 0:
		return fmt.Errorf("%w %s %q: there is none", ErrUnknown, what, name)
	case len(near) > 0:
		return fmt.Errorf("%w %s %q; did you mean %s? known: %s", ErrUnknown, what, name, enumerate(near), enumerate(known))
	}
	return fmt.Errorf("%w %s %q; known: %s", ErrUnknown, what, name, enumerate(known))
}

// within reports whether p is the folder dir or is below it; "." contains everything.
func within(dir, p string) bool {
	return dir == "." || dir == p || strings.HasPrefix(p, dir) && p[len(dir)] == '/'
}

// isVersion reports whether text is a version tag such as v1.2.3.
func isVersion(text string) bool {
	rest, ok := strings.CutPrefix(text, "v")
	_, err := semver.StrictNewVersion(rest)
	return ok && err == nil
}

// PacksAs reports whether two definitions make the same artifact of the same files.
func (c Component) PacksAs(other Component) bool {
	return c.Root == other.Root && slices.Equal(c.Paths, other.Paths) && slices.Equal(c.Ignore, other.Ignore) &&
		slices.Equal(c.Variants, other.Variants)
}

// PacksAs reports whether two settings make the same artifacts of the same files.
func (a Artifact) PacksAs(other Artifact) bool {
	return a.External == other.External && a.RemoteBases == other.RemoteBases && a.Mode == other.Mode
}
