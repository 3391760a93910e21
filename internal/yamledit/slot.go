package yamledit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// slot is a place for new lines.
type slot struct {
	line   int    // before which they go
	column int    // of the list's dashes, or of the mapping's keys
	at     int    // in the content of the value, or of the parent when the value is created
	head   string // a line that creates the value
	mute   bool   // the text behind the key becomes a comment
}

// slots lists where an item can go, the best first.
func (p *place) slots() ([]slot, error) {
	switch {
	case p.value == nil:
		return p.newSlots(), nil
	case p.value.Kind == p.kind && len(p.value.Content) > 0:
		return p.nextSlots()
	}
	if p.value.Line != p.name.Line && p.value.Value != "" {
		return nil, unsafe(p.value, "%s is empty, and not on the line of its key", p.key)
	}
	column := p.indentOf(p.parent.Content[0])
	first := slot{line: p.lines.comments(p.name.Line, column+1), column: p.childColumn()}
	first.mute = p.value.Value != "" || p.value.Kind != yaml.ScalarNode
	second := first
	second.line = p.name.Line
	return []slot{first, second}, nil
}

// newSlots are at the end of the parent, else before its last key.
func (p *place) newSlots() []slot {
	keys := p.parent.Content
	column := p.indentOf(keys[0])
	end := p.end(p.parent)
	s := slot{line: end, column: p.childColumn(), at: len(keys), head: strings.Repeat(" ", column) + p.key + ":" + addedMark}
	if column > 0 {
		s.line = p.lines.comments(end, column)
	}
	return p.fallbacks(s, end, keys[len(keys)-2].Line-1, len(keys)-2)
}

// nextSlots are after the last item, else before it.
func (p *place) nextSlots() ([]slot, error) {
	if p.value.Style&yaml.FlowStyle != 0 {
		return nil, unsafe(p.value, "%s is written in one line, with brackets: write each item on its own line", p.key)
	}
	content, step := p.value.Content, 1
	if p.kind == yaml.MappingNode {
		step = 2
	}
	last := len(content) - step
	dash, column, err := p.head(last)
	if err != nil {
		return nil, err
	}
	end, deep := p.end(p.value), column
	if p.kind == yaml.SequenceNode && column == p.indentOf(p.parent.Content[0]) {
		deep++
	}
	s := slot{line: p.lines.comments(end, deep), column: column, at: len(content)}
	return p.fallbacks(s, end, dash, last), nil
}

// fallbacks adds other places: right after the content, after blank lines that can be part of it, and before the last item.
func (p *place) fallbacks(s slot, end, last, at int) []slot {
	out := []slot{s, s, s, s}
	out[1].line, out[2].line = end, p.lines.blanks(end)
	for p.lines.isComment(last - 1) {
		last--
	}
	out[3].line, out[3].at = last, at
	return out
}
