// Package fileset decides whether a generated file may be written over. It promises that what a person wrote, or changed in a generated file, is
// not lost. Where files are, and what is in them, belongs to others.
package fileset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"

	"sigs.k8s.io/yaml"
)

// marker begins the first line of a generated file. The hash of what follows stands behind it.
const marker = "# keos-oci: "

// State is what a file is to what would be generated in its place.
type State int

// The states. Kept is a file that somebody edited and in which each generated field has the value that it would get now. Theirs is a file
// that a person or another tool wrote, or in which a generated field was edited.
const (
	Same State = iota
	Ours
	Kept
	Theirs
)

// Mark puts the line with the hash before a generated text.
func Mark(body []byte) []byte {
	return append([]byte(marker+hash(body)+"\n"), body...)
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}

// Body is a file without the line, and whether nobody edited it since.
func Body(file []byte) (body []byte, marked, intact bool) {
	rest, marked := bytes.CutPrefix(file, []byte(marker))
	if !marked {
		return file, false, false
	}
	sum, body, _ := bytes.Cut(rest, []byte("\n"))
	return body, true, string(bytes.TrimSpace(sum)) == hash(body)
}

// Compare finds out what a file is to the text that would be generated.
func Compare(file, generated []byte) State {
	body, marked, intact := Body(file)
	switch {
	case bytes.Equal(body, generated):
		return Same
	case intact:
		return Ours
	case marked && holds(body, generated):
		return Kept
	}
	return Theirs
}

// Edit gives a changed file its line anew, if nobody else had edited it.
func Edit(before, after []byte) []byte {
	if _, _, intact := Body(before); !intact {
		return after
	}
	body, _, _ := Body(after)
	return Mark(body)
}

// holds reports whether a text has every object of a generated one, with at least its fields and their values.
func holds(body, generated []byte) bool {
	have, err := objects(body)
	if err != nil {
		return false
	}
	want, err := objects(generated)
	if err != nil {
		return false
	}
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || identity(h) == identity(w) && covers(h, w)
		}
		if !found {
			return false
		}
	}
	return true
}

func objects(text []byte) ([]map[string]any, error) {
	var list []map[string]any
	for _, doc := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		var object map[string]any
		if err := yaml.Unmarshal(doc, &object); err != nil {
			return nil, err
		}
		if object != nil {
			list = append(list, object)
		}
	}
	return list, nil
}

// identity is the kind, name and namespace of an object.
func identity(object map[string]any) [3]any {
	metadata, _ := object["metadata"].(map[string]any)
	return [3]any{object["kind"], metadata["name"], metadata["namespace"]}
}

// covers reports whether a value has all that another one has. Lists have to be as long: what was added to one changes its meaning.
func covers(have, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for key, value := range w {
			ok = ok && covers(h[key], value)
		}
		return ok
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			return false
		}
		for i := range w {
			ok = ok && covers(h[i], w[i])
		}
		return ok
	}
	return reflect.DeepEqual(have, want)
}
