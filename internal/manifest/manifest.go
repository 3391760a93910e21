// Package manifest reads YAML and JSON as people and programs write them, and keeps the lines. What a document means is for others to say.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxAliases bounds how many aliases lead to one another.
const maxAliases = 256

// Parse reads all documents of a YAML or JSON text. It never panics.
func Parse(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("yaml: parser panic: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// Fault is the line and the text of an error of Parse. The parser leaves the line out on the first line, and for bytes that are no text.
func Fault(data []byte, err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	return errorLine(data, message), regexp.MustCompile(`^line \d+: `).ReplaceAllString(message, "")
}

func errorLine(data []byte, message string) int {
	if match := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(message); match != nil {
		n, _ := strconv.Atoi(match[1])
		if strings.Contains(message, "did not find expected") {
			n++ // the parser, other than the scanner, counts lines from zero
		}
		return n
	}
	for at, r := range string(data) {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return LineAt(data, at)
		}
	}
	return 1
}

// LineAt is the line, from 1, of the byte at an offset.
func LineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte("\n")) }

// UTF8 makes UTF-16 readable, which a YAML parser accepts and a search for bytes does not.
func UTF8(data []byte) []byte {
	little := bytes.HasPrefix(data, []byte{0xff, 0xfe})
	if !little && !bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return data
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		lo, hi := data[i], data[i+1]
		if !little {
			lo, hi = hi, lo
		}
		units = append(units, uint16(lo)|uint16(hi)<<8)
	}
	return []byte(string(utf16.Decode(units)))
}

// IsYAML reports whether a file is YAML or JSON by its name.
func IsYAML(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// Resolve follows aliases.
func Resolve(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < maxAliases; i++ {
		n = n.Alias
	}
	return n
}

// Field returns the value of a mapping's key, nil when there is none. Of a key given twice the last one counts.
func Field(n *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	for _, p := range Pairs(n) {
		if p.Key.Value == key {
			found = p.Value
		}
	}
	return found
}

// At follows keys from a mapping into those within it.
func At(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		n = Field(n, key)
	}
	return n
}

// Text returns a scalar's value, "" for anything else.
func Text(n *yaml.Node) string {
	if n = Resolve(n); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// Pair is an entry of a mapping.
type Pair struct{ Key, Value *yaml.Node }

// Pairs lists a mapping's entries, those behind merge keys first.
func Pairs(n *yaml.Node) []Pair {
	budget := 1000 // merge keys can be built to multiply
	return mergedPairs(n, &budget)
}

func mergedPairs(n *yaml.Node, budget *int) []Pair {
	n = Resolve(n)
	if *budget--; n == nil || n.Kind != yaml.MappingNode || *budget < 0 {
		return nil
	}
	var merged []Pair
	out := make([]Pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := Resolve(n.Content[i]), Resolve(n.Content[i+1])
		if key.Value != "<<" {
			out = append(out, Pair{key, value})
			continue
		}
		merged = append(merged, mergedPairs(value, budget)...)
		for _, item := range Items(value) {
			merged = append(merged, mergedPairs(item, budget)...)
		}
	}
	return append(merged, out...)
}

// Items lists a sequence's elements, none of anything else.
func Items(n *yaml.Node) []*yaml.Node {
	if n = Resolve(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// LineOfKey is the line of the first key of this name at any depth, 0 when there is none.
func LineOfKey(n *yaml.Node, key string) int {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Value == key {
			return child.Line
		}
		if found := LineOfKey(child, key); found > 0 {
			return found
		}
	}
	return 0
}
