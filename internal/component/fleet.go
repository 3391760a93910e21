package component

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxManifest is the size from which a file below clusters/ is not looked into. Flux's own components, the largest
// that is usual, are a tenth of it.
const maxManifest = 8 << 20

// fleet is what the clusters below a folder build.
type fleet struct {
	clusters []string // their folders
	builds   []string // folders of this repository that they build, sorted
	others   []string // folders of this repository that they build from another source, such as an older version of it
}

// fluxObject is the part of a FluxInstance or a Flux Kustomization from which it is known what a cluster builds.
type fluxObject struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Spec       struct {
		Path      string     `yaml:"path"`
		SourceRef fluxSource `yaml:"sourceRef"`
		Sync      *fluxSync  `yaml:"sync"`
	} `yaml:"spec"`
	bootstrap bool // comes from gotk-sync.yaml, by which `flux bootstrap` lets a cluster follow this repository
}

type fluxSync struct {
	fluxSource `yaml:",inline"`
	Path       string `yaml:"path"`
}

type fluxSource struct {
	Kind string `yaml:"kind"`
	Name string `yaml:"name"`
}

func (o fluxObject) isInstance() bool {
	return o.Kind == "FluxInstance" && strings.HasPrefix(o.APIVersion, "fluxcd.controlplane.io/")
}

func (o fluxObject) isKustomization() bool {
	return o.Kind == "Kustomization" && strings.HasPrefix(o.APIVersion, "kustomize.toolkit.fluxcd.io/")
}

// fleet looks for clusters in the folders of dir: those that hold a FluxInstance, a gotk-sync.yaml or a Flux
// Kustomization.
func (l *loader) fleet(dir string) (fleet, error) {
	if known, ok := l.fleets[dir]; ok {
		return known, nil
	}
	var f fleet
	for _, name := range l.tree.folders(dir) {
		cluster := path.Join(dir, name)
		objects, err := l.fluxObjects(cluster)
		if err != nil {
			return fleet{}, err
		}
		if len(objects) > 0 {
			f.clusters = append(f.clusters, cluster)
			f.builds = append(f.builds, l.builds(cluster, objects)...)
			f.others = append(f.others, l.others(cluster, objects)...)
		}
	}
	slices.Sort(f.builds)
	f.builds = slices.Compact(f.builds)
	slices.SortFunc(f.others, comparePaths)
	f.others = slices.Compact(f.others)
	l.fleets[dir] = f
	return f, nil
}

// builds returns the folders of this repository that a cluster builds from it.
func (l *loader) builds(cluster string, objects []fluxObject) []string {
	own := ownSources(cluster, objects)
	var builds []string
	for _, o := range objects {
		if o.isInstance() {
			if o.Spec.Sync != nil {
				builds = append(builds, o.Spec.Sync.Path)
			}
		} else if slices.Contains(own, o.Spec.SourceRef) || o.Spec.SourceRef.Name == defaultSource {
			builds = append(builds, o.Spec.Path)
		}
	}
	return l.foldersAt(builds)
}

// others returns the folders that a cluster builds from a source which is not that of its own folder: by the paths, they
// are this repository's, followed at a version.
func (l *loader) others(cluster string, objects []fluxObject) []string {
	own := ownSources(cluster, objects)
	var others []string
	for _, o := range objects {
		if o.isKustomization() && !slices.Contains(own, o.Spec.SourceRef) && o.Spec.SourceRef.Name != defaultSource {
			others = append(others, o.Spec.Path)
		}
	}
	return slices.DeleteFunc(l.foldersAt(others), func(p string) bool { return p == "." })
}

// foldersAt returns those paths, as Flux reads them, that are folders of this repository.
func (l *loader) foldersAt(paths []string) []string {
	folders := make([]string, len(paths))
	for i, p := range paths {
		folders[i] = repositoryPath(p)
	}
	return slices.DeleteFunc(folders, func(p string) bool { return p == "" || !l.tree.hasDir(p) })
}

// variantsOf returns the folders of a component that a cluster may build: those that clusters of this repository do build,
// and those with a kustomization that are in none of them. The first kind needs no kustomization: Flux then takes every
// YAML below it.
func (l *loader) variantsOf(d *draft) ([]string, error) {
	found := l.tree.variants(d.root, d.paths)
	if d.found {
		return found, nil
	}
	f, err := l.fleet(clustersDir)
	if err != nil {
		return nil, err
	}
	var variants []string
	for _, folder := range f.others {
		held := slices.ContainsFunc(d.paths, func(p string) bool { return within(p, folder) })
		variant := relative(d.root, folder)
		if held && !slices.ContainsFunc(variants, func(v string) bool { return within(v, variant) }) {
			variants = append(variants, variant)
		}
	}
	for _, v := range found {
		if !slices.ContainsFunc(variants, func(outer string) bool { return within(outer, v) || within(v, outer) }) {
			variants = append(variants, v)
		}
	}
	slices.Sort(variants)
	return variants, nil
}

// defaultSource is the name that both Flux Operator and `flux bootstrap` give to the source of a cluster.
const defaultSource = "flux-system"

// ownSources returns the sources that are this repository: what the FluxInstance syncs from, and what the cluster takes
// its own folder from.
func ownSources(cluster string, objects []fluxObject) []fluxSource {
	var own []fluxSource
	for _, o := range objects {
		switch {
		case o.isInstance() && o.Spec.Sync != nil:
			own = append(own, fluxSource{o.Spec.Sync.Kind, orElse(o.Spec.Sync.Name, defaultSource)})
		case o.isKustomization() && (o.bootstrap || within(cluster, repositoryPath(o.Spec.Path))):
			own = append(own, o.Spec.SourceRef)
		}
	}
	return own
}

// repositoryPath reads a path as Flux does, for which the repository is the root of the file system. It is empty where
// the path is known only in the cluster.
func repositoryPath(text string) string {
	if strings.Contains(text, "${") || strings.Contains(text, "<<") {
		return ""
	}
	if p := path.Clean("/" + text)[1:]; p != "" {
		return p
	}
	return "."
}

// fluxObjects reads the objects of Flux in a cluster's folder.
func (l *loader) fluxObjects(cluster string) ([]fluxObject, error) {
	var objects []fluxObject
	for _, file := range l.tree.below(cluster) {
		if ext := path.Ext(file); ext != ".yaml" && ext != ".yml" {
			continue
		}
		data, err := l.read(file)
		if err != nil {
			return nil, fmt.Errorf("look for clusters: %w", err)
		}
		bootstrap := path.Base(file) == "gotk-sync.yaml"
		found := parseFlux(data)
		if bootstrap && len(found) == 0 {
			found = []fluxObject{{}} // the name alone is enough, whatever is in it
		}
		for _, o := range found {
			o.bootstrap = bootstrap
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// read returns the content of a tracked file, nothing where it is not one in the work tree.
func (l *loader) read(file string) ([]byte, error) {
	info, err := fs.Lstat(l.files, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxManifest {
		return nil, nil
	}
	f, err := l.files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// parseFlux returns the Flux objects of a YAML file that make a cluster. What does not parse is none of them: templates
// often are not YAML, and whether a cluster can build them is for check to say.
func parseFlux(data []byte) []fluxObject {
	var objects []fluxObject
	for _, document := range documents(data) {
		if !mayBeFlux(document) {
			continue
		}
		var o fluxObject
		if yaml.Unmarshal(document, &o) == nil && (o.isInstance() || o.isKustomization()) {
			objects = append(objects, o)
		}
	}
	return objects
}

// mayBeFlux saves parsing: Flux's CustomResourceDefinitions, in each cluster that was bootstrapped, take 100 ms.
func mayBeFlux(document []byte) bool {
	return (bytes.Contains(document, []byte("FluxInstance")) || bytes.Contains(document, []byte("kustomize.toolkit.fluxcd.io"))) &&
		!bytes.Contains(document, []byte("\nkind: CustomResourceDefinition"))
}

// fleetIgnores are patterns for what is at the top of a fleet's repository for people and CI, not for clusters. The
// artifact is the whole repository, and without them a new README would roll out everywhere.
func fleetIgnores() []string {
	return []string{
		"/*.md", "/LICENSE*", "/NOTICE*", "/CODEOWNERS", "/Makefile", "/Taskfile.y*ml", "/Jenkinsfile", "/docs/", "/scripts/",
		"/hack/", "/.*", "/renovate.json*", "/keos-oci.y*ml",
	}
}
