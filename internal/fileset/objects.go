package fileset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v2"
)

// object is one document of a file, or one of a List's items.
type object struct {
	identity identity
	value    any
}

// identity is what makes two objects the same one in a cluster. A document that is no object has none.
type identity struct{ group, kind, namespace, name string }

// String is an identity for people, such as Kustomization flux-system/shop.
func (i identity) String() string {
	name := strings.TrimPrefix(i.namespace+"/"+i.name, "/")
	return strings.TrimSpace(i.kind + " " + name)
}

// objects reads all documents of a text. The parser is one of YAML 1.1, as Kubernetes' is, so that on and "on" differ. A key
// that is there twice is an error: tools take one or the other.
func objects(text []byte) ([]object, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.SetStrict(true)
	var all []object
	for {
		var value any
		if err := dec.Decode(&value); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, unwrap(value)...)
	}
}

// unwrap gives the objects in a List, any other value itself, and nothing for a document without content.
func unwrap(value any) []object {
	m, _ := value.(map[any]any)
	items, isList := m["items"].([]any)
	if kind := textOf(m["kind"]); !isList || !strings.HasSuffix(kind, "List") {
		if value == nil {
			return nil
		}
		return []object{{identify(m), value}}
	}
	var all []object
	for _, item := range items {
		all = append(all, unwrap(item)...)
	}
	return all
}

func identify(m map[any]any) identity {
	metadata, _ := m["metadata"].(map[any]any)
	group, _, hasGroup := strings.Cut(textOf(m["apiVersion"]), "/")
	if !hasGroup {
		group = ""
	}
	return identity{group, textOf(m["kind"]), textOf(metadata["namespace"]), textOf(metadata["name"])}
}

func textOf(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
