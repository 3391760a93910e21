package migrate

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/stratio/keos-oci/internal/cluster"
)

// maxStops is how many stops of one code are listed.
const maxStops = 20

// owned is an object with the place where it is written, and the Kustomization that applies it.
type owned struct {
	id   cluster.ID
	text string // YAML
	from place
	by   *applier // nil for what a file of the new owners has itself
}

func (o owned) String() string {
	return o.id.Kind + " " + strings.TrimPrefix(o.id.Namespace+"/"+o.id.Name, "/")
}

// compare checks that the new owners apply exactly the objects of the old ones.
func (a *adopter) compare(ctx context.Context) error {
	before, err := a.objectsOf(ctx, a.old)
	if err != nil {
		return err
	}
	after, err := a.objectsOf(ctx, a.fresh)
	if err != nil || len(a.out.Stops) > 0 {
		return err
	}
	a.out.Objects = len(before)
	taken := a.takers(before, after)
	for _, o := range before {
		if now, ok := taken[o.id]; ok {
			a.compareOne(o, now)
		} else {
			a.stopMissing(o, after)
		}
	}
	for _, o := range after {
		if !slices.ContainsFunc(before, func(b owned) bool { return b.id == o.id }) && !a.isMoved(o, before) {
			a.refuse(o.by.place, "extra", fmt.Sprintf("the new owner %s applies %s, which no old owner applies", o.by.name, o),
				"take it out of the artifact; add it when all is done")
		}
	}
	a.shorten()
	return nil
}

// takers gives the new object of each old one. It stops where an object has two new owners.
func (a *adopter) takers(before, after []owned) map[cluster.ID]owned {
	taken := map[cluster.ID]owned{}
	for _, o := range after {
		if other, twice := taken[o.id]; twice {
			a.refuse(o.by.place, "twice", fmt.Sprintf("%s has two new owners, %s and %s", o, other.by.name, o.by.name), "leave it to one of them")
			continue
		}
		taken[o.id] = o
	}
	for _, direct := range a.direct {
		o := owned{id: idOfObject(direct.object), from: direct.from}
		if !slices.ContainsFunc(before, func(b owned) bool { return b.id == o.id }) {
			continue
		}
		if other, twice := taken[o.id]; twice {
			a.refuse(direct.from, "twice", fmt.Sprintf("%s is in this file, and the new owner %s applies it too", o, other.by.name),
				"leave it to one of them")
			continue
		}
		taken[o.id] = o
	}
	return taken
}

// compareOne checks that an object has the same content, and what Git does not show of it.
func (a *adopter) compareOne(o, now owned) {
	if now.by == nil {
		return // Flux applies the file itself, in the same commit
	}
	same := o.text == now.text && reflect.DeepEqual(specOf(o.by)["commonMetadata"], specOf(now.by)["commonMetadata"])
	if !same && !a.Accept {
		a.refuse(o.from, "differs", fmt.Sprintf("%s is not the same in %s and in %s", o, o.by.name, now.by.name),
			"publish what Git has; or look at the difference, and --accept")
	}
	if strings.Contains(o.text, "ENC[") && specOf(now.by)["decryption"] == nil {
		a.refuse(now.by.place, "decryption", fmt.Sprintf("%s is encrypted with SOPS, and the new owner %s has no decryption", o, now.by.name),
			"add spec.decryption: Flux would apply the encrypted text")
	}
	for _, secret := range secretValues(o.by) {
		if strings.Contains(o.text, "${") && !slices.Contains(secretValues(now.by), secret) {
			a.refuse(now.by.place, "settings", fmt.Sprintf("%s may have a value of Secret %s, which the new owner %s does not take values from",
				o, secret, now.by.name),
				"add it to spec.postBuild.substituteFrom")
		}
	}
}

// secretValues are the Secrets from which a Kustomization takes values.
func secretValues(o *applier) []string {
	var names []string
	for _, from := range list(o.object, "spec", "postBuild", "substituteFrom") {
		if ref, _ := from.(map[string]any); text(ref, "kind") == "Secret" {
			names = append(names, text(ref, "name"))
		}
	}
	return names
}

// stopMissing stops at an object that no new owner applies, or that one applies in another namespace.
func (a *adopter) stopMissing(o owned, after []owned) {
	if i := slices.IndexFunc(after, func(n owned) bool { return moved(o.id, n.id) }); i >= 0 {
		a.refuse(o.from, "namespace", fmt.Sprintf("%s would be in the namespace %q of the new owner %s: that is a move of data", o,
			after[i].id.Namespace, after[i].by.name),
			"let the new owner apply it in the namespace that it has: spec.targetNamespace")
		return
	}
	a.refuse(o.from, "missing", fmt.Sprintf("%s is an object of %s, and no new owner applies it", o, o.by.name),
		"add a new owner that applies it, with --new")
}

// isMoved reports whether an object is one of before in another namespace, which stopMissing says.
func (a *adopter) isMoved(o owned, before []owned) bool {
	return slices.ContainsFunc(before, func(b owned) bool { return moved(b.id, o.id) })
}

func moved(before, after cluster.ID) bool {
	was := before.Namespace
	before.Namespace = after.Namespace
	return before == after && was != after.Namespace
}

// objectsOf builds what Kustomizations apply. It stops where that is not known.
func (a *adopter) objectsOf(ctx context.Context, appliers []*applier) ([]owned, error) {
	var objects []owned
	for _, by := range appliers {
		if by.content == nil {
			a.refuse(by.place, "content", fmt.Sprintf("what Kustomization %s applies is not here", by.name), "name its checkout: --workspace DIR")
			continue
		}
		built, err := a.build(ctx, by.content, by, true)
		if err != nil {
			a.refuse(by.place, "build", fmt.Sprintf("%s, which Kustomization %s applies, does not build: %v", by.content.folder, by.name, err),
				"see keos-oci check")
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue
		}
		some, err := ownedBy(by, built)
		if err != nil {
			return nil, err
		}
		objects = append(objects, some...)
	}
	return objects, nil
}

func ownedBy(by *applier, built resmap.ResMap) ([]owned, error) {
	var objects []owned
	for _, r := range built.Resources() {
		o := owned{id: idOfResource(r), from: by.content.placeOf(r), by: by}
		if err := r.SetOrigin(nil); err != nil {
			return nil, err
		}
		if err := r.ClearTransformations(); err != nil {
			return nil, err
		}
		data, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		o.text = string(data)
		objects = append(objects, o)
	}
	return objects, nil
}

func idOfResource(r *resource.Resource) cluster.ID {
	return cluster.ID{Namespace: r.GetNamespace(), Name: r.GetName(), Group: r.GetGvk().Group, Kind: r.GetKind()}
}

func idOfObject(object map[string]any) cluster.ID {
	group, kind := groupKind(object)
	metadata, _ := object["metadata"].(map[string]any)
	return cluster.ID{Namespace: text(metadata, "namespace"), Name: text(metadata, "name"), Group: group, Kind: kind}
}

// shorten leaves out stops where one code has too many.
func (a *adopter) shorten() {
	count, kept := map[string]int{}, []Stop{}
	for _, s := range a.out.Stops {
		if count[s.Code]++; count[s.Code] <= maxStops {
			kept = append(kept, s)
		}
	}
	for code, n := range count {
		if n > maxStops {
			a.out.Notes = append(a.out.Notes, fmt.Sprintf("%d more stops with the code %s", n-maxStops, code))
		}
	}
	slices.Sort(a.out.Notes)
	a.out.Stops = kept
}
