package resourceset

import (
	"cmp"
	"fmt"
	"hash/adler32"
	"maps"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Provider is a ResourceSetInputProvider in the namespace of the ResourceSet, and the inputs it exports.
type Provider struct {
	Name   string
	Labels map[string]string
	Inputs []map[string]any
}

// inputSource is an entry of spec.inputsFrom.
type inputSource struct {
	Name     string                `json:"name"`
	Selector *metav1.LabelSelector `json:"selector"`
}

// inputs gives the input sets that each template is rendered with: those of the ResourceSet, then those of its providers
// by name.
func (rs *resourceSet) inputs(providers []Provider) ([]map[string]any, error) {
	chosen, err := rs.chosen(providers)
	if err != nil {
		return nil, err
	}
	all := []Provider{{Name: rs.Metadata.Name, Inputs: from("ResourceSet", rs.Metadata, rs.Metadata.Name, rs.Spec.Inputs)}}
	for _, p := range chosen {
		p.Inputs = from("ResourceSetInputProvider", rs.Metadata, p.Name, p.Inputs)
		all = append(all, p)
	}
	if rs.Spec.InputStrategy.Name == "Permute" {
		return permuted(all, rs.Spec.InputStrategy.IncludeEmptyProviders), nil
	}
	var flat []map[string]any
	for _, p := range all {
		flat = append(flat, p.Inputs...)
	}
	return flat, nil
}

func (rs *resourceSet) chosen(providers []Provider) ([]Provider, error) {
	found := map[string]Provider{}
	for _, source := range rs.Spec.InputsFrom {
		selector, err := metav1.LabelSelectorAsSelector(source.Selector)
		if err != nil {
			return nil, err
		}
		for _, p := range providers {
			if p.Name == source.Name || (source.Name == "" && selector.Matches(labels.Set(p.Labels))) {
				found[p.Name] = p
			}
		}
		if _, ok := found[source.Name]; source.Name != "" && !ok {
			return nil, fmt.Errorf("there is no input provider %s", source.Name)
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Provider) int { return cmp.Compare(a.Name, b.Name) }), nil
}

// from adds to each input set where it comes from, which templates may use, and leaves out the nulls that the API server
// does not store.
func from(kind string, set metav1.ObjectMeta, name string, inputs []map[string]any) []map[string]any {
	var marked []map[string]any
	for _, input := range inputs {
		input = present(input)
		input["provider"] = map[string]any{"apiVersion": "fluxcd.controlplane.io/v1", "kind": kind, "name": name, "namespace": set.Namespace}
		marked = append(marked, input)
	}
	return marked
}

func present(input map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range input {
		if value != nil {
			out[key] = value
		}
	}
	return out
}

// permuted gives every combination of one input set of each provider, under the provider's name.
func permuted(providers []Provider, keepEmpty bool) []map[string]any {
	type choice struct {
		inputs map[string]any
		id     []string
	}
	choices := []choice{{}}
	used := 0
	for _, p := range providers {
		if len(p.Inputs) == 0 && !keepEmpty {
			continue
		}
		used++
		key := inputKey(p.Name)
		var next []choice
		for _, c := range choices {
			for i, input := range p.Inputs {
				inputs := maps.Clone(c.inputs)
				if inputs == nil {
					inputs = map[string]any{}
				}
				inputs[key] = input
				next = append(next, choice{inputs, append(slices.Clone(c.id), fmt.Sprintf("%s=%d", key, i))})
			}
		}
		choices = next
	}
	if used == 0 {
		return nil
	}
	var sets []map[string]any
	for _, c := range choices {
		c.inputs["id"] = InputID(strings.Join(c.id, "/"))
		sets = append(sets, c.inputs)
	}
	return sets
}

// InputID is the id that flux-operator gives an input.
func InputID(s string) string { return fmt.Sprint(adler32.Checksum([]byte(s))) }

// inputKey is a provider's name as a template writes it.
func inputKey(name string) string {
	words := regexp.MustCompile(`[^a-z0-9]+`).Split(strings.ToLower(name), -1)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "_")
}
