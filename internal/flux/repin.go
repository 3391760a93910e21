package flux

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Repin returns the content of a file with the OCIRepositories of the components pointing where Pairs has them point, and
// verifying what that takes. Only the lines of ref and verify change. The names are those of the components that changed.
func (p Pairs) Repin(file string, content []byte) ([]byte, []string, error) {
	if err := p.validate(); err != nil {
		return nil, nil, err
	}
	documents, err := parseAll(content)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrInput, file, err)
	}
	var changed []string
	for _, f := range p.Follow {
		i := p.sourceOf(f, documents)
		if i < 0 {
			return nil, nil, fmt.Errorf("%w: %s holds no OCIRepository of oci://%s", ErrInput, file, p.Access.repository(f.Component))
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
func (p Pairs) sourceOf(f Follow, documents []*yaml.Node) int {
	for i, d := range documents {
		if text(lookup(d, "kind")) == "OCIRepository" && text(lookup(lookup(d, "spec"), "url")) == "oci://"+p.Access.repository(f.Component) {
			return i
		}
	}
	return -1
}

// repinOne changes one OCIRepository; nil means that it is as it should be.
func (p Pairs) repinOne(file string, content []byte, f Follow, at int, document *yaml.Node) ([]byte, error) {
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
	d := openMapping(file, content, spec)
	rewritten, err := d.rewrite(0, want)
	if err != nil || !rewritten {
		return nil, err
	}
	return d.join(), sameBut(file, content, d.join(), at, want)
}

// openMapping prepares a mapping written as a block for a change of single keys.
func openMapping(file string, content []byte, mapping *yaml.Node) *inputsDocument {
	d := &inputsDocument{file: file, lines: strings.SplitAfter(string(content), "\n"), end: "\n", inner: mapping.Content[0].Column - 1}
	if strings.Contains(string(content), "\r\n") {
		d.end = "\r\n"
	}
	last := mapping.Content[0].Line
	for n := last; n < len(d.lines); n++ {
		line := strings.TrimRight(d.lines[n], "\r\n")
		trimmed := strings.TrimLeft(line, " ")
		if trimmed == "" {
			continue
		}
		if len(line)-len(trimmed) < d.inner || strings.HasPrefix(line, "---") {
			break
		}
		last = n + 1
	}
	d.entries = []inputEntry{{node: mapping, first: -1, last: last}}
	return d
}

// sameBut demands that nothing but the spec of one document changed.
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
