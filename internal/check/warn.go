package check

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
)

const substituteKey = "kustomize.toolkit.fluxcd.io/substitute"

func (g *gate) warnEmpty(variant string) {
	file := variant
	if k := g.kusts[variant]; k != nil {
		file = k.file
	}
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleEmpty, File: file, Message: "builds to no objects"})
}

// warnObjects looks at every object of a document, those in lists and templates included.
func (g *gate) warnObjects(name string, n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		version, kind := text(plainField(n, "apiVersion")), text(plainField(n, "kind"))
		if strings.Contains(version, ".toolkit.fluxcd.io/") {
			g.warnVersion(name, n, version, kind)
			g.warnGit(name, n, version, kind)
			g.collectApplier(name, n, version, kind)
		}
		if kind == "ConfigMap" && version == "v1" {
			g.variables.collectConfigMap(name, n)
			return
		}
	}
	if n.Kind == yaml.ScalarNode && !isStandalone(name) {
		g.variables.addOrdinary(n.Value)
	}
	for _, child := range n.Content {
		g.warnObjects(name, child)
	}
}

// plainField is field without merge keys: warnings need not see through those, and every mapping comes by here.
func plainField(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// droppedIn says with which Flux version an API version went away, and what took its place.
func droppedIn(version string) (release, successor string) {
	switch version {
	case "helm.toolkit.fluxcd.io/v2beta1":
		return "2.7", "helm.toolkit.fluxcd.io/v2"
	case "source.toolkit.fluxcd.io/v1beta1":
		return "2.7", "source.toolkit.fluxcd.io/v1"
	case "kustomize.toolkit.fluxcd.io/v1beta1":
		return "2.7", "kustomize.toolkit.fluxcd.io/v1"
	case "image.toolkit.fluxcd.io/v1beta1":
		return "2.7", "image.toolkit.fluxcd.io/v1"
	case "notification.toolkit.fluxcd.io/v1beta1":
		return "2.7", "notification.toolkit.fluxcd.io/v1beta3 (v1 for a Receiver)"
	case "helm.toolkit.fluxcd.io/v2beta2":
		return "2.8", "helm.toolkit.fluxcd.io/v2"
	case "source.toolkit.fluxcd.io/v1beta2":
		return "2.8", "source.toolkit.fluxcd.io/v1"
	case "kustomize.toolkit.fluxcd.io/v1beta2":
		return "2.8", "kustomize.toolkit.fluxcd.io/v1"
	case "image.toolkit.fluxcd.io/v1beta2":
		return "2.9", "image.toolkit.fluxcd.io/v1"
	case "notification.toolkit.fluxcd.io/v1beta2":
		return "2.9", "notification.toolkit.fluxcd.io/v1beta3 (v1 for a Receiver)"
	}
	return "", ""
}

func (g *gate) warnVersion(name string, n *yaml.Node, version, kind string) {
	release, successor := droppedIn(version)
	if release == "" {
		return
	}
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleAPIVersion, File: name, Line: plainField(n, "apiVersion").Line,
		Message: fmt.Sprintf("%s %s is no longer served from Flux %s on", kind, version, release), Fix: "use " + successor})
}

// warnGit tells of objects that still need Git. An ImageRepository or ImagePolicy alone does not: it only reads registries.
func (g *gate) warnGit(name string, n *yaml.Node, version, kind string) {
	group, _, _ := strings.Cut(version, "/")
	label := strings.TrimSpace(kind + " " + text(plainField(deref(orEmpty(plainField(n, "metadata"))), "name")))
	switch {
	case kind == "ImageUpdateAutomation" && group == "image.toolkit.fluxcd.io":
		g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleImageUpdate, File: name, Line: n.Line,
			Message: label + " commits to Git, so the cluster still needs a Git token"})
	case kind == "GitRepository" && group == "source.toolkit.fluxcd.io":
		g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleImageUpdate, File: name, Line: n.Line,
			Message: label + " still pulls from Git"})
	}
}

func orEmpty(n *yaml.Node) *yaml.Node {
	if n == nil {
		return &yaml.Node{}
	}
	return n
}

// variables remembers where ${…} stands. Text that Flux did not write, dashboards and scripts, uses the same form, and a
// blanket postBuild blanks it; but a name that the component also uses in an ordinary manifest is Flux's in both places.
type variables struct {
	ordinary map[string]bool
	embedded map[string]map[string]use // by file, by variable
}

type use struct{ line, count int }

func newVariables() *variables {
	return &variables{ordinary: map[string]bool{}, embedded: map[string]map[string]use{}}
}

func (v *variables) addOrdinary(text string) {
	for _, found := range references(text) {
		v.ordinary[found.name] = true
	}
}

func (v *variables) addEmbedded(file, text string, p position) {
	for _, found := range references(text) {
		if v.embedded[file] == nil {
			v.embedded[file] = map[string]use{}
		}
		u := v.embedded[file][found.name]
		if u.count++; u.line == 0 {
			u.line = p.line(found.line)
		}
		v.embedded[file][found.name] = u
	}
}

// isStandalone tells a file that can be a dashboard or script from one that holds them.
func isStandalone(name string) bool { return !isYAML(name) || path.Ext(name) == ".json" }

// collectText takes the variables of a dashboard or script that is a file of its own.
func (v *variables) collectText(name string, data []byte) {
	if isStandalone(name) && bytes.Contains(data, []byte("${")) && isForeign(name, string(data)) {
		v.addEmbedded(name, string(data), top())
	}
}

// collectConfigMap takes the variables of a ConfigMap's values.
func (v *variables) collectConfigMap(name string, n *yaml.Node) {
	meta := field(n, "metadata")
	if text(field(field(meta, "annotations"), substituteKey)) == "disabled" ||
		text(field(field(meta, "labels"), substituteKey)) == "disabled" {
		return
	}
	for _, entry := range pairs(field(n, "data")) {
		if value := text(entry.value); isForeign(entry.key.Value, value) {
			v.addEmbedded(name, value, top().inside(entry.value))
		} else {
			v.addOrdinary(value)
		}
	}
}

// isForeign tells dashboards and scripts from configuration, by name and by form.
func isForeign(name, value string) bool {
	switch path.Ext(name) {
	case ".json", ".sh", ".bash", ".py", ".lua", ".js", ".pl", ".rb", ".awk", ".groovy":
		return true
	}
	value = strings.TrimSpace(value)
	return strings.HasPrefix(value, "#!") || (strings.HasPrefix(value, "{") && strings.Contains(value, `":`))
}

type found struct {
	name string
	line int
}

// references lists the variables that Flux would replace. It reads $${ as an escape.
func references(text string) []found {
	if !strings.Contains(text, "${") {
		return nil
	}
	var out []found
	line, counted := 1, 0
	for at := range indexes([]byte(text), []byte("${")) {
		if at > 0 && text[at-1] == '$' {
			continue
		}
		inside, _, ok := strings.Cut(text[at+2:min(len(text), at+200)], "}")
		if name := identifier(inside); ok && name != "" {
			line, counted = line+strings.Count(text[counted:at], "\n"), at
			out = append(out, found{name, line})
		}
	}
	return out
}

func identifier(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	if end < 0 {
		end = len(s)
	}
	if end == 0 || s[0] >= '0' && s[0] <= '9' {
		return ""
	}
	return s[:end]
}

// warnSubstitutions gives one warning per file. A file of its own counts only if a ConfigMap is made of it.
func (g *gate) warnSubstitutions() {
	consumed := g.consumed()
	for file := range g.variables.embedded {
		if consumed[file] || !isStandalone(file) {
			g.warnSubstitution(file)
		}
	}
}

func (g *gate) warnSubstitution(file string) {
	var names []string
	line := 0
	for name, u := range g.variables.embedded[file] {
		if g.variables.ordinary[name] {
			continue
		}
		names = append(names, "${"+name+"}")
		if line == 0 || u.line < line {
			line = u.line
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleSubstitute, File: file, Line: line,
		Message: strings.Join(names, ", ") + " in a dashboard or script would be replaced by Flux's postBuild substitution",
		Fix:     "write $${…}, or annotate the ConfigMap with " + substituteKey + ": disabled"})
}

// consumed lists the files that become ConfigMaps which Flux substitutes.
func (g *gate) consumed() map[string]bool {
	out := map[string]bool{}
	for dir, k := range g.kusts {
		for _, r := range k.refs {
			if r.field == "configMapGenerator.files" && !r.literal {
				out[path.Join(dir, r.path)] = true
			}
		}
	}
	return out
}

// quotedField is a field in kustomize's words about deprecated ones.
var quotedField = regexp.MustCompile(`'(\w+)' is deprecated`)

// warnDeprecated tells once for each kustomization of the fields that kustomize will drop.
func (g *gate) warnDeprecated(name string, data []byte, docs []*yaml.Node) {
	var k types.Kustomization
	if k.Unmarshal(data) != nil { // the build says what is wrong
		return
	}
	var fields []string
	if said := k.CheckDeprecatedFields(); said != nil {
		for _, text := range *said {
			if m := quotedField.FindStringSubmatch(text); m != nil {
				fields = append(fields, m[1])
			}
		}
	}
	if len(fields) == 0 {
		return
	}
	line := 0
	for _, doc := range docs {
		line = max(line, lineOfKey(doc, fields[0]))
	}
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleDeprecated, File: name, Line: line, Message: "uses fields that kustomize will drop: " + strings.Join(fields, ", "),
		Fix: "run kustomize edit fix in its folder"})
}
