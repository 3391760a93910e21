package check

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// kustomization is one kustomization file and what it refers to.
type kustomization struct {
	file string // relative to the root
	refs []reference

	documents int
	component bool // of kustomize's kind, which is not built by itself

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

// addKustomization collects the references of a kustomization file. One that does not parse has none: whether that
// matters is the build's to say.
func (g *gate) addKustomization(name string, docs []*yaml.Node, data []byte) {
	k := &kustomization{file: name}
	for _, doc := range docs {
		k.collect(doc)
		g.checkSecretGenerators(name, doc)
		g.checkSecretPatches(name, doc)
	}
	k.compare(data)
	g.kusts[path.Dir(name)] = k
}

// collect lists what kustomize follows.
func (k *kustomization) collect(doc *yaml.Node) {
	k.component = k.component && k.documents > 0 || k.documents == 0 && text(anyCase(doc, "kind")) == "Component"
	k.documents++
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

// checkReferences looks at every reference of every kustomization, reachable from a variant or not.
func (g *gate) checkReferences() {
	for _, dir := range sortedKeys(g.kusts) {
		k := g.kusts[dir]
		g.checkUnclear(k)
		for _, r := range k.refs {
			if r.isPlugin() {
				g.checkPluginConfig(dir, path.Join(dir, r.path), map[string]bool{})
			}
			g.checkReference(dir, k, r)
		}
	}
}

// checkPluginConfig looks into the configuration of builtin plugins, a file or the resources of a folder, which names files
// of its own. Kustomize reads those from dir, where the plugins are named.
func (g *gate) checkPluginConfig(dir, name string, visited map[string]bool) {
	if visited[name] {
		return
	}
	visited[name] = true
	if k := g.kusts[name]; k != nil {
		for _, r := range k.refs {
			if r.dir {
				g.checkPluginConfig(dir, path.Join(name, r.path), visited)
			}
		}
	}
	if !g.files[name] {
		return
	}
	data, err := g.read(name)
	if err != nil {
		return
	}
	docs, _ := parse(data)
	plugin := &kustomization{file: name}
	for _, doc := range docs {
		plugin.collectPlugin(doc, 0)
	}
	g.checkUnclear(plugin)
	for _, ref := range plugin.refs {
		g.checkReference(dir, plugin, ref)
	}
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

// checkReference reports at most one fault of one reference, which kustomize reads from dir.
func (g *gate) checkReference(dir string, k *kustomization, r reference) {
	if r.maybe {
		return
	}
	message, fix := g.judge(dir, r)
	if message == "" {
		return
	}
	g.broken[path.Dir(k.file)] = true
	g.report(Finding{Severity: Error, Rule: RuleReference, File: k.file, Line: r.line,
		Message: fmt.Sprintf("%s: %s %s", r.field, shareable(r.path), message), Fix: fix})
}

func (g *gate) judge(dir string, r reference) (message, fix string) {
	why, advice := forbidden(r.path)
	switch {
	case isRemote(r.path) && why != "":
		return why, advice
	case isRemote(r.path) && g.o.RemoteBases:
		return "", ""
	case isRemote(r.path) && (r.field == "resources" || r.field == "bases"):
		return "is remote: a cluster would build what that place holds on that day",
			"copy it into the component, or in keos-oci.yaml set artifact: {remoteBases: vendor}, which renders it into the artifact, or {remoteBases: allow}"
	case isRemote(r.path):
		return "is remote: a cluster would build what that place holds on that day",
			"copy it into the component (only resources can be rendered), or set artifact: {remoteBases: allow} in keos-oci.yaml"
	case path.IsAbs(r.path) || filepath.IsAbs(r.path):
		return "is an absolute path", "move the file into the component and name it by a relative path"
	}
	target := path.Join(dir, r.path)
	if target == ".." || strings.HasPrefix(target, "../") {
		return g.judgeOutside(dir, r)
	}
	return g.judgeInside(target, r)
}

// judgeOutside describes a reference that climbs above the artifact's root. One that climbs and comes back is no better:
// the root has no name in the artifact.
func (g *gate) judgeOutside(dir string, r reference) (message, fix string) {
	full := path.Join(g.c.Root, dir, r.path)
	if full == ".." || strings.HasPrefix(full, "../") {
		return "leaves the repository", "move the file into the component"
	}
	if inside, ok := strings.CutPrefix(full, g.c.Root+"/"); ok {
		return "goes through the component's own folder, which has no name in the artifact",
			"write " + relative(dir, inside)
	}
	fix = "root: and paths:"
	if g.c.External {
		fix = fmt.Sprintf("components: {%q: {root: %q}}", g.c.Name, commonFolder(g.c.Root, full))
	}
	return fmt.Sprintf("is outside the component (%s)", full),
		fmt.Sprintf("move it below %s, or widen the component with %s in keos-oci.yaml", g.c.Root, fix)
}

// commonFolder is the innermost folder that holds both.
func commonFolder(dir, p string) string {
	for dir != "." && !strings.HasPrefix(p, dir+"/") {
		dir = path.Dir(dir)
	}
	return dir
}

func (g *gate) judgeInside(target string, r reference) (message, fix string) {
	switch {
	case g.files[target]:
		return "", ""
	case g.dirs[target] && r.dir:
		return g.judgeFolder(target)
	case g.dirs[target]:
		return "is a folder where a file is needed", ""
	}
	info, err := os.Stat(g.checkoutPath(target))
	switch {
	case err != nil:
		return "does not exist", "create it, or remove the line"
	case g.isForeign(target):
		return g.judgeForeign(target)
	case info.IsDir() && !r.dir:
		return "is a folder where a file is needed", ""
	case info.IsDir():
		return g.judgeFolder(target)
	}
	return "exists but is not in the artifact: " + g.leftOut(target), "commit the file and let no ignore rule match it"
}

// isForeign tells whether a path below the root is none of the component's own, and is not taken along either.
func (g *gate) isForeign(target string) bool {
	full := g.workspacePath(target)
	return len(g.c.Paths) > 0 && !g.c.External && !slices.ContainsFunc(g.c.Paths, func(p string) bool {
		return p == "." || p == full || strings.HasPrefix(full, p+"/") || strings.HasPrefix(p, full+"/")
	})
}

func (g *gate) judgeForeign(target string) (message, fix string) {
	return fmt.Sprintf("is outside the component (%s)", g.workspacePath(target)),
		"add it to the component's paths, or set artifact: {external: include} in keos-oci.yaml"
}

// judgeFolder demands a kustomization in a folder.
func (g *gate) judgeFolder(dir string) (message, fix string) {
	if g.kusts[dir] != nil {
		return "", ""
	}
	for _, name := range kustomizationNames() {
		file := path.Join(dir, name)
		if _, err := os.Stat(g.checkoutPath(file)); err == nil {
			return "has a " + name + " that is not in the artifact: " + g.leftOut(file),
				"commit the file and let no ignore rule match it"
		}
	}
	return "is a folder without a kustomization", "add a kustomization.yaml, or list the files"
}

func (g *gate) checkoutPath(name string) string {
	return filepath.Join(g.c.Workspace, filepath.FromSlash(g.workspacePath(name)))
}

func (g *gate) leftOut(name string) string {
	if g.c.LeftOut != nil {
		if why := g.c.LeftOut(g.workspacePath(name)); why != "" {
			return why
		}
	}
	return "left out when packing"
}

// forbidden says why a URL is fetched under no setting, "" if it may be.
func forbidden(p string) (why, advice string) {
	if regexp.MustCompile(`(?i)^(?:git::)*file:`).MatchString(p) {
		return "is a place on this machine, which no cluster has", "copy it into the component"
	}
	_, query, _ := strings.Cut(p, "?")
	values, _ := url.ParseQuery(query)
	for _, ref := range append(values["ref"], values["version"]...) {
		if strings.HasPrefix(ref, "-") { // kustomize hands it to git as it is
			return "has a ref that git would take for an option", "name a branch, a tag or a commit"
		}
	}
	return "", ""
}

// isRemote follows kustomize, whose own parser of repository URLs is internal: a URL with a scheme, Git's scp form, and
// GitHub's short form. Flux exports the list of prefixes; the rest is what it leaves to kustomize.
func isRemote(p string) bool {
	if !fluxkustomize.IsLocalRelativePath(p) && !filepath.IsAbs(p) {
		return true
	}
	if strings.Contains(p, "?ref=") || strings.Contains(p, "?version=") || strings.Contains(p, "://") {
		return true
	}
	return regexp.MustCompile(`(?i)^(?:file|https?):|^[a-z][a-z0-9-]*@[^/:]+[/:]`).MatchString(p)
}

// relative is the way from a folder to a file, both below the root.
func relative(dir, file string) string {
	rel, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(file))
	if err != nil {
		return file
	}
	return filepath.ToSlash(rel)
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
