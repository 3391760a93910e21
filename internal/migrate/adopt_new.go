package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
)

// readNew builds the files of the new owners as the parent will, and finds the new owners in them.
func (a *adopter) readNew(ctx context.Context) error {
	s := a.scratch()
	wanted := map[name]bool{}
	for _, arg := range a.New {
		objects, err := a.buildNew(ctx, arg)
		if err != nil {
			return err
		}
		for _, o := range objects {
			s.take(a.parent, o, "")
			if group, kind := groupKind(o.object); kind == "Kustomization" && group+"/" == kustomizeGroup {
				wanted[nameOf(o.object)] = true
				continue
			}
			a.direct = append(a.direct, o)
		}
	}
	for _, o := range a.direct {
		if _, kind := groupKind(o.object); kind == "ResourceSet" {
			a.sets = append(a.sets, nameOf(o.object))
			s.takeSet(a.parent, o)
		}
	}
	a.takeFresh(ctx, s, wanted)
	if len(a.fresh) == 0 {
		return fmt.Errorf("%w: %v have no Kustomization", ErrNoOwner, a.New)
	}
	if !a.Back {
		a.out.Stops = append(a.out.Stops, s.stops...)
	}
	return nil
}

// scratch is a landscape that may learn what Git does not apply yet.
func (a *adopter) scratch() *landscape {
	s := *a.landscape
	s.appliers, s.stops = slices.Clone(s.appliers), nil
	s.prepared, s.sources, s.settings = maps.Clone(s.prepared), maps.Clone(s.sources), maps.Clone(s.settings)
	s.built, s.providers, s.byHand = maps.Clone(s.built), maps.Clone(s.providers), nil
	return &s
}

// takeFresh finds the new owners: as Git applies them, else as their files have them.
func (a *adopter) takeFresh(ctx context.Context, s *landscape, wanted map[name]bool) {
	a.listed = true
	for _, o := range s.appliers {
		made := slices.ContainsFunc(a.sets, func(n name) bool { return n.String() == o.set })
		if !wanted[o.name] && !made {
			continue
		}
		switch known := a.find(o.name); {
		case known == nil:
			a.listed = false
			o.content = s.contentOf(ctx, o)
		case !slices.ContainsFunc(a.New, func(arg string) bool { return within(path.Clean(filepath.ToSlash(arg)), known.File) }):
			a.refuse(known.place, "taken", fmt.Sprintf("the cluster applies a Kustomization %s from this file, which is none of --new", known.name),
				"give the new owner another name, or name this file with --new")
		}
		a.fresh = append(a.fresh, o)
		if o.content == nil {
			s.stopContent(ctx, o)
		}
	}
	a.out.Notes = append(a.out.Notes, s.byHand...)
}

// stopContent says why it is not known what a Kustomization applies.
func (l *landscape) stopContent(ctx context.Context, o *applier) {
	if o.Kind == ociRepository {
		from := l.prepared[o.Source]
		ws, c, ok := l.deliverer(o.Source, from)
		if ok {
			_, err := ws.Artifact(ctx, c, from.Tag)
			l.stop(o.place, "artifact", fmt.Sprintf("%s:%s, which Kustomization %s applies, cannot be used: %v", c.Name, from.Tag, o.name, err),
				"publish it, or correct the OCIRepository "+o.Source.String())
			return
		}
	}
	l.stop(o.place, "workspace", fmt.Sprintf("Kustomization %s takes its files from %s %s, which no --workspace has", o.name, o.Kind,
		o.Source),
		"name the checkout: --workspace DIR")
}

// buildNew builds a file, or a folder, of the fleet as the parent will.
func (a *adopter) buildNew(ctx context.Context, arg string) ([]applied, error) {
	arg = path.Clean(filepath.ToSlash(arg))
	files, folder := a.fleet.below(arg), arg
	if slices.Contains(a.fleet.Files, arg) {
		files, folder = []string{arg}, path.Dir(arg)
	}
	files = slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !manifest.IsYAML(f) })
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: Git tracks no YAML file %s", ErrNoOwner, arg)
	}
	c := &content{files: a.fleet, folder: folder}
	if !slices.ContainsFunc(files, isKustomizationOf(folder)) {
		only, remove, err := a.fleet.only(files)
		if err != nil {
			return nil, err
		}
		defer remove()
		c.files = only
	}
	return a.buildObjects(ctx, c)
}

func isKustomizationOf(folder string) func(string) bool {
	return func(file string) bool { return path.Dir(file) == folder && kustomize.IsFile(file) }
}

// buildObjects builds a folder with the patches and the variables of the parent.
func (a *adopter) buildObjects(ctx context.Context, c *content) ([]applied, error) {
	by := *a.parent
	built, err := a.build(ctx, c, &by, true)
	if err != nil {
		return nil, fmt.Errorf("%s does not build: %w", c.folder, err)
	}
	var objects []applied
	for _, r := range built.Resources() {
		from := c.placeOf(r)
		if err := errors.Join(r.SetOrigin(nil), r.ClearTransformations()); err != nil {
			return nil, err
		}
		object, err := r.Map()
		if err != nil {
			return nil, err
		}
		objects = append(objects, applied{object, from})
	}
	return objects, nil
}

// only is a copy of some files, and what removes it.
func (f *Fleet) only(files []string) (*Fleet, func(), error) {
	some := *f
	some.Files = files
	return some.copyWith(nil)
}

func groupKind(object map[string]any) (group, kind string) {
	version := text(object, "apiVersion")
	if dir := path.Dir(version); dir != "." {
		group = dir
	}
	return group, text(object, "kind")
}

// checkOwners stops at what cannot give or take objects safely.
func (a *adopter) checkOwners() {
	for _, o := range slices.Concat(a.old, a.fresh) {
		if policy := text(specOf(o), "deletionPolicy"); policy != "" && policy != "MirrorPrune" && policy != "Orphan" {
			a.refuse(o.place, "deletion-policy", fmt.Sprintf("Kustomization %s has the deletionPolicy %s, by which its objects go with it",
				o.name, policy),
				"remove spec.deletionPolicy, and let the cluster apply that first")
		}
		if specOf(o)["kubeConfig"] != nil {
			a.refuse(o.place, "kubeconfig", fmt.Sprintf("Kustomization %s applies its objects in another cluster (spec.kubeConfig)", o.name),
				"adopt knows one cluster: do it by hand")
		}
	}
	for _, o := range a.fresh {
		if slices.Contains(a.Owners, o.String()) {
			a.refuse(o.place, "same-name", fmt.Sprintf("the new owner %s has the name of the old one, so that labels say nothing", o.name),
				"give it another name")
		}
	}
	for _, o := range a.old {
		if o.Parent == nil {
			a.refuse(o.place, "entry", fmt.Sprintf("Kustomization %s is the entry of %s: without it the cluster follows nothing", o.name, a.cluster),
				"name the Kustomizations that it applies")
		}
		if isSuspended(o) && !a.hasSuspendMark(o) {
			a.refuse(o.place, "suspended", fmt.Sprintf("Kustomization %s is suspended, so that its cluster may have other objects than Git", o.name),
				"resume it, and let the cluster apply it first")
		}
	}
	if specOf(a.parent)["wait"] == true {
		a.out.Notes = append(a.out.Notes, fmt.Sprintf("%s has spec.wait: it is not Ready while an old owner is suspended",
			a.parent.name))
	}
	a.checkDependencies()
}

// checkDependencies stops at what waits for an old owner: it would wait for ever. It notes what only old owners wait for.
func (a *adopter) checkDependencies() {
	everyone := slices.Clone(a.appliers)
	for _, o := range a.fresh {
		if !slices.Contains(everyone, o) {
			everyone = append(everyone, o)
		}
	}
	for _, o := range everyone {
		for _, other := range waitsFor(o) {
			if !slices.Contains(a.old, o) && slices.Contains(a.Owners, other.String()) {
				a.refuse(o.place, "depends-on", fmt.Sprintf("Kustomization %s waits for %s, which is to go (spec.dependsOn)", o.name, other),
					"take it out of dependsOn; when all is done, let it wait for the new owners")
			}
		}
	}
	for _, o := range a.old {
		for _, other := range waitsFor(o) {
			waits := func(f *applier) bool { return slices.Contains(waitsFor(f), other) }
			if !slices.Contains(a.Owners, other.String()) && !slices.ContainsFunc(a.fresh, waits) {
				a.out.Notes = append(a.out.Notes, fmt.Sprintf("%s waits for %s (spec.dependsOn), and no new owner does", o.name, other))
			}
		}
	}
}

// waitsFor are the Kustomizations of dependsOn.
func waitsFor(o *applier) []name {
	var names []name
	for _, d := range list(o.object, "spec", "dependsOn") {
		ref, _ := d.(map[string]any)
		names = append(names, name{cmp.Or(text(ref, "namespace"), o.Namespace), text(ref, "name")})
	}
	return names
}

func specOf(o *applier) map[string]any {
	spec, _ := o.object["spec"].(map[string]any)
	return spec
}

func (a *adopter) refuse(at place, code, message, do string) {
	a.out.Stops = append(a.out.Stops, a.stopAt(at, code, message, do))
}
