package yamledit

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What is behind the key of a list or mapping that was created, and before the empty one that was there.
const (
	addedMark   = " # added by keos-oci"
	insteadMark = " # added by keos-oci, instead of:"
)

// place is a list or mapping of a document, or where one can be created.
type place struct {
	*page
	parent      *yaml.Node // a mapping with one key on each line
	key         string
	name, value *yaml.Node // nil when the parent lacks the key
	kind        yaml.Kind  // what the value is or will be
}

func (p *page) place(parent *yaml.Node, key string, kind yaml.Kind) (*place, error) {
	name, value, err := entry(parent, key)
	if err != nil {
		return nil, err
	}
	if value != nil {
		if err := own(value, key); err != nil {
			return nil, err
		}
		if value.Kind != kind && !empty(value) {
			what := "mapping"
			if kind == yaml.SequenceNode {
				what = "list"
			}
			return nil, unsafe(value, "%s is neither empty nor a %s", key, what)
		}
	}
	return &place{p, parent, key, name, value, kind}, nil
}

func (p *place) items() []*yaml.Node {
	if p.value == nil {
		return nil
	}
	return p.value.Content
}

// head is the line and column of an item's dash, or of a key.
func (p *place) head(i int) (n, column int, err error) {
	node := p.value.Content[i]
	n = node.Line - 1
	column, blank := p.lines.indent(n)
	if blank || p.kind == yaml.SequenceNode && p.lines[n].text[column] != '-' || p.kind == yaml.MappingNode && column != node.Column-1 {
		return 0, 0, unsafe(node, "the item does not begin on the line of its dash or key")
	}
	return n, column, nil
}

func (p *page) indentOf(key *yaml.Node) int { return max(0, key.Column-1) }

// end is the line after the content of a block mapping or list.
func (p *page) end(node *yaml.Node) int {
	last := node.Content[len(node.Content)-1]
	if node.Kind == yaml.MappingNode {
		key := node.Content[len(node.Content)-2]
		return p.leafEnd(key.Line-1, key.Column, last)
	}
	column, _ := p.lines.indent(last.Line - 1)
	return p.leafEnd(last.Line-1, column+1, last)
}

// leafEnd is the line after a value that begins at or below line n and is indented to a column or deeper.
func (p *page) leafEnd(n, column int, value *yaml.Node) int {
	if value.Kind != yaml.ScalarNode && value.Kind != yaml.AliasNode && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0 {
		return p.end(value)
	}
	if value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return p.literalEnd(value.Line-1, column)
	}
	first := max(n, value.Line-1)
	if value.Kind != yaml.ScalarNode || value.Style != 0 {
		first = p.scanEnd(value)
		return max(first, n) + 1
	}
	return p.lines.trimmed(first, p.lines.region(first, column))
}

// literalEnd is the line after a block scalar whose | or > is on line n.
func (p *page) literalEnd(n, column int) int {
	indent, last := 0, n+1
	for i := n + 1; i < len(p.lines); i++ {
		at, blank := p.lines.indent(i)
		if blank {
			continue
		}
		if indent == 0 {
			indent = max(at, column)
			if header := p.lines[n].text; strings.ContainsAny(header[strings.LastIndexAny(header, "|>")+1:], "123456789") {
				indent = column
			}
		}
		if at < indent || p.lines.isMarker(i) {
			break
		}
		last = i + 1
	}
	return min(last, len(p.lines))
}

// childColumn is where the items of a new list or mapping go.
func (p *place) childColumn() int {
	column := p.indentOf(p.parent.Content[0])
	if p.kind == yaml.MappingNode {
		return column + p.step()
	}
	return column + p.listIndent()
}

// step is how much deeper a mapping in a mapping is.
func (p *place) step() int {
	if column := p.indentOf(p.parent.Content[0]); column > 0 {
		return column
	}
	return first(p.docs, 2, func(key, value *yaml.Node) int {
		if value.Kind != yaml.MappingNode {
			return -1
		}
		return value.Content[0].Column - key.Column
	}, 1)
}

// listIndent is how much deeper than its key a list is.
func (p *place) listIndent() int {
	count := func(key, value *yaml.Node) int {
		column, blank := p.lines.indent(value.Content[0].Line - 1)
		if value.Kind != yaml.SequenceNode || blank || p.lines[value.Content[0].Line-1].text[column] != '-' {
			return -1
		}
		return column + 1 - key.Column
	}
	near := first([]*yaml.Node{p.parent}, -1, count, 0)
	if near >= 0 {
		return near
	}
	return first(p.docs, 2, count, 0)
}

// itemIndent is how much deeper than its dash an item is.
func (p *place) itemIndent() int {
	return first(append([]*yaml.Node{p.parent}, p.docs...), 2, func(_, value *yaml.Node) int {
		item := value.Content[0]
		column, blank := p.lines.indent(item.Line - 1)
		if value.Kind != yaml.SequenceNode || blank || item.Style&yaml.TaggedStyle != 0 || p.lines[item.Line-1].text[column] != '-' {
			return -1
		}
		return item.Column - 1 - column
	}, 2)
}

// first measures the first entry of a mapping whose value is a block and for which the measure is from least to 8.
func first(nodes []*yaml.Node, otherwise int, measure func(key, value *yaml.Node) int, least int) int {
	for _, node := range nodes {
		for i, value := range node.Content {
			if node.Kind == yaml.MappingNode && i%2 == 1 && isBlock(value) {
				if n := measure(node.Content[i-1], value); n >= least && n <= 8 {
					return n
				}
			}
			if n := first([]*yaml.Node{value}, -1, measure, least); n >= 0 {
				return n
			}
		}
	}
	return otherwise
}

func isBlock(node *yaml.Node) bool {
	return (node.Kind == yaml.MappingNode || node.Kind == yaml.SequenceNode) && node.Style&yaml.FlowStyle == 0 && len(node.Content) > 0
}

// add inserts an item, which render writes for a column, in the first slot where nothing else changes and undo gives the same bytes.
func (p *place) add(render func(column int) []string, nodes []*yaml.Node, undo func([]byte) (sheet, error)) ([]byte, error) {
	slots, err := p.slots()
	if err != nil {
		return nil, err
	}
	before := string(p.lines.bytes())
	var refused error
	for _, s := range slots {
		after, err := p.apply(s, render(s.column), nodes)
		if err == nil {
			var undone sheet
			if undone, err = undo(after.bytes()); err == nil && string(undone.bytes()) == before {
				return after.bytes(), nil
			}
		}
		if refused == nil {
			refused = err
		}
	}
	if refused == nil {
		refused = &Fault{slots[0].line, "what is added here could not be removed exactly", ErrUnsafe}
	}
	return nil, refused
}

func (p *place) apply(s slot, item []string, nodes []*yaml.Node) (sheet, error) {
	out, want := p.lines, p.wanted(s, nodes)
	if s.mute {
		colon, err := p.colon()
		if err != nil {
			return nil, err
		}
		out = out.splice(p.name.Line-1, colon+1, colon+1, insteadMark)
	}
	if s.head != "" {
		item = append([]string{s.head}, item...)
	}
	if s.line < 0 || s.line > len(out) {
		return nil, unsafe(p.parent, "the lines of %s are not known", p.key)
	}
	out = out.insert(s.line, item...)
	return out, verify(out, want, max(1, s.line))
}

// wanted is the documents with new nodes in a slot.
func (p *place) wanted(s slot, nodes []*yaml.Node) []*yaml.Node {
	if p.value != nil {
		grown := with(p.value, slices.Insert(slices.Clone(p.value.Content), s.at, nodes...))
		if len(p.value.Content) == 0 {
			grown = &yaml.Node{Kind: p.kind, Content: nodes}
		}
		return p.swapped(p.value, grown)
	}
	added := []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: p.key}, {Kind: p.kind, Content: nodes}}
	return p.swapped(p.parent, with(p.parent, slices.Insert(slices.Clone(p.parent.Content), s.at, added...)))
}

// colon is the byte of the colon behind the key.
func (p *place) colon() (int, error) {
	n := p.name.Line - 1
	_, to, err := p.span(p.name)
	if err != nil {
		return 0, err
	}
	text := p.lines[n].text
	for to < len(text) && text[to] == ' ' {
		to++
	}
	if to >= len(text) || text[to] != ':' {
		return 0, unsafe(p.name, "%s has no colon on its line", p.key)
	}
	return to, nil
}

// lineRange is the lines from first up to but not including last.
type lineRange struct{ first, last int }

// drop removes nodes from at on, which are on these lines from the top down, and the key when it was created for them.
func (p *place) drop(at, count int, lines ...lineRange) (sheet, error) {
	out := p.lines
	for _, r := range slices.Backward(lines) {
		if r.first < 0 || r.first >= r.last || r.last > len(out) {
			return nil, unsafe(p.name, "the lines of %s are not known", p.key)
		}
		out = out.remove(r.first, r.last)
	}
	left := with(p.value, slices.Delete(slices.Clone(p.value.Content), at, at+count))
	if len(left.Content) > 0 {
		return out, verify(out, p.swapped(p.value, left), lines[0].first+1)
	}
	colon, err := p.colon()
	if err != nil {
		return nil, err
	}
	n := p.name.Line - 1
	switch rest := p.lines[n].text[colon+1:]; {
	case rest == addedMark:
		out = out.remove(n, n+1)
		i := slices.Index(p.parent.Content, p.name)
		want := p.swapped(p.parent, with(p.parent, slices.Delete(slices.Clone(p.parent.Content), i, i+2)))
		return out, verify(out, want, n+1)
	case strings.HasPrefix(rest, insteadMark):
		out = out.splice(n, colon+1, colon+1+len(insteadMark), "")
	}
	return out, verify(out, p.swapped(p.value, left), n+1)
}

func checkMark(mark string) error {
	if mark == "" || mark != strings.TrimSpace(mark) || !isPlainLine(mark) {
		return fmt.Errorf("mark %q: it must be one line of text", mark)
	}
	return nil
}
