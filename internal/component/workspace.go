package component

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// ErrNoComponents says that a checkout has nothing that can be published without a config file.
var ErrNoComponents = errors.New("no components found")

// ErrNotVersionTag says that a Git tag releases no component.
var ErrNotVersionTag = errors.New("not a version tag")

// versionMark is the place of the version in the pattern of a component's Git tags.
const versionMark = "{version}"

// Options is what Load looks at.
type Options struct {
	Dir        string                       // top folder of the checkout, absolute
	FS         fs.FS                        // the tracked files; those of Dir where this is nil
	Commit     string                       // of FS, where that is not the checkout as it is: then it has the config file, too
	ConfigFile string                       // absolute, or relative to Dir; keos-oci.yaml if it exists where this is empty
	Config     []byte                       // what the config file would say, in the place of what any file says
	Extract    func(string) (string, error) // makes a file of FS one on disk; nil where FS is Dir
	Registry   string                       // HOST/PREFIX with or without a scheme, instead of the config file's
	Files      []string                     // the files Git tracks, relative to Dir; no others count
	RemoteURL  func() (string, error)       // address of the Git remote; asked only where no registry is given
	Unnamed    bool                         // the registry need not be known: nothing is asked of it
	NewFleet   bool                         // a checkout in which nothing is found is a fleet that has no cluster yet
}

// Workspace is a checkout and what it publishes.
type Workspace struct {
	Dir        string
	Registry   string // host and prefix that every repository starts with
	Scheme     string // "http" or "https" where the registry was given with one
	Config     Config
	Components Set
	Disabled   []Disabled // apps that no environment builds, by name
	// Missing is what the config file names and an older commit does not have yet. Such components are not among Components.
	Missing []Violation
	// BaselineLine is the line of the config file that names the baseline, 0 where none does.
	BaselineLine int
}

// loader turns a checkout into components.
type loader struct {
	*settings
	tree     tree
	files    fs.FS
	older    bool // the config is newer than the files may be
	missing  []Violation
	registry string
	fleets   map[string]fleet
	newFleet bool
	disabled []Disabled
}

// Load reads the config file, finds the components, and checks both. The error is an ErrConfig, mostly a *ConfigError
// that lists all faults with their lines, or ErrNoComponents.
func Load(o Options) (*Workspace, error) {
	settings, err := loadSettings(o)
	if err != nil {
		return nil, err
	}
	scheme, registry, err := settings.registry(o)
	if err != nil {
		return nil, err
	}
	fsys, done, err := o.open()
	if err != nil {
		return nil, err
	}
	defer done()
	files := newTree(o.Files)
	if settings.config.File == "" && files.hasFile("keos-oci.yml") {
		return nil, fmt.Errorf("%w: keos-oci.yml is to be called %s", ErrConfig, ConfigFile)
	}
	l := &loader{settings: settings, tree: files, files: fsys, registry: registry, fleets: map[string]fleet{}, newFleet: o.NewFleet,
		older: o.Commit != "" && o.ConfigFile != ""}
	if o.Commit != "" {
		l.checkBaseline()
	}
	components, err := l.components()
	if err != nil {
		return nil, err
	}
	return &Workspace{Dir: o.Dir, Registry: registry, Scheme: scheme, Config: settings.config, Components: components,
		Disabled: l.disabled, Missing: l.missing, BaselineLine: settings.baselineLine()}, nil
}

// open gives the file system of the tracked files.
func (o Options) open() (fs.FS, func(), error) {
	if o.FS != nil {
		return o.FS, func() {}, nil
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open workspace: %w", err)
	}
	return root.FS(), func() { root.Close() }, nil
}

// lacks notes that the value at a path of the config names what Git does not track: a fault, but not of an older commit.
func (l *loader) lacks(at []string, format string, args ...any) {
	if l.older {
		l.missing = append(l.missing, l.doc.violation(l.doc.line(at), at, format, args...))
		return
	}
	l.doc.add(at, format, args...)
}

// checkBaseline notes that a commit does not have the baseline. A checkout may lack the file until it is written.
func (l *loader) checkBaseline() {
	if file := l.config.Baseline; file != "" && !l.tree.hasFile(file) {
		l.lacks([]string{"baseline"}, "%s is no file of this commit", file)
		l.config.Baseline = ""
	}
}

// Address is the registry as a person gives it, with its scheme.
func (w *Workspace) Address() string {
	if w.Scheme == "" {
		return w.Registry
	}
	return w.Scheme + "://" + w.Registry
}

// Has reports whether the workspace has components of these names.
func (w *Workspace) Has(names ...string) bool {
	for _, name := range names {
		if _, err := w.Components.Find(name); err != nil {
			return false
		}
	}
	return true
}

// ByGitTag returns the component that a Git tag such as frontend/v1.2.3 releases, and the version, such as v1.2.3. The
// error is ErrNotVersionTag where it releases none, be it that no component has such tags or that the version is not
// a strict semantic one; build metadata (+…) is refused, because it cannot be in the tag of an artifact.
func (w *Workspace) ByGitTag(tag string) (Component, string, error) {
	var found Component
	var version string
	for _, c := range w.Components {
		// Of two patterns that fit, as v{version} and v{version}-edge do for v1.0.0-edge, the one that says more is meant.
		if v, ok := cutVersion(tag, c.GitTag); ok && len(c.GitTag) > len(found.GitTag) {
			found, version = c, v
		}
	}
	if found.Name == "" {
		return Component{}, "", w.notVersionTag(tag)
	}
	parsed, err := semver.StrictNewVersion(version)
	if err != nil {
		return Component{}, "", fmt.Errorf("%w: %s: %q is not a version X.Y.Z", ErrNotVersionTag, tag, version)
	}
	if parsed.Metadata() != "" {
		return Component{}, "", fmt.Errorf("%w: %s: build metadata (+%s) cannot be in the tag of an artifact", ErrNotVersionTag,
			tag, parsed.Metadata())
	}
	return found, "v" + version, nil
}

// notVersionTag words the error for a tag that fits the pattern of no component.
func (w *Workspace) notVersionTag(tag string) error {
	patterns := make([]string, len(w.Components))
	for i, c := range w.Components {
		patterns[i] = c.GitTagOf("X.Y.Z")
	}
	if len(w.Missing) > 0 {
		return fmt.Errorf("%w: %s: the tags of this commit's components are %s; of the config, it lacks: %s", ErrNotVersionTag, tag,
			enumerate(patterns),
			(&ConfigError{w.Missing}).Error())
	}
	return fmt.Errorf("%w: %s: the tags of this workspace are %s", ErrNotVersionTag, tag, enumerate(patterns))
}

// cutVersion cuts the version out of a tag that fits a pattern. A version begins with a digit, else the pattern
// {version} would fit every tag.
func cutVersion(tag, pattern string) (string, bool) {
	before, after, _ := strings.Cut(pattern, versionMark)
	rest, hasPrefix := strings.CutPrefix(tag, before)
	version, hasSuffix := strings.CutSuffix(rest, after)
	return version, hasPrefix && hasSuffix && version != "" && version[0] >= '0' && version[0] <= '9'
}

// checkTogether notes what two components may not share.
func (l *loader) checkTogether(drafts []*draft) {
	names, tags := map[string]*draft{}, map[string]*draft{}
	for _, d := range drafts {
		if other, taken := names[d.name]; taken {
			l.doc.add(d.at, "%s and %s are both named %s: give one of them a name of its own", other, d, d.name)
		}
		if other, taken := tags[d.gitTag]; taken {
			l.doc.add(d.at, "%s and %s are both released by the Git tag %s", other, d, d.gitTag)
		}
		names[d.name], tags[d.gitTag] = d, d
	}
	l.checkOverlap(drafts)
}

// checkOverlap notes files that would be in two components. Sorted as folders, a path's neighbour before it is the one
// that would hold it.
func (l *loader) checkOverlap(drafts []*draft) {
	type owned struct {
		path  string
		owner *draft
	}
	var all []owned
	for _, d := range drafts {
		for _, p := range d.paths {
			all = append(all, owned{p, d})
		}
	}
	slices.SortStableFunc(all, func(a, b owned) int {
		if a.path == "." || b.path == "." {
			return strings.Compare(strings.TrimPrefix(a.path, "."), strings.TrimPrefix(b.path, "."))
		}
		return comparePaths(a.path, b.path)
	})
	for i, outer := 1, 0; i < len(all); i++ {
		if !within(all[outer].path, all[i].path) {
			outer = i
			continue
		}
		blame, other := all[i], all[outer]
		if len(blame.owner.at) == 0 || blame.owner.found && !other.owner.found { // it takes a line that can be changed
			blame, other = other, blame
		}
		l.doc.add(blame.owner.at, "%s has %s, which overlaps with %s of %s", blame.owner, blame.path, other.path, other.owner)
	}
}

func (s *settings) baselineLine() int {
	if s.config.Baseline == "" {
		return 0
	}
	return s.doc.line([]string{"baseline"})
}
