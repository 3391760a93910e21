// Package fileset writes generated files. It promises that what a person wrote, or changed in a generated file, is not lost, and
// says what writing over it would lose. Files appear whole or not at all. What is in the files belongs to others.
package fileset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
)

// marker begins the first line of a generated file. The hash of what follows comes after it.
const marker = "# keos-oci: "

// File is one generated file.
type File struct {
	Path    string // slash-separated, relative to the folder that files are written into
	Content []byte
}

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
	sum := sha256.Sum256(plain(body))
	return hex.EncodeToString(sum[:8])
}

// plain has the line ends of a generated text: Git may change them in a checkout, and that is no edit.
func plain(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

// Body is a file without the line, whether it had one, and whether nobody edited it since.
func Body(file []byte) (body []byte, marked, intact bool) {
	rest, marked := bytes.CutPrefix(file, []byte(marker))
	if !marked {
		return file, false, false
	}
	sum, body, _ := bytes.Cut(rest, []byte("\n"))
	return body, true, string(bytes.TrimSpace(sum)) == hash(body)
}

// Compare compares a file with the text that would be generated.
func Compare(file, generated []byte) State {
	body, marked, intact := Body(file)
	switch {
	case bytes.Equal(plain(body), plain(generated)):
		return Same
	case intact:
		return Ours
	case marked && includes(body, generated):
		return Kept
	}
	return Theirs
}

// CompareGolden is Compare for files that are to be equal to a reference, byte for byte: they have no line, and one that
// differs is a person's.
func CompareGolden(file, generated []byte) State {
	if bytes.Equal(file, generated) {
		return Same
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

// includes reports whether a text has every object of a generated one, with at least its fields and their values.
func includes(body, generated []byte) bool {
	have, err := objects(body)
	if err != nil {
		return false
	}
	want, err := objects(generated)
	if err != nil {
		return false
	}
	for _, w := range want {
		h, n := find(have, w)
		if n != 1 || !covers(h.value, w.value) {
			return false
		}
	}
	return true
}

// find returns the object with the identity of another one, and how many there are: of two of one name nobody knows which a cluster takes.
func find(all []object, like object) (found object, n int) {
	for _, o := range all {
		if o.identity == like.identity {
			found, n = o, n+1
		}
	}
	return found, n
}

// covers reports whether a value has all that another one has. Lists have to be as long: what was added to one changes its meaning.
func covers(have, want any) bool {
	switch w := want.(type) {
	case map[any]any:
		h, ok := have.(map[any]any)
		for key, value := range w {
			inside, has := h[key]
			ok = ok && has && covers(inside, value)
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
