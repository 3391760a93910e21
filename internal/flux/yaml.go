package flux

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
	kubernetes "sigs.k8s.io/yaml"
)

// quoted is a text that is written between double quotes, whatever it looks like: names such as 1e3, on and 007 are texts,
// and so is what replaces a variable.
type quoted string

// MarshalYAML implements yaml.Marshaler.
func (q quoted) MarshalYAML() (any, error) {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: string(q)}, nil
}

// entry is a key with its value, and fields are a mapping that keeps their order.
type (
	entry struct {
		Key   string
		Value any
	}
	fields []entry
)

// MarshalYAML implements yaml.Marshaler.
func (f fields) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range f {
		var key, value yaml.Node
		if err := errors.Join(key.Encode(e.Key), value.Encode(e.Value)); err != nil {
			return nil, err
		}
		node.Content = append(node.Content, &key, &value)
	}
	return node, nil
}

// encode writes documents one after the other, each separated from the next.
func encode(documents ...any) ([]byte, error) {
	var out bytes.Buffer
	for i, d := range documents {
		if i > 0 {
			out.WriteString("---\n")
		}
		text, err := encodeOne(d, false)
		if err != nil {
			return nil, err
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

// encodeOne writes one value, with the items of lists indented unless compact.
func encodeOne(value any, compact bool) ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if compact {
		e.CompactSeqIndent()
	}
	if err := errors.Join(e.Encode(value), e.Close()); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}

// isText reports whether Kubernetes, whose YAML is 1.1, reads a bare value as a text. What replaces a ${VARIABLE} loses its
// quotes on the way, so that anything else would arrive as a number or a boolean.
func isText(value string) bool {
	var v any
	if err := kubernetes.Unmarshal([]byte(value), &v); err != nil {
		return false
	}
	text, ok := v.(string)
	return ok && text == value
}
