package component

import (
	"path"
	"slices"
	"strconv"
)

// layout is how the folders of a repository become components.
type layout string

const (
	layoutComponents layout = "components" // each folder of a folder
	layoutLayer      layout = "layer"      // a folder as a whole
	layoutFleet      layout = "fleet"      // the repository as a whole
	layoutEnvFirst   layout = "envFirst"   // <folder>/<environment>/<app>
)

const (
	componentsDir = "components"
	clustersDir   = "clusters"
)

// draft is a component in the making.
type draft struct {
	key      string // how the config file calls it
	name     string
	kind     Kind // empty until decided
	dir      string
	root     string
	paths    []string
	variants []string // nil until decided
	// decidedBy are files that say what belongs to it and are not part of it.
	decidedBy []string
	gitTag    string
	ignore    []string
	signing   Signing
	channels  Channels

	at      []string // what to blame in the config file, empty where nothing is
	found   bool     // by discovery, not by being named
	guessed bool     // by the rules that hold without a config file
	whole   bool     // the whole repository, published as the prefix itself
}

// String names the component in an error by what the reader can look up.
func (d *draft) String() string {
	if d.found && !d.whole {
		return d.dir
	}
	return d.key
}

// discover finds components where the config file says, else by the rules that need none.
func (l *loader) discover() ([]*draft, error) {
	if l.shape.Discover == nil {
		return l.guess()
	}
	var drafts []*draft
	for i, entry := range *l.shape.Discover {
		at := []string{"discover", strconv.Itoa(i)}
		found, err := l.search(entry, at)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			d.at = at
		}
		drafts = append(drafts, found...)
	}
	return drafts, nil
}

// guess applies the rules for repositories without a config file. A repository with clusters is a fleet and nothing
// else, even where it has components too: the fleet's artifact is the whole repository, and the same file in two
// artifacts would be released twice. Whoever wants both says so under discover and components.
func (l *loader) guess() ([]*draft, error) {
	if l.config.Kind == "" || l.config.Kind == Fleet {
		found, err := l.fleet(clustersDir)
		if err != nil {
			return nil, err
		}
		if len(found.clusters) > 0 || l.newFleet && len(l.foldersOf(componentsDir)) == 0 {
			whole := l.wholeFleet(found)
			whole.guessed = true
			return []*draft{whole}, nil
		}
	}
	if l.config.Kind == Fleet {
		return nil, nil
	}
	return l.foldersOf(componentsDir), nil
}

// search applies one entry of discover.
func (l *loader) search(entry discoverShape, at []string) ([]*draft, error) {
	if entry.Layout != layoutEnvFirst {
		for _, key := range []string{"environments", "enabledFrom"} {
			if l.doc.value(with(at, key)...) != nil {
				l.doc.add(with(at, key), "only for layout: envFirst")
			}
		}
	}
	fallback := map[layout]string{layoutComponents: componentsDir, layoutFleet: clustersDir}[entry.Layout]
	dir, ok := l.path(orElse(entry.Path, fallback), with(at, "path"))
	switch {
	case !ok:
		return nil, nil
	case entry.Layout == layoutFleet:
		return l.searchFleet(dir, at)
	case entry.Layout == layoutLayer:
		return []*draft{l.draft(path.Base(dir), dir)}, nil
	case entry.Layout == layoutEnvFirst:
		return l.searchEnvFirst(entry, dir, at)
	}
	found := l.foldersOf(dir)
	if len(found) == 0 {
		l.lacks(at, "no folder of %s has a kustomization", dir)
	}
	return found, nil
}

func (l *loader) searchFleet(dir string, at []string) ([]*draft, error) {
	found, err := l.fleet(dir)
	if err != nil {
		return nil, err
	}
	if len(found.clusters) == 0 {
		l.lacks(at, "no folder of %s has a FluxInstance, a gotk-sync.yaml or a Flux Kustomization", dir)
		return nil, nil
	}
	return []*draft{l.wholeFleet(found)}, nil
}

// foldersOf makes a component of each folder in dir that has a kustomization.
func (l *loader) foldersOf(dir string) []*draft {
	var drafts []*draft
	for _, name := range l.tree.folders(dir) {
		folder := path.Join(dir, name)
		if len(l.tree.kustomizations(folder)) > 0 {
			drafts = append(drafts, l.draft(name, folder))
		}
	}
	return drafts
}

func (l *loader) draft(key, dir string) *draft {
	return &draft{key: key, name: key, dir: dir, root: dir, paths: []string{dir}, found: true,
		ignore: slices.Clone(l.config.Artifact.Ignore), signing: l.config.Signing, channels: l.config.Channels}
}

func (l *loader) wholeFleet(f fleet) *draft {
	d := l.draft(path.Base(l.registry), ".")
	d.kind, d.variants, d.whole, d.ignore = Fleet, f.builds, true, append(fleetIgnores(), d.ignore...)
	return d
}

// named reads the entries of components: those with paths make components, the others change what was found.
func (l *loader) named(found []*draft) []*draft {
	var defined []*draft
	var changes []string
	for _, key := range keys(l.doc.value("components")) {
		if l.doc.value("components", key, "paths") == nil {
			changes = append(changes, key)
		} else if d := l.define(key); d != nil {
			defined = append(defined, d)
		}
	}
	kept := slices.DeleteFunc(found, func(f *draft) bool {
		return slices.ContainsFunc(defined, func(d *draft) bool { return d.replaces(f) })
	})
	for _, key := range changes {
		l.change(key, kept)
	}
	return append(kept, defined...)
}

// replaces reports whether a component that was named replaces one that was found: it has the same key, it contains the
// found one whole, or the found one is a fleet that was only a guess. In all other cases they overlap, which is an error,
// so that no component disappears unnoticed.
func (d *draft) replaces(found *draft) bool {
	return d.key == found.key || found.guessed || slices.ContainsFunc(d.paths, func(p string) bool { return within(p, found.dir) })
}

// define makes a component of an entry with paths.
func (l *loader) define(key string) *draft {
	at := []string{"components", key}
	var shape componentShape
	l.take(l.doc.value(at...), &shape, at)
	missing := len(l.missing)
	paths := l.paths(shape.Paths, with(at, "paths"))
	if len(paths) == 0 || len(l.missing) > missing { // a part of a component is not the component
		return nil
	}
	d := l.draft(key, l.folder(path.Clean(shape.Paths[0])))
	d.paths, d.at, d.found = paths, at, false
	for _, p := range paths {
		d.root = commonDir(d.root, l.folder(p))
	}
	l.apply(d, shape, at)
	return d
}

// folder returns p itself, or the folder it is in where p is a file.
func (l *loader) folder(p string) string {
	if l.tree.hasFile(p) {
		return path.Dir(p)
	}
	return p
}

// change applies an entry without paths to the component that was found by its name.
func (l *loader) change(key string, found []*draft) {
	at := []string{"components", key}
	i := slices.IndexFunc(found, func(d *draft) bool { return d.key == key })
	if i < 0 {
		names := make([]string, len(found))
		for i, d := range found {
			names[i] = d.key
		}
		l.lacks(at, "%v; an entry that defines a component has paths", unknown("component", key, names))
		return
	}
	var shape componentShape
	l.take(l.doc.value(at...), &shape, at)
	found[i].at = at
	l.apply(found[i], shape, at)
}

// apply puts what an entry says over what the component has.
func (l *loader) apply(d *draft, shape componentShape, at []string) {
	if shape.Name != "" {
		d.name, d.whole = shape.Name, false
	}
	d.kind = orElse(shape.Kind, d.kind)
	d.gitTag = shape.GitTag
	d.ignore = append(d.ignore, shape.Ignore...)
	d.signing = l.componentSigning(at)
	d.channels = finish(l.mergeChannels(l.channels, with(at, "channels")...), d.signing)
	if shape.Root != "" {
		l.applyRoot(d, shape.Root, with(at, "root"))
	}
	if shape.Variants != nil {
		d.variants = l.givenVariants(d, shape.Variants, with(at, "variants"))
	}
	if d.gitTag != "" && !isGitTag(d.tagPattern()) {
		l.doc.add(with(at, "gitTag"), "%q is not a name that Git allows", d.gitTag)
	}
}

func (l *loader) componentSigning(at []string) Signing {
	return l.signing(l.config.Signing, with(at, "signing")...)
}

func (l *loader) applyRoot(d *draft, text string, at []string) {
	root, ok := l.path(text, at)
	if !ok {
		return
	}
	for _, p := range d.paths {
		if !within(root, p) || root == p && l.tree.hasFile(p) {
			l.doc.add(at, "%s does not hold %s", root, p)
			return
		}
	}
	for i, v := range d.variants { // those that a layout decided
		d.variants[i] = relative(root, path.Join(d.root, v))
	}
	d.root = root
}

// givenVariants reads variants that were written down, each a folder of the component.
func (l *loader) givenVariants(d *draft, given []string, at []string) []string {
	variants := []string{}
	for i, text := range given {
		item := with(at, strconv.Itoa(i))
		variant, err := cleanPath(text)
		if err != nil {
			l.doc.add(item, "%v", err)
			continue
		}
		folder := path.Join(d.root, variant)
		if !l.tree.hasDir(folder) || !d.meets(folder) {
			l.lacks(item, "%s is no folder of the component with a file that Git tracks", folder)
			continue
		}
		variants = append(variants, variant)
	}
	slices.Sort(variants)
	return slices.Compact(variants)
}

// meets reports whether a folder has something of the component.
func (d *draft) meets(folder string) bool {
	return slices.ContainsFunc(d.paths, func(p string) bool { return within(p, folder) || within(folder, p) })
}
