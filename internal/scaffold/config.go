package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// config is a config file in the making, as far as one is proposed.
type config struct {
	Schema     string // the first line, for editors; empty where a config of today has none
	Registry   string
	Discover   []discover // nil for the search that needs no config
	Open       []string   // by app: why more is to be in artifacts than what their variants read
	Components []*entry
	Ignore     []pattern
	Remote     []component.Remote // references that need remoteBases
	Branch     string             // of the channel latest, where it is not main
	Signing    *signing           // nil for what GitHub needs, which is the default

	by       Grouping
	envFirst []envFirst // the folders whose apps are, or could be, components
	whyLayer string     // the last one, which is not said again
	found    []found
}

// found is a name that a component has by its folder, and where that is.
type found struct{ name, in string }

type discover struct {
	Layout, Path string
	Environments []string
	Enabled      bool // from kustomizations
	Why          []string
}

// entry is a component that is defined, or renamed where it has no paths.
type entry struct {
	Key, Name    string
	Paths        []string
	Root, GitTag string
	Why          []string
	Release      string // regular expression of who signs its releases
}

type pattern struct {
	Pattern, Why string
	Off          bool // written down, but not in force
}

// name takes the names of folders in dir for components, and proposes others for those that no registry takes or that
// another component has.
func (c *config) name(dir string, folders ...string) {
	for _, folder := range folders {
		if first := slices.IndexFunc(c.found, func(f found) bool { return f.name == folder }); first >= 0 {
			c.tellApart(c.found[first], dir)
		}
	}
	for _, folder := range folders {
		c.found = append(c.found, found{folder, dir})
	}
	for _, folder := range folders {
		if component.IsName(folder) || c.renamed(folder) {
			continue
		}
		if name := c.unused(component.ProposeName(folder)); name != "" {
			c.Components = append(c.Components, &entry{Key: folder, Name: name,
				Why: []string{fmt.Sprintf("No registry takes the name %q: repositories are named by lower case letters, digits and single separators.",
					folder)}})
		}
	}
}

// tellApart renames the first of two components of one name, which is the one that an entry of that name changes. Of three
// the search refuses the last two.
func (c *config) tellApart(first found, other string) {
	if c.renamed(first.name) {
		return
	}
	if name := c.unused(component.ProposeName(path.Base(first.in) + "-" + first.name)); name != "" {
		c.Components = append(c.Components, &entry{Key: first.name, Name: name,
			Why: []string{fmt.Sprintf("%s and %s both have %s. This is the one in %[1]s.", called(first.in), called(other), first.name)}})
	}
}

// renamed reports whether an entry gives another name to a component that is found.
func (c *config) renamed(key string) bool {
	return slices.ContainsFunc(c.Components, func(e *entry) bool { return e.Key == key && len(e.Paths) == 0 })
}

// unused makes a name that no other component has.
func (c *config) unused(name string) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(c.found, func(f found) bool { return f.name == name }) ||
			slices.ContainsFunc(c.Components, func(e *entry) bool { return e.Key == name || e.Name == name })
	}
	for n, free := 2, name; name != ""; n++ {
		if !taken(free) {
			return free
		}
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return ""
}

// define makes a component of paths.
func (c *config) define(name string, paths ...string) *entry {
	e := &entry{Key: c.unused(component.ProposeName(name)), Paths: paths, Root: "."}
	if component.IsName(name) {
		e.Key = c.unused(name)
	}
	c.Components = append(c.Components, e)
	return e
}

// fleet makes a component of the clusters and of what they build beside the parts that are components of their own.
func (c *config) fleet(s *component.Survey, parts []string) {
	paths := []string{"clusters"}
	for _, f := range s.Folders {
		switch {
		case slices.Contains(parts, f.Path):
		case f.Kustomizations || slices.Contains(tops(s, true), f.Path):
			paths = append(paths, f.Path)
			c.remote(f)
		case !f.Manifests:
			c.Ignore = append(c.Ignore, pattern{Pattern: f.Path + "/", Why: "Nothing in it is for clusters."})
		}
	}
	e := c.define("fleet", paths...)
	e.Why = []string{"What clusters are made of, with the folders that they build unpinned."}
	if s.Bootstrap.Found {
		why := "Flux's own installation, which is not to be rolled out with the fleet."
		if s.Bootstrap.Built {
			why = "Flux's own installation. Clusters build it with their folder, so it cannot stay out before it is removed from there."
		}
		c.Ignore = append(c.Ignore, pattern{"clusters/*/flux-system/gotk-components.yaml", why, s.Bootstrap.Built})
	}
}

// layer makes a component of a folder as a whole, or of each app in it.
func (c *config) layer(f component.Folder) {
	if c.byApp(f) {
		return
	}
	why := "A folder as a whole, under the name of the folder."
	if len(f.Environments) > 1 {
		why = fmt.Sprintf("%s of all its apps: overlays refer to their base by relative paths, so they stay together.", enumerate(f.Environments))
	}
	d := discover{Layout: "layer", Path: f.Path}
	if c.whyLayer != why {
		c.whyLayer, d.Why = why, []string{why}
	}
	c.Discover = append(c.Discover, d)
	c.name(path.Dir(f.Path), path.Base(f.Path))
	c.remote(f)
}

// each makes a component of each folder in a folder.
func (c *config) each(f component.Folder) {
	c.Discover = append(c.Discover, discover{Layout: "components", Path: f.Path,
		Why: []string{"Each folder in it with a kustomization: " + enumerate(f.Others) + "."}})
	c.name(f.Path, slices.Concat(f.Others, f.Environments)...)
	c.remote(f)
}

func (c *config) onlyLayers() bool {
	return !slices.ContainsFunc(c.Discover, func(d discover) bool { return d.Layout == string(LayoutComponents) })
}

// Ignores reports whether a pattern is in force.
func (c config) Ignores() bool {
	return slices.ContainsFunc(c.Ignore, func(p pattern) bool { return !p.Off })
}

func (c *config) remote(f component.Folder) { c.Remote = append(c.Remote, f.Remote...) }

// isZero reports whether c changes nothing: without a config file the components are the same.
func (c *config) isZero() bool {
	return c.Registry == "" && len(c.Discover) == 0 && len(c.Components) == 0 && len(c.Ignore) == 0 && len(c.Remote) == 0 &&
		c.Branch == "" && c.Signing == nil
}

// zero is the options of a checkout as if it had no config file.
func (p *proposer) zero() component.Options {
	o := p.options
	o.ConfigFile, o.Config = "", []byte(header)
	return o
}

const header = "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n"

// load completes the config of a reading, and proves that it yields components.
func (p *proposer) load(r *Reading) error {
	c := &r.config
	c.Schema, c.Registry = p.schemaLine(), p.registry()
	if p.ask.Branch != "main" {
		c.Branch = p.ask.Branch
	}
	if err := p.reload(r); err != nil {
		return err
	}
	if p.ask.Workflows != GitLab {
		return nil
	}
	who, err := p.signing()
	if err != nil {
		return err
	}
	c.sign(who, r.Workspace.Components)
	return p.reload(r)
}

// reload writes the config and reads it back as publish will.
func (p *proposer) reload(r *Reading) (err error) {
	o := p.zero()
	r.Config = nil
	if !r.config.isZero() {
		if r.Config, err = fillIn("keos-oci.yaml", r.config); err != nil {
			return err
		}
		o.Config, o.Registry = r.Config, "" // publish does not get it as a flag
	}
	r.Workspace, err = component.Load(o)
	return err
}

// schemaPrefix begins the comment by which editors find the schema of a YAML file.
const schemaPrefix = "# yaml-language-server: $schema="

// schemaLine is the comment by which editors check and complete the config: with the schema of this release, or of the branch main. Where
// there is a config, its own line stays, so that a newer keos-oci proposes no other file for that alone.
func (p *proposer) schemaLine() string {
	if p.existing != nil && !p.ask.Replace {
		first, _, _ := strings.Cut(string(p.existing), "\n")
		if first = strings.TrimRight(first, "\r"); strings.HasPrefix(first, schemaPrefix) {
			return first
		}
		return ""
	}
	if p.ask.Release == "" {
		return schemaPrefix + "https://raw.githubusercontent.com/stratio/keos-oci/main/internal/component/schema.json"
	}
	return schemaPrefix + "https://github.com/stratio/keos-oci/releases/download/" + p.ask.Release + "/keos-oci.schema.json"
}

// registry is the one that the config has to name: where one was asked for that is not the default, or on GitLab, which
// has no default.
func (p *proposer) registry() string {
	standard, err := p.options.DefaultRegistry()
	if err == nil && (p.options.Registry == "" || p.options.Registry == standard) {
		return ""
	}
	if p.options.Registry != "" {
		return p.options.Registry
	}
	if host, project, err := p.remote(); err == nil && host == gitlabCom {
		return "registry.gitlab.com/" + strings.ToLower(project)
	}
	return ""
}

// remote is the Git remote's host and project.
func (p *proposer) remote() (host, project string, err error) {
	if p.options.RemoteURL == nil {
		return "", "", fmt.Errorf("%w: the checkout has no Git remote", ErrInput)
	}
	url, err := p.options.RemoteURL()
	if err != nil {
		return "", "", err
	}
	return component.GitHost(url)
}

// baseName is the last part of the registry, by which a component that is most of the repository is called.
func (p *proposer) baseName() string {
	if p.options.Registry != "" {
		return path.Base(p.options.Registry)
	}
	if _, project, err := p.remote(); err == nil && component.ProposeName(path.Base(project)) != "" {
		return component.ProposeName(path.Base(project))
	}
	return "components"
}
