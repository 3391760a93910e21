// Package kustomize reads kustomizations: what they refer to, what is built from them, and what remote bases become. It promises to read
// them as kustomize does, or to say where it cannot tell. Whether what it finds may be published is for others to say.
package kustomize

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/manifest"
)

// MaxFile bounds what is read of one file, in bytes. Flux itself refuses artifacts far smaller than that.
const MaxFile = 16 << 20

// Tree is the files of a checkout or of an artifact, as builds see them. It reads a kustomization when it first needs it. Paths are
// slash-separated and relative to the top.
type Tree struct {
	Files    []string // sorted
	Root     string   // folder above which no reference may climb
	Paths    []string // what belongs to the component; none for all
	External bool     // whether references are followed out of Paths, as far as Root

	// Read returns a file's content: nothing for one that is gone or too large, which others find wrong.
	Read func(file string) ([]byte, error)

	folders map[string]*Kustomization // by folder; nil for one without
	plugins map[string]*Kustomization // by file
}

// InFolder reads the files of a checkout.
func InFolder(checkout fs.FS) func(string) ([]byte, error) {
	return func(file string) ([]byte, error) { return readIn(checkout, file) }
}

func readIn(checkout fs.FS, file string) ([]byte, error) {
	f, err := checkout.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil || len(data) > MaxFile {
		return nil, err
	}
	return data, nil
}

// FileNames are the names by which kustomize knows its files, in the order in which it looks for them.
func FileNames() []string {
	return []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
}

// IsFile reports whether a file is a kustomization by its name.
func IsFile(name string) bool { return slices.Contains(FileNames(), path.Base(name)) }

// Has reports whether the tree has a file.
func (t *Tree) Has(file string) bool {
	_, found := slices.BinarySearch(t.Files, file)
	return found
}

// Below returns the files in a folder, which are neighbours because they share the text before the slash.
func (t *Tree) Below(dir string) []string {
	if dir == "." {
		return t.Files
	}
	from, _ := slices.BinarySearch(t.Files, dir+"/")
	to, _ := slices.BinarySearch(t.Files, dir+"0") // '0' comes after '/'
	return t.Files[from:to]
}

// Contains reports whether a file belongs to the component.
func (t *Tree) Contains(file string) bool {
	return len(t.Paths) == 0 ||
		slices.ContainsFunc(t.Paths, func(p string) bool { return p == "." || p == file || strings.HasPrefix(file, p+"/") })
}

// Folders are those of the component with a kustomization, sorted.
func (t *Tree) Folders() []string {
	var folders []string
	for _, file := range t.Files {
		if IsFile(file) && t.Contains(file) {
			folders = append(folders, path.Dir(file))
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// At is the kustomization of a folder, nil when it has none. Kustomize refuses a folder with two of them; here they count as one. One
// that does not parse refers to nothing.
func (t *Tree) At(dir string) (*Kustomization, error) {
	if k, known := t.folders[dir]; known {
		return k, nil
	}
	for _, name := range FileNames() {
		file := path.Join(dir, name)
		if !t.Has(file) {
			continue
		}
		data, err := t.Read(file)
		if err != nil {
			return nil, err
		}
		k, _ := Parse(file, data)
		t.Put(k)
	}
	if t.folders[dir] == nil {
		t.put(dir, nil)
	}
	return t.folders[dir], nil
}

// Put adds a kustomization that was read already.
func (t *Tree) Put(k *Kustomization) {
	dir := path.Dir(k.Name)
	if first := t.folders[dir]; first != nil {
		first.References = append(first.References, k.References...)
		return
	}
	t.put(dir, k)
}

func (t *Tree) put(dir string, k *Kustomization) {
	if t.folders == nil {
		t.folders = map[string]*Kustomization{}
	}
	t.folders[dir] = k
}

// Top is the highest folder with a kustomization between a folder that is built and one in it, "" for none: Flux takes that one and
// looks no deeper.
func (t *Tree) Top(start, dir string) (string, error) {
	found := ""
	for ; dir != start && dir != "."; dir = path.Dir(dir) {
		k, err := t.At(dir)
		if err != nil {
			return "", err
		}
		if k != nil {
			found = dir
		}
	}
	return found, nil
}

// Target is where a local reference from a folder leads, false when that is not below the root.
func (t *Tree) Target(dir string, r Reference) (string, bool) {
	if IsRemote(r.Path) || path.IsAbs(r.Path) || filepath.IsAbs(r.Path) {
		return "", false
	}
	inside := path.Join(relative(t.Root, dir), r.Path)
	if inside == ".." || strings.HasPrefix(inside, "../") {
		return "", false
	}
	return path.Join(t.Root, inside), true
}

// Plugins lists the configurations of plugins to which a reference leads, be it one file or the resources of a folder. The
// kustomizations of such folders come before what they list.
func (t *Tree) Plugins(target string) ([]*Kustomization, error) {
	var found []*Kustomization
	err := t.collectPlugins(target, map[string]bool{}, &found)
	return found, err
}

func (t *Tree) collectPlugins(target string, visited map[string]bool, found *[]*Kustomization) error {
	if visited[target] {
		return nil
	}
	visited[target] = true
	if t.Has(target) {
		plugin, err := t.plugin(target)
		*found = append(*found, plugin)
		return err
	}
	k, err := t.At(target)
	if k == nil || err != nil {
		return err
	}
	*found = append(*found, k)
	for _, r := range k.References {
		next, ok := t.Target(target, r)
		if !ok || !r.Dir {
			continue
		}
		if err := t.collectPlugins(next, visited, found); err != nil {
			return err
		}
	}
	return nil
}

// plugin reads a file with the configuration of plugins.
func (t *Tree) plugin(file string) (*Kustomization, error) {
	if k, known := t.plugins[file]; known {
		return k, nil
	}
	data, err := t.Read(file)
	if err != nil {
		return nil, err
	}
	docs, _ := manifest.Parse(manifest.UTF8(data))
	k := &Kustomization{Name: file, Plugin: true}
	for _, doc := range docs {
		k.collectPlugin(doc, 0)
	}
	if t.plugins == nil {
		t.plugins = map[string]*Kustomization{}
	}
	t.plugins[file] = k
	return k, nil
}

// relative is the way from a folder to a file, both below the root.
func relative(dir, file string) string {
	rel, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(file))
	if err != nil {
		return file
	}
	return filepath.ToSlash(rel)
}
