// Package substitution knows the ${VARIABLES} that Flux's postBuild replaces in the objects of a Kustomization. It finds
// them in texts, separates text that merely looks alike, such as dashboards and scripts, and knows what switches the
// replacement off. It reads no files, and leaves to its callers which files count and what follows from that.
package substitution

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// Key is the annotation or label with which an object switches the replacement off.
const Key = "kustomize.toolkit.fluxcd.io/substitute"

// Reference is one ${NAME} in a text.
type Reference struct {
	Name    string
	Line    int  // in the text, from 1
	Default bool // the text says what to write where the cluster has no value
}

// References lists the variables that Flux would replace in a text. It reads $${ as an escape.
func References(text string) []Reference {
	var found []Reference
	line, counted := 1, 0
	for at := range starts(text) {
		if at > 0 && text[at-1] == '$' {
			continue
		}
		inside, _, ok := strings.Cut(text[at+2:min(len(text), at+200)], "}")
		if name := identifier(inside); ok && name != "" {
			line, counted = line+strings.Count(text[counted:at], "\n"), at
			found = append(found, Reference{name, line, hasDefault(inside[len(name):])})
		}
	}
	return found
}

// starts gives the places of all ${ in a text.
func starts(text string) func(func(int) bool) {
	return func(yield func(int) bool) {
		for from := 0; ; from += 2 {
			i := strings.Index(text[from:], "${")
			if i < 0 || !yield(from+i) {
				return
			}
			from += i
		}
	}
}

func identifier(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	if end < 0 {
		end = len(s)
	}
	if end == 0 || s[0] >= '0' && s[0] <= '9' {
		return ""
	}
	return s[:end]
}

// hasDefault reports whether what follows a variable's name gives it a value: fluxcd/pkg/envsubst reads each of these as a default.
func hasDefault(rest string) bool {
	rest = strings.TrimPrefix(rest, ":")
	return rest != "" && strings.ContainsRune("=-+?", rune(rest[0]))
}

// IsStandalone reports whether a file can be a dashboard or a script itself. Other files have them in their values.
func IsStandalone(name string) bool {
	return path.Ext(name) != ".yaml" && path.Ext(name) != ".yml" && path.Base(name) != "Kustomization"
}

// IsForeign reports whether a text is a dashboard or a script and no configuration. It looks at the name and at the beginning.
func IsForeign(name, text string) bool {
	switch path.Ext(name) {
	case ".json", ".sh", ".bash", ".py", ".lua", ".js", ".pl", ".rb", ".awk", ".groovy":
		return true
	}
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "#!") || (strings.HasPrefix(text, "{") && strings.Contains(text, `":`))
}

// IsDisabled reports whether the annotations or labels below a node, the metadata of an object or the options of a generator, switch the
// replacement off.
func IsDisabled(metadata *yaml.Node) bool {
	return manifest.Text(manifest.At(metadata, "annotations", Key)) == "disabled" ||
		manifest.Text(manifest.At(metadata, "labels", Key)) == "disabled"
}

// Variable is a variable and where it is used first. Default is false where some use gives it no value.
type Variable struct {
	Name, File string
	Line       int
	Default    bool
}

// Uses collects where ${…} is. A postBuild blanks dashboards and scripts, which use the same form. But a name that an
// ordinary manifest uses as well is Flux's in both places.
type Uses struct {
	Unseen bool // some text was not there to be read

	ordinary map[string]Variable
	foreign  map[string]map[string]int // by file and variable, the first line
}

// New returns an empty collection.
func New() *Uses {
	return &Uses{ordinary: map[string]Variable{}, foreign: map[string]map[string]int{}}
}

// Ordinary adds the variables of a text that is no dashboard or script.
func (u *Uses) Ordinary(text string) {
	u.addOrdinary("", text, func(line int) int { return line })
}

func (u *Uses) addOrdinary(file, text string, lineInFile func(int) int) {
	for _, r := range References(text) {
		v, known := u.ordinary[r.Name]
		if !known {
			v = Variable{r.Name, file, lineInFile(r.Line), true}
		}
		v.Default = v.Default && r.Default
		u.ordinary[r.Name] = v
	}
}

// Standalone adds the variables of a file that is a dashboard or a script itself, and nothing of other files.
func (u *Uses) Standalone(file string, data []byte) {
	if IsStandalone(file) && bytes.Contains(data, []byte("${")) && IsForeign(file, string(data)) {
		u.addForeign(file, string(data), func(line int) int { return line })
	}
}

// ConfigMap adds the variables in the values of a ConfigMap of a file, unless it switches the replacement off.
func (u *Uses) ConfigMap(file string, object *yaml.Node) {
	if IsDisabled(manifest.Field(object, "metadata")) {
		return
	}
	for _, e := range manifest.Pairs(manifest.Field(object, "data")) {
		if value := manifest.Text(e.Value); IsForeign(e.Key.Value, value) {
			u.addForeign(file, value, linesOf(e.Value))
		} else {
			u.addOrdinary(file, value, linesOf(e.Value))
		}
	}
}

// linesOf maps lines of a scalar's text to lines of its file. A literal block begins on the line after its indicator, and
// other texts have no lines of their own.
func linesOf(scalar *yaml.Node) func(int) int {
	return func(line int) int {
		if scalar.Style&yaml.LiteralStyle == 0 {
			return scalar.Line
		}
		return scalar.Line + line
	}
}

func (u *Uses) addForeign(file, text string, lineInFile func(int) int) {
	for _, r := range References(text) {
		if u.foreign[file] == nil {
			u.foreign[file] = map[string]int{}
		}
		if _, known := u.foreign[file][r.Name]; !known {
			u.foreign[file][r.Name] = lineInFile(r.Line)
		}
	}
}

// Files lists the files with a dashboard or a script that has variables.
func (u *Uses) Files() []string { return slices.Sorted(maps.Keys(u.foreign)) }

// Blanked lists the variables of a file that only dashboards and scripts use, so that a postBuild would blank them, and the
// line of the first.
func (u *Uses) Blanked(file string) (names []string, line int) {
	for name, at := range u.foreign[file] {
		if _, flux := u.ordinary[name]; flux {
			continue
		}
		names = append(names, name)
		if line == 0 || at < line {
			line = at
		}
	}
	slices.Sort(names)
	return names, line
}

// Variables lists those that ordinary manifests use, by name.
func (u *Uses) Variables() []Variable {
	return slices.SortedFunc(maps.Values(u.ordinary), func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
}

// Has reports whether any text uses a variable.
func (u *Uses) Has(name string) bool {
	if _, ok := u.ordinary[name]; ok {
		return true
	}
	for _, names := range u.foreign {
		if _, ok := names[name]; ok {
			return true
		}
	}
	return false
}
