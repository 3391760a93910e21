package flux

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// like makes an input for a component from the last one: its keys in their order, and the values that are the
// same in all other inputs. All other values come from the generated input.
func (d *inputsDocument) like(name string, own *yaml.Node) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	if len(d.entries) == 0 {
		if node = clean(own); !slices.Contains(d.mentions, inputDecrypt) {
			remove(node, inputDecrypt)
		}
	} else {
		last := d.entries[len(d.entries)-1].node
		node.Style = last.Style
		for i := 0; i+1 < len(last.Content); i += 2 {
			key := last.Content[i]
			if pinKeys[key.Value] && !slices.Contains(d.needed, key.Value) && lookup(own, key.Value) == nil {
				continue // another component's pin
			}
			v := d.agreed(key.Value, name, own)
			node.Content = append(node.Content, clean(key), v)
		}
	}
	for _, key := range d.needed {
		if lookup(node, key) == nil {
			if err := d.fill(node, key, name, own); err != nil {
				return nil, err
			}
		}
	}
	return node, nil
}

// pinKeys hold one component to something, which says nothing of its neighbours.
var pinKeys = map[string]bool{"semver": true, "digest": true}

// ownKeys are the inputs that differ by their nature from one component to the next.
var ownKeys = []string{"repository", "path", "phases", "dependsOn", "substitute", inputDecrypt, "signers", "semver", "digest"}

// agreed is the value of a key for a new input: the one most neighbours have once their names are taken out.
func (d *inputsDocument) agreed(key, name string, own *yaml.Node) *yaml.Node {
	if v := lookup(own, key); v != nil && slices.Contains(ownKeys, key) {
		return clean(v)
	}
	type form struct {
		node  *yaml.Node
		count int
	}
	var forms []form
	for _, e := range d.entries {
		v := lookup(e.node, key)
		if v == nil {
			continue
		}
		renamed := clean(v)
		rename(renamed, e.name, name)
		i := slices.IndexFunc(forms, func(f form) bool { return reflect.DeepEqual(value(f.node), value(renamed)) })
		if i < 0 {
			forms = append(forms, form{renamed, 1})
			continue
		}
		forms[i].node, forms[i].count = renamed, forms[i].count+1
	}
	best := slices.MaxFunc(forms, func(a, b form) int { return a.count - b.count })
	if v := lookup(own, key); v != nil && best.count == 1 && len(forms) > 1 {
		return styled(v, best.node)
	}
	return best.node
}

// fill adds a key that the resources need: from the neighbours, else as it would be generated.
func (d *inputsDocument) fill(node *yaml.Node, key, name string, own *yaml.Node) error {
	v := lookup(own, key)
	if slices.ContainsFunc(d.entries, func(e inputEntry) bool { return e.node != node && e.name != name && lookup(e.node, key) != nil }) {
		v = d.agreed(key, name, own)
	}
	if v == nil {
		return fmt.Errorf("%w: the resources use inputs.%s, and nothing says what it is for %s: add it to an input by hand", ErrInput, key, name)
	}
	node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, clean(v))
	return nil
}

// pin puts a component's pin into its input, in place of another one.
func (d *inputsDocument) pin(node *yaml.Node, f Followed, own *yaml.Node) error {
	if f.Pin.Semver+f.Pin.Digest != "" && !slices.Contains(d.mentions, "semver") {
		return fmt.Errorf("%w: the resources do not know inputs.semver and inputs.digest: write the file anew with generate resourceset --pin",
			ErrInput)
	}
	for key := range pinKeys {
		remove(node, key)
	}
	for _, key := range []string{"tag", "semver", "digest", inputGitRef, "signers"} {
		v := lookup(own, key)
		if v == nil || lookup(node, key) == nil && !slices.Contains(d.mentions, key) {
			continue
		}
		set(node, key, v)
	}
	return nil
}
