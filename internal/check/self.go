package check

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
)

// applier is a Flux Kustomization that may lie in what it applies.
type applier struct {
	file, name, path, source string // source is the kind and name of what it takes the path from
	line                     int
}

// collectApplier notes Flux Kustomizations and sources.
func (g *gate) collectApplier(name string, n *yaml.Node, version, kind string) {
	label := manifest.Text(plainField(manifest.Resolve(orEmpty(plainField(n, "metadata"))), "name"))
	spec := manifest.Resolve(orEmpty(plainField(n, "spec")))
	if strings.HasPrefix(version, "source.toolkit.fluxcd.io/") {
		g.sources[kind+"/"+label] = append(g.sources[kind+"/"+label], name)
	}
	from := manifest.Resolve(orEmpty(plainField(spec, "sourceRef")))
	if kind != "Kustomization" || !strings.HasPrefix(version, "kustomize.toolkit.fluxcd.io/") || label == "flux-system" ||
		from.Kind != yaml.MappingNode {
		return
	}
	s := applier{file: name, name: label, line: spec.Line, source: manifest.Text(plainField(from, "kind")) + "/" +
		manifest.Text(plainField(from, "name"))}
	if at := plainField(spec, "path"); at != nil { // else Flux takes the artifact's root
		s.path, s.line = at.Value, at.Line
	}
	g.appliers = append(g.appliers, s)
}

// checkSelf refuses a Flux Kustomization that would apply itself. In a folder without a kustomization Flux takes every YAML
// below it, the Kustomization's own among them: what its owner changed of it, such as the source or a patch, it would take
// back at once. The one that bootstraps a cluster is meant to do just that, and owns itself. The content of a source in the same file
// is something else. Every artifact has a root, so there a source anywhere beside it is another one, and one that is not here
// may be.
func (g *gate) checkSelf() {
	for _, s := range g.appliers {
		folder := path.Clean(strings.TrimPrefix(s.path, "/"))
		here := g.sources[s.source]
		other := slices.Contains(here, s.file) || folder == "." && len(here) > 0
		if strings.Contains(s.path, "${") || !g.dirs[folder] || other || !g.appliedBy(folder, s.file) {
			continue
		}
		severity := finding.Error
		if folder == "." && !strings.HasSuffix(s.source, "/flux-system") {
			severity = finding.Warning
		}
		g.report(finding.Finding{Severity: severity, Rule: finding.RuleSelf, File: s.file, Line: s.line,
			Message: fmt.Sprintf("Kustomization %s is inside the folder it applies, %s: Flux would apply it to itself, because the folder has no kustomization", s.name, cmp.Or(s.path, "./")),
			Fix: fmt.Sprintf("add %s that lists what is to be applied, or move this file out of the folder",
				g.workspacePath(path.Join(folder, "kustomization.yaml")))})
	}
}

// appliedBy reports whether Flux takes a file for one of the folder's: the folder has no kustomization, and neither has any
// between them, which would choose by itself.
func (g *gate) appliedBy(folder, name string) bool {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		for _, k := range kustomize.FileNames() {
			if g.files[path.Join(dir, k)] {
				return false
			}
		}
		if dir == folder {
			return true
		}
		if dir == "." {
			return false
		}
	}
}
