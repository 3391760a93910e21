// Package yamledit changes YAML files of people: what it does not change stays byte for byte: comments, order, quotes, line ends.
//
// A file is parsed to find lines. Lines are inserted, removed or changed, and the outcome is parsed again: it must be the original with
// exactly the asked change. Each addition is also taken out again before it is returned, and must give the original bytes. A file for which
// this fails is refused with a line. Which change a file needs is for others to say.
package yamledit

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// Why a file is not edited. All errors but those about arguments are a *Fault.
var (
	ErrUnsafe   = errors.New("cannot be edited safely")
	ErrConflict = errors.New("has other content")
	ErrMissing  = errors.New("is missing")
)

// Fault is a reason not to edit a file, with its line from 1. It wraps ErrUnsafe, ErrConflict or ErrMissing.
type Fault struct {
	Line    int
	Message string
	kind    error
}

func (f *Fault) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.Message) }

func (f *Fault) Unwrap() error { return f.kind }

// ID identifies a Kubernetes object in a file. An empty Namespace matches any; an object without a namespace matches every Namespace.
type ID struct{ Group, Kind, Namespace, Name string }

func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return id.Kind + " " + id.Namespace + "/" + id.Name
}

// page is a file: its lines and its documents.
type page struct {
	lines sheet
	docs  []*yaml.Node
}

func open(file []byte) (*page, error) {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(file, []byte(mark)) {
			return nil, &Fault{1, "the file is UTF-16: save it as UTF-8", ErrUnsafe}
		}
	}
	docs, err := manifest.Parse(file)
	if err != nil {
		line, message := manifest.Fault(file, err)
		return nil, &Fault{line, "the file is not YAML: " + message, ErrUnsafe}
	}
	return &page{newSheet(file), docs}, nil
}

// find returns the only object of a file with this ID.
func (p *page) find(id ID) (*yaml.Node, error) {
	var found *yaml.Node
	exact := false
	for _, doc := range p.docs {
		if !id.matches(doc) {
			continue
		}
		same := id.Namespace != "" && manifest.Text(manifest.At(doc, "metadata", "namespace")) == id.Namespace
		switch {
		case found != nil && exact == same:
			return nil, unsafe(doc, "%s is also on line %d: keep one of them", id, found.Line)
		case found == nil || same:
			found, exact = doc, same
		}
	}
	if found == nil {
		return nil, &Fault{1, fmt.Sprintf("the file has no %s", id), ErrMissing}
	}
	return found, nil
}

func (id ID) matches(doc *yaml.Node) bool {
	group, _, grouped := strings.Cut(manifest.Text(manifest.Field(doc, "apiVersion")), "/")
	if !grouped {
		group = ""
	}
	namespace := manifest.Text(manifest.At(doc, "metadata", "namespace"))
	return id.Kind != "" && id.Name != "" && group == id.Group && manifest.Text(manifest.Field(doc, "kind")) == id.Kind &&
		manifest.Text(manifest.At(doc, "metadata", "name")) == id.Name &&
		(id.Namespace == "" || namespace == "" || namespace == id.Namespace)
}

// block follows keys, and indexes of lists, to a mapping with one key on each line.
func (p *page) block(node *yaml.Node, keys ...string) (*yaml.Node, error) {
	if err := own(node, "the document"); err != nil {
		return nil, err
	}
	for _, key := range keys {
		value, err := child(node, key)
		if err != nil {
			return nil, err
		}
		if value == nil {
			return nil, &Fault{node.Line, fmt.Sprintf("%s is missing", key), ErrMissing}
		}
		if err := own(value, key); err != nil {
			return nil, err
		}
		node = value
	}
	if node.Kind != yaml.MappingNode || node.Style&yaml.FlowStyle != 0 || len(node.Content) == 0 {
		return nil, unsafe(node, "this is not a mapping with one key on each line")
	}
	return node, nil
}

// own refuses what other places share.
func own(node *yaml.Node, what string) error {
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		return unsafe(node, "%s is shared with other places by an anchor or alias: write it out", what)
	}
	return nil
}

// entry returns a key that a mapping itself has, and its value.
func entry(mapping *yaml.Node, key string) (name, value *yaml.Node, err error) {
	if mapping.Kind != yaml.MappingNode {
		return nil, nil, unsafe(mapping, "this is not a mapping")
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		k := manifest.Resolve(mapping.Content[i])
		if k.Kind != yaml.ScalarNode || k.Value != key {
			continue
		}
		if name != nil {
			return nil, nil, unsafe(k, "%s is also on line %d: keep one of them", key, name.Line)
		}
		name, value = mapping.Content[i], mapping.Content[i+1]
	}
	if merged := manifest.Field(mapping, key); name == nil && merged != nil {
		return nil, nil, unsafe(merged, "%s comes from a merge key (<<): write it out", key)
	}
	if name != nil && name.Kind == yaml.AliasNode {
		return nil, nil, unsafe(name, "the key %s is an alias: write it out", key)
	}
	return name, value, nil
}

// verify checks that the text is YAML with these documents.
func verify(text sheet, want []*yaml.Node, line int) error {
	fault := &Fault{line, "the lines here cannot be edited without changing something else: write one key or item on each line, " +
		"and end the file with a newline", ErrUnsafe}
	docs, err := manifest.Parse(text.bytes())
	if err != nil || len(docs) != len(want) {
		return fault
	}
	for i := range docs {
		if !same(docs[i], want[i]) {
			return fault
		}
	}
	return nil
}

// swapped is the documents with one node in the place of another.
func (p *page) swapped(old, now *yaml.Node) []*yaml.Node {
	out := make([]*yaml.Node, len(p.docs))
	for i, doc := range p.docs {
		out[i] = swap(doc, old, now)
	}
	return out
}

func swap(node, old, now *yaml.Node) *yaml.Node {
	if node == old {
		return now
	}
	for i, child := range node.Content {
		if changed := swap(child, old, now); changed != child {
			node = with(node, append(append(node.Content[:i:i], changed), node.Content[i+1:]...))
		}
	}
	return node
}

// with is a node with other content.
func with(node *yaml.Node, content []*yaml.Node) *yaml.Node {
	c := *node
	c.Content = content
	return &c
}

// same compares what nodes mean, and through which anchors. An empty list or mapping means the same as none.
func same(a, b *yaml.Node) bool {
	if empty(a) && empty(b) {
		return true
	}
	if a.Kind != b.Kind || a.ShortTag() != b.ShortTag() || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !same(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

func empty(node *yaml.Node) bool {
	if node.Kind == yaml.ScalarNode {
		return node.Anchor == "" && node.ShortTag() == "!!null"
	}
	return node.Anchor == "" && node.Kind != yaml.AliasNode && len(node.Content) == 0
}

func unsafe(node *yaml.Node, format string, args ...any) error {
	return &Fault{node.Line, fmt.Sprintf(format, args...), ErrUnsafe}
}
