package check

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// kustomization is one kustomization file and what it refers to.
type kustomization struct {
	file string // relative to the root
	refs []reference

	component bool // of kustomize's kind, which is not built by itself
	alters    bool // what it lists, by more than names and labels

	unclear     string // why kustomize may read it otherwise than this package
	unclearLine int
}

// reference is one path in a kustomization, as it is written there.
type reference struct {
	field  string
	path   string
	line   int
	column int  // of the node, 0 for what is only part of one
	dir    bool // a folder may be meant
	yaml   bool // kustomize parses the file

	literal bool // Flux does not substitute variables in what is generated of it
	maybe   bool // in a plugin's configuration, where such a field may be no path at all
}

// newKustomization is what a file, of which these are the documents, refers to. One that does not parse has none, and refers to
// nothing: whether that matters is the build's to say.
func newKustomization(name string, docs []*yaml.Node, data []byte) *kustomization {
	k := &kustomization{file: name, component: len(docs) > 0 && text(anyCase(docs[0], "kind")) == "Component"}
	for _, doc := range docs {
		k.collect(doc)
	}
	k.compare(data)
	return k
}

// collect lists what kustomize follows.
func (k *kustomization) collect(doc *yaml.Node) {
	k.note(doc, 0, false)
	for _, name := range []string{"resources", "bases", "components", "generators", "transformers", "validators"} {
		k.addList(anyCase(doc, name), reference{field: name, dir: true, yaml: true})
	}
	for _, name := range []string{"generators", "transformers", "validators"} {
		for _, item := range items(anyCase(doc, name)) {
			k.addInline(item)
		}
	}
	for _, name := range []string{"crds", "configurations", "patchesStrategicMerge", "patches"} {
		k.addList(anyCase(doc, name), reference{field: name, yaml: true})
	}
	for _, name := range []string{"patches", "patchesJson6902", "replacements"} {
		for _, item := range items(anyCase(doc, name)) {
			k.add(anyCase(item, "path"), reference{field: name + ".path", yaml: true})
		}
	}
	for _, name := range []string{"configMapGenerator", "secretGenerator"} {
		for _, item := range items(anyCase(doc, name)) {
			k.addSources(name, item)
		}
	}
	if isLiteral(anyCase(doc, "generatorOptions")) {
		for i := range k.refs {
			k.refs[i].literal = true
		}
	}
	k.add(anyCase(anyCase(doc, "openapi"), "path"), reference{field: "openapi.path", yaml: true})
	for _, item := range items(anyCase(doc, "helmCharts")) {
		k.add(anyCase(item, "valuesFile"), reference{field: "helmCharts.valuesFile"})
		k.addList(anyCase(item, "additionalValuesFiles"), reference{field: "helmCharts.additionalValuesFiles"})
	}
	for _, item := range items(anyCase(doc, "helmChartInflationGenerator")) {
		k.add(anyCase(item, "values"), reference{field: "helmChartInflationGenerator.values"})
	}
}

// addInline looks into a plugin's configuration that stands in the kustomization itself.
func (k *kustomization) addInline(item *yaml.Node) {
	docs, _ := parse([]byte(text(item)))
	for _, doc := range docs {
		if doc.Kind == yaml.MappingNode { // and no path
			k.collectPlugin(doc, item.Line)
		}
	}
}

// isPlugin tells whether a reference names the configuration of plugins.
func (r reference) isPlugin() bool {
	return r.field == "generators" || r.field == "transformers" || r.field == "validators"
}

// isBase tells whether a reference brings objects and changes no others, so that it can be rendered by itself.
func (r reference) isBase() bool { return r.field == "resources" || r.field == "bases" }

// addSources adds the files that a generator reads.
func (k *kustomization) addSources(name string, generator *yaml.Node) {
	literal := isLiteral(anyCase(generator, "options"))
	k.addList(anyCase(generator, "envs"), reference{field: name + ".envs"})
	k.add(anyCase(generator, "env"), reference{field: name + ".env"})
	for _, item := range items(anyCase(generator, "files")) {
		source := text(item)
		if _, file, named := strings.Cut(source, "="); named {
			source = file
		}
		k.addPath(source, item.Line, reference{field: name + ".files", literal: literal})
	}
}

// isLiteral tells whether a generator's options switch Flux's substitution off.
func isLiteral(options *yaml.Node) bool {
	return text(field(field(options, "annotations"), substituteKey)) == "disabled" ||
		text(field(field(options, "labels"), substituteKey)) == "disabled"
}

func (k *kustomization) addList(list *yaml.Node, r reference) {
	for _, item := range items(list) {
		k.add(item, r)
	}
}

func (k *kustomization) add(n *yaml.Node, r reference) {
	if n != nil {
		r.column = n.Column
		k.addPath(text(n), n.Line, r)
	}
}

// addPath skips what is no path: several fields take YAML in the place of a file name.
func (k *kustomization) addPath(p string, line int, r reference) {
	if p == "" || strings.Contains(p, "\n") || strings.HasPrefix(strings.TrimSpace(p), "{") {
		return
	}
	r.path, r.line = p, line
	k.refs = append(k.refs, r)
}

// collectPlugin lists the files that a builtin plugin's configuration names. Some of these fields have other meanings in
// other plugins, so only what is surely wrong, and would be fetched during the build, is no maybe. line is where an inline
// configuration begins, 0 for a file.
func (k *kustomization) collectPlugin(doc *yaml.Node, line int) {
	k.note(doc, line, true)
	for _, item := range items(anyCase(doc, "items")) { // of a list, which kustomize takes apart
		k.collectPlugin(item, line)
	}
	plugin := &kustomization{}
	plugin.addSources(text(anyCase(doc, "kind")), doc)
	plugin.add(anyCase(doc, "path"), reference{field: "path"})
	plugin.addList(anyCase(doc, "paths"), reference{field: "paths"})
	plugin.add(anyCase(doc, "valuesFile"), reference{field: "valuesFile"})
	plugin.add(anyCase(doc, "targetFilePath"), reference{field: "targetFilePath"})
	for _, item := range items(anyCase(doc, "replacements")) {
		plugin.add(anyCase(item, "path"), reference{field: "replacements.path"})
	}
	for _, r := range plugin.refs {
		r.maybe = !isRemote(r.path) && !strings.HasPrefix(path.Clean(r.path), "../")
		r.line += line
		k.refs = append(k.refs, r)
	}
}

// closure is what the build of one variant reads.
type closure struct {
	kusts []*kustomization
	files []string // parsed by kustomize, in the order it meets them
	fault bool     // a reference in it is known to be wrong
}

// closure follows a variant's references, and like Flux takes every YAML below a folder that has no kustomization.
func (g *gate) closure(variant string) closure {
	var out closure
	visited := map[string]bool{}
	if g.kusts[variant] != nil {
		g.follow(variant, visited, &out)
		return out
	}
	below := prefix(variant)
	for _, name := range g.c.Files {
		if !strings.HasPrefix(name, below) {
			continue
		}
		if top := g.topKustomization(variant, path.Dir(name)); top != "" {
			g.follow(top, visited, &out)
		} else if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" {
			out.files = append(out.files, name)
		}
	}
	return out
}

// topKustomization is the highest folder with a kustomization between a variant and one of its folders: Flux takes that
// one and looks no deeper.
func (g *gate) topKustomization(variant, dir string) string {
	found := ""
	for ; dir != variant && dir != "."; dir = path.Dir(dir) {
		if g.kusts[dir] != nil {
			found = dir
		}
	}
	return found
}

func (g *gate) follow(dir string, visited map[string]bool, out *closure) {
	k := g.kusts[dir]
	if k == nil || visited[dir] {
		return
	}
	visited[dir] = true
	out.fault = out.fault || g.broken[dir]
	out.kusts = append(out.kusts, k)
	out.files = append(out.files, k.file)
	for _, r := range k.refs {
		target := path.Join(dir, r.path)
		if g.files[target] && r.yaml {
			out.files = append(out.files, target)
			// A plugin's configuration that names a remote file has its finding in a folder of its own.
			out.fault = out.fault || g.broken[path.Dir(target)]
		}
		if r.dir {
			g.follow(target, visited, out)
		}
	}
}

func prefix(dir string) string {
	if dir == "." {
		return ""
	}
	return dir + "/"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
