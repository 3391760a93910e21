package scaffold

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// Layout is how a checkout is read.
type Layout string

// The layouts. A request can choose each of them but the last.
const (
	LayoutComponents Layout = "components" // each folder of a folder is a component
	LayoutFleet      Layout = "fleet"      // the whole repository is one artifact
	LayoutLayer      Layout = "layer"      // a folder with its environments is a component
	LayoutSplit      Layout = "split"      // folders that clusters build are components of their own, beside the fleet
	LayoutConfig     Layout = "config"     // as the config file says
)

// Layouts are the values of Request.Layout.
func Layouts() []string {
	return []string{string(LayoutComponents), string(LayoutFleet), string(LayoutLayer), string(LayoutSplit)}
}

// Reading is one way in which a checkout can be published.
type Reading struct {
	Layout    Layout
	By        Grouping // what of layers with environments is released together
	Rule      string   // the rule that gives this reading
	Reasons   []string // what was seen
	Config    []byte   // the config file it takes; nil where none is needed
	Workspace *component.Workspace
	Chosen    bool

	config config
}

// readings returns the possible readings, best first, each with its config loaded. It also reports whether the best one is clear.
func (p *proposer) readings() ([]Reading, bool, error) {
	readings, clear := read(p.survey, p.baseName(), p.ask.By)
	if len(readings) == 0 {
		return nil, false, fmt.Errorf("%w: no cluster in clusters/, and no kustomization that Git tracks in components/ or another folder at "+
			"the top", component.ErrNoComponents)
	}
	if p.ask.By == ByApp {
		readings = slices.DeleteFunc(readings, func(r Reading) bool { return r.By != ByApp })
		clear = clear || len(readings) == 1
	}
	if len(readings) == 0 {
		return nil, false, noApps(p.survey)
	}
	for i := range readings {
		r := &readings[i]
		if err := p.load(r); err != nil {
			return nil, false, fmt.Errorf("layout %s: %w", r.Layout, err)
		}
		r.Reasons = append(r.Reasons, disabled(r.Workspace)...)
	}
	if p.ask.By != ByApp {
		p.offers(readings)
	}
	return readings, clear, nil
}

// read finds the layouts that a survey allows.
func read(s *component.Survey, repository string, by Grouping) ([]Reading, bool) {
	readings, clear := readAny(s, repository, by)
	for i := range readings {
		if len(readings[i].config.envFirst) > 0 {
			readings[i].splitBy(s, by)
		}
	}
	return readings, clear
}

func readAny(s *component.Survey, repository string, by Grouping) ([]Reading, bool) {
	if len(s.Clusters) > 0 {
		return readFleet(s, by)
	}
	if len(s.Components) > 0 {
		return []Reading{components(s, by)}, true
	}
	return readFolders(s, repository, by)
}

// components is the reading of a repository with components/.
func components(s *component.Survey, by Grouping) Reading {
	r := Reading{Layout: LayoutComponents, Rule: "found components/<name>/ with a kustomization: each is a component",
		config: config{by: by}}
	r.config.name("components", bases(s.Components)...)
	if layers := appLayers(s); by == ByApp && len(layers) > 0 {
		r.config.Discover = []discover{{Layout: "components", Path: "components",
			Why: []string{"Each folder of components/ with a kustomization."}}}
		for _, dir := range layers {
			r.config.layer(folder(s, dir))
		}
		r.Reasons = templates(s)
		return r
	}
	r.Reasons = append(templates(s), leftOut(s)...)
	return r
}

// wholeFleet is the reading of a repository with clusters/: all of it is one artifact.
func wholeFleet(s *component.Survey) Reading {
	return Reading{Layout: LayoutFleet,
		Rule:    "found clusters in clusters/: the whole repository is one artifact, the fleet",
		Reasons: append([]string{count(len(s.Clusters), "cluster") + ": " + strings.Join(s.Clusters, ", ")}, templates(s)...)}
}

// readFleet reads a repository with clusters. It is a fleet, unless clusters say that parts of it are versioned apart, or
// build its layers one by one. Without that evidence the parts are a second reading.
func readFleet(s *component.Survey, by Grouping) ([]Reading, bool) {
	whole := wholeFleet(s)
	pinned, built := tops(s, false), tops(s, true)
	layers := environmentFirst(s)
	switch {
	case len(pinned) > 0:
		return []Reading{split(s, withApps(s, pinned, by), by), whole}, true
	case len(layers) > 1 && !s.Operator && within(layers, built):
		return []Reading{layered(s, layers, by), whole}, true
	case s.Operator:
		return []Reading{whole}, true
	}
	parts := slices.DeleteFunc(slices.Clone(built), func(dir string) bool { return !holdsKustomization(s, dir) })
	parts = withApps(s, parts, by)
	switch {
	case len(parts) == 0 && len(s.Components) == 0:
		return []Reading{whole}, true
	case len(s.Components) > 0:
		return []Reading{whole, componentsBeside(s, parts, by)}, false
	}
	return []Reading{whole, split(s, parts, by)}, false
}

// withApps puts the folders first that have apps as components. Then a folder that is defined later gets another name than
// an app, and does not take the app's place.
func withApps(s *component.Survey, parts []string, by Grouping) []string {
	if by != ByApp {
		return parts
	}
	apps := appLayers(s)
	return append(apps, slices.DeleteFunc(slices.Clone(parts), func(dir string) bool { return slices.Contains(apps, dir) })...)
}

// split publishes folders that clusters build apart from the fleet, which keeps the rest.
func split(s *component.Survey, parts []string, by Grouping) Reading {
	r := Reading{Layout: LayoutSplit, Rule: "clusters build " + enumerate(parts) + " as a whole, so it is a component beside the fleet",
		config: config{by: by}}
	if len(parts) > 1 {
		r.Rule = "clusters build " + enumerate(parts) + ", so each is a component beside the fleet"
	}
	r.Reasons = append(r.Reasons, builds(s, parts)...)
	for _, dir := range parts {
		if r.config.byApp(folder(s, dir)) {
			continue
		}
		e := r.config.define(dir, dir)
		e.Why = append(builds(s, []string{dir}),
			"Its artifact keeps the prefix "+dir+"/, because Flux Kustomizations name paths from the repository's top.")
		if isPinned(s, dir) && len(tops(s, false)) == 1 {
			e.GitTag = "v{version}"
			e.Why = append(e.Why, "Clusters pin tags of the repository, so its releases stay vX.Y.Z.")
		}
		r.config.remote(folder(s, dir))
	}
	r.config.fleet(s, parts)
	return r
}

// componentsBeside publishes components/ and the parts that clusters build apart from the fleet.
func componentsBeside(s *component.Survey, parts []string, by Grouping) Reading {
	r := split(s, parts, by)
	r.Layout = LayoutComponents
	r.Rule = "each folder of components/ is a component, beside the fleet"
	r.config.Discover = append(r.config.Discover, discover{Layout: "components", Path: "components",
		Why: []string{"Each folder of components/ with a kustomization is released by tags of its own."}})
	r.config.name("components", bases(s.Components)...)
	return r
}

// layered makes a component of each layer.
func layered(s *component.Survey, layers []string, by Grouping) Reading {
	r := Reading{Layout: LayoutLayer, Rule: enumerate(layers) +
		" have environments of all their apps (<layer>/<environment>/<app>), so each is one component", config: config{by: by}}
	r.Reasons = builds(s, layers)
	for _, dir := range layers {
		r.config.layer(folder(s, dir))
	}
	if len(s.Clusters) > 0 {
		r.Reasons = append(r.Reasons,
			"clusters/ is in no artifact: clusters go on to follow it from Git, or by what keos-oci generate ocirepository writes there.")
	}
	return r
}

// readFolders reads a repository that has neither clusters nor components/.
func readFolders(s *component.Survey, repository string, by Grouping) ([]Reading, bool) {
	if len(s.Top.Environments) > 1 {
		return []Reading{environmentsAtTop(s, repository, by)}, true
	}
	one, each := Reading{config: config{by: by}}, Reading{config: config{by: by}} // unclear folders: as one component, or each folder in them
	var unclear, any bool
	for _, f := range s.Folders {
		switch {
		case !f.Kustomizations:
		case len(f.Environments) > 1 || len(f.Others) == 0:
			any = true
			one.config.layer(f)
			each.config.layer(f)
		case f.Apps && len(f.Environments) == 0:
			any = true
			one.config.each(f)
			each.config.each(f)
		default:
			any, unclear = true, true
			one.config.layer(f)
			each.config.each(f)
			reason := fmt.Sprintf("%s/ has %s. It is not clear whether they are released together.", f.Path, enumerate(f.Others))
			one.Reasons, each.Reasons = append(one.Reasons, reason), append(each.Reasons, reason)
		}
	}
	one.Layout, one.Rule = LayoutLayer, "each folder at the top is one component"
	each.Layout, each.Rule = LayoutComponents, "each folder of a folder at the top is a component"
	switch {
	case !any:
		return nil, false
	case unclear:
		return []Reading{each, one}, false
	case one.config.onlyLayers():
		one.Rule = layered(s, environmentFirst(s), by).Rule
		if len(environmentFirst(s)) < len(one.config.Discover) {
			one.Rule = "each folder at the top is one component"
		}
		return []Reading{one}, true
	}
	return []Reading{each}, true
}

// environmentsAtTop makes one component of folders such as base/, staging/ and production/ at the top, or of each app in
// them.
func environmentsAtTop(s *component.Survey, repository string, by Grouping) Reading {
	r := Reading{Layout: LayoutLayer, Rule: enumerate(s.Top.Environments) +
		" at the top are environments of all apps, so they are one component", config: config{by: by}}
	if !r.config.byApp(s.Top) {
		e := r.config.define(repository, s.Top.Environments...)
		e.Why = []string{"Overlays refer to their base by relative paths, so the environments stay together."}
	}
	for _, dir := range s.Top.Environments {
		r.config.remote(folder(s, dir))
	}
	return r
}
