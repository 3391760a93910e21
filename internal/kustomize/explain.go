package kustomize

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
)

// Fault is what is wrong with a build, at the place that has to be edited. The file is relative to the tree's top, or is a folder; the
// line is 0 where nobody can say it.
type Fault struct {
	File    string
	Line    int
	Message string
}

// Place is a folder on this machine, and how messages call it.
type Place struct{ Folder, Name string }

// Hide makes the paths of a message relative to how the place is called.
func (p Place) Hide(message string) string {
	folders := []string{p.Folder}
	if real, err := filepath.EvalSymlinks(p.Folder); err == nil && real != p.Folder {
		folders = append(folders, real)
	}
	for _, f := range folders {
		message = strings.ReplaceAll(message, f+string(filepath.Separator), prefix(p.Name))
		message = strings.ReplaceAll(message, f, p.Name)
	}
	return strings.ReplaceAll(message, os.TempDir()+string(filepath.Separator), "")
}

func prefix(dir string) string {
	if dir == "." {
		return ""
	}
	return dir + "/"
}

// Explain finds what is wrong in an error of kustomize, which is a nest of sentences around the one that matters. The message may have
// values of Secrets.
func (t *Tree) Explain(err error, at Place, variant string, read Inputs) Fault {
	if f := t.syntaxError(read); f.Message != "" {
		return f
	}
	full := at.Hide(err.Error())
	f := Fault{File: t.failedIn(full, at.Name, variant), Message: Innermost(full)}
	t.locate(&f, at.Name)
	t.locateObject(&f, read)
	return f
}

// syntaxError finds the first file of a build that is no YAML. Kustomize gives the line of some of them only.
func (t *Tree) syntaxError(read Inputs) Fault {
	for _, name := range read.Parsed {
		data, err := t.Read(name)
		if err != nil {
			continue
		}
		if _, err := manifest.Parse(data); err != nil {
			line, message := manifest.Fault(data, err)
			return Fault{name, line, "not valid YAML: " + message}
		}
	}
	return Fault{}
}

// failedIn is the kustomization of the folder where a build failed.
func (t *Tree) failedIn(message, top, variant string) string {
	dir := variant
	frames := regexp.MustCompile(`(?:recursed accumulation of|couldn't make target for) path '([^']*)'`)
	if all := frames.FindAllStringSubmatch(message, -1); all != nil {
		last := all[len(all)-1][1]
		dir = path.Clean(strings.TrimPrefix(last, prefix(top)))
		if last == top {
			dir = "."
		}
	}
	for _, d := range []string{dir, variant} { // a clone is no folder of the component
		if k, err := t.At(d); err == nil && k != nil {
			return k.Name
		}
	}
	return variant
}

// locate finds the line of what a message names: a resource in the kustomization's list, an unknown field, a file.
func (t *Tree) locate(f *Fault, top string) {
	if match := regexp.MustCompile(`resources from '([^']*)'`).FindStringSubmatch(f.Message); match != nil {
		if k, err := t.At(path.Dir(f.File)); err == nil && k != nil {
			for _, r := range k.References {
				if r.Path == match[1] {
					f.Line = r.Line
				}
			}
			return
		}
	}
	if match := regexp.MustCompile(`unknown field "([^"]*)"`).FindStringSubmatch(f.Message); match != nil {
		f.Line = t.lineOfKey(f.File, match[1])
		return
	}
	if match := regexp.MustCompile(`(?:YAML from|File:) (\S+?):? `).FindStringSubmatch(f.Message + " "); match != nil {
		if name := strings.TrimPrefix(match[1], prefix(top)); t.Has(name) {
			f.File = name
		}
	}
}

func (t *Tree) lineOfKey(name, key string) int {
	for _, doc := range t.documents(name) {
		if found := manifest.LineOfKey(doc, key); found > 0 {
			return found
		}
	}
	return 0
}

func (t *Tree) documents(name string) []*yaml.Node {
	data, err := t.Read(name)
	if err != nil {
		return nil
	}
	docs, _ := manifest.Parse(data)
	return docs
}

// locateObject finds the object that a message names by kustomize's id (Kind.version.group/name.namespace), in the last
// file that has it: the patch without a target, the second of two equal ids.
func (t *Tree) locateObject(f *Fault, read Inputs) {
	match := regexp.MustCompile(`\b([A-Z]\w*)\.[^/\s"]*/([^\s"]+)\.(?:\[noNs\]|[\w-]+)`).FindStringSubmatch(f.Message)
	if match == nil {
		return
	}
	for _, name := range slices.Backward(read.Parsed) {
		if IsFile(name) {
			continue
		}
		for _, doc := range slices.Backward(t.documents(name)) {
			if manifest.Text(manifest.Field(doc, "kind")) == match[1] && manifest.Text(manifest.At(doc, "metadata", "name")) == match[2] {
				f.File, f.Line = name, doc.Line
				return
			}
		}
	}
}
