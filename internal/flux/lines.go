package flux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func newSheet(content []byte) sheet {
	s := sheet{lines: strings.SplitAfter(string(content), "\n"), end: "\n"}
	if strings.Contains(string(content), "\r\n") {
		s.end = "\r\n"
	}
	return s
}

// endOf is the line after a block that begins at line first: the last one that stands at column or deeper, but for blanks.
func (s *sheet) endOf(first, column int) int {
	last := first + 1
	for n := last; n < len(s.lines); n++ {
		line := strings.TrimRight(s.lines[n], "\r\n")
		trimmed := strings.TrimLeft(line, " ")
		if trimmed == "" {
			continue
		}
		if len(line)-len(trimmed) < column || strings.HasPrefix(line, "---") {
			break
		}
		last = n + 1
	}
	return last
}

// render gives the lines of a mapping, its keys in the columns of its neighbours.
func (s *sheet) render(node *yaml.Node, m margin) (string, error) {
	raw, err := encodeOne(node, false)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		switch {
		case i == 0 && m.dash >= 0:
			out.WriteString(strings.Repeat(" ", m.dash) + "-" + strings.Repeat(" ", m.keys-m.dash-1))
		case line != "":
			out.WriteString(strings.Repeat(" ", m.keys))
		}
		out.WriteString(line + s.end)
	}
	return out.String(), nil
}

func (s *sheet) setLines(first, last int, text string) {
	for n := first; n < last; n++ {
		s.lines[n] = ""
	}
	s.lines[first] = text
}

func (s *sheet) appendLine(n int, text string) {
	if s.lines[n] != "" && !strings.HasSuffix(s.lines[n], "\n") {
		s.lines[n] += s.end
	}
	s.lines[n] += text
}

func (s *sheet) join() []byte { return []byte(strings.Join(s.lines, "")) }

// rewrite changes the lines of those keys of a mapping that differ in now. The mapping is written as a block that ends
// before line last, with its keys where m says.
func (s *sheet) rewrite(mapping, now *yaml.Node, m margin, last int) error {
	for j := 0; j+1 < len(mapping.Content); j += 2 {
		if err := s.rewriteKey(mapping, j, now, m, last); err != nil {
			return err
		}
	}
	for j := 0; j+1 < len(now.Content); j += 2 {
		if key := now.Content[j]; lookup(mapping, key.Value) == nil {
			text, err := s.render(pair(key, now.Content[j+1]), margin{-1, m.keys})
			if err != nil {
				return err
			}
			s.appendLine(last-1, text)
		}
	}
	return nil
}

// rewriteKey replaces the lines of a mapping's key at j, or removes them where now lacks the key.
func (s *sheet) rewriteKey(mapping *yaml.Node, j int, now *yaml.Node, m margin, last int) error {
	key, old := mapping.Content[j], mapping.Content[j+1]
	v := lookup(now, key.Value)
	if v != nil && reflect.DeepEqual(value(old), value(v)) {
		return nil
	}
	if j+2 < len(mapping.Content) {
		last = mapping.Content[j+2].Line - 1
	}
	for last > key.Line && strings.HasPrefix(strings.TrimSpace(s.lines[last-1]), "#") { // a comment about the next key
		last--
	}
	if v == nil {
		s.setLines(key.Line-1, last, "")
		return nil
	}
	v = styled(v, old)
	v.LineComment = old.LineComment
	if j > 0 { // only the first key stands behind the dash
		m.dash = -1
	}
	text, err := s.render(pair(key, v), m)
	if err != nil {
		return err
	}
	s.setLines(key.Line-1, last, text)
	return nil
}

// insert writes a new input after the last one.
func (d *inputsDocument) insert(node *yaml.Node) error {
	text, err := d.render(node, d.margin)
	if err != nil {
		return err
	}
	d.appendLine(d.tail-1, text)
	d.added = append(d.added, value(node))
	return nil
}

// rewriteInput changes an input to what it should be, and tells whether it was something else.
func (d *inputsDocument) rewriteInput(i int, now *yaml.Node) (bool, error) {
	e := &d.entries[i]
	after := value(now)
	if reflect.DeepEqual(value(e.node), after) {
		return false, nil
	}
	e.want = after
	if e.node.Style&yaml.FlowStyle == 0 && lookup(now, e.node.Content[0].Value) != nil { // whose key stands behind the dash
		return true, d.rewrite(e.node, now, d.margin, e.last)
	}
	text, err := d.render(now, d.margin)
	if err == nil {
		d.setLines(e.first, e.last, text)
	}
	return true, err
}

// prune removes the inputs, with the comments right above them, of components that are not kept.
func (d *inputsDocument) prune(keep func(string) bool) []string {
	var removed []string
	for i := range d.entries {
		e := &d.entries[i]
		if keep(e.name) {
			continue
		}
		first := e.first
		for i > 0 && first > d.entries[i-1].last && strings.HasPrefix(strings.TrimSpace(d.lines[first-1]), "#") {
			first--
		}
		d.setLines(first, e.last, "")
		e.want = nil
		removed = append(removed, e.name)
	}
	return removed
}

// want is what the inputs are to be in the end.
func (d *inputsDocument) want() []any {
	want := []any{}
	for _, e := range d.entries {
		if e.want != nil {
			want = append(want, e.want)
		}
	}
	return append(want, d.added...)
}

// environments is the different values of the input environment.
func (d *inputsDocument) environments() []string {
	var all []string
	for _, in := range d.want() {
		if m, ok := in.(map[string]any); ok && m["environment"] != nil {
			all = append(all, fmt.Sprint(m["environment"]))
		}
	}
	return unique(all)
}

// verify reads the file as it would be and demands that the inputs are what they should be and all else is as it was.
func (d *inputsDocument) verify(content []byte) error {
	after, err := values(content)
	if err != nil {
		return fmt.Errorf("%w: the file is written in a way that cannot be edited: %w", ErrInput, err)
	}
	want := slices.Clone(d.before)
	set, _ := want[d.at].(map[string]any)
	spec, _ := set["spec"].(map[string]any)
	spec["inputs"] = d.want()
	if !reflect.DeepEqual(want, after) {
		return fmt.Errorf("%w: the file is written in a way that cannot be edited without changing more than its inputs: write one input key on each line", ErrInput)
	}
	return nil
}

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

// clean copies a node without its comments, which speak of something else.
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

// rename puts one name in the place of another wherever it stands as a word of its own.
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

var (
	needsInput    = regexp.MustCompile(`\binputs\.([A-Za-z0-9_]+)`)
	mentionsInput = regexp.MustCompile(`\b(?:get|hasKey)\s+inputs\s+"([^"]+)"`)
)

// references lists the inputs that templates cannot do without, and all that they mention, each in the order of the text.
func references(templates ...*yaml.Node) (needed, mentioned []string) {
	var walk func(*yaml.Node)
	walk = func(node *yaml.Node) {
		for _, m := range needsInput.FindAllStringSubmatch(node.Value, -1) {
			needed = append(needed, m[1])
		}
		for _, m := range mentionsInput.FindAllStringSubmatch(node.Value, -1) {
			mentioned = append(mentioned, m[1])
		}
		for _, child := range node.Content {
			walk(child)
		}
	}
	for _, t := range templates {
		if t != nil {
			walk(t)
		}
	}
	return unique(needed), unique(append(mentioned, needed...))
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
