package flux

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseAll reads the roots of all documents.
func parseAll(content []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var documents []*yaml.Node
	for {
		var node yaml.Node
		if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
			return documents, nil
		} else if err != nil {
			return nil, err
		}
		documents = append(documents, node.Content[0])
	}
}

// values reads all documents as plain values.
func values(content []byte) ([]any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var all []any
	for {
		var v any
		if err := decoder.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

func value(node *yaml.Node) any {
	var v any
	if err := node.Decode(&v); err != nil {
		return err
	}
	return v
}

// lookup returns the value of a key, nil where there is none.
func lookup(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

func text(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}

func pair(key, v *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{clean(key), v}}
}

func set(node *yaml.Node, key string, v *yaml.Node) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			node.Content[i+1] = styled(v, node.Content[i+1])
			return
		}
	}
	node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, clean(v))
}

func remove(node *yaml.Node, key string) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			node.Content = slices.Delete(node.Content, i, i+2)
			return
		}
	}
}

// clean copies a node without its comments, which do not fit the copy.
func clean(node *yaml.Node) *yaml.Node {
	c := *node
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	c.Content = make([]*yaml.Node, len(node.Content))
	for i, child := range node.Content {
		c.Content[i] = clean(child)
	}
	return &c
}

// styled is v, quoted like another value that it takes the place of.
func styled(v, like *yaml.Node) *yaml.Node {
	v = clean(v)
	if v.Kind == yaml.ScalarNode && like.Kind == yaml.ScalarNode && like.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		v.Style = like.Style
	}
	return v
}

// rename puts one name in the place of another wherever it is a word of its own.
func rename(node *yaml.Node, from, to string) {
	word := regexp.MustCompile(`(^|[^0-9A-Za-z_-])` + regexp.QuoteMeta(from) + `($|[^0-9A-Za-z_-])`)
	if node.Kind == yaml.ScalarNode && word.MatchString(node.Value) {
		node.Value = word.ReplaceAllString(node.Value, "${1}"+strings.ReplaceAll(to, "$", "$$")+"${2}")
		node.Tag = "!!str"
		if node.Style == 0 && !isText(node.Value) {
			node.Style = yaml.DoubleQuotedStyle
		}
	}
	if node.Kind == yaml.MappingNode {
		for i := 1; i < len(node.Content); i += 2 {
			rename(node.Content[i], from, to)
		}
		return
	}
	for _, child := range node.Content {
		rename(child, from, to)
	}
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// speaksOf reports whether a word is anywhere in a node.
func speaksOf(node *yaml.Node, word string) bool {
	if node == nil {
		return false
	}
	return strings.Contains(node.Value, word) || slices.ContainsFunc(node.Content, func(n *yaml.Node) bool { return speaksOf(n, word) })
}
