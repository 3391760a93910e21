package migrate

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/yamledit"
)

// spot is where one or more new owners are written: an object of a file, which is a Kustomization or a ResourceSet,
// and the keys to each spec.
type spot struct {
	file  string
	id    yamledit.ID
	specs []string
}

func (s spot) name() string {
	return cmp.Or(s.id.Namespace, fluxNamespace) + "/" + s.id.Name
}

func (s spot) pruneMark() string { return marker + "adopt prune " + s.name() }

func (s spot) suspendMark(i int) string {
	if len(s.specs) == 1 {
		return marker + "adopt suspend " + s.name()
	}
	return marker + "adopt suspend " + strconv.Itoa(i) + " of " + s.name()
}

// spots are where the new owners are written, each once. It stops at one that has no file of its own.
func (a *adopter) spots() []spot {
	var all []spot
	for _, o := range a.fresh {
		doc := a.fleet.document(o.place)
		if !o.here() || doc == nil {
			a.refuse(o.place, "generated", fmt.Sprintf("the new owner %s has no place of its own in the fleet", o.name),
				"write it into a file, and give that with --new")
			continue
		}
		s := spot{file: o.File, id: idOfDocument(doc), specs: specsOf(doc)}
		if len(s.specs) == 0 {
			a.refuse(o.place, "generated", fmt.Sprintf("the new owner %s comes from a template that is text", o.name),
				"write the resources of the ResourceSet out")
			continue
		}
		if !slices.ContainsFunc(all, func(other spot) bool { return other.file == s.file && other.id == s.id }) {
			all = append(all, s)
		}
	}
	return all
}

func idOfDocument(doc *yaml.Node) yamledit.ID {
	object := objectOf(doc)
	group, kind := groupKind(object)
	metadata, _ := object["metadata"].(map[string]any)
	return yamledit.ID{Group: group, Kind: kind, Namespace: text(metadata, "namespace"), Name: text(metadata, "name")}
}

// specsOf are the keys to the spec of each Kustomization that a document has.
func specsOf(doc *yaml.Node) []string {
	if !isKind(doc, "ResourceSet", "fluxcd.controlplane.io/") {
		return []string{"spec"}
	}
	var specs []string
	for i, item := range manifest.Items(manifest.At(doc, "spec", "resources")) {
		if isKind(item, "Kustomization", kustomizeGroup) {
			specs = append(specs, "spec.resources."+strconv.Itoa(i)+".spec")
		}
	}
	return specs
}

// pruneOffSpot switches prune off in the file of a new owner.
func (a *adopter) pruneOffSpot(e *edits, s spot) error {
	return e.edit(s.file, func(file []byte) ([]byte, error) {
		var fields []yamledit.Field
		for _, spec := range s.specs {
			fields = append(fields, yamledit.Field{Path: spec + ".prune", Value: "false"})
		}
		if !slices.ContainsFunc(a.fresh, func(o *applier) bool { return o.File == s.file && prunes(o) }) {
			return file, nil
		}
		return yamledit.ReplaceFields(file, s.id, s.pruneMark(), fields)
	})
}

func suspendSpot(e *edits, s spot) error {
	return s.edit(e, func(file []byte, i int) ([]byte, error) { return suspendIn(file, s.id, s.specs[i], s.suspendMark(i)) })
}

func resumeSpot(e *edits, s spot) error {
	return s.edit(e, func(file []byte, i int) ([]byte, error) { return resumeIn(file, s.id, s.specs[i], s.suspendMark(i)) })
}

// restoreSpot gives the file of a new owner the bytes from before.
func restoreSpot(e *edits, s spot) error {
	if err := resumeSpot(e, s); err != nil {
		return err
	}
	return e.edit(s.file, func(file []byte) ([]byte, error) { return yamledit.RestoreFields(file, s.id, s.pruneMark()) })
}

func (s spot) edit(e *edits, change func(file []byte, i int) ([]byte, error)) error {
	return e.edit(s.file, func(file []byte) (after []byte, err error) {
		after = file
		for i := range s.specs {
			if after, err = change(after, i); err != nil {
				return nil, err
			}
		}
		return after, nil
	})
}

// marked says which marks of this phase the files of the new owners have.
type marked struct{ prune, suspended bool }

func (a *adopter) marks() (m marked) {
	for _, o := range a.fresh {
		doc := a.fleet.document(o.place)
		data, err := a.fleet.Read(o.File)
		if doc == nil || err != nil {
			continue
		}
		s := spot{file: o.File, id: idOfDocument(doc), specs: specsOf(doc)}
		m.prune = m.prune || hasComment(data, s.pruneMark())
		for i := range s.specs {
			m.suspended = m.suspended || hasComment(data, s.suspendMark(i))
		}
	}
	return m
}

// hasSuspendMark reports whether this phase suspended an old owner.
func (a *adopter) hasSuspendMark(o *applier) bool { return a.hasMark(o, suspendMark(o)) }

func (a *adopter) hasPruneMark(o *applier) bool { return a.hasMark(o, pruneMark(o)) }

func (a *adopter) hasMark(o *applier, mark string) bool {
	at := o.File
	if !a.isOwn(o) && o.Parent != nil {
		at = o.Parent.File
	}
	data, err := a.fleet.Read(at)
	return err == nil && hasComment(data, mark)
}

// hasComment reports whether a file has the comment of a mark, with or without former values.
func hasComment(file []byte, mark string) bool {
	for line := range bytes.Lines(file) {
		rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("# "+mark))
		if ok && (len(rest) == 0 || bytes.HasPrefix(rest, []byte(" {"))) {
			return true
		}
	}
	return false
}
