package component

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// components finds what there is, completes it and checks it.
func (l *loader) components() (Set, error) {
	found, err := l.discover()
	if err != nil {
		return nil, err
	}
	drafts := l.named(found)
	if err := l.doc.err(); err != nil {
		return nil, err
	}
	if len(drafts) == 0 {
		return nil, l.nothing()
	}
	if err := l.complete(drafts); err != nil {
		return nil, err
	}
	set := make(Set, 0, len(drafts))
	for _, d := range drafts {
		set = append(set, l.build(d))
	}
	l.checkTogether(drafts)
	slices.SortFunc(set, func(a, b Component) int { return strings.Compare(a.Name, b.Name) })
	return set, l.doc.err()
}

// nothing says why there are no components, and how there can be some.
func (l *loader) nothing() error {
	if len(l.tree) == 0 {
		return fmt.Errorf("%w: Git tracks no file here: git add them first", ErrNoComponents)
	}
	return fmt.Errorf("%w: no clusters/<name>/ with Flux objects and no components/<name>/ with a kustomization is tracked "+
		"by Git: name the folders to publish in %s (keos-oci init proposes it)", ErrNoComponents, ConfigFile)
}

// complete decides what the config file leaves open: kinds, variants and Git tags.
func (l *loader) complete(drafts []*draft) error {
	for _, d := range drafts {
		if err := l.detectFleet(d); err != nil {
			return err
		}
	}
	kind := l.config.Kind
	if kind == "" {
		kind = App
		for _, d := range drafts {
			// One component with phases makes all of them infra: the others are its neighbours without, say, configs.
			if d.kind != Fleet && len(l.tree.phases(d.root, d.paths)) > 0 {
				kind = Infra
			}
		}
	}
	for _, d := range drafts {
		d.kind = orElse(d.kind, kind)
		if d.variants == nil {
			variants, err := l.variantsOf(d)
			if err != nil {
				return err
			}
			d.variants = variants
		}
		d.gitTag = d.tagPattern()
		if l.config.Artifact.Mode == ModeClosure && len(d.variants) == 0 {
			l.doc.add([]string{"artifact", "mode"},
				"closure takes what variants reach, and %s has none: name them with components: {%q: {variants: […]}}", d, d.key)
		}
	}
	return nil
}

// detectFleet makes a fleet of a component with clusters in it, and gives a fleet the variants that its clusters build.
func (l *loader) detectFleet(d *draft) error {
	declared := orElse(d.kind, l.config.Kind)
	if d.whole || declared == App || declared == Infra || !d.meets(clustersDir) {
		return nil
	}
	f, err := l.fleet(clustersDir)
	if err != nil || !slices.ContainsFunc(f.clusters, d.meets) {
		return err
	}
	d.kind = Fleet
	if d.variants != nil {
		return nil
	}
	d.variants = []string{}
	for _, folder := range f.builds {
		if within(d.root, folder) && d.meets(folder) {
			d.variants = append(d.variants, relative(d.root, folder))
		}
	}
	return nil
}

// tagPattern returns the pattern of the Git tags that release the component.
func (d *draft) tagPattern() string {
	switch {
	case d.gitTag != "":
		return d.gitTag
	case d.whole:
		return "v" + versionMark
	}
	return d.name + "/v" + versionMark
}

// build makes the component, and notes where its name cannot be.
func (l *loader) build(d *draft) Component {
	c := Component{
		Name: d.name, Kind: d.kind, Dir: d.dir, Root: d.root, Paths: d.paths, Variants: d.variants, GitTag: d.gitTag,
		Ignore: d.ignore, MaxSize: l.config.Artifact.MaxSize, Signing: d.signing, Channels: d.channels,
		decidedBy: append(d.decidedBy, l.configFiles()...),
	}
	if d.kind != Fleet {
		c.Phases = l.tree.phases(d.root, d.paths)
	}
	repository := l.registry
	if !d.whole {
		if !isElement(d.name) {
			l.doc.add(d.at, "%s", badName(d))
			return c
		}
		repository = path.Join(l.registry, d.name)
	}
	var err error
	if c.Repository, err = newRepository(repository); err != nil {
		l.doc.add(d.at, "%v", err)
	}
	return c
}

// configFiles are the files that concern every component: the config file, and the baseline if there is one.
func (l *loader) configFiles() []string {
	if l.config.Baseline == "" {
		return []string{l.configPath()}
	}
	return []string{l.configPath(), l.config.Baseline}
}

// badName says which name a component could have, and how to give it.
func badName(d *draft) string {
	message := fmt.Sprintf("%s cannot be published as %q: the name takes lower case letters and digits, separated by "+
		`".", "_", "__" or dashes`, d, d.name)
	if !d.found {
		return message + proposal(d.name, ": try %q")
	}
	return message + proposal(d.name, fmt.Sprintf("; give it one with components: {%q: {name: %%s}}", d.key))
}

// isGitTag reports whether Git allows a tag of this pattern; see git-check-ref-format.
func isGitTag(pattern string) bool {
	tag := strings.Replace(pattern, versionMark, "1.0.0", 1)
	if strings.ContainsAny(tag, " ~^:?*[\\{}\x7f") || strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' }) {
		return false
	}
	for step := range strings.SplitSeq(tag, "/") {
		if step == "" || step[0] == '.' || strings.HasSuffix(step, ".lock") {
			return false
		}
	}
	return tag[0] != '-' && !strings.Contains(tag, "..") && !strings.Contains(tag, "@{") && !strings.HasSuffix(tag, ".")
}
