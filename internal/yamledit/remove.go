package yamledit

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// RemoveObject removes the document of an object, with its comments and the "---" before it. Without the object it returns the same bytes.
// What is left has no documents where the file had no other.
func RemoveObject(file []byte, object ID) ([]byte, error) {
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	doc, err := p.find(object)
	if errors.Is(err, ErrMissing) {
		return file, nil
	}
	if err != nil {
		return nil, err
	}
	first, last := doc.Line-1, doc.Line
	for first > 0 && !p.lines.isMarker(first-1) {
		first--
	}
	for last < len(p.lines) && !p.lines.isMarker(last) {
		last++
	}
	switch {
	case first > 0 && (last == len(p.lines) || first-1 > 0):
		first-- // the marker before it, unless it begins the file and the next document's takes its place
	case last < len(p.lines):
		last++
	}
	want := slices.DeleteFunc(slices.Clone(p.docs), func(d *yaml.Node) bool { return d == doc })
	out := p.lines.remove(first, last)
	return out.bytes(), verify(out, want, first+1)
}

// RemoveComments removes the lines that are comments and begin with "# " and a prefix.
func RemoveComments(file []byte, prefix string) ([]byte, error) {
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(slices.Clone(p.lines), func(l line) bool { return strings.HasPrefix(strings.TrimSpace(l.text), "# "+prefix) })
	return out.bytes(), verify(out, p.docs, 1)
}
