package migrate

import (
	"errors"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
)

// ErrNoEntry says that a folder does not say how its cluster follows Git.
var ErrNoEntry = errors.New("no entry")

// Fleet is a folder with Flux objects: the checkout with the clusters, or what is delivered to them. Paths are slash-separated and
// relative to its top.
type Fleet struct {
	Dir   string   // absolute
	Files []string // that Git tracks, sorted
	Read  func(file string) ([]byte, error)
	// FluxVersion is the release that clusters run, or are to run: a version or a range. Where it is empty the files say it.
	FluxVersion string
}

func (f *Fleet) tree() *kustomize.Tree {
	return &kustomize.Tree{Files: f.Files, Root: ".", Read: f.Read}
}

func (f *Fleet) below(dir string) []string { return f.tree().Below(dir) }

func (f *Fleet) hasFolder(dir string) bool { return len(f.below(dir)) > 0 }

// hasKustomization reports whether a kustomization chooses between a folder and a file in it.
func (f *Fleet) hasKustomization(folder, file string) bool {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if slices.ContainsFunc(kustomize.FileNames(), func(n string) bool { return f.tree().Has(path.Join(dir, n)) }) {
			return true
		}
		if dir == folder || dir == "." {
			return false
		}
	}
}

// Clusters are the folders of clusters/ whose entry can be found, at any depth; names that begin with _ or . are templates.
func (f *Fleet) Clusters() []string {
	var found []string
	for _, file := range f.below("clusters") {
		parts := strings.Split(file, "/")
		if len(parts) < 3 || strings.HasPrefix(parts[1], "_") || strings.HasPrefix(parts[1], ".") {
			continue
		}
		if dir := path.Join("clusters", parts[1]); !slices.Contains(found, dir) && f.isEntry(file, dir) {
			found = append(found, dir)
		}
	}
	return found
}

// isEntry reports whether a file lets a cluster follow its folder.
func (f *Fleet) isEntry(file, folder string) bool {
	if path.Base(file) == syncFile {
		return true
	}
	if !manifest.IsYAML(file) {
		return false
	}
	data, err := f.Read(file)
	if err != nil || !strings.Contains(string(data), "FluxInstance") && !strings.Contains(string(data), kustomizeGroup) {
		return false
	}
	docs, _ := manifest.Parse(manifest.UTF8(data))
	return slices.ContainsFunc(docs, func(doc *yaml.Node) bool {
		return isKind(doc, "FluxInstance", "fluxcd.controlplane.io/") || isKind(doc, "Kustomization", kustomizeGroup) &&
			appliesFolder(doc, folder)
	})
}

// document is the one at a place, nil where there is none.
func (f *Fleet) document(at place) *yaml.Node {
	data, err := f.Read(at.File)
	if err != nil {
		return nil
	}
	docs, _ := manifest.Parse(manifest.UTF8(data))
	for _, doc := range docs {
		if doc.Line == at.Line {
			return doc
		}
	}
	return nil
}

// variantText is the variant of a Kustomization as its file writes it, with ${VARIABLES}, or the variant itself where the file writes the
// path in another way.
func (f *Fleet) variantText(a *applier, root, variant string) string {
	doc := f.document(a.place)
	if doc == nil {
		return "./" + variant
	}
	written := repositoryPath(manifest.Text(manifest.At(doc, "spec", "path")))
	if root == "." {
		return "./" + written
	}
	if rest, ok := strings.CutPrefix(written, root+"/"); ok {
		return "./" + rest
	}
	return "./" + variant
}

// placeOf is where an object that a folder builds is written. Generated ones have no place of their own.
func (c *content) placeOf(r *resource.Resource) place {
	origin, err := r.GetOrigin()
	if err != nil || origin == nil || origin.Path == "" {
		return place{File: c.folder, Repo: c.repo}
	}
	file := path.Join(c.folder, origin.Path)
	data, err := c.files.Read(file)
	if err != nil {
		return place{File: file, Repo: c.repo}
	}
	docs, _ := manifest.Parse(manifest.UTF8(data))
	for _, doc := range docs {
		if manifest.Text(manifest.Field(doc, "kind")) == r.GetKind() && manifest.Text(manifest.At(doc, "metadata", "name")) == r.OrgId().Name {
			return place{file, doc.Line, c.repo}
		}
	}
	return place{File: file, Repo: c.repo}
}
