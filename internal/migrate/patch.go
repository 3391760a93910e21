package migrate

import (
	"fmt"

	"github.com/stratio/keos-oci/internal/yamledit"
)

// cannotPatch says why a Kustomization cannot be patched in files of this cluster alone, nil where it can.
func (l *landscape) cannotPatch(a *applier) *Stop {
	var s Stop
	switch by := a.Parent; {
	case a.set != "":
		s = l.stopAt(a.place, "generated", fmt.Sprintf("Kustomization %s is made by ResourceSet %s", a.name, a.set),
			"change its template by hand")
	case by == nil || !l.isOwn(by):
		s = l.stopAt(a.place, "shared",
			fmt.Sprintf("what applies %s is not written in %s, so that a patch there would change other clusters as well",
				a.name, l.folder), "write the Kustomization into "+l.folder+", or patch it by hand")
	case !by.managed:
		s = l.stopAt(by.place, "by-hand", fmt.Sprintf("Kustomization %s, which applies %s, is itself applied by hand", by.name, a.name),
			"let the cluster apply this file, or patch it by hand and apply it")
	default:
		return nil
	}
	return &s
}

// addPatch patches a Kustomization in what applies it.
func (l *landscape) addPatch(e *edits, a *applier, patch yamledit.Patch) error {
	patch.Target = yamledit.Target{Kind: "Kustomization", Name: a.Name, Namespace: l.namespaceIfNeeded(a)}
	return e.edit(a.Parent.File, func(file []byte) ([]byte, error) { return yamledit.AddPatch(file, idOf(a.Parent), patch) })
}

// restore takes back what a phase did to a Kustomization with this mark: where it is written, if that is a file of this
// cluster, else in what applies it.
func (l *landscape) restore(e *edits, a *applier, mark string) error {
	if l.isOwn(a) {
		return e.edit(a.File, func(file []byte) ([]byte, error) { return yamledit.RestoreFields(file, idOf(a), mark) })
	}
	return l.removePatch(e, a, mark)
}

// removePatch takes a patch of a Kustomization out of what applies it.
func (l *landscape) removePatch(e *edits, a *applier, mark string) error {
	by := a.Parent
	if by == nil || !l.isOwn(by) {
		return nil
	}
	return e.edit(by.File, func(file []byte) ([]byte, error) { return yamledit.RemovePatch(file, idOf(by), mark) })
}
