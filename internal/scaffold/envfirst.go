package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// Grouping says whether a layer is released as a whole or app by app.
type Grouping string

// Both ways to release a layer of environments.
const (
	ByLayer Grouping = "layer" // as a whole
	ByApp   Grouping = "app"   // each app of it
)

// Groupings are the values of Request.By.
func Groupings() []string { return []string{string(ByLayer), string(ByApp)} }

// envFirst is a folder laid out as <folder>/<environment>/<app>.
type envFirst struct {
	component.Folder
	environments []component.Place // those that have apps
	idle         []component.Place // those that have the name of an environment, and no apps
	strange      []string          // folders beside the base that have no app of the others
}

// envFirstOf reports whether f is laid out so. A folder with an unusual name is an environment if the base or another
// environment has one of its apps, too.
func envFirstOf(f component.Folder) (envFirst, bool) {
	e := envFirst{Folder: f}
	if len(f.Others) > 0 && f.Path != "." {
		return e, false
	}
	var known []string
	for _, p := range f.Places {
		if p.Base || p.Named {
			known = append(known, p.Apps...)
		}
	}
	for _, p := range f.Places {
		switch {
		case p.Base:
		case p.Named && len(p.Apps) > 0 || slices.ContainsFunc(p.Apps, func(app string) bool { return slices.Contains(known, app) }):
			e.environments = append(e.environments, p)
		case p.Named:
			e.idle = append(e.idle, p)
		default:
			e.strange = append(e.strange, path.Join(f.Path, p.Name))
		}
	}
	return e, len(e.environments) > 0
}

// names are the environments.
func (e envFirst) names() []string {
	names := make([]string, len(e.environments))
	for i, p := range e.environments {
		names[i] = p.Name
	}
	return names
}

// unlisted are the environments that do not say which of their apps are enabled. One of them is enough to leave enabledFrom
// out: it applies to all environments, and every app of that one would be disabled.
func (e envFirst) unlisted() []string {
	var found []string
	for _, p := range e.environments {
		if len(p.Lists) == 0 {
			found = append(found, path.Join(e.Path, p.Name))
		}
	}
	return found
}

// apps are the apps that are components.
func (e envFirst) apps() []string {
	all := len(e.unlisted()) > 0
	var names []string
	for _, p := range e.environments {
		if all {
			names = append(names, p.Apps...)
		} else {
			names = append(names, p.Lists...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// why gives the reasons for the entry of e in a config, and what the entry leaves out.
func (e envFirst) why() []string {
	lines := []string{e.enabled()}
	for _, p := range e.environments {
		if len(p.Else) > 0 {
			lines = append(lines, fmt.Sprintf("%s also builds %s: outside the folders of apps, and so in no artifact.", p.File, enumerate(p.Else)))
		}
		if len(p.Sets) > 0 {
			lines = append(lines, fmt.Sprintf("%s also sets %s, which an app that is built by itself does not get.", p.File, enumerate(p.Sets)))
		}
	}
	for _, p := range e.idle {
		dir := path.Join(e.Path, p.Name)
		line := dir + " has no folder of an app: add it to environments when it has one."
		if len(p.Else) > 0 {
			line = fmt.Sprintf("%s has no folder of an app: what %s builds, %s, is in no artifact.", dir, p.File, enumerate(p.Else))
		}
		lines = append(lines, line)
	}
	for _, dir := range e.strange {
		lines = append(lines, dir+" is not an environment: it has no app of the others.")
	}
	return lines
}

// dir is the name of e.
func (e envFirst) dir() string { return called(e.Path) }

// called is the name of a folder in a sentence.
func called(dir string) string {
	if dir == "." {
		return "the top folder"
	}
	return dir
}

func (e envFirst) enabled() string {
	if without := e.unlisted(); len(without) > 0 {
		return fmt.Sprintf("No enabledFrom, for want of a kustomization in %s that lists apps: every app in %s counts.", enumerate(without),
			e.where())
	}
	files := make([]string, len(e.environments))
	for i, p := range e.environments {
		files[i] = p.File
	}
	if len(files) == 1 {
		return files[0] + " lists the apps that clusters build; no other counts."
	}
	return enumerate(files) + " list the apps that clusters build; no others count."
}

// where lists the folders of its environments.
func (e envFirst) where() string {
	dirs := make([]string, len(e.environments))
	for i, p := range e.environments {
		dirs[i] = path.Join(e.Path, p.Name)
	}
	return enumerate(dirs)
}

// appLayers returns the folders that are laid out so.
func appLayers(s *component.Survey) []string {
	var found []string
	for _, f := range s.Folders {
		if _, ok := envFirstOf(f); ok {
			found = append(found, f.Path)
		}
	}
	return found
}

// byApp makes a component of each app, if the request wants this and f is laid out so.
func (c *config) byApp(f component.Folder) bool {
	e, ok := envFirstOf(f)
	if !ok {
		return false
	}
	c.envFirst = append(c.envFirst, e)
	if c.by != ByApp {
		return false
	}
	d := discover{Layout: "envFirst", Path: f.Path, Environments: e.names(), Enabled: len(e.unlisted()) == 0, Why: e.why()}
	c.Discover = append(c.Discover, d)
	c.name(f.Path, e.apps()...)
	c.remote(f)
	return true
}

// ByApp reports whether apps are components.
func (c config) ByApp() bool { return c.by == ByApp && len(c.envFirst) > 0 }

// Closure reports whether artifacts can have only the files that their variants read. A config file sets this for all of them
// at once.
func (c config) Closure() bool { return c.ByApp() && len(c.Open) == 0 }

// splitBy completes a reading that has apps in environments.
func (r *Reading) splitBy(s *component.Survey, by Grouping) {
	r.By = ByLayer
	if by != ByApp {
		return
	}
	r.By = ByApp
	dirs, have := r.config.layers(), "has"
	if len(dirs) > 1 {
		have = "have"
	}
	r.Rule = enumerate(dirs) + " " + have + " apps in environments (<layer>/<environment>/<app>), so each app is one component"
	for _, e := range r.config.envFirst {
		r.Reasons = append(r.Reasons, e.why()...)
	}
	for _, d := range r.config.Discover {
		switch d.Layout {
		case string(LayoutLayer):
			r.Reasons = append(r.Reasons, d.Path+" stays one component: it has no apps in environments.")
		case string(LayoutComponents):
			r.Reasons = append(r.Reasons, "Each folder of "+d.Path+"/ with a kustomization is one component.")
		}
	}
	if r.config.Open = r.config.open(s); len(r.config.Open) > 0 {
		r.Reasons = append(r.Reasons, "No mode: closure, because it would apply to all components: "+strings.Join(r.config.Open, " "))
	}
	r.Reasons = append(r.Reasons, "Files that apps share, such as their bases, are packed into the artifact of each that reads them.")
}

// open gives the reasons why artifacts need more than the files that their variants read. Overlays build an app. Of the
// other components, clusters may build more folders.
func (c *config) open(s *component.Survey) []string {
	var lines []string
	for _, d := range c.Discover {
		switch {
		case d.Layout == string(LayoutLayer):
			lines = append(lines, unread(s, folder(s, d.Path))...)
		case d.Layout == string(LayoutComponents):
			lines = append(lines, "Components of "+d.Path+"/ are whole folders.")
		}
	}
	for _, e := range c.Components {
		if len(e.Paths) > 0 {
			lines = append(lines, "Flux Kustomizations in "+enumerate(e.Paths)+" may name folders that no variant of "+e.Key+" reads.")
		}
	}
	return lines
}

// unread lists what clusters may build of a folder although its variants do not read it.
func unread(s *component.Survey, f component.Folder) []string {
	if len(f.Variants) == 0 {
		return []string{f.Path + " has no variant."}
	}
	var lines []string
	if len(f.Loose) > 0 {
		lines = append(lines, "In "+enumerate(f.Loose)+" are manifests without a kustomization.")
	}
	for _, b := range s.Builds {
		variant := slices.ContainsFunc(f.Variants, func(v string) bool { return path.Join(f.Path, v) == b.Path })
		if strings.HasPrefix(b.Path+"/", f.Path+"/") && !variant {
			lines = append(lines, fmt.Sprintf("%s builds ./%s, which is no variant of %s.", b.Cluster, b.Path, f.Path))
		}
	}
	return lines
}

// offers adds that apps can be components to each reading that has their layers. Where no reading has them, it adds this to
// the first one, which contains the apps.
func (p *proposer) offers(readings []Reading) {
	none := !slices.ContainsFunc(readings, func(r Reading) bool { return r.By == ByLayer })
	for i := range readings {
		if r := &readings[i]; r.By == ByLayer || none && i == 0 {
			r.Reasons = append(r.Reasons, p.offer(r)...)
		}
	}
}

// offer is what a reading by app would mean.
func (p *proposer) offer(r *Reading) []string {
	readings, _ := read(p.survey, p.baseName(), ByApp)
	i := slices.IndexFunc(readings, func(by Reading) bool { return by.By == ByApp && (r.By == "" || by.Layout == r.Layout) })
	if i < 0 {
		return nil
	}
	by := &readings[i]
	dirs := enumerate(by.config.layers())
	if err := p.load(by); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return []string{fmt.Sprintf("One artifact per app of %s is not possible as it is: %s.", dirs, first)}
	}
	return []string{fmt.Sprintf("One artifact per app of %s is possible too: %s instead of %d, each with its own versions and promotions, and files that apps share "+
		"packed into each that reads them. Ask for it with --by app.", dirs, count(len(by.Workspace.Components),
		"component"), len(r.Workspace.Components))}
}

// layers are the folders whose apps are, or could be, components.
func (c *config) layers() []string {
	dirs := make([]string, len(c.envFirst))
	for i, e := range c.envFirst {
		dirs[i] = e.dir()
	}
	return dirs
}

// disabled names the apps that are no components.
func disabled(ws *component.Workspace) []string {
	var names []string
	for _, d := range ws.Disabled {
		names = append(names, d.Name)
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"No environment builds " + enumerate(names) + ": no component, and keos-oci components --explain NAME shows why."}
}

// noApps is the error for a checkout whose apps cannot be components, with what init looked for and what it found.
func noApps(s *component.Survey) error {
	if layers := appLayers(s); len(layers) > 0 {
		return fmt.Errorf("%w: by app: a FluxInstance in clusters/ has the whole repository synced, so it is one artifact with the apps of %s",
			ErrLayout, enumerate(layers))
	}
	var seen []string
	for _, f := range s.Folders {
		if f.Kustomizations {
			seen = append(seen, f.Path+"/ "+contents(f))
		}
	}
	if len(s.Components) > 0 {
		seen = append(seen, "components/ has "+count(len(s.Components), "component"))
	}
	if len(seen) == 0 {
		seen = []string{"no folder with a kustomization at the top"}
	}
	return fmt.Errorf("%w: by app: looked for <layer>/<environment>/<app> with a kustomization, where environments are called staging, "+
		"production and the like, or are beside a base whose apps they have; found: %s", ErrLayout, strings.Join(seen, "; "))
}

// contents says what a folder has instead of apps in environments.
func contents(f component.Folder) string {
	var without []string
	for _, p := range f.Places {
		if !p.Base && len(p.Apps) == 0 {
			without = append(without, p.Name)
		}
	}
	switch {
	case len(without) > 0:
		return "has " + enumerate(without) + " without folders of apps"
	case len(f.Others) > 0:
		return "has " + enumerate(f.Others) + ", no environments"
	case len(f.Environments) > 0:
		return "has " + enumerate(f.Environments) + " and no environment with apps"
	}
	return "has a kustomization of its own"
}
