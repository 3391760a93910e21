package yamledit

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// keepsLines checks that all lines are still there in their order. A line with brackets can have more in it.
func keepsLines(t *testing.T, before, after string) {
	t.Helper()
	left := strings.Split(asLF(after), "\n")
	for _, line := range strings.Split(asLF(before), "\n") {
		i := slices.IndexFunc(left, func(l string) bool { return l == line || grew(l, line) })
		if i < 0 {
			t.Fatalf("the line %q is lost or moved:\n%s", line, after)
		}
		left = left[i+1:]
	}
}

// grew reports whether a text was put into a line.
func grew(now, line string) bool {
	same := 0
	for same < len(line) && same < len(now) && line[same] == now[same] {
		same++
	}
	inserted := strings.HasSuffix(now, line[same:]) && len(now) > len(line) && same > 0
	return inserted && (strings.Contains(now, "new-") || strings.Contains(now, "# added by keos-oci"))
}

// objects identifies the documents of the text; one that is no object or not the only one has no name.
func (e *editing) objects() []ID {
	docs, err := manifest.Parse(e.text)
	if err != nil {
		e.Fatal(err)
	}
	ids := make([]ID, len(docs))
	for i, doc := range docs {
		group, _, _ := strings.Cut(manifest.Text(manifest.Field(doc, "apiVersion")), "/")
		if !strings.Contains(manifest.Text(manifest.Field(doc, "apiVersion")), "/") {
			group = ""
		}
		ids[i] = ID{group, manifest.Text(manifest.Field(doc, "kind")), manifest.Text(manifest.At(doc, "metadata", "namespace")),
			manifest.Text(manifest.At(doc, "metadata", "name"))}
	}
	return ids
}

// without removes an item from a list, and leaves null for an empty list.
func without(docs []any, at int, item any, keys ...string) []any {
	parent, ok := dig(docs[at], keys[:len(keys)-1]...).(map[string]any)
	if !ok {
		return nil
	}
	key := keys[len(keys)-1]
	list, _ := parent[key].([]any)
	i := slices.IndexFunc(list, func(other any) bool { return reflect.DeepEqual(other, item) })
	if i < 0 {
		return nil
	}
	if parent[key] = slices.Delete(list, i, i+1); len(list) == 1 {
		parent[key] = nil
	}
	return docs
}

func dig(value any, keys ...string) any {
	for _, key := range keys {
		m, _ := value.(map[string]any)
		value = m[key]
	}
	return value
}

// normal takes empty lists, empty mappings and null for the same as a missing key.
func normal(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, child := range v {
			if child = normal(child); child != nil {
				out[key] = child
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	}
	return value
}

func decodeAll(text []byte) ([]any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var all []any
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}
