package yamledit

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const quoteStyles = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle

// flow writes a value in one line, as it can be inside of brackets.
func flow(value any) (string, error) {
	var node yaml.Node
	if err := node.Encode(value); err != nil {
		return "", err
	}
	inOneLine(&node)
	return encode(&node)
}

func inOneLine(node *yaml.Node) {
	switch {
	case node.Kind != yaml.ScalarNode:
		node.Style |= yaml.FlowStyle
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		node.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range node.Content {
		inOneLine(child)
	}
}

func encode(node *yaml.Node) (string, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	if err := errors.Join(e.Encode(node), e.Close()); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	text := strings.TrimSuffix(out.String(), "\n")
	if !isPlainLine(text) {
		return "", fmt.Errorf("%q cannot be written in one line of YAML", text)
	}
	return text, nil
}

// text writes a string in a style: plain where YAML reads it back as a string, else between double quotes.
func text(value string, style yaml.Style) (string, error) {
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("%q is not UTF-8", value)
	}
	if style&yaml.SingleQuotedStyle != 0 && isPlainLine(value) {
		return "'" + strings.ReplaceAll(value, "'", "''") + "'", nil
	}
	if style&quoteStyles == 0 {
		if list, err := flow([]string{value}); err == nil && list == "["+value+"]" {
			return value, nil
		}
	}
	node := stringNode(value)
	node.Style = yaml.DoubleQuotedStyle
	return encode(node)
}

func stringNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// isPlainLine reports whether a text is one line without characters that an editor would not show.
func isPlainLine(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == '\ufffe' || r == '\uffff'
	})
}

// span is the bytes of a scalar or alias on its line, with its quotes.
func (p *page) span(node *yaml.Node) (from, to int, err error) {
	n := node.Line - 1
	from = p.lines.offset(n, node.Column)
	refused := unsafe(node, "%q is written in a way that cannot be edited: write it on one line, without anchors and tags", node.Value)
	if from < 0 || node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 {
		return 0, 0, refused
	}
	rest := p.lines[n].text[from:]
	switch {
	case node.Kind == yaml.AliasNode && strings.HasPrefix(rest, "*"+node.Value):
		return from, from + 1 + len(node.Value), nil
	case node.Kind != yaml.ScalarNode || node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, 0, refused
	case node.Style&quoteStyles != 0:
		end := quotedEnd(rest)
		if end < 0 {
			return 0, 0, refused
		}
		return from, from + end, nil
	case node.Value == "" || !strings.HasPrefix(rest, node.Value):
		return 0, 0, refused
	}
	return from, from + len(node.Value), nil
}

// quotedEnd is the byte after the closing quote of a text that begins with a quote, -1 when there is none.
func quotedEnd(text string) int {
	if text == "" || text[0] != '"' && text[0] != '\'' {
		return -1
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && text[0] == '"':
			i++
		case text[i] != text[0]:
		case text[0] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		default:
			return i + 1
		}
	}
	return -1
}

// scanEnd is the last line of a value in quotes or brackets, or of an alias.
func (p *page) scanEnd(node *yaml.Node) int {
	n := node.Line - 1
	at := p.lines.offset(n, node.Column)
	if at < 0 {
		return n
	}
	var b strings.Builder
	for _, l := range p.lines[n:] {
		b.WriteString(l.text + "\n")
	}
	rest := b.String()[at:]
	return n + strings.Count(rest[:valueEnd(rest)], "\n")
}

// valueEnd is the byte of the newline after a value that a text begins with.
func valueEnd(text string) int {
	depth, begins := 0, true // whether a quote would begin a value
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case begins && (c == '"' || c == '\''):
			i, begins = i+max(quotedEnd(text[i:]), 1)-1, false
		case c == '#' && i > 0 && strings.IndexByte(" \t\n", text[i-1]) >= 0:
			i += strings.IndexByte(text[i:], '\n') - 1
		case c == '[' || c == '{':
			depth, begins = depth+1, true
		case c == ']' || c == '}':
			depth, begins = depth-1, false
		case c == '\n' && depth <= 0:
			return i
		case c == ',' || c == ':':
			begins = true
		case c != ' ' && c != '\t' && c != '\n':
			begins = false
		}
	}
	return len(text)
}
