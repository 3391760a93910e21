package fileset

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Loss is what writing over a file would lose of one object. Without Fields it is the whole object.
type Loss struct {
	Object string   `json:"object"`
	Fields []string `json:"fields,omitempty"`
}

// String is a loss for people.
func (l Loss) String() string {
	if len(l.Fields) == 0 {
		return l.Object
	}
	if l.Object == "" {
		return strings.Join(l.Fields, ", ")
	}
	return strings.Join(l.Fields, ", ") + " of " + l.Object
}

// Lost lists the objects and fields of a file that the generated text lacks, in the file's order of objects. A value that is
// merely another one is not among them, but words of a text and elements of a list are. Of a file that is no YAML nothing is
// known.
func Lost(file, generated []byte) []Loss {
	body, _, _ := Body(file)
	have, err := objects(body)
	if err != nil {
		return nil
	}
	want, err := objects(generated)
	if err != nil {
		return nil
	}
	var all []Loss
	for _, h := range have {
		w, n := find(want, h)
		if n == 0 {
			all = append(all, Loss{Object: h.identity.String()})
			continue
		}
		if fields := missing("", h.value, w.value); len(fields) > 0 {
			slices.Sort(fields)
			all = append(all, Loss{h.identity.String(), slices.Compact(fields)})
		}
	}
	return all
}

// missing lists the paths of what one value has and another has not.
func missing(at string, have, want any) []string {
	switch h := have.(type) {
	case map[any]any:
		w, ok := want.(map[any]any)
		if !ok {
			return []string{at}
		}
		var paths []string
		for key, value := range h {
			if inside, has := w[key]; has {
				paths = append(paths, missing(step(at, key), value, inside)...)
			} else {
				paths = append(paths, step(at, key))
			}
		}
		return paths
	case []any:
		w, ok := want.([]any)
		if !ok {
			return []string{at}
		}
		return missingItems(at, h, w)
	case string:
		if text, ok := want.(string); ok && lacksWords(text, h) {
			return []string{at}
		}
	}
	return nil
}

// missingItems pairs the elements of two lists by what they are called, else by their value, else, if they are mappings, by their order.
func missingItems(at string, have, want []any) []string {
	left := slices.Clone(want)
	var paths []string
	var unpaired []int
	for i, h := range have {
		name := called(h)
		j := slices.IndexFunc(left, func(w any) bool { return name != "" && called(w) == name || name == "" && reflect.DeepEqual(h, w) })
		switch {
		case j >= 0:
			paths = append(paths, missing(place(at, i, name), h, left[j])...)
			left = slices.Delete(left, j, j+1)
		case name == "":
			unpaired = append(unpaired, i)
		default:
			paths = append(paths, place(at, i, name))
		}
	}
	for _, i := range unpaired {
		j := slices.IndexFunc(left, func(w any) bool { return isMapping(have[i]) && isMapping(w) && called(w) == "" })
		if j < 0 {
			paths = append(paths, place(at, i, ""))
			continue
		}
		paths = append(paths, missing(place(at, i, ""), have[i], left[j])...)
		left = slices.Delete(left, j, j+1)
	}
	return paths
}

func isMapping(value any) bool {
	_, ok := value.(map[any]any)
	return ok
}

// place is the path of an element: spec.inputs[frontend], or spec.inputs[0].
func place(at string, i int, name string) string {
	if name == "" {
		name = strconv.Itoa(i)
	}
	return at + "[" + name + "]"
}

// called is how an element of a list is called: an object by its kind and name, an input by its tenant, others by their name.
func called(value any) string {
	m, _ := value.(map[any]any)
	if id := identify(m); id.kind != "" && id.name != "" {
		return id.String()
	}
	for _, key := range []any{"tenant", "name"} {
		if name, ok := m[key].(string); ok {
			return strings.TrimSpace(textOf(m["kind"]) + " " + name)
		}
	}
	return ""
}

// lacksWords reports whether a text of several words, such as an allowlist, has one that another text lacks.
func lacksWords(text, of string) bool {
	words := strings.Fields(of)
	known := strings.Fields(text)
	return len(words) > 1 && slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(known, w) })
}

// step is the path of a key: spec.prune, or metadata.annotations[example.com/owner].
func step(at string, key any) string {
	name := textOf(key)
	switch {
	case strings.ContainsAny(name, "./[] "):
		return at + "[" + name + "]"
	case at == "":
		return name
	}
	return at + "." + name
}
