package yamledit

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// TestSetFieldOfRandomFiles changes every single value of generated files, and changes it back.
func TestSetFieldOfRandomFiles(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	set := 0
	for range runs / 2 {
		text := []byte(randomForm(r, randomFile(r)))
		docs, err := manifest.Parse(text)
		if err != nil {
			continue
		}
		for i, doc := range docs {
			id := (&editing{T: t, text: text}).objects()[i]
			for _, s := range scalars(doc, nil) {
				if len(s.keys) > 1 && s.keys[0] != "metadata" && setField(t, text, id, i, s) {
					set++
				}
			}
		}
	}
	if t.Logf("%d fields", set); set < runs {
		t.Errorf("only %d fields were set", set)
	}
}

func setField(t *testing.T, text []byte, id ID, at int, s scalar) bool {
	t.Helper()
	keys := s.keys
	after, err := SetField(text, id, keys, "new: value")
	if err != nil {
		return false
	}
	was, err := decodeAll(text)
	if err != nil {
		return false
	}
	is, err := decodeAll(after)
	if err != nil {
		t.Fatalf("%v:\n%s", err, after)
	}
	last := len(keys) - 1
	dig(was[at], keys[:last]...).(map[string]any)[keys[last]] = "new: value"
	if !reflect.DeepEqual(is, was) {
		t.Fatalf("%v: got\n%s\nfrom\n%s", keys, after, text)
	}
	if s.node.Style&quoteStyles != 0 {
		if back, err := SetField(after, id, keys, s.node.Value); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%v: changed back, got %v\n%s\nwant\n%s", keys, err, back, text)
		}
	}
	return true
}

type scalar struct {
	keys []string
	node *yaml.Node
}

// scalars lists single values and the keys that lead to them.
func scalars(node *yaml.Node, keys []string) []scalar {
	var out []scalar
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		inner := append(slices.Clone(keys), node.Content[i].Value)
		if node.Content[i+1].Kind == yaml.ScalarNode {
			out = append(out, scalar{inner, node.Content[i+1]})
		}
		out = append(out, scalars(node.Content[i+1], inner)...)
	}
	return out
}
