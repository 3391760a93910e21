package flux

import (
	"reflect"
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

// endOf is the line after a block that begins at line first: the last one at column or deeper, blank lines apart.
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
	if j > 0 { // only the first key is behind the dash
		m.dash = -1
	}
	text, err := s.render(pair(key, v), m)
	if err != nil {
		return err
	}
	s.setLines(key.Line-1, last, text)
	return nil
}

// sheet is the lines of a file. A line that is removed becomes empty and new ones are appended to the line before them, so
// that the numbers of lines hold throughout.
type sheet struct {
	lines []string // with their line ends
	end   string   // \n or \r\n
}
