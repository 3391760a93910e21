package kustomize

import (
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	kubeyaml "sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
)

// followed are the keys, in lower case, behind which references are looked for.
func followed() []string {
	return []string{"resources", "bases", "components", "generators", "transformers", "validators", "crds", "configurations",
		"patchesstrategicmerge", "patches", "patchesjson6902", "replacements", "path", "paths", "configmapgenerator", "secretgenerator",
		"files", "envs", "env", "openapi", "helmcharts", "helmchartinflationgenerator", "values", "valuesfile", "additionalvaluesfiles",
		"targetfilepath", "items", "kind"}
}

// compare compares the references that were found with those that kustomize itself reads of one document.
// Flux overlooks the fields of a variant that kustomize does not know, so they hide nothing here either.
func (k *Kustomization) compare(data []byte) {
	var read types.Kustomization
	if k.Unclear != "" || kubeyaml.Unmarshal(data, &read) != nil {
		return
	}
	texts := slices.Concat(read.Generators, read.Transformers, read.Validators)
	for _, p := range read.PatchesStrategicMerge { //nolint:staticcheck // kustomize reads what it has deprecated
		texts = append(texts, string(p))
	}
	//nolint:staticcheck // the same
	k.Alters = len(texts)+len(read.Components)+len(read.Patches)+len(read.PatchesJson6902)+len(read.Replacements)+len(read.Vars) > 0
	for _, p := range append(slices.DeleteFunc(texts, isInline), pathsOf(read)...) {
		if p == "" || slices.ContainsFunc(k.References, func(r Reference) bool { return r.Path == p }) {
			continue
		}
		k.Unclear, k.UnclearLine = "makes kustomize follow "+Shareable(strings.TrimSpace(p))+" in a way that is not plain", 1
		return
	}
}

// isInline reports whether text is written in the place of a file's name.
func isInline(text string) bool {
	if text = strings.TrimSpace(text); strings.Contains(text, "\n") {
		return true
	}
	docs, _ := manifest.Parse([]byte(text))
	return len(docs) == 1 && docs[0].Kind == yaml.MappingNode
}

// pathsOf is what kustomize takes for paths and nothing else.
func pathsOf(k types.Kustomization) []string {
	//nolint:staticcheck // kustomize still reads the deprecated bases
	paths := slices.Concat(k.Resources, k.Bases, k.Components, k.Crds, k.Configurations)
	for _, p := range slices.Concat(k.Patches,
		k.PatchesJson6902) { //nolint:staticcheck // kustomize reads what it has deprecated
		paths = append(paths, p.Path)
	}
	for _, r := range k.Replacements {
		paths = append(paths, r.Path)
	}
	sources := func(s types.KvPairSources) {
		paths = append(append(paths, s.EnvSource), s.EnvSources...)
		for _, file := range s.FileSources {
			if _, named, ok := strings.Cut(file, "="); ok {
				file = named
			}
			paths = append(paths, file)
		}
	}
	for _, c := range k.ConfigMapGenerator {
		sources(c.KvPairSources)
	}
	for _, s := range k.SecretGenerator {
		sources(s.KvPairSources)
	}
	for _, h := range k.HelmCharts {
		paths = append(append(paths, h.ValuesFile), h.AdditionalValuesFiles...)
	}
	return append(paths, k.OpenAPI["path"])
}

// note remembers the first thing in a document that kustomize, which turns it into JSON, takes for something else than readers
// do: of keys that differ in case it prefers one, what is merged it weighs in its own way, and it decodes what is encoded. Line is
// where the document begins in its file. In a plugin's configuration nothing may be merged.
func (k *Kustomization) note(n *yaml.Node, line int, plugin bool) {
	if n == nil || k.Unclear != "" {
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!binary" {
		k.Unclear, k.UnclearLine = "has encoded text (!!binary)", line+n.Line
		return
	}
	var keys []string
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if k.Unclear = strange(manifest.Resolve(child).Value, keys, n.Content[i+1], plugin); k.Unclear != "" {
				k.UnclearLine = line + child.Line
				return
			}
			keys = append(keys, manifest.Resolve(child).Value)
		} else if n.Kind != yaml.MappingNode || !isFree(n.Content[i-1].Value) {
			k.note(child, line, plugin)
		}
	}
}

// isFree reports whether any key may be in the mapping behind one.
func isFree(key string) bool {
	return slices.Contains([]string{"commonLabels", "commonAnnotations", "labels", "annotations"}, key)
}

// strange says what is wrong with a key, given those before it.
func strange(key string, before []string, value *yaml.Node, plugin bool) string {
	if key == "<<" && (plugin || slices.Contains(before, key) || len(manifest.Items(value)) > 1) {
		return "merges mappings"
	}
	for _, other := range before {
		if other != key && strings.EqualFold(other, key) &&
			slices.ContainsFunc(followed(), func(f string) bool { return strings.EqualFold(f, key) }) {
			return "has the keys " + other + " and " + key
		}
	}
	return ""
}
