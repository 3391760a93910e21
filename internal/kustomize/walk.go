package kustomize

import (
	"context"
	"path"
	"slices"
	"strings"
)

// Edge is why a file is needed. Builds start at a folder; all else is named by a line of another file.
type Edge struct {
	Start string `json:"start,omitempty"` // folder whose build takes the file by itself
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
	Field string `json:"field,omitempty"`
}

// Inputs is what builds read.
type Inputs struct {
	Files map[string]Edge // by file; of several edges the first that was met
	// Parsed are the files that kustomize takes for YAML, in the order in which it meets them.
	Parsed []string
	// Absent are paths that references name and that are not there: what appears there changes the build.
	Absent []string
}

// Concerns reports whether builds may change with a file: one that is read, or one that was missing.
func (r Inputs) Concerns(file string) bool {
	if _, read := r.Files[file]; read {
		return true
	}
	if path.Base(file) == ".sourceignore" {
		dir := path.Dir(file)
		for name := range r.Files {
			if dir == "." || strings.HasPrefix(name, dir+"/") {
				return true
			}
		}
	}
	return slices.ContainsFunc(r.Absent, func(absent string) bool { return file == absent || strings.HasPrefix(file, absent+"/") })
}

// Walk follows what the builds of folders refer to, as far as it is there. What is wrong with a reference is for others to say: here
// it only leads nowhere.
func (t *Tree) Walk(ctx context.Context, starts ...string) (Inputs, error) {
	w := &walker{Tree: t, followed: map[string]bool{}, parsed: map[string]bool{}, out: Inputs{Files: map[string]Edge{}}}
	for _, dir := range starts {
		if err := ctx.Err(); err != nil {
			return Inputs{}, err
		}
		if err := w.start(dir); err != nil {
			return Inputs{}, err
		}
	}
	slices.Sort(w.out.Absent)
	w.out.Absent = slices.Compact(w.out.Absent)
	return w.out, nil
}

// walker is one walk.
type walker struct {
	*Tree
	followed map[string]bool // folders whose kustomization was
	parsed   map[string]bool // files that are in out.Parsed
	out      Inputs
}

// start follows a folder that a cluster builds: its kustomization, else like Flux every YAML below it.
func (w *walker) start(dir string) error {
	from := Edge{Start: dir}
	if found, err := w.folder(dir, from); found || err != nil {
		return err
	}
	taken := false
	for _, name := range w.Below(dir) {
		top, err := w.Top(dir, path.Dir(name))
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
			w.add(name, from, true)
		default:
			continue
		}
		taken = true
	}
	// A folder may be there for its path alone.
	for _, name := range w.Below(dir) {
		if !taken {
			w.add(name, from, false)
		}
	}
	return nil
}

func (w *walker) add(file string, why Edge, parsed bool) {
	if _, known := w.out.Files[file]; !known {
		w.out.Files[file] = why
	}
	if parsed && !w.parsed[file] {
		w.parsed[file] = true
		w.out.Parsed = append(w.out.Parsed, file)
	}
}

// folder takes a folder's kustomization and follows it, false when there is none. Kustomize refuses a folder with two of
// them, which only shows if both are taken along.
func (w *walker) folder(dir string, why Edge) (bool, error) {
	k, err := w.At(dir)
	if k == nil || err != nil {
		return false, err
	}
	if w.followed[dir] {
		return true, nil
	}
	w.followed[dir] = true
	for _, name := range FileNames() {
		if file := path.Join(dir, name); w.Has(file) {
			w.add(file, why, true)
		}
	}
	for _, r := range k.References {
		if err := w.reference(dir, k.Name, r); err != nil {
			return true, err
		}
	}
	return true, nil
}

// reference follows one reference, which is read from dir and is written in file.
func (w *walker) reference(dir, file string, r Reference) error {
	target, ok := w.Target(dir, r)
	if !ok {
		return nil
	}
	why := Edge{File: file, Line: r.Line, Field: r.Field}
	open := w.External || w.Contains(target)
	switch {
	case w.Has(target):
		if open {
			w.add(target, why, r.YAML)
		}
	case r.Dir && open:
		found, err := w.folder(target, why)
		if err != nil {
			return err
		}
		if !found {
			w.out.Absent = append(w.out.Absent, target)
		}
	case !r.Maybe && w.External:
		w.out.Absent = append(w.out.Absent, target)
	}
	if r.IsPlugin() {
		return w.configured(dir, target)
	}
	return nil
}

// configured follows what the configuration of plugins refers to. Kustomize reads that from dir, where the plugins are named.
func (w *walker) configured(dir, target string) error {
	plugins, err := w.Plugins(target)
	for _, k := range plugins {
		for _, r := range k.References {
			if !k.Plugin {
				break
			}
			if err := w.reference(dir, k.Name, r); err != nil {
				return err
			}
		}
	}
	return err
}
