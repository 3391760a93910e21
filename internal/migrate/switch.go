package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/yamledit"
)

// Switch lets Kustomizations of one cluster take their files from artifacts, by patches in that cluster's own files. It stops unless all
// objects are the same before and after; accept takes differences of the content, which the plan shows.
func Switch(ctx context.Context, req Request, components []string, accept bool) (*Plan, []Change, error) {
	plan, err := NewPlan(ctx, req)
	if err != nil {
		return plan, nil, err
	}
	others := func(component string) bool { return len(components) > 0 && !slices.Contains(components, component) }
	plan.Stops = slices.DeleteFunc(plan.Stops, func(s Stop) bool {
		return accept && s.Code == "differs" || s.component != "" && others(s.component)
	})
	if len(plan.Stops) > 0 {
		return plan, nil, nil
	}
	c := &plan.Clusters[0]
	e, before := newEdits(req.Fleet), len(c.landscape.stops)
	for _, m := range c.Moves {
		if others(m.Component) {
			continue
		}
		if err := c.follow(e, m); err != nil {
			return plan, nil, err
		}
	}
	plan.Stops = append(plan.Stops, c.landscape.stops[before:]...)
	changes := e.changes()
	if len(plan.Stops) > 0 || len(changes) == 0 {
		return plan, changes, nil
	}
	notes, err := req.sameAfter(ctx, c.landscape, changes)
	c.ByHand = append(c.ByHand, notes...)
	return plan, changes, err
}

// follow lets one Kustomization take its files from its OCIRepository: where it is written, if that is a file of this cluster, else by
// a patch in what applies it.
func (c *ClusterPlan) follow(e *edits, m Move) error {
	a, l := m.applier, c.landscape
	source := l.prepared[name{a.Namespace, m.Component}]
	switch {
	case source == (artifact{}):
		l.stop(a.place, "prepare", fmt.Sprintf("%s has no OCIRepository %s beside it", m.Kustomization, m.Component),
			"run keos-oci migrate prepare, commit, and wait until it is Ready")
	case source.Tag != m.tag():
		l.stop(source.at, "prepare", fmt.Sprintf("OCIRepository %s of %s follows %s, and %s is to follow %s", m.Component, a.Namespace,
			source.Tag,
			m.Kustomization, m.tag()), "run keos-oci migrate prepare again, or give the same --channel as there")
	case l.isOwn(a):
		return e.edit(a.File, func(file []byte) ([]byte, error) {
			return yamledit.ReplaceFields(file, idOf(a), switchMark(a), l.fieldsOf(a, m))
		})
	default:
		if s := l.cannotPatch(a); s != nil {
			l.stops = append(l.stops, *s)
			return nil
		}
		return l.addPatch(e, a, yamledit.Patch{Mark: switchMark(a), Operations: []yamledit.Operation{
			{Op: "replace", Path: "/spec/sourceRef", Value: map[string]any{"kind": ociRepository, "name": m.Component}},
			{Op: operationFor(a), Path: "/spec/path", Value: m.variant},
		}})
	}
	return nil
}

func switchMark(a *applier) string { return marker + "switch " + a.String() }

// fieldsOf are the fields of a Kustomization by which it follows an artifact.
func (l *landscape) fieldsOf(a *applier, m Move) []yamledit.Field {
	fields := []yamledit.Field{{Path: "spec.sourceRef.kind", Value: ociRepository}, {Path: "spec.sourceRef.name", Value: m.Component}}
	if text(at(a.object, "spec", "sourceRef").(map[string]any), "namespace") != "" {
		fields = append(fields, yamledit.Field{Path: "spec.sourceRef.namespace", Value: l.fleet.namespaceText(a)})
	}
	return append(fields, yamledit.Field{Path: "spec.path", Value: m.variant})
}

func operationFor(a *applier) string {
	if a.Path == "" {
		return "add"
	}
	return "replace"
}

func idOf(a *applier) yamledit.ID {
	return yamledit.ID{Group: strings.TrimSuffix(kustomizeGroup, "/"), Kind: "Kustomization", Namespace: a.Namespace, Name: a.Name}
}

// namespaceIfNeeded is the namespace by which a patch finds a Kustomization, where another one beside it has the same name.
func (l *landscape) namespaceIfNeeded(a *applier) string {
	if slices.ContainsFunc(l.appliers, func(o *applier) bool { return o != a && o.Parent == a.Parent && o.Name == a.Name }) {
		return a.Namespace
	}
	return ""
}

// Back takes the patches of a switch away, and says where the branch has other objects than what the cluster runs until then.
func Back(ctx context.Context, req Request, components []string) (changes []Change, behind []string, err error) {
	folders, err := req.folders()
	if err != nil {
		return nil, nil, err
	}
	l, err := req.Fleet.follow(ctx, folders[0], req.Workspaces, nil)
	if err != nil {
		return nil, nil, err
	}
	e, went := newEdits(req.Fleet), map[string]bool{}
	for _, a := range l.appliers {
		if a.Kind != ociRepository || a.Source == l.own || len(components) > 0 && !slices.Contains(components, a.Source.Name) {
			continue
		}
		went[a.String()] = true
		if err := l.restore(e, a, switchMark(a)); err != nil {
			return nil, nil, err
		}
	}
	if len(components) == 0 {
		if err := l.removeLeft(e); err != nil {
			return nil, nil, err
		}
	}
	if changes = e.changes(); len(changes) == 0 {
		return changes, nil, nil
	}
	behind, err = req.behind(ctx, changes, went)
	return changes, behind, err
}

// removeLeft takes away patches for Kustomizations that cannot be followed now, such as those that come with an artifact while the registry
// does not answer.
func (l *landscape) removeLeft(e *edits) error {
	for _, by := range l.appliers {
		if !l.isOwn(by) {
			continue
		}
		data, err := e.now(by.File)
		if err != nil {
			return err
		}
		marks, err := yamledit.Marks(data, idOf(by), marker+"switch ")
		if errors.Is(err, yamledit.ErrMissing) {
			continue // Flux Operator makes this Kustomization
		}
		if err != nil {
			return fmt.Errorf("%s: %w", by.File, err)
		}
		for _, mark := range marks {
			if err := e.edit(by.File, func(file []byte) ([]byte, error) { return yamledit.RemovePatch(file, idOf(by), mark) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind lists the Kustomizations whose branch has other objects than their channel, after changes.
func (r Request) behind(ctx context.Context, changes []Change, of map[string]bool) ([]string, error) {
	copied, remove, err := r.Fleet.copyWith(changes)
	if err != nil {
		return nil, err
	}
	defer remove()
	r.Fleet = copied
	plan, err := NewPlan(ctx, r)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, m := range plan.Clusters[0].Moves {
		switch {
		case !of[m.Kustomization] || m.Equal == EqualYes:
		case m.Equal == EqualUnknown:
			list = append(list, fmt.Sprintf("%s: %s cannot be compared now with what runs until then", m.Kustomization, m.Branch))
		default:
			list = append(list, fmt.Sprintf("%s: %s has other objects than %s:%s, which runs until then: %s", m.Kustomization, m.Branch,
				m.Component, m.tag(), shortList(m.Changes)))
		}
	}
	return list, nil
}

// sameAfter checks that changes alter nothing in a cluster but where its Kustomizations take their files from, and nothing in others. A
// cluster that applies the folder of this one moves with it: the notes say so.
func (r Request) sameAfter(ctx context.Context, before *landscape, changes []Change) (notes []string, err error) {
	copied, remove, err := r.Fleet.copyWith(changes)
	if err != nil {
		return nil, err
	}
	defer remove()
	after, err := copied.follow(ctx, before.folder, r.Workspaces, before.contents(copied))
	if err != nil {
		return nil, err
	}
	if err := before.sameBut(after, withoutSource); err != nil {
		return nil, err
	}
	return r.othersSame(ctx, copied, before.folder)
}

// othersSame checks that all clusters but one are in a changed copy of the fleet as they are. A cluster that applies the
// folder of that one changes with it: the notes say so.
func (r Request) othersSame(ctx context.Context, copied *Fleet, but string) (notes []string, err error) {
	for _, folder := range r.Fleet.Clusters() {
		if folder == but {
			continue
		}
		other, err := r.Fleet.follow(ctx, folder, nil, nil)
		if err != nil || len(other.stops) > 0 {
			continue // nobody can run what Flux cannot build
		}
		after, err := copied.follow(ctx, folder, nil, nil)
		if err != nil {
			return nil, err
		}
		err = other.sameBut(after, func(object map[string]any) map[string]any { return object })
		switch {
		case err != nil && other.applies(but):
			notes = append(notes, fmt.Sprintf("%s applies files of %s: if that cluster runs, it moves as well", folder, but))
		case err != nil:
			return nil, err
		}
	}
	return notes, nil
}

// applies reports whether a Kustomization of a cluster applies a folder of the fleet, or one in it.
func (l *landscape) applies(folder string) bool {
	return slices.ContainsFunc(l.appliers, func(a *applier) bool { return a.Source == l.own && within(folder, repositoryPath(a.Path)) })
}

// contents is what Kustomizations apply, for another checkout of the fleet.
func (l *landscape) contents(fleet *Fleet) map[name]*content {
	all := map[name]*content{}
	for _, a := range l.appliers {
		if a.content == nil {
			continue
		}
		c := *a.content
		if c.files == l.fleet {
			c.files = fleet
		}
		all[a.name] = &c
	}
	return all
}

// kinds counts the objects of each kind but the sources of artifacts, which phases add.
func (l *landscape) kinds() map[string]int {
	counts := maps.Clone(l.built)
	delete(counts, ociRepository)
	return counts
}

// sameBut checks that a cluster gets the same Kustomizations and settings, apart from what a look leaves out.
func (l *landscape) sameBut(after *landscape, look func(map[string]any) map[string]any) error {
	if len(after.stops) > len(l.stops) {
		return fmt.Errorf("%w: after the change: %s", ErrStops, after.stops[len(after.stops)-1].Message)
	}
	if !maps.EqualFunc(l.settings, after.settings, maps.Equal) || len(l.appliers) != len(after.appliers) ||
		!maps.Equal(l.kinds(), after.kinds()) {
		return fmt.Errorf("%w: the change would alter more of %s than where Kustomizations take their files from", ErrStops, l.cluster)
	}
	for i, a := range l.appliers {
		if b := after.appliers[i]; a.name != b.name || !reflect.DeepEqual(look(a.object), look(b.object)) || !keepsPatches(a, b) {
			return fmt.Errorf("%w: the change would alter more of Kustomization %s of %s than where it takes its files from", ErrStops, a.name,
				l.cluster)
		}
	}
	return nil
}

// withoutSource is a Kustomization without what a switch changes.
func withoutSource(object map[string]any) map[string]any {
	out := maps.Clone(object)
	spec, _ := object["spec"].(map[string]any)
	spec = maps.Clone(spec)
	delete(spec, "sourceRef")
	delete(spec, "path")
	delete(spec, "patches")
	out["spec"] = spec
	return out
}

// keepsPatches reports whether patches were added, or taken away, at the end only.
func keepsPatches(before, after *applier) bool {
	a, b := list(before.object, "spec", "patches"), list(after.object, "spec", "patches")
	n := min(len(a), len(b))
	return n == 0 || reflect.DeepEqual(a[:n], b[:n])
}
