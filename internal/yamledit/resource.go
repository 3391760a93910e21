package yamledit

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// AddResource adds a path to the end of resources of a kustomization file. It returns the same bytes when the list has the path,
// also when it is written another way, such as ./a for a.
func AddResource(kustomization []byte, name string) ([]byte, error) {
	p, err := openResources(kustomization)
	if err != nil {
		return nil, err
	}
	for _, item := range p.items() {
		if path.Clean(manifest.Text(item)) == path.Clean(name) {
			return kustomization, nil
		}
	}
	word, err := text(name, p.style())
	if err != nil {
		return nil, err
	}
	if !p.isFlow() {
		undo := func(after []byte) (sheet, error) { return removeResource(after, name) }
		return p.add(func(column int) []string {
			return []string{strings.Repeat(" ", column) + "-" + strings.Repeat(" ", p.itemIndent()-1) + word}
		}, []*yaml.Node{stringNode(name)}, undo)
	}
	out, err := p.addInLine(word, name)
	if err != nil {
		return nil, err
	}
	if undone, err := removeResource(out.bytes(), name); err != nil || string(undone.bytes()) != string(kustomization) {
		return nil, unsafe(p.value, "what is added to resources here could not be removed exactly: write each item on its own line")
	}
	return out.bytes(), nil
}

// RemoveResource removes a path from resources of a kustomization file, and the list when AddResource created it. Without the
// path it returns the same bytes.
func RemoveResource(kustomization []byte, name string) ([]byte, error) {
	out, err := removeResource(kustomization, name)
	if err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

func removeResource(kustomization []byte, name string) (sheet, error) {
	p, err := openResources(kustomization)
	if err != nil {
		return nil, err
	}
	for i, item := range p.items() {
		switch {
		case manifest.Text(item) != name:
			continue
		case p.isFlow():
			return p.dropInLine(i)
		}
		n, column, err := p.head(i)
		if err != nil {
			return nil, err
		}
		return p.drop(i, 1, lineRange{n, p.leafEnd(n, column+1, item)})
	}
	return p.lines, nil
}

func openResources(kustomization []byte) (*place, error) {
	p, err := open(kustomization)
	if err != nil {
		return nil, err
	}
	var root *yaml.Node
	for _, doc := range p.docs {
		if doc.Kind != yaml.MappingNode {
			continue
		}
		if root != nil {
			return nil, unsafe(doc, "a kustomization is one document, and this is the second")
		}
		root = doc
	}
	if root == nil {
		return nil, &Fault{1, "the file is not a kustomization", ErrMissing}
	}
	if err := own(root, "the document"); err != nil {
		return nil, err
	}
	out, err := p.place(root, "resources", yaml.SequenceNode)
	if err != nil || out.isFlow() {
		return out, err
	}
	_, err = p.block(root)
	return out, err
}

// isFlow reports whether the list is written with brackets.
func (p *place) isFlow() bool {
	return p.value != nil && p.value.Kind == yaml.SequenceNode && p.value.Style&yaml.FlowStyle != 0
}

// style is how the items are written: between quotes when all of them have the same ones, else plain. Without items in a file
// of JSON it is the style of the keys.
func (p *place) style() yaml.Style {
	var style yaml.Style
	if p.name != nil && p.parent.Style&yaml.FlowStyle != 0 {
		style = p.name.Style & quoteStyles
	}
	for i, item := range p.items() {
		switch own := item.Style & quoteStyles; {
		case i == 0:
			style = own
		case style != own:
			return 0
		}
	}
	return style
}

// addInLine adds an item behind the last one between brackets.
func (p *place) addInLine(word, name string) (sheet, error) {
	n, from := p.value.Line-1, 0
	if items := p.value.Content; len(items) > 0 {
		last := items[len(items)-1]
		_, to, err := p.span(last)
		if err != nil {
			return nil, err
		}
		n, from, word = last.Line-1, to, ", "+word
	} else if from = p.bracket() + 1; from == 0 {
		return nil, unsafe(p.value, "resources is written in a way that cannot be edited: write each item on its own line")
	}
	out := p.lines.splice(n, from, from, word)
	grown := with(p.value, append(p.value.Content[:len(p.value.Content):len(p.value.Content)], stringNode(name)))
	return out, verify(out, p.swapped(p.value, grown), n+1)
}

// bracket is the byte of the list's opening bracket on its line, -1 when it is not where the list begins.
func (p *place) bracket() int {
	at := p.lines.offset(p.value.Line-1, p.value.Column)
	if at < 0 || !strings.HasPrefix(p.lines[p.value.Line-1].text[at:], "[") {
		return -1
	}
	return at
}

// dropInLine removes an item between brackets.
func (p *place) dropInLine(i int) (sheet, error) {
	items := p.value.Content
	from, to, err := p.span(items[i])
	if err != nil {
		return nil, err
	}
	n := items[i].Line
	switch {
	case i > 0 && items[i-1].Line == n:
		_, from, err = p.span(items[i-1])
	case i > 0 || len(items) > 1 && items[1].Line != n:
		err = unsafe(items[i], "the item is on another line than its neighbour: remove it by hand")
	case len(items) > 1:
		to, _, err = p.span(items[1])
	}
	if err != nil {
		return nil, err
	}
	out := p.lines.splice(n-1, from, to, "")
	left := with(p.value, append(items[:i:i], items[i+1:]...))
	return out, verify(out, p.swapped(p.value, left), n)
}
