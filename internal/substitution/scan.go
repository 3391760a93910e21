package substitution

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/manifest"
)

// Scan returns the variables in the files that a build reads. It finds too many rather than too few: what an overlay takes
// away again, and an annotation that an overlay adds, do not count. It takes a reference that is none of the files, such as
// a remote base, for one to text with variables that nobody sees.
func Scan(files []string, read func(file string) ([]byte, error)) (*Uses, error) {
	s := scan{uses: New(), files: files, literal: map[string]bool{}}
	contents := map[string][]byte{}
	for _, file := range files {
		data, err := read(file)
		if err != nil {
			return nil, err
		}
		contents[file] = data
		if isKustomization(file) {
			s.kustomization(file, data)
		}
	}
	for _, file := range files {
		s.file(file, contents[file])
	}
	return s.uses, nil
}

type scan struct {
	uses    *Uses
	files   []string
	literal map[string]bool // files of generators that switch the replacement off
}

func isKustomization(file string) bool {
	switch path.Base(file) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// kustomization notes the files whose text stays as it is, and references to what is not here.
func (s *scan) kustomization(file string, data []byte) {
	docs, _ := manifest.Parse(data) // the build says what is wrong
	for _, doc := range docs {
		for _, name := range []string{"resources", "bases", "components"} {
			for _, item := range manifest.Items(manifest.Field(doc, name)) {
				s.uses.Unseen = s.uses.Unseen || !s.has(path.Join(path.Dir(file), manifest.Text(item)))
			}
		}
		all := IsDisabled(manifest.Field(doc, "generatorOptions"))
		generators := slices.Concat(manifest.Items(manifest.Field(doc, "configMapGenerator")),
			manifest.Items(manifest.Field(doc, "secretGenerator")))
		for _, generator := range generators {
			if !all && !IsDisabled(manifest.Field(generator, "options")) {
				continue
			}
			for _, source := range manifest.Items(manifest.Field(generator, "files")) {
				_, name, named := strings.Cut(manifest.Text(source), "=")
				if !named {
					name = manifest.Text(source)
				}
				s.literal[path.Join(path.Dir(file), name)] = true
			}
		}
	}
}

// has reports whether a path is one of the files or has some of them below.
func (s *scan) has(name string) bool {
	return slices.ContainsFunc(s.files, func(f string) bool { return name == "." || f == name || strings.HasPrefix(f, name+"/") })
}

func (s *scan) file(name string, data []byte) {
	if s.literal[name] || !bytes.Contains(data, []byte("${")) {
		return
	}
	line := func(n int) int { return n }
	if IsStandalone(name) {
		if IsForeign(name, string(data)) {
			s.uses.addForeign(name, string(data), line)
		} else {
			s.uses.addOrdinary(name, string(data), line)
		}
		return
	}
	docs, err := manifest.Parse(data)
	if err != nil {
		s.uses.addOrdinary(name, string(data), line)
	}
	for _, doc := range docs {
		s.object(name, doc)
	}
}

// object takes the variables of an object, or of each object in a List, unless it switches the replacement off.
func (s *scan) object(file string, n *yaml.Node) {
	kind := manifest.Text(manifest.Field(n, "kind"))
	switch {
	case strings.HasSuffix(kind, "List") && len(manifest.Items(manifest.Field(n, "items"))) > 0:
		for _, item := range manifest.Items(manifest.Field(n, "items")) {
			s.object(file, item)
		}
	case IsDisabled(manifest.Field(n, "metadata")):
	case kind == "ConfigMap" && manifest.Text(manifest.Field(n, "apiVersion")) == "v1":
		s.uses.ConfigMap(file, n)
	default:
		s.texts(file, n)
	}
}

func (s *scan) texts(file string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		s.uses.addOrdinary(file, n.Value, linesOf(n))
	}
	for _, child := range n.Content { // an alias has none: its anchor counts where it is
		s.texts(file, child)
	}
}
