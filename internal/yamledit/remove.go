package yamledit

import (
	"slices"
	"strings"
)

// RemoveComments removes the lines that are comments and begin with "# " and a prefix.
func RemoveComments(file []byte, prefix string) ([]byte, error) {
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(slices.Clone(p.lines), func(l line) bool { return strings.HasPrefix(strings.TrimSpace(l.text), "# "+prefix) })
	return out.bytes(), verify(out, p.docs, 1)
}
