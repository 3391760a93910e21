package yamledit

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// AddDocument appends a document to a file, below the lines "---" and "# mark". It returns the same bytes when the document is
// there, and ErrConflict when the document with the mark has other content.
func AddDocument(file []byte, mark string, body []byte) ([]byte, error) {
	if err := checkMark(mark); err != nil {
		return nil, err
	}
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	node, lines, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	if first, last := p.document(mark); first >= 0 {
		if i := p.within(first, last); len(i) != 1 || !same(p.docs[i[0]], node) {
			return nil, &Fault{first + 1, "the document below # " + mark + " has other content", ErrConflict}
		}
		return file, nil
	}
	out := p.lines.insert(len(p.lines), append([]string{"---", "# " + mark}, lines...)...)
	if err := verify(out, append(slices.Clone(p.docs), node), max(1, len(p.lines))); err != nil {
		return nil, err
	}
	if undone, err := removeDocument(out.bytes(), mark); err != nil || string(undone.bytes()) != string(file) {
		return nil, &Fault{max(1, len(p.lines)), "what is added here could not be removed exactly", ErrUnsafe}
	}
	return out.bytes(), nil
}

// RemoveDocument removes the document below a mark, whatever its content. Without one it returns the same bytes.
func RemoveDocument(file []byte, mark string) ([]byte, error) {
	if err := checkMark(mark); err != nil {
		return nil, err
	}
	out, err := removeDocument(file, mark)
	if err != nil {
		return nil, err
	}
	return out.bytes(), nil
}

func removeDocument(file []byte, mark string) (sheet, error) {
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	first, last := p.document(mark)
	if first < 0 {
		return p.lines, nil
	}
	inside := p.within(first, last)
	want := slices.DeleteFunc(slices.Clone(p.docs), func(doc *yaml.Node) bool { return p.isWithin(doc, first, last) })
	out := p.lines.remove(first, last)
	if len(inside) > 1 {
		return nil, unsafe(p.docs[inside[1]], "this is a second document below # %s", mark)
	}
	return out, verify(out, want, first+1)
}

// document is the lines of the document with a mark, from its "---"; -1 when there is none.
func (p *page) document(mark string) (first, last int) {
	for n := 1; n < len(p.lines); n++ {
		if p.lines[n].text != "# "+mark || !p.lines.isMarker(n-1) || !strings.HasPrefix(p.lines[n-1].text, "---") {
			continue
		}
		for last = n + 1; last < len(p.lines) && !p.lines.isMarker(last); last++ {
		}
		return n - 1, last
	}
	return -1, -1
}

// within lists the documents that begin on these lines.
func (p *page) within(first, last int) []int {
	var out []int
	for i, doc := range p.docs {
		if p.isWithin(doc, first, last) {
			out = append(out, i)
		}
	}
	return out
}

func (p *page) isWithin(doc *yaml.Node, first, last int) bool {
	return doc.Line > first+1 && doc.Line <= last
}

// parseBody reads the only document of a text, and its lines without "---".
func parseBody(body []byte) (*yaml.Node, []string, error) {
	docs, err := manifest.Parse(body)
	if err != nil {
		line, message := manifest.Fault(body, err)
		return nil, nil, &Fault{line, "the new document is not YAML: " + message, ErrUnsafe}
	}
	if len(docs) != 1 {
		return nil, nil, &Fault{1, "the new document must be exactly one", ErrUnsafe}
	}
	lines := newSheet(body)
	if lines[0].text == "---" {
		lines = lines[1:]
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		if lines.isMarker(i) {
			return nil, nil, &Fault{i + 1, "the new document must be exactly one", ErrUnsafe}
		}
		out[i] = l.text
	}
	return docs[0], out, nil
}
