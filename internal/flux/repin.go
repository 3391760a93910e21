package flux

import (
	"errors"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// repin returns the content of a file with the OCIRepositories of the components pointing where Pairs has them point, and
// verifying what that takes. Only the lines of ref and verify change. The names are those of the components that changed.
func (p Pairs) repin(file string, content []byte) ([]byte, []string, error) {
	if err := p.validate(); err != nil {
		return nil, nil, err
	}
	documents, err := parseAll(content)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrInput, file, err)
	}
	var changed []string
	for _, f := range p.Components {
		i := p.sourceOf(f, documents)
		if i < 0 {
			return nil, nil, fmt.Errorf("%w: %s has no OCIRepository of oci://%s", ErrInput, file, p.Access.repository(f.Component))
		}
		after, err := p.repinOne(file, content, f, i, documents[i])
		if err != nil {
			return nil, nil, err
		}
		if after != nil {
			changed, content = append(changed, f.Component.Name), after
			if documents, err = parseAll(content); err != nil {
				return nil, nil, err
			}
		}
	}
	return content, changed, nil
}

// sourceOf finds the OCIRepository of a component by its address, -1 where there is none.
func (p Pairs) sourceOf(f Followed, documents []*yaml.Node) int {
	for i, d := range documents {
		if text(lookup(d, "kind")) == "OCIRepository" && text(lookup(lookup(d, "spec"), "url")) == "oci://"+p.Access.repository(f.Component) {
			return i
		}
	}
	return -1
}

// repinOne changes one OCIRepository; nil means that it is as it should be.
func (p Pairs) repinOne(file string, content []byte, f Followed, at int, document *yaml.Node) ([]byte, error) {
	objects, err := p.of(f)
	if err != nil {
		return nil, err
	}
	source := objects[0].(ociRepository)
	spec := lookup(document, "spec")
	if spec.Style&yaml.FlowStyle != 0 {
		return nil, fmt.Errorf("%w: %s:%d: spec is not written as a block", ErrInput, file, spec.Line)
	}
	want := clean(spec)
	for key, value := range map[string]any{"ref": source.Spec.Ref, "verify": source.Spec.Verify} {
		var node yaml.Node
		if err := node.Encode(value); err != nil {
			return nil, err
		}
		set(want, key, &node)
	}
	if reflect.DeepEqual(value(spec), value(want)) {
		return nil, nil
	}
	lines, first := newSheet(content), spec.Content[0]
	column := first.Column - 1
	if err := lines.rewrite(spec, want, margin{-1, column}, lines.endOf(first.Line-1, column)); err != nil {
		return nil, err
	}
	return lines.join(), sameBut(file, content, lines.join(), at, want)
}

// sameBut checks that nothing but the spec of one document changed.
func sameBut(file string, before, after []byte, at int, spec *yaml.Node) error {
	was, err := values(before)
	is, other := values(after)
	if err := errors.Join(err, other); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInput, file, err)
	}
	document, _ := was[at].(map[string]any)
	document["spec"] = value(spec)
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("%w: %s is written in a way that cannot be edited without changing more than ref and verify", ErrInput, file)
	}
	return nil
}
