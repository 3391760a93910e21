package component

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/stratio/keos-oci/internal/kustomize"
)

// Disabled is an app that was found and is no component, because no environment builds it.
type Disabled struct{ Name, Why string }

// environment is a folder of an envFirst layout.
type environment struct {
	name    string
	file    string          // kustomization that says which apps are enabled; empty where all are
	enabled map[string]bool // folders that it lists
}

// allows reports whether clusters of the environment build an app.
func (e environment) allows(app string) bool { return e.file == "" || e.enabled[app] }

// searchEnvFirst makes a component of each app in dir, of which <environment>/<app> are the variants. Its root is dir as a
// whole, so that references from an overlay to ../../base/<app> hold in the artifact as well.
func (l *loader) searchEnvFirst(entry discoverShape, dir string, at []string) ([]*draft, error) {
	environments, err := l.environmentsOf(entry, dir, at)
	if err != nil || len(environments) == 0 {
		return nil, err
	}
	var drafts []*draft
	for _, app := range l.appsOf(dir, environments) {
		if d := l.app(app, dir, environments); d != nil {
			drafts = append(drafts, d)
		}
	}
	if len(drafts) == 0 {
		l.lacks(at, "no environment of %s has an app with a kustomization%s", dir,
			map[bool]string{true: " that its own kustomization lists"}[entry.EnabledFrom != ""])
	}
	return drafts, nil
}

// environmentsOf returns the environments that are named, else every folder of dir in which folders have a kustomization.
func (l *loader) environmentsOf(entry discoverShape, dir string, at []string) ([]environment, error) {
	names := entry.Environments
	if names == nil {
		if dir == "." {
			l.doc.add(at, "environments is missing: at the top of a repository any folder could be one")
			return nil, nil
		}
		names = slices.DeleteFunc(l.tree.folders(dir), func(name string) bool { return isBase(name) || !l.holdsApps(path.Join(dir, name)) })
		if len(names) == 0 {
			l.lacks(at, "no folder of %s is an environment, with folders that have a kustomization", dir)
		}
	}
	var all []environment
	for i, name := range names {
		where := at
		if entry.Environments != nil {
			where = with(at, "environments", strconv.Itoa(i))
		}
		e, ok, err := l.environment(name, dir, entry.EnabledFrom, where)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, e)
		}
	}
	return all, nil
}

// holdsApps reports whether a folder in dir has a kustomization.
func (l *loader) holdsApps(dir string) bool {
	return slices.ContainsFunc(l.tree.folders(dir), func(name string) bool { return len(l.tree.kustomizations(path.Join(dir, name))) > 0 })
}

func (l *loader) environment(name, dir, enabledFrom string, at []string) (environment, bool, error) {
	folder := path.Join(dir, name)
	switch clean, err := cleanPath(name); {
	case err != nil || clean != name || strings.Contains(name, "/"):
		l.doc.add(at, "%q is not the name of a folder in %s", name, dir)
		return environment{}, false, nil
	case isBase(name):
		l.doc.add(at, "%s is what environments build upon, and none itself", folder)
		return environment{}, false, nil
	case !l.tree.hasDir(folder):
		l.lacks(at, "%s has no file that Git tracks", folder)
		return environment{}, false, nil
	}
	e := environment{name: name}
	if enabledFrom == "" {
		return e, true, nil
	}
	e.file = l.tree.kustomizationOf(folder)
	if e.file == "" {
		l.lacks(at, "%s has no kustomization to list the apps that are enabled (enabledFrom: kustomization)", folder)
		return environment{}, false, nil
	}
	var err error
	e.enabled, err = l.listed(e.file, at)
	return e, true, err
}

// listed returns the folders beside a kustomization that it builds.
func (l *loader) listed(file string, at []string) (map[string]bool, error) {
	data, err := l.read(file)
	if err != nil {
		return nil, fmt.Errorf("look for enabled apps: %w", err)
	}
	k, err := kustomize.Parse(file, data)
	if err != nil {
		l.doc.add(at, "%s does not say which apps are enabled: %v", file, err)
		return nil, nil
	}
	found := map[string]bool{}
	for _, r := range k.Lists() {
		if name := appOf(file, r.Path); name != "" {
			found[name] = true
		}
	}
	return found, nil
}

// appOf is the folder beside a kustomization file into which a reference in it leads, "" where it leads elsewhere.
func appOf(file, reference string) string {
	dir := path.Dir(file)
	inside, ok := strings.CutPrefix(path.Join(dir, reference), dir+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(inside, "/")
	return name
}

// appsOf returns the names of all apps, of the bases as well, sorted.
func (l *loader) appsOf(dir string, environments []environment) []string {
	var names []string
	for _, e := range append([]environment{{name: "base"}}, environments...) {
		folder := path.Join(dir, e.name)
		for _, name := range l.tree.folders(folder) {
			if len(l.tree.kustomizations(path.Join(folder, name))) > 0 {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// app makes a component of an app, nil where no environment builds it.
func (l *loader) app(name, dir string, environments []environment) *draft {
	base := path.Join(dir, "base", name)
	var paths, variants, also, lacking []string
	if l.tree.hasDir(base) {
		paths = append(paths, base)
	}
	for _, e := range environments {
		overlay := path.Join(dir, e.name, name)
		has := len(l.tree.kustomizations(overlay)) > 0
		if e.file != "" {
			also = append(also, e.file)
		}
		switch {
		case has && e.allows(name):
			paths, variants = append(paths, overlay), append(variants, path.Join(e.name, name))
		case has:
			lacking = append(lacking, fmt.Sprintf("%s does not list %s", e.file, name))
		}
	}
	if len(variants) == 0 {
		why := "no environment has it"
		if len(lacking) > 0 {
			why = strings.Join(lacking, ", and ")
		}
		l.disabled = append(l.disabled, Disabled{name, why})
		return nil
	}
	slices.Sort(paths)
	slices.Sort(variants)
	d := l.draft(name, paths[0])
	d.root, d.paths, d.variants, d.decidedBy = dir, paths, variants, also
	return d
}

// kustomizationOf returns the kustomization of a folder, empty where it has none.
func (t tree) kustomizationOf(dir string) string {
	for _, name := range kustomize.FileNames() {
		if file := path.Join(dir, name); t.hasFile(file) {
			return file
		}
	}
	return ""
}
