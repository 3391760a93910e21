package check

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/substitution"
)

func (g *gate) warnEmpty(variant string) {
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleEmpty, File: g.kustomizationOf(variant),
		Message: "builds to no objects"})
}

// warnObjects looks at every object of a document, those in lists and templates included.
func (g *gate) warnObjects(name string, n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		version, kind := manifest.Text(plainField(n, "apiVersion")), manifest.Text(plainField(n, "kind"))
		if strings.Contains(version, ".toolkit.fluxcd.io/") {
			g.warnVersion(name, n, version, kind)
			g.warnGit(name, n, version, kind)
			g.collectApplier(name, n, version, kind)
		}
		if kind == "ConfigMap" && version == "v1" {
			g.variables.ConfigMap(name, n)
			return
		}
	}
	if n.Kind == yaml.ScalarNode && !substitution.IsStandalone(name) {
		g.variables.Ordinary(n.Value)
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

func (g *gate) warnVersion(name string, n *yaml.Node, version, kind string) {
	release, successor := manifest.DroppedIn(version)
	if release == "" {
		return
	}
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleAPIVersion, File: name, Line: plainField(n, "apiVersion").Line,
		Message: fmt.Sprintf("%s %s is no longer served from Flux %s on", kind, version, release), Fix: "use " + successor})
}

// warnGit warns of objects that still need Git. An ImageRepository or ImagePolicy alone does not: it only reads registries.
func (g *gate) warnGit(name string, n *yaml.Node, version, kind string) {
	group, _, _ := strings.Cut(version, "/")
	label := strings.TrimSpace(kind + " " + manifest.Text(plainField(manifest.Resolve(orEmpty(plainField(n, "metadata"))), "name")))
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

// warnSubstitutions gives one warning per file. A file of its own counts only if a ConfigMap is made of it.
func (g *gate) warnSubstitutions() error {
	consumed, err := g.consumed()
	for _, file := range g.variables.Files() {
		if consumed[file] || !substitution.IsStandalone(file) {
			g.warnSubstitution(file)
		}
	}
	return err
}

func (g *gate) warnSubstitution(file string) {
	blanked, line := g.variables.Blanked(file)
	if len(blanked) == 0 {
		return
	}
	names := make([]string, 0, len(blanked))
	for _, name := range blanked {
		names = append(names, "${"+name+"}")
	}
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleSubstitute, File: file, Line: line,
		Message: strings.Join(names, ", ") + " in a dashboard or script would be replaced by Flux's postBuild substitution",
		Fix:     "write $${…}, or annotate the ConfigMap with " + substitution.Key + ": disabled"})
}

// consumed lists the files that become ConfigMaps which Flux substitutes.
func (g *gate) consumed() (map[string]bool, error) {
	out := map[string]bool{}
	for _, dir := range g.tree.Folders() {
		k, err := g.tree.At(dir)
		if err != nil {
			return nil, err
		}
		for _, r := range k.References {
			if r.Field == "configMapGenerator.files" && !r.Literal {
				out[path.Join(dir, r.Path)] = true
			}
		}
	}
	return out, nil
}

// warnDeprecated warns once for each kustomization of the fields that kustomize will drop.
func (g *gate) warnDeprecated(name string, data []byte, docs []*yaml.Node) {
	fields := kustomize.Deprecated(data)
	if len(fields) == 0 {
		return
	}
	line := 0
	for _, doc := range docs {
		line = max(line, manifest.LineOfKey(doc, fields[0]))
	}
	g.report(finding.Finding{Severity: finding.Warning, Rule: finding.RuleDeprecated, File: name, Line: line,
		Message: "uses fields that kustomize will drop: " + strings.Join(fields, ", "), Fix: "run kustomize edit fix in its folder"})
}
