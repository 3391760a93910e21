package migrate

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// name is that of an object in a cluster.
type name struct{ Namespace, Name string }

func (n name) String() string { return n.Namespace + "/" + n.Name }

// sorted are the names that a map has.
func sorted[T any](of map[name]T) []name {
	return slices.SortedFunc(maps.Keys(of), compareNames)
}

func compareNames(a, b name) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// place is where something is written: in the fleet's checkout, or in that of a workspace, which Repo then names.
type place struct {
	File string
	Line int
	Repo string
}

// here reports whether a place is in the fleet's checkout, so that it can be edited.
func (p place) here() bool { return p.Repo == "" && p.Line > 0 }

// where is its file, with the workspace in front.
func (p place) where() string {
	if p.Repo != "" {
		return p.Repo + ":" + p.File
	}
	return p.File
}

// artifact is an OCIRepository of a cluster.
type artifact struct {
	URL, Tag string
	at       place
}

// source is a GitRepository of a cluster.
type source struct {
	name
	place
	URL    string
	Branch string // "" for a tag or a commit, which Ref then has
	Ref    string
	Login  string // name of its Secret
}

// use is an object that takes something from a GitRepository.
type use struct {
	place
	what   string // kind and name
	source name
}

// applier is a Flux Kustomization of a cluster, after the variables of the one that applies it are replaced.
type applier struct {
	name
	place
	object map[string]any
	Source name
	Kind   string // of the source
	Path   string
	Parent *applier // nil for the entry
	// managed says that Flux applies it, so that a change of its file reaches the cluster.
	managed bool
	set     string // the ResourceSet that makes it, "" where it is written
	values  map[string]string
	content *content // that it applies, nil where it is not here
}

func sourceOf(object map[string]any, at place) source {
	spec, _ := object["spec"].(map[string]any)
	ref, _ := spec["ref"].(map[string]any)
	login, _ := spec["secretRef"].(map[string]any)
	s := source{name: nameOf(object), place: at, URL: text(spec, "url"), Branch: text(ref, "branch"), Login: text(login, "name")}
	for _, key := range []string{"commit", "name", "semver", "tag"} {
		if v := text(ref, key); v != "" {
			s.Branch, s.Ref = "", key+" "+v
		}
	}
	if s.Branch == "" && s.Ref == "" {
		s.Branch = "master" // Flux's default
	}
	return s
}

func applierOf(object map[string]any, at place, parent *applier) *applier {
	spec, _ := object["spec"].(map[string]any)
	ref, _ := spec["sourceRef"].(map[string]any)
	a := &applier{name: nameOf(object), place: at, object: object, Kind: text(ref, "kind"), Path: text(spec, "path"), Parent: parent}
	a.Source = name{cmp.Or(text(ref, "namespace"), a.Namespace), text(ref, "name")}
	return a
}

func artifactOf(object map[string]any, from place) artifact {
	ref := texts(object, "spec", "ref")
	return artifact{fmt.Sprint(at(object, "spec", "url")), cmp.Or(ref["digest"], ref["semver"], ref["tag"], "latest"), from}
}

func nameOf(object map[string]any) name {
	metadata, _ := object["metadata"].(map[string]any)
	return name{cmp.Or(text(metadata, "namespace"), fluxNamespace), text(metadata, "name")}
}

func text(object map[string]any, key string) string {
	v, _ := object[key].(string)
	return v
}

// at follows keys into an object.
func at(object map[string]any, keys ...string) any {
	var v any = object
	for _, key := range keys {
		inside, _ := v.(map[string]any)
		v = inside[key]
	}
	return v
}

func list(object map[string]any, keys ...string) []any {
	v, _ := at(object, keys...).([]any)
	return v
}

func texts(object map[string]any, keys ...string) map[string]string {
	values := map[string]string{}
	inside, _ := at(object, keys...).(map[string]any)
	for k, v := range inside {
		values[k] = fmt.Sprint(v)
	}
	return values
}

// repositoryPath reads a path as Flux does, for which the repository is the root of the file system.
func repositoryPath(p string) string {
	if p = path.Clean("/" + p)[1:]; p != "" {
		return p
	}
	return "."
}

func within(dir, p string) bool { return dir == "." || dir == p || strings.HasPrefix(p, dir+"/") }
