package check

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// followed are the keys, in lower case, behind which references are looked for.
func followed() []string {
	return []string{"resources", "bases", "components", "generators", "transformers", "validators", "crds", "configurations",
		"patchesstrategicmerge", "patches", "patchesjson6902", "replacements", "path", "paths", "configmapgenerator", "secretgenerator",
		"files", "envs", "env", "openapi", "helmcharts", "helmchartinflationgenerator", "values", "valuesfile", "additionalvaluesfiles",
		"targetfilepath", "items", "kind"}
}

// note remembers the first thing in a document that kustomize, which turns it into JSON, takes for something else than readers
// do: of keys that differ in case it prefers one, of several merged mappings the first, and it decodes what is encoded. Line is
// where the document begins in its file.
func (k *kustomization) note(n *yaml.Node, line int) {
	if n == nil || k.unclear != "" {
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!binary" {
		k.unclear, k.unclearLine = "holds encoded text (!!binary)", line+n.Line
		return
	}
	keys := map[string]string{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			name := strings.ToLower(child.Value)
			other, twice := keys[name]
			if twice && other != child.Value && slices.Contains(followed(), name) {
				k.unclear, k.unclearLine = "has the keys "+other+" and "+child.Value, line+child.Line
				return
			}
			keys[name] = child.Value
			if child.Value == "<<" && (twice || len(items(n.Content[i+1])) > 1) {
				k.unclear, k.unclearLine = "merges several mappings", line+child.Line
				return
			}
		}
		k.note(child, line)
	}
}

// checkUnclear refuses a file whose references cannot be told for sure.
func (g *gate) checkUnclear(k *kustomization) {
	if k.unclear == "" {
		return
	}
	g.broken[path.Dir(k.file)] = true
	g.report(Finding{Severity: Error, Rule: RuleReference, File: k.file, Line: k.unclearLine,
		Message: k.unclear + ", which kustomize may read otherwise than you do", Fix: "write each key once, and what it holds plainly"})
}
