package check

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// RuleSelf is a Flux Kustomization that lies in the folder that it applies.
const RuleSelf = "self"

// checkSelf refuses a Flux Kustomization that would apply itself. In a folder without a kustomization Flux takes every YAML
// below it, the Kustomization's own among them: what its owner changed of it, such as the source or a patch, it would take
// back at once. The one that bootstraps a cluster is meant to do just that, and owns itself.
func (g *gate) checkSelf(name string, n *yaml.Node, version, kind string) {
	if kind != "Kustomization" || !strings.HasPrefix(version, "kustomize.toolkit.fluxcd.io/") {
		return
	}
	spec := deref(orEmpty(plainField(n, "spec")))
	label := text(plainField(deref(orEmpty(plainField(n, "metadata"))), "name"))
	at := plainField(spec, "path")
	if at == nil || strings.Contains(at.Value, "${") || label == "flux-system" {
		return
	}
	folder := path.Clean(strings.TrimPrefix(at.Value, "/"))
	if !g.dirs[folder] || !g.appliedBy(folder, name) {
		return
	}
	g.report(Finding{Severity: Error, Rule: RuleSelf, File: name, Line: at.Line,
		Message: fmt.Sprintf("Kustomization %s applies %s, in which it lies itself: the folder has no kustomization, so that Flux takes every YAML below it", label, at.Value),
		Fix:     fmt.Sprintf("add %s that lists what is to be applied, or move this file out of the folder", g.workspacePath(path.Join(folder, "kustomization.yaml")))})
}

// appliedBy tells whether Flux takes a file for one of the folder's: the folder has no kustomization, and neither has any
// between them, which would choose by itself.
func (g *gate) appliedBy(folder, name string) bool {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		for _, k := range kustomizationNames() {
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
