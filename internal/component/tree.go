package component

import (
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/kustomize"
)

// tree is the list of tracked files, sorted, in which folders exist by what is below them.
type tree []string

func newTree(files []string) tree {
	if slices.IsSorted(files) {
		return files
	}
	sorted := slices.Clone(files)
	slices.Sort(sorted)
	return sorted
}

// below returns the files in dir and its folders. They are neighbours, since they share the text before the slash.
func (t tree) below(dir string) tree {
	if dir == "." {
		return t
	}
	prefix := dir + "/"
	from, _ := slices.BinarySearch(t, prefix)
	// '0' is the letter after '/', so that this is the first text behind all that have the prefix.
	to, _ := slices.BinarySearch(t, dir+"0")
	return t[from:to]
}

// hasDir reports whether a tracked file is below dir.
func (t tree) hasDir(dir string) bool { return len(t.below(dir)) > 0 }

// hasFile reports whether file itself is tracked.
func (t tree) hasFile(file string) bool {
	_, found := slices.BinarySearch(t, file)
	return found
}

// folders returns the names of the folders directly in dir that can be components or clusters. Names that start with
// "_" or "." are templates, by the custom of these repositories.
func (t tree) folders(dir string) []string {
	var names []string
	skip := len(dir) + 1
	if dir == "." {
		skip = 0
	}
	for _, file := range t.below(dir) {
		name, _, inFolder := strings.Cut(file[skip:], "/")
		if inFolder && name[0] != '_' && name[0] != '.' && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return names
}

// kustomizations returns the folders at or below dir that hold a kustomization, each before those within it.
func (t tree) kustomizations(dir string) []string {
	var found []string
	for _, file := range t.below(dir) {
		if kustomize.IsFile(file) {
			found = append(found, path.Dir(file))
		}
	}
	slices.SortFunc(found, comparePaths)
	return slices.Compact(found)
}

// variants returns the folders below paths that a cluster may build, relative to root: those with a kustomization that
// are not base or common, and that no other of them contains. Kustomize forbids an overlay within its own base, so that
// a kustomization within another is a part of it.
func (t tree) variants(root string, paths []string) []string {
	var variants []string
	for _, p := range paths {
		for _, folder := range t.kustomizations(p) {
			variant := relative(root, folder)
			if isBase(variant) || slices.ContainsFunc(variants, func(outer string) bool { return outer == "." || within(outer, variant) }) {
				continue
			}
			variants = append(variants, variant)
		}
	}
	slices.Sort(variants)
	return variants
}

// phases returns the phases of which root has a kustomization, in the order in which they are delivered.
func (t tree) phases(root string, paths []string) []string {
	var phases []string
	for _, phase := range []string{"controllers", "configs"} {
		folder := path.Join(root, phase)
		held := slices.ContainsFunc(paths, func(p string) bool { return within(p, folder) || within(folder, p) })
		if held && len(t.kustomizations(folder)) > 0 {
			phases = append(phases, phase)
		}
	}
	return phases
}

// isBase reports whether a folder is, or is inside, one that only other folders build on.
func isBase(folder string) bool {
	for step := range strings.SplitSeq(folder, "/") {
		if step == "base" || step == "common" {
			return true
		}
	}
	return false
}

// relative returns p as seen from root, which contains it.
func relative(root, p string) string {
	switch root {
	case ".":
		return p
	case p:
		return "."
	}
	return p[len(root)+1:]
}

// comparePaths orders a folder right before what is in it, which plain text order does not: a-b comes before a/b.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
