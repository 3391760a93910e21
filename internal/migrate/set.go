package migrate

import (
	"cmp"
	"fmt"
	"maps"

	"github.com/stratio/keos-oci/internal/resourceset"
)

// takeSet remembers what a ResourceSet makes. Flux Operator gets the inputs of some providers from elsewhere: those are not known here.
func (l *landscape) takeSet(by *applier, o applied) {
	n := nameOf(o.object)
	var providers []resourceset.Provider
	for _, at := range sorted(l.providers) {
		if at.Namespace == n.Namespace {
			providers = append(providers, l.providers[at])
		}
	}
	objects, err := resourceset.Render(o.object, providers...)
	if err != nil {
		l.byHand = append(l.byHand, fmt.Sprintf("ResourceSet %s (%s:%d) cannot be followed, look whether it needs Git: %v", n, o.from.where(),
			o.from.Line, err))
		return
	}
	for _, object := range objects {
		l.take(by, applied{object, o.from}, n.String())
	}
}

// takeProvider remembers inputs that are written in the provider itself.
func (l *landscape) takeProvider(object map[string]any) {
	if spec, _ := object["spec"].(map[string]any); text(spec, "type") == "Static" {
		n := nameOf(object)
		inputs, _ := spec["defaultValues"].(map[string]any)
		inputs = maps.Clone(inputs)
		if inputs == nil {
			inputs = map[string]any{}
		}
		inputs["id"] = resourceset.InputID(n.Name)
		l.providers[n] = resourceset.Provider{Name: n.Name, Labels: texts(object, "metadata", "labels"), Inputs: []map[string]any{inputs}}
	}
}

// takeUse remembers an object that takes something from a GitRepository, such as an ImageUpdateAutomation or a HelmRelease.
func (l *landscape) takeUse(o applied, kind string) {
	for _, keys := range sourceRefs() {
		ref, _ := at(o.object, keys...).(map[string]any)
		if n := nameOf(o.object); text(ref, "kind") == gitRepository {
			l.uses = append(l.uses, use{o.from, kind + " " + n.String(), name{cmp.Or(text(ref, "namespace"), n.Namespace), text(ref, "name")}})
		}
	}
}

// sourceRefs is where objects of Flux name a source.
func sourceRefs() [][]string {
	return [][]string{{"spec", "sourceRef"}, {"spec", "chartRef"}, {"spec", "chart", "spec", "sourceRef"}}
}
