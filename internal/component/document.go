package component

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits on what a config file may make us do. A real one has a few hundred values.
const (
	maxConfigBytes   = 1 << 20
	maxAliasedValues = 10_000
	maxDepth         = 100
	maxViolations    = 50
)

// document is the YAML of a config file, which knows the line of each value.
type document struct {
	file  string
	last  int // the last line
	root  *yaml.Node
	found []Violation
}

// parseDocument reads the one YAML document in data, strictly: no duplicate keys, no merge keys, no endless aliases.
func parseDocument(file string, data []byte) (*document, error) {
	d := &document{file: file, last: lastLine(data)}
	if line := unreadableLine(data); line > 0 {
		return nil, d.failAt(line, "not a text in UTF-8")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var node, second yaml.Node
	if err := decoder.Decode(&node); err != nil && !errors.Is(err, io.EOF) {
		return nil, d.failAt(syntaxError(err, data))
	}
	if node.Kind == 0 {
		return nil, d.failAt(1, "the file is empty: it needs apiVersion and kind")
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, d.failAt(second.Line, "a second document: the file may hold only one")
	} else if !errors.Is(err, io.EOF) {
		return nil, d.failAt(syntaxError(err, data))
	}
	d.root = node.Content[0]
	walk := &walker{doc: d}
	walk.node(d.root, nil, 0, false)
	return d, d.err()
}

// add notes a fault of the value at path.
func (d *document) add(path []string, format string, args ...any) {
	d.addAt(d.line(path), path, format, args...)
}

func (d *document) addAt(line int, path []string, format string, args ...any) {
	d.found = append(d.found, d.violation(line, path, format, args...))
}

func (d *document) violation(line int, path []string, format string, args ...any) Violation {
	return Violation{File: d.file, Line: min(line, d.last), Path: d.text(path), Message: fmt.Sprintf(format, args...)}
}

// err returns what was noted so far, or nil.
func (d *document) err() error {
	if len(d.found) == 0 {
		return nil
	}
	slices.SortStableFunc(d.found, func(a, b Violation) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.Path, b.Path)) })
	found := slices.Compact(d.found)
	return &ConfigError{Violations: found[:min(len(found), maxViolations)]}
}

// failAt is the error of a file that cannot be read any further.
func (d *document) failAt(line int, message string) error {
	return &ConfigError{Violations: []Violation{{File: d.file, Line: min(line, max(d.last, 1)), Message: message}}}
}

// line returns the line of the key at path, of the list's item, or of what comes nearest to it.
func (d *document) line(path []string) int {
	if d.root == nil {
		return 0
	}
	node, line := d.root, d.root.Line
	for _, step := range path {
		at, next := child(node, step)
		if next == nil {
			return line
		}
		node, line = next, at
	}
	return line
}

// value returns the node at path, nil where there is none.
func (d *document) value(path ...string) *yaml.Node {
	if d.root == nil {
		return nil
	}
	node := d.root
	for _, step := range path {
		_, node = child(node, step)
		if node == nil {
			return nil
		}
	}
	return resolve(node)
}

// child returns the value at a key or an index of node, and the line of the key or the item.
func child(node *yaml.Node, step string) (int, *yaml.Node) {
	node = resolve(node)
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if resolve(node.Content[i]).Value == step {
				return node.Content[i].Line, node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i].Line, node.Content[i]
		}
	}
	return 0, nil
}

// resolve follows an alias to its anchor.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// walker visits every value once for each way that leads to it, as a reader of the file would.
type walker struct {
	doc     *document
	open    []*yaml.Node // the anchored values we are within
	aliased int
}

// node checks a value, and says whether the whole file is still worth reading.
func (w *walker) node(node *yaml.Node, path []string, depth int, aliased bool) bool {
	if aliased {
		w.aliased++
	}
	if w.aliased > maxAliasedValues || depth > maxDepth {
		w.doc.addAt(node.Line, nil, "nested or repeated by aliases too often")
		return false
	}
	if node.Anchor != "" {
		w.open = append(w.open, node)
		defer func() { w.open = w.open[:len(w.open)-1] }()
	}
	switch node.Kind {
	case yaml.AliasNode:
		return w.alias(node, path, depth)
	case yaml.MappingNode:
		return w.mapping(node, path, depth, aliased)
	case yaml.SequenceNode:
		for i, item := range node.Content {
			if !w.node(item, with(path, strconv.Itoa(i)), depth+1, aliased) {
				return false
			}
		}
	}
	return true
}

func (w *walker) alias(node *yaml.Node, path []string, depth int) bool {
	if slices.Contains(w.open, node.Alias) {
		w.doc.addAt(node.Line, path, "the alias *%s contains itself", node.Value)
		return false
	}
	return w.node(node.Alias, path, depth+1, true)
}

func (w *walker) mapping(node *yaml.Node, path []string, depth int, aliased bool) bool {
	first := make(map[string]int, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := resolve(node.Content[i])
		at := with(path, key.Value)
		switch line, seen := first[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			w.doc.addAt(key.Line, path, "a key must be a plain text")
			return false
		case key.Tag == "!!merge":
			w.doc.addAt(key.Line, path, "merge keys (<<) are not supported: write the values out")
			return false
		case seen:
			w.doc.addAt(node.Content[i].Line, at, "given twice, first on line %d", line)
		}
		first[key.Value] = node.Content[i].Line
		if !w.node(node.Content[i+1], at, depth+1, aliased) {
			return false
		}
	}
	return true
}

// with appends without touching the array that path shares with its siblings.
func with(path []string, steps ...string) []string {
	return append(slices.Clip(slices.Clone(path)), steps...)
}

// text writes a path as a reader would: components.frontend.paths[0], with keys quoted where they need it.
func (d *document) text(path []string) string {
	var b strings.Builder
	node := d.root
	for _, step := range path {
		if node != nil && resolve(node).Kind == yaml.SequenceNode {
			b.WriteString("[" + step + "]")
		} else {
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(quoteKey(step))
		}
		if node != nil {
			_, node = child(node, step)
		}
	}
	return b.String()
}

func quoteKey(key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`.[]":`, r) }) {
		return strconv.Quote(key)
	}
	return key
}

// unreadableLine returns the first line with a byte that YAML cannot hold, else 0.
func unreadableLine(data []byte) int {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) || bytes.ContainsFunc(line, isControl) {
			return i + 1
		}
	}
	return 0
}

func isControl(r rune) bool { return r < 0x20 && r != '\t' && r != '\r' || r == 0x7f }

// syntaxError takes the line out of an error of the YAML library, and puts it right.
func syntaxError(err error, data []byte) (int, string) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, message = n, text
		}
		// The library counts from 0 what its parser, unlike its scanner, finds wrong.
		if regexp.MustCompile(`^did not find expected (key|node content|'|<)`).MatchString(message) {
			line++
		}
	}
	if rest, ok := strings.CutPrefix(message, "unknown anchor '"); ok { // which comes without a line
		anchor, _, _ := strings.Cut(rest, "'")
		if before, _, found := bytes.Cut(data, []byte("*"+anchor)); found {
			line = bytes.Count(before, []byte("\n")) + 1
		}
	}
	return line, message
}

// lastLine returns the last line with any text, by all that YAML takes for a line break. A fault of what is missing at
// the end of the file is found there, and not on the line after it.
func lastLine(data []byte) int {
	breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	return strings.Count(strings.TrimRight(breaks.Replace(string(data)), "\n"), "\n") + 1
}

// plain turns YAML into what a JSON schema can be checked against. Keys and what YAML takes for a date stay texts.
func plain(node *yaml.Node) any {
	node = resolve(node)
	switch node.Kind {
	case yaml.MappingNode:
		object := make(map[string]any, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			object[resolve(node.Content[i]).Value] = plain(node.Content[i+1])
		}
		return object
	case yaml.SequenceNode:
		list := make([]any, len(node.Content))
		for i, item := range node.Content {
			list[i] = plain(item)
		}
		return list
	}
	return scalar(node)
}

// isJSON reports whether JSON has the value: it has no infinities.
func isJSON(v any) bool {
	f, ok := v.(float64)
	return !ok || !math.IsInf(f, 0) && !math.IsNaN(f)
}

func scalar(node *yaml.Node) any {
	switch node.ShortTag() {
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		var v any
		if err := node.Decode(&v); err == nil && isJSON(v) {
			return v
		}
	}
	return node.Value
}
