package kustomize

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/substitution"
)

// Kustomization is one kustomization file, or the configuration of plugins, and what it refers to.
type Kustomization struct {
	Name       string // of the file
	References []Reference
	Secrets    []Generator // what secretGenerator makes of literals
	Patches    []Patch
	Fields     []string // the keys at the top

	Component bool // of kustomize's kind Component, which is not built by itself
	Plugin    bool // the configuration of plugins: what it refers to is read from the folder that names the plugins
	Alters    bool // it changes what it lists by more than names and labels

	Unclear     string // why kustomize may read it differently from this package
	UnclearLine int
}

// Reference is one path in a kustomization, as it is written there.
type Reference struct {
	Field  string
	Path   string
	Line   int
	Column int  // of the node, 0 for what is only part of one
	Dir    bool // a folder may be meant
	YAML   bool // kustomize parses the file

	Literal bool // Flux does not substitute variables in what is generated of it
	Maybe   bool // in a plugin's configuration, where such a field may be no path at all
}

// Generator is an entry of secretGenerator.
type Generator struct {
	Name     string
	Literals []Text
	Files    []Reference
}

// Patch is a patch in a kustomization that has a target: its text, or the file with it.
type Patch struct {
	Kind string // of the target, "" for any
	Text Text
	Path string
}

// Text is a piece of a file. Block says that its lines are lines of the file, from the one after Line on.
type Text struct {
	Value string
	Line  int
	Block bool
}

// Parse reads a kustomization file. One that does not parse refers to nothing; the error says why.
func Parse(name string, data []byte) (*Kustomization, error) {
	data = manifest.UTF8(data)
	docs, err := manifest.Parse(data)
	return New(name, docs, data), err
}

// New is a kustomization file with these documents.
func New(name string, docs []*yaml.Node, data []byte) *Kustomization {
	k := &Kustomization{Name: name, Component: len(docs) > 0 && manifest.Text(anyCase(docs[0], "kind")) == "Component"}
	for _, doc := range docs {
		k.collect(doc)
	}
	k.compare(data)
	return k
}

// collect lists what kustomize follows.
func (k *Kustomization) collect(doc *yaml.Node) {
	k.note(doc, 0, false)
	for _, p := range manifest.Pairs(doc) {
		k.Fields = append(k.Fields, p.Key.Value)
	}
	for _, name := range []string{"resources", "bases", "components", "generators", "transformers", "validators"} {
		k.addList(anyCase(doc, name), Reference{Field: name, Dir: true, YAML: true})
	}
	for _, name := range []string{"generators", "transformers", "validators"} {
		for _, item := range manifest.Items(anyCase(doc, name)) {
			k.addInline(item)
		}
	}
	for _, name := range []string{"crds", "configurations", "patchesStrategicMerge", "patches"} {
		k.addList(anyCase(doc, name), Reference{Field: name, YAML: true})
	}
	for _, name := range []string{"patches", "patchesJson6902", "replacements"} {
		for _, item := range manifest.Items(anyCase(doc, name)) {
			k.add(anyCase(item, "path"), Reference{Field: name + ".path", YAML: true})
		}
	}
	for _, name := range []string{"configMapGenerator", "secretGenerator"} {
		for _, item := range manifest.Items(anyCase(doc, name)) {
			k.addSources(name, item)
		}
	}
	for _, item := range manifest.Items(anyCase(doc, "secretGenerator")) {
		k.Secrets = append(k.Secrets, newGenerator(item))
	}
	for _, name := range []string{"patches", "patchesJson6902"} {
		for _, item := range manifest.Items(anyCase(doc, name)) {
			k.addPatch(item)
		}
	}
	if substitution.IsDisabled(anyCase(doc, "generatorOptions")) {
		for i := range k.References {
			k.References[i].Literal = true
		}
	}
	k.add(anyCase(anyCase(doc, "openapi"), "path"), Reference{Field: "openapi.path", YAML: true})
	for _, item := range manifest.Items(anyCase(doc, "helmCharts")) {
		k.add(anyCase(item, "valuesFile"), Reference{Field: "helmCharts.valuesFile"})
		k.addList(anyCase(item, "additionalValuesFiles"), Reference{Field: "helmCharts.additionalValuesFiles"})
	}
	for _, item := range manifest.Items(anyCase(doc, "helmChartInflationGenerator")) {
		k.add(anyCase(item, "values"), Reference{Field: "helmChartInflationGenerator.values"})
	}
}

// newGenerator reads an entry of secretGenerator.
func newGenerator(item *yaml.Node) Generator {
	g := Generator{Name: manifest.Text(anyCase(item, "name"))}
	for _, literal := range manifest.Items(anyCase(item, "literals")) {
		g.Literals = append(g.Literals, newText(literal))
	}
	sources := &Kustomization{}
	sources.addSources("secretGenerator", item)
	g.Files = sources.References
	return g
}

func newText(n *yaml.Node) Text {
	n = manifest.Resolve(n)
	return Text{Value: manifest.Text(n), Line: n.Line, Block: n.Style&yaml.LiteralStyle != 0}
}

// addPatch notes a patch that has a target.
func (k *Kustomization) addPatch(item *yaml.Node) {
	target := anyCase(item, "target")
	if target == nil {
		return
	}
	p := Patch{Kind: manifest.Text(anyCase(target, "kind")), Path: manifest.Text(anyCase(item, "path"))}
	if inline := anyCase(item, "patch"); inline != nil {
		p.Text = newText(inline)
	}
	k.Patches = append(k.Patches, p)
}

// anyCase is the value of a key in one of kustomize's own files, which it reads without minding the case of a key.
func anyCase(n *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	for _, p := range manifest.Pairs(n) {
		if strings.EqualFold(p.Key.Value, key) {
			found = p.Value
		}
	}
	return found
}

// addInline looks into a plugin's configuration that is written in the kustomization itself.
func (k *Kustomization) addInline(item *yaml.Node) {
	docs, _ := manifest.Parse([]byte(manifest.Text(item)))
	for _, doc := range docs {
		if doc.Kind == yaml.MappingNode { // and no path
			k.collectPlugin(doc, item.Line)
		}
	}
}

// IsPlugin reports whether a reference leads to the configuration of plugins.
func (r Reference) IsPlugin() bool {
	return r.Field == "generators" || r.Field == "transformers" || r.Field == "validators"
}

// IsBase reports whether a reference brings objects and changes no others, so that it can be rendered by itself.
func (r Reference) IsBase() bool { return r.Field == "resources" || r.Field == "bases" }

// Lists returns what a kustomization builds: references to resources, bases and components.
func (k *Kustomization) Lists() []Reference {
	return slices.DeleteFunc(slices.Clone(k.References), func(r Reference) bool { return !r.IsBase() && r.Field != "components" })
}

// addSources adds the files that a generator reads.
func (k *Kustomization) addSources(name string, generator *yaml.Node) {
	literal := substitution.IsDisabled(anyCase(generator, "options"))
	k.addList(anyCase(generator, "envs"), Reference{Field: name + ".envs"})
	k.add(anyCase(generator, "env"), Reference{Field: name + ".env"})
	for _, item := range manifest.Items(anyCase(generator, "files")) {
		source := manifest.Text(item)
		if _, file, named := strings.Cut(source, "="); named {
			source = file
		}
		k.addPath(source, item.Line, Reference{Field: name + ".files", Literal: literal})
	}
}

func (k *Kustomization) addList(list *yaml.Node, r Reference) {
	for _, item := range manifest.Items(list) {
		k.add(item, r)
	}
}

func (k *Kustomization) add(n *yaml.Node, r Reference) {
	if n != nil {
		r.Column = n.Column
		k.addPath(manifest.Text(n), n.Line, r)
	}
}

// addPath skips what is no path: several fields take YAML in the place of a file name.
func (k *Kustomization) addPath(p string, line int, r Reference) {
	if p == "" || strings.Contains(p, "\n") || strings.HasPrefix(strings.TrimSpace(p), "{") {
		return
	}
	r.Path, r.Line = p, line
	k.References = append(k.References, r)
}

// collectPlugin lists the files that a builtin plugin's configuration names. Some of these fields have other meanings in
// other plugins, so only what is surely wrong, and would be fetched during the build, is no maybe. line is where an inline
// configuration begins, 0 for a file.
func (k *Kustomization) collectPlugin(doc *yaml.Node, line int) {
	k.note(doc, line, true)
	for _, item := range manifest.Items(anyCase(doc, "items")) { // of a list, which kustomize takes apart
		k.collectPlugin(item, line)
	}
	plugin := &Kustomization{}
	plugin.addSources(manifest.Text(anyCase(doc, "kind")), doc)
	plugin.add(anyCase(doc, "path"), Reference{Field: "path", YAML: true})
	plugin.addList(anyCase(doc, "paths"), Reference{Field: "paths", YAML: true})
	plugin.add(anyCase(doc, "valuesFile"), Reference{Field: "valuesFile"})
	plugin.add(anyCase(doc, "targetFilePath"), Reference{Field: "targetFilePath"})
	for _, item := range manifest.Items(anyCase(doc, "replacements")) {
		plugin.add(anyCase(item, "path"), Reference{Field: "replacements.path"})
	}
	for _, r := range plugin.References {
		r.Maybe = !IsRemote(r.Path) && !strings.HasPrefix(path.Clean(r.Path), "../")
		r.Line += line
		k.References = append(k.References, r)
	}
}
