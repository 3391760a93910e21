package flux

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/fileset"
)

// Edit says how the inputs of a ResourceSet in a file are brought up to date.
type Edit struct {
	Tenants
	File  string // for errors
	Prune bool   // remove the inputs of components that are not among those followed
}

// Change is what an edit did to a file.
type Change struct {
	Content []byte
	fileset.Entries

	Environments []string // the environments in the inputs: literal ones, or the ${VARIABLE} that chooses one
}

// Apply returns the content of the file with an input for each component. It changes lines of inputs only: comments,
// order, quoting and everything else stay as they are, byte for byte. A new input takes the keys and values of its
// neighbours, with its own name. Existing values stay. Only a requested pin is
// set, and keys are added that the resources need and the input lacks.
func (e Edit) Apply(content []byte) (Change, error) {
	for _, f := range e.Components {
		if err := checkComponent(f.Component); err != nil {
			return Change{}, err
		}
	}
	d, err := openInputs(e.File, content)
	if err != nil {
		return Change{}, err
	}
	change, err := e.edit(d)
	if err != nil {
		return Change{}, fmt.Errorf("%s: %w", e.File, err)
	}
	change.Content, change.Environments = d.join(), d.environments()
	if err := d.verify(change.Content); err != nil {
		return Change{}, fmt.Errorf("%s: %w", e.File, err)
	}
	return change, nil
}

func (e Edit) edit(d *inputsDocument) (Change, error) {
	var change Change
	var add []Followed
	for _, f := range e.Components {
		i := d.find(f.Component.Name)
		if i < 0 {
			add = append(add, f)
			change.Added = append(change.Added, f.Component.Name)
			continue
		}
		updated, err := e.update(d, i, f)
		if err != nil {
			return change, err
		}
		if updated {
			change.Updated = append(change.Updated, f.Component.Name)
		}
	}
	if e.Prune {
		change.Removed = d.prune(func(name string) bool {
			return slices.ContainsFunc(e.Components, func(f Followed) bool { return f.Component.Name == name })
		})
	}
	if len(add) > 0 {
		if err := e.add(d, add); err != nil {
			return change, err
		}
	}
	if len(d.want()) == 0 {
		return change, fmt.Errorf("%w: no input would be left, and a ResourceSet without inputs fails: delete the file instead", ErrInput)
	}
	return change, nil
}

// update adds the keys to an input that the resources need and the input lacks, and sets a requested pin.
func (e Edit) update(d *inputsDocument, i int, f Followed) (bool, error) {
	node := clean(d.entries[i].node)
	own, err := e.ours(f)
	if err != nil {
		return false, err
	}
	for _, key := range d.needed {
		if lookup(node, key) == nil {
			if err := d.fill(node, key, f.Component.Name, own); err != nil {
				return false, err
			}
		}
	}
	if !f.Pin.IsZero() {
		if err := d.pin(node, f, own); err != nil {
			return false, err
		}
	}
	return d.rewriteInput(i, node)
}

// add appends inputs that look like their neighbours.
func (e Edit) add(d *inputsDocument, add []Followed) error {
	for _, f := range add {
		if f.Encrypted != "" && !d.decrypts {
			return fmt.Errorf("%w: component %s has the file %s, which SOPS encrypted, and the resources decrypt nothing: "+
				"write the file anew with generate resourceset --decryption sops=SECRET",
				ErrInput, f.Component.Name, f.Encrypted)
		}
		own, err := e.ours(f)
		if err != nil {
			return err
		}
		node, err := d.like(f.Component.Name, own)
		if err != nil {
			return err
		}
		if !f.Pin.IsZero() {
			if err := d.pin(node, f, own); err != nil {
				return err
			}
		}
		if err := d.insert(node); err != nil {
			return err
		}
	}
	return nil
}

// ours is the input that would be generated for f alone, as a node.
func (e Edit) ours(f Followed) (*yaml.Node, error) {
	alone := e.Tenants
	alone.Components, alone.alone = []Followed{f}, true
	if len(f.DependsOn) > 0 {
		alone.Components = e.Components
	}
	inputs, err := alone.inputs()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{}
	at := max(0, slices.IndexFunc(alone.Components, func(o Followed) bool { return o.Component.Name == f.Component.Name }))
	if err := node.Encode(inputs[at]); err != nil {
		return nil, err
	}
	return node, nil
}
