package yamledit

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// AddField adds a scalar that an object lacks, such as spec.suspend, as the first key of its mapping, below the comment "# mark". The value
// is written as it is. It returns the same bytes when the comment is there.
func AddField(file []byte, object ID, mark string, field Field) ([]byte, error) {
	if err := checkMark(mark); err != nil {
		return nil, err
	}
	p, mapping, key, err := openField(file, object, field.Path)
	if err != nil {
		return nil, err
	}
	if p.comment(mark) >= 0 {
		return file, nil
	}
	if name, _, err := entry(mapping, key); err != nil || name != nil {
		if err == nil {
			err = unsafe(name, "%s is there already", field.Path)
		}
		return nil, err
	}
	first := mapping.Content[0]
	var value yaml.Node
	if err := yaml.Unmarshal([]byte(field.Value), &value); err != nil || len(value.Content) != 1 || value.Content[0].Kind != yaml.ScalarNode {
		return nil, &Fault{first.Line, field.Path + ": the new value is not a scalar", ErrUnsafe}
	}
	indent := strings.Repeat(" ", p.indentOf(first))
	if at, _ := p.lines.indent(first.Line - 1); at != len(indent) {
		return nil, unsafe(first, "the first key of this mapping is not on a line of its own")
	}
	out := p.lines.insert(first.Line-1, indent+"# "+mark, indent+key+": "+field.Value)
	grown := with(mapping, append([]*yaml.Node{stringNode(key), value.Content[0]}, mapping.Content...))
	if err := verify(out, p.swapped(mapping, grown), first.Line); err != nil {
		return nil, err
	}
	if undone, err := RemoveField(out.bytes(), object, mark, field.Path); err != nil || string(undone) != string(file) {
		return nil, &Fault{first.Line, "what is added here could not be removed exactly", ErrUnsafe}
	}
	return out.bytes(), nil
}

// RemoveField removes the scalar and the comment that AddField wrote with this mark. Without the comment it returns the same bytes.
func RemoveField(file []byte, object ID, mark, path string) ([]byte, error) {
	if err := checkMark(mark); err != nil {
		return nil, err
	}
	p, mapping, key, err := openField(file, object, path)
	if err != nil {
		return nil, err
	}
	n := p.comment(mark)
	if n < 0 {
		return file, nil
	}
	name, _, err := entry(mapping, key)
	if err != nil {
		return nil, err
	}
	if name == nil || name.Line != n+2 {
		return nil, &Fault{n + 1, "below this comment there is no " + path + " any more: remove the comment by hand", ErrUnsafe}
	}
	at := slices.Index(mapping.Content, name)
	left := with(mapping, slices.Delete(slices.Clone(mapping.Content), at, at+2))
	out := p.lines.remove(n, n+2)
	return out.bytes(), verify(out, p.swapped(mapping, left), n+1)
}

// openField finds the mapping that has, or can get, a field.
func openField(file []byte, object ID, path string) (p *page, mapping *yaml.Node, key string, err error) {
	if p, err = open(file); err != nil {
		return nil, nil, "", err
	}
	doc, err := p.find(object)
	if err != nil {
		return nil, nil, "", err
	}
	keys := strings.Split(path, ".")
	mapping, err = p.block(doc, keys[:len(keys)-1]...)
	return p, mapping, keys[len(keys)-1], err
}

// comment is the line of the comment "# mark", -1 where there is none.
func (p *page) comment(mark string) int {
	for n := range p.lines {
		if p.lines.isComment(n) && strings.TrimSpace(p.lines[n].text) == "# "+mark {
			return n
		}
	}
	return -1
}

// child returns the value of a key of a mapping, or an item of a list, whose key is its index.
func child(node *yaml.Node, key string) (*yaml.Node, error) {
	if node.Kind != yaml.SequenceNode {
		_, value, err := entry(node, key)
		return value, err
	}
	i, err := strconv.Atoi(key)
	if err != nil || i < 0 || i >= len(node.Content) {
		return nil, unsafe(node, "this list has no item %s", key)
	}
	return node.Content[i], nil
}

// RemoveObject removes an object from a file, with the comments of its document. Nothing is left where it was the only one.
func RemoveObject(file []byte, object ID) ([]byte, error) {
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	doc, err := p.find(object)
	if err != nil {
		return nil, err
	}
	first, last := p.around(doc)
	want := slices.DeleteFunc(slices.Clone(p.docs), func(d *yaml.Node) bool { return d == doc })
	if len(want) == 0 {
		return nil, nil
	}
	out := p.lines.remove(first, last)
	return out.bytes(), verify(out, want, first+1)
}

// around is the lines of a document, from the "---" above it to the one below it.
func (p *page) around(doc *yaml.Node) (first, last int) {
	first = doc.Line - 1
	for first > 0 && !p.lines.isMarker(first) {
		first--
	}
	for last = doc.Line; last < len(p.lines) && !p.lines.isMarker(last); last++ {
	}
	return first, last
}
