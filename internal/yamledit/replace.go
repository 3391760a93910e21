package yamledit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Field is a scalar of an object, such as spec.path, and its value.
type Field struct{ Path, Value string }

// ReplaceFields changes scalars of an object, and writes the comment "# Mark {field: former value, …}" above the first of them, so that
// RestoreFields can take the change back. It returns the same bytes when the fields have the values and the comment is there.
func ReplaceFields(file []byte, object ID, mark string, fields []Field) ([]byte, error) {
	if err := checkMark(mark); err != nil {
		return nil, err
	}
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	if p.former(mark) >= 0 {
		return setAll(file, object, fields)
	}
	former := &yaml.Node{Kind: yaml.MappingNode}
	first := len(p.lines)
	for _, f := range fields {
		node, err := p.field(object, strings.Split(f.Path, "."))
		if err != nil {
			return nil, err
		}
		first = min(first, node.Line-1)
		former.Content = append(former.Content, stringNode(f.Path), stringNode(node.Value))
	}
	comment, err := flow(former)
	if err != nil {
		return nil, err
	}
	indent, _ := p.lines.indent(first)
	out := p.lines.insert(first, strings.Repeat(" ", indent)+"# "+mark+" "+comment)
	if err := verify(out, p.docs, first+1); err != nil {
		return nil, err
	}
	after, err := setAll(out.bytes(), object, fields)
	if err != nil {
		return nil, err
	}
	if undone, err := RestoreFields(after, object, mark); err != nil || string(undone) != string(file) {
		return nil, &Fault{first + 1, "what is changed here could not be restored exactly", ErrUnsafe}
	}
	return after, nil
}

// RestoreFields gives scalars the values that they had before ReplaceFields with this mark. Without its comment it returns the same bytes.
func RestoreFields(file []byte, object ID, mark string) ([]byte, error) {
	if err := checkMark(mark); err != nil {
		return nil, err
	}
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	n := p.former(mark)
	if n < 0 {
		return file, nil
	}
	var former yaml.Node
	_, text, _ := strings.Cut(p.lines[n].text, "# "+mark+" ")
	if err := yaml.Unmarshal([]byte(text), &former); err != nil || len(former.Content) != 1 || former.Content[0].Kind != yaml.MappingNode {
		return nil, &Fault{n + 1, "the comment does not say what the fields were before", ErrUnsafe}
	}
	var fields []Field
	for pairs := former.Content[0].Content; len(pairs) > 1; pairs = pairs[2:] {
		fields = append(fields, Field{pairs[0].Value, pairs[1].Value})
	}
	out := p.lines.remove(n, n+1)
	if err := verify(out, p.docs, n+1); err != nil {
		return nil, err
	}
	return setAll(out.bytes(), object, fields)
}

// former is the line of the comment with what fields were before, -1 where there is none.
func (p *page) former(mark string) int {
	for n := range p.lines {
		if p.lines.isComment(n) && strings.HasPrefix(strings.TrimSpace(p.lines[n].text), "# "+mark+" {") {
			return n
		}
	}
	return -1
}

func setAll(file []byte, object ID, fields []Field) (after []byte, err error) {
	after = file
	for _, f := range fields {
		if after, err = SetField(after, object, strings.Split(f.Path, "."), f.Value); err != nil {
			return nil, err
		}
	}
	return after, nil
}
