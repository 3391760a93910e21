package migrate

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/yamledit"
)

// edit changes files for the step.
func (a *adopter) edit(e *edits) error {
	switch a.out.Step {
	case StepPruneOff:
		return a.each(e, a.pruneOff, a.pruneOffSpot)
	case StepSuspend:
		return a.each(e, a.suspend, nil)
	case StepNewOwners:
		return a.bring(e)
	case StepRemove:
		return a.removeAll(e)
	case StepPruneOn:
		return a.each(e, nil, restoreSpot)
	case StepResume:
		return a.giveBack(e)
	case StepWithdraw:
		return a.withdraw(e)
	case StepPruneBack:
		return a.each(e, a.pruneBack, restoreSpot)
	}
	return nil
}

// each edits all old owners, and where all new ones are written.
func (a *adopter) each(e *edits, old func(*edits, *applier) error, fresh func(*edits, spot) error) error {
	if old != nil {
		for _, o := range a.old {
			if err := old(e, o); err != nil {
				return err
			}
		}
	}
	if fresh == nil {
		return nil
	}
	for _, s := range a.spots() {
		if err := fresh(e, s); err != nil {
			return err
		}
	}
	return nil
}

func pruneMark(o *applier) string { return marker + "adopt prune " + o.String() }

func suspendMark(o *applier) string { return marker + "adopt suspend " + o.String() }

func removeMark(o *applier) string { return marker + "adopt remove " + o.String() }

// pruneOff switches prune off, where the old owner is written or by a patch in what applies it.
func (a *adopter) pruneOff(e *edits, o *applier) error {
	switch {
	case !prunes(o):
		return nil
	case a.isOwn(o):
		return e.edit(o.File, func(file []byte) ([]byte, error) {
			return yamledit.ReplaceFields(file, idOf(o), pruneMark(o), []yamledit.Field{{Path: "spec.prune", Value: "false"}})
		})
	}
	return a.patch(e, o, pruneMark(o), yamledit.Operation{Op: "replace", Path: "/spec/prune", Value: false})
}

// pruneBack is the way back of pruneOff.
func (a *adopter) pruneBack(e *edits, o *applier) error { return a.restore(e, o, pruneMark(o)) }

func (a *adopter) suspend(e *edits, o *applier) error {
	switch {
	case isSuspended(o):
		return nil
	case a.isOwn(o):
		return e.edit(o.File, func(file []byte) ([]byte, error) { return suspendIn(file, idOf(o), "spec", suspendMark(o)) })
	}
	return a.patch(e, o, suspendMark(o), yamledit.Operation{Op: "add", Path: "/spec/suspend", Value: true})
}

// resume is the way back of suspend.
func (a *adopter) resume(e *edits, o *applier) error {
	if a.isOwn(o) {
		return e.edit(o.File, func(file []byte) ([]byte, error) { return resumeIn(file, idOf(o), "spec", suspendMark(o)) })
	}
	return a.removePatch(e, o, suspendMark(o))
}

// suspendIn sets suspend below keys of an object, which may have it.
func suspendIn(file []byte, id yamledit.ID, spec, mark string) ([]byte, error) {
	field := yamledit.Field{Path: spec + ".suspend", Value: "true"}
	after, err := yamledit.AddField(file, id, mark, field)
	if err == nil {
		return after, nil
	}
	if has, fault := yamledit.ReplaceFields(file, id, mark, []yamledit.Field{field}); fault == nil {
		return has, nil
	}
	return nil, err
}

func resumeIn(file []byte, id yamledit.ID, spec, mark string) ([]byte, error) {
	after, err := yamledit.RemoveField(file, id, mark, spec+".suspend")
	if err != nil {
		return nil, err
	}
	return yamledit.RestoreFields(after, id, mark)
}

func (a *adopter) patch(e *edits, o *applier, mark string, operation yamledit.Operation) error {
	return a.patchBy(e, o, yamledit.Patch{Mark: mark, Operations: []yamledit.Operation{operation}})
}

func (a *adopter) patchBy(e *edits, o *applier, patch yamledit.Patch) error {
	if stop := a.cannotPatch(o); stop != nil {
		a.out.Stops = append(a.out.Stops, *stop)
		return nil
	}
	return a.addPatch(e, o, patch)
}

// removeAll removes the old owners, and what a run that ended early left of them.
func (a *adopter) removeAll(e *edits) error {
	for _, o := range a.left {
		if err := a.removeObject(e, o); err != nil {
			return err
		}
	}
	return a.each(e, a.remove, nil)
}

// remove takes an old owner out of its file, and the file with its last object. What clusters share is deleted by a patch.
func (a *adopter) remove(e *edits, o *applier) error {
	if a.isOwn(o) {
		return a.removeObject(e, o)
	}
	for _, mark := range []string{pruneMark(o), suspendMark(o)} {
		if err := a.removePatch(e, o, mark); err != nil {
			return err
		}
	}
	return a.patchBy(e, o, yamledit.Patch{Mark: removeMark(o), Merge: []string{
		"$patch: delete", "apiVersion: kustomize.toolkit.fluxcd.io/v1", "kind: Kustomization", "metadata:", "  name: " + strconv.Quote(o.Name),
	}})
}

func (a *adopter) removeObject(e *edits, o *applier) error {
	gone := false
	err := e.edit(o.File, func(file []byte) ([]byte, error) {
		after, err := yamledit.RemoveObject(file, idOf(o))
		gone = err == nil && len(after) == 0
		return after, err
	})
	list := a.kustomizationOf(o.File)
	if err != nil || !gone || list == "" {
		return err
	}
	return e.edit(list, func(file []byte) ([]byte, error) {
		for _, entry := range resourcesOf(file) {
			if path.Join(path.Dir(list), entry) == o.File {
				return yamledit.RemoveResource(file, entry)
			}
		}
		return file, nil
	})
}

func resourcesOf(file []byte) []string {
	var all []string
	docs, _ := manifest.Parse(file)
	for _, doc := range docs {
		for _, item := range manifest.Items(manifest.Field(doc, "resources")) {
			all = append(all, manifest.Text(item))
		}
	}
	return all
}

// kustomizationOf is the kustomization that chooses the files of a folder that the parent applies: the nearest one, "" for none.
func (a *adopter) kustomizationOf(file string) string {
	top := a.parentFolder()
	for dir := path.Dir(file); within(top, dir); dir = path.Dir(dir) {
		for _, own := range kustomize.FileNames() {
			if f := path.Join(dir, own); a.fleet.tree().Has(f) {
				return f
			}
		}
		if dir == top {
			break
		}
	}
	return ""
}

// bring lets the cluster apply the new owners.
func (a *adopter) bring(e *edits) error {
	if err := a.each(e, nil, resumeSpot); err != nil || a.listed {
		return err
	}
	list := a.listing()
	if list == "" {
		a.refuse(a.old[0].place, "place", fmt.Sprintf("Flux applies all files of %s, which has no kustomization.yaml for the new owners",
			a.folder),
			fmt.Sprintf("move them there: git mv %s %s/; commit, and run it again with --new where they are then", strings.Join(a.New, " "),
				path.Dir(a.old[0].File)))
		return nil
	}
	return e.edit(list, func(file []byte) (after []byte, err error) {
		after = file
		for _, entry := range a.entries(list) {
			if after, err = yamledit.AddResource(after, entry); err != nil {
				return nil, err
			}
		}
		return after, nil
	})
}

// listing is the kustomization that is to list the new owners: the one that lists an old owner, else that of the parent's folder.
func (a *adopter) listing() string {
	for _, o := range a.old {
		if list := a.kustomizationOf(o.File); a.isOwn(o) && list != "" {
			return list
		}
	}
	return a.kustomizationOf(path.Join(a.parentFolder(), "any.yaml"))
}

// parentFolder is the folder that the parent applies.
func (a *adopter) parentFolder() string {
	if a.parent.content != nil {
		return a.parent.content.folder
	}
	return a.folder
}

// entries are the files and folders of the new owners as a kustomization lists them.
func (a *adopter) entries(list string) []string {
	var all []string
	for _, arg := range a.New {
		arg = path.Clean(filepath.ToSlash(arg))
		files := []string{arg}
		if below := a.fleet.below(arg); !slices.Contains(a.fleet.Files, arg) && !slices.ContainsFunc(below, isKustomizationOf(arg)) {
			files = slices.DeleteFunc(slices.Clone(below), func(f string) bool { return !manifest.IsYAML(f) })
		}
		for _, f := range files {
			rel, _ := filepath.Rel(filepath.FromSlash(path.Dir(list)), filepath.FromSlash(f)) // both are relative
			all = append(all, filepath.ToSlash(rel))
		}
	}
	return all
}

// giveBack lets the old owners apply again, and the new ones not.
func (a *adopter) giveBack(e *edits) error {
	if !a.listed {
		return a.each(e, a.resume, nil)
	}
	return a.each(e, a.resume, suspendSpot)
}

// withdraw takes the new owners out of what the cluster applies.
func (a *adopter) withdraw(e *edits) error {
	list := a.listing()
	if list == "" {
		a.refuse(a.fresh[0].place, "place", fmt.Sprintf("Flux applies all files of %s, which has no kustomization.yaml", a.folder),
			fmt.Sprintf("move them out of the folder: git mv %s …; commit, and run it again with --new where they are then",
				strings.Join(a.New, " ")))
		return nil
	}
	return e.edit(list, func(file []byte) (after []byte, err error) {
		after = file
		for _, entry := range a.entries(list) {
			if after, err = yamledit.RemoveResource(after, entry); err != nil {
				return nil, err
			}
		}
		return after, nil
	})
}
