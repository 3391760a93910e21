package yamledit

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SetField changes a scalar of an object, such as spec.path, and keeps its quotes and the comment behind it. A value without
// quotes gets double ones when YAML would read it as something else than a text, unless the old one was the same: true becomes
// false. It returns the same bytes when the field has the value.
func SetField(file []byte, object ID, path []string, value string) ([]byte, error) {
	if len(path) == 0 {
		return nil, errors.New("set a field: the path is empty")
	}
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	node, err := p.field(object, path)
	if err != nil || node.Value == value {
		return file, err
	}
	from, to, err := p.span(node)
	if err != nil {
		return nil, err
	}
	word, tag, err := replacement(node, value)
	if err != nil {
		return nil, err
	}
	want := *node
	want.Value, want.Tag = value, tag
	out := p.lines.splice(node.Line-1, from, to, word)
	if err := verify(out, p.swapped(node, &want), node.Line); err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

// field finds the scalar behind keys and indexes of lists.
func (p *page) field(object ID, path []string) (*yaml.Node, error) {
	node, err := p.find(object)
	if err != nil {
		return nil, err
	}
	for _, key := range path {
		if err := own(node, key); err != nil {
			return nil, err
		}
		value, err := child(node, key)
		if err != nil {
			return nil, err
		}
		if value == nil {
			return nil, &Fault{node.Line, strings.Join(path, ".") + " is missing", ErrMissing}
		}
		node = value
	}
	if err := own(node, strings.Join(path, ".")); err != nil {
		return nil, err
	}
	if node.Kind != yaml.ScalarNode {
		return nil, unsafe(node, "%s is not a single value", strings.Join(path, "."))
	}
	return node, nil
}

// replacement writes a value like the one before, and gives what YAML reads it as.
func replacement(old *yaml.Node, value string) (word, tag string, err error) {
	now := &yaml.Node{Kind: yaml.ScalarNode, Value: value}
	if old.Style&quoteStyles == 0 && old.ShortTag() != "!!str" && now.ShortTag() == old.ShortTag() && isPlainLine(value) {
		return value, old.Tag, nil
	}
	word, err = text(value, old.Style)
	return word, "!!str", err
}
