package check

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Origin is a checkout as Walk sees it, and the part of it that may become an artifact. Paths are slash-separated and
// relative to the workspace.
type Origin struct {
	FS       fs.FS    // the workspace, confined
	Files    []string // the regular files that Git tracks, sorted
	Root     string   // folder that becomes the artifact's root
	Paths    []string // what the component consists of
	External bool     // whether references are followed out of Paths, as far as Root
}

// Edge is why a file is needed. Builds start at a folder; all else is named by a line of another file.
type Edge struct {
	Start string `json:"start,omitempty"` // folder whose build takes the file by itself
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
	Field string `json:"field,omitempty"`
}

// Reached is what builds read.
type Reached struct {
	Files map[string]Edge // by file; of several edges the first that was met
	// Absent are paths that references name and Git does not track: what appears there changes the build.
	Absent []string
}

// Concerns tells whether builds may change with a file: one that is read, or one that was missing.
func (r Reached) Concerns(file string) bool {
	if _, read := r.Files[file]; read {
		return true
	}
	if path.Base(file) == ".sourceignore" {
		below := prefix(path.Dir(file))
		for name := range r.Files {
			if strings.HasPrefix(name, below) {
				return true
			}
		}
	}
	return slices.ContainsFunc(r.Absent, func(absent string) bool { return file == absent || strings.HasPrefix(file, absent+"/") })
}

// Starts are the folders at or below paths that hold a kustomization: what Run looks at, reachable from a variant or not.
func (o Origin) Starts() []string {
	var starts []string
	for _, file := range o.Files {
		if dir := path.Dir(file); isKustomization(file) && o.holds(file) && !slices.Contains(starts, dir) {
			starts = append(starts, dir)
		}
	}
	return starts
}

// Walk follows what the builds of folders refer to, as far as it is tracked, by the same rules by which Run judges
// references. What is wrong with a reference is for Run to say: here it only leads nowhere.
func Walk(ctx context.Context, o Origin, starts []string) (Reached, error) {
	w := &walker{Origin: o, read: map[string]*kustomization{}, followed: map[string]bool{}, out: Reached{Files: map[string]Edge{}}}
	for _, dir := range starts {
		if err := ctx.Err(); err != nil {
			return Reached{}, err
		}
		if err := w.start(dir); err != nil {
			return Reached{}, err
		}
	}
	slices.Sort(w.out.Absent)
	w.out.Absent = slices.Compact(w.out.Absent)
	return w.out, nil
}

// walker is one walk. Other than Run's, its paths are relative to the workspace.
type walker struct {
	Origin
	read     map[string]*kustomization // by folder; nil for one without
	followed map[string]bool           // folders whose kustomization was
	out      Reached
}

func (w *walker) has(file string) bool {
	_, found := slices.BinarySearch(w.Files, file)
	return found
}

// below returns the files in a folder, which are neighbours because they share the text before the slash.
func (w *walker) below(dir string) []string {
	if dir == "." {
		return w.Files
	}
	from, _ := slices.BinarySearch(w.Files, dir+"/")
	to, _ := slices.BinarySearch(w.Files, dir+"0") // '0' comes after '/'
	return w.Files[from:to]
}

// holds tells whether a file is one of the component's own.
func (o Origin) holds(file string) bool {
	return slices.ContainsFunc(o.Paths, func(p string) bool { return p == "." || p == file || strings.HasPrefix(file, p+"/") })
}

// start follows a folder that a cluster builds: its kustomization, else like Flux every YAML below it.
func (w *walker) start(dir string) error {
	from := Edge{Start: dir}
	if found, err := w.folder(dir, from); found || err != nil {
		return err
	}
	taken := false
	for _, name := range w.below(dir) {
		top, err := w.topKustomization(dir, path.Dir(name))
		if err != nil {
			return err
		}
		ext := path.Ext(name)
		switch {
		case top != "":
			if _, err := w.folder(top, from); err != nil {
				return err
			}
		case ext == ".yaml" || ext == ".yml":
			w.add(name, from)
		default:
			continue
		}
		taken = true
	}
	// A folder may be there for its path alone.
	for _, name := range w.below(dir) {
		if !taken {
			w.add(name, from)
		}
	}
	return nil
}

// topKustomization is the highest folder with a kustomization between a folder and one in it.
func (w *walker) topKustomization(start, dir string) (string, error) {
	found := ""
	for ; dir != start && dir != "."; dir = path.Dir(dir) {
		k, err := w.kustomization(dir)
		if err != nil {
			return "", err
		}
		if k != nil {
			found = dir
		}
	}
	return found, nil
}

func (w *walker) add(file string, why Edge) {
	if _, known := w.out.Files[file]; !known {
		w.out.Files[file] = why
	}
}

// folder takes a folder's kustomization and follows it, false when there is none. Kustomize refuses a folder with two of
// them, which only shows if both are taken along.
func (w *walker) folder(dir string, why Edge) (bool, error) {
	k, err := w.kustomization(dir)
	if k == nil || err != nil {
		return false, err
	}
	if w.followed[dir] {
		return true, nil
	}
	w.followed[dir] = true
	for _, name := range kustomizationNames() {
		if file := path.Join(dir, name); w.has(file) {
			w.add(file, why)
		}
	}
	for _, r := range k.refs {
		if err := w.reference(dir, k.file, r); err != nil {
			return true, err
		}
	}
	return true, nil
}

func kustomizationNames() []string {
	return []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
}

// kustomization reads that of a folder, nil when it has none. One that does not parse refers to nothing.
func (w *walker) kustomization(dir string) (*kustomization, error) {
	if k, known := w.read[dir]; known {
		return k, nil
	}
	var k *kustomization
	for _, name := range kustomizationNames() {
		file := path.Join(dir, name)
		if !w.has(file) {
			continue
		}
		docs, err := w.parse(file)
		if err != nil {
			return nil, err
		}
		if k == nil {
			k = &kustomization{file: file}
		}
		for _, doc := range docs {
			k.collect(doc)
		}
	}
	w.read[dir] = k
	return k, nil
}

// parse reads a YAML file of the checkout. One that is no YAML is as good as empty.
func (w *walker) parse(file string) ([]*yaml.Node, error) {
	data, err := readIn(w.FS, file)
	docs, _ := parse(toUTF8(data))
	return docs, err
}

// readIn reads a file of the checkout, which is empty where it is gone or too large: packing and the gate say so.
func readIn(checkout fs.FS, file string) ([]byte, error) {
	f, err := checkout.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(data) > maxFile {
		return nil, err
	}
	return data, nil
}

// reference follows one reference, which is read from dir and stands in file.
func (w *walker) reference(dir, file string, r reference) error {
	target, ok := w.target(dir, r)
	if !ok {
		return nil
	}
	why := Edge{File: file, Line: r.line, Field: r.field}
	switch {
	case w.has(target):
		if w.External || w.holds(target) {
			w.add(target, why)
		}
	case r.dir && (w.External || w.holds(target)):
		found, err := w.folder(target, why)
		if err != nil {
			return err
		}
		if !found {
			w.out.Absent = append(w.out.Absent, target)
		}
	case !r.maybe && w.External:
		w.out.Absent = append(w.out.Absent, target)
	}
	if r.isPlugin() {
		return w.plugins(dir, target, map[string]bool{})
	}
	return nil
}

// target is where a local reference leads, false when that is not within the root, as the artifact will see it.
func (w *walker) target(dir string, r reference) (string, bool) {
	if isRemote(r.path) || path.IsAbs(r.path) || filepath.IsAbs(r.path) {
		return "", false
	}
	inside := path.Join(relative(w.Root, dir), r.path)
	if inside == ".." || strings.HasPrefix(inside, "../") {
		return "", false
	}
	return path.Join(w.Root, inside), true
}

// plugins follows what the configuration of plugins names, be it one file or the resources of a folder. Kustomize reads
// that from dir, where the plugins are named.
func (w *walker) plugins(dir, target string, visited map[string]bool) error {
	if visited[target] {
		return nil
	}
	visited[target] = true
	if !w.has(target) {
		k, err := w.kustomization(target)
		if k == nil || err != nil {
			return err
		}
		for _, r := range k.refs {
			next, ok := w.target(target, r)
			if ok && r.dir {
				if err := w.plugins(dir, next, visited); err != nil {
					return err
				}
			}
		}
		return nil
	}
	docs, err := w.parse(target)
	if err != nil {
		return err
	}
	plugin := &kustomization{file: target}
	for _, doc := range docs {
		plugin.collectPlugin(doc, 0)
	}
	for _, r := range plugin.refs {
		if err := w.reference(dir, target, r); err != nil {
			return err
		}
	}
	return nil
}
