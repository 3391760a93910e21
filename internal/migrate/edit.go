package migrate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/stratio/keos-oci/internal/fileset"
)

// Change is one file of the fleet before and after a phase. A file that is new has no Before. One of which nothing is left goes.
type Change struct {
	File   string `json:"file"`
	Before []byte `json:"-"`
	After  []byte `json:"-"`
}

// edits collects changes of files.
type edits struct {
	fleet *Fleet
	files map[string]*Change
}

func newEdits(f *Fleet) *edits { return &edits{f, map[string]*Change{}} }

// edit changes a file that may have been changed already.
func (e *edits) edit(file string, change func([]byte) ([]byte, error)) error {
	c := e.files[file]
	if c == nil {
		data, err := e.fleet.Read(file)
		if err != nil {
			return err
		}
		c = &Change{file, data, data}
		e.files[file] = c
	}
	after, err := change(c.After)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c.After = after
	return nil
}

// now is a file as it is after the edits so far.
func (e *edits) now(file string) ([]byte, error) {
	if c := e.files[file]; c != nil {
		return c.After, nil
	}
	return e.fleet.Read(file)
}

// put gives a file that may be new its content, or takes it away where the content is nil.
func (e *edits) put(file string, content []byte) error {
	if e.files[file] == nil {
		before, err := e.fleet.Read(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		e.files[file] = &Change{File: file, Before: before}
	}
	e.files[file].After = content
	return nil
}

// changes lists the files that are not as before, sorted. Those that go are last, so that no kustomization lists a file that is gone.
func (e *edits) changes() []Change {
	list := []Change{}
	for _, file := range slices.Sorted(maps.Keys(e.files)) {
		if c := e.files[file]; !bytes.Equal(c.Before, c.After) {
			list = append(list, *c)
		}
	}
	slices.SortStableFunc(list, func(a, b Change) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// rank is 1 for a file that goes.
func rank(c Change) int {
	if len(c.After) == 0 {
		return 1
	}
	return 0
}

// copyWith makes a copy of the fleet's files with changes in it, and gives it with what removes it.
func (f *Fleet) copyWith(changes []Change) (copied *Fleet, remove func(), err error) {
	dir, err := os.MkdirTemp("", "keos-oci-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	after, files := map[string][]byte{}, slices.Clone(f.Files)
	for _, c := range changes {
		after[c.File] = c.After
		if c.Before == nil && !slices.Contains(files, c.File) {
			files = append(files, c.File)
		}
	}
	files = slices.DeleteFunc(files, func(file string) bool {
		data, changed := after[file]
		return changed && len(data) == 0
	})
	for _, file := range files {
		data, changed := after[file]
		if !changed {
			if data, err = f.Read(file); err != nil {
				break
			}
		}
		full := filepath.Join(dir, filepath.FromSlash(file))
		if err = errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, data, 0o600)); err != nil {
			break
		}
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	slices.Sort(files)
	read := func(file string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, filepath.FromSlash(file))) }
	return &Fleet{Dir: dir, Files: files, Read: read, FluxVersion: f.FluxVersion}, remove, nil
}

// ErrEdited says that somebody edited a file while a phase was planned.
var ErrEdited = errors.New("was edited meanwhile: run it again")

// Write puts changes into the checkout. Each file is whole, before or after; a run that ends between two files is completed by the next.
// A file that is not as it was when the change was made is left alone, and ends the run with ErrEdited.
func Write(dir string, changes []Change) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, c := range changes {
		if err := writeOne(root, c); err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
	}
	return nil
}

func writeOne(root *os.Root, c Change) error {
	info, err := root.Lstat(c.File)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Before == nil:
		return errors.Join(root.MkdirAll(path.Dir(c.File), 0o755), fileset.Replace(root, c.File, c.After))
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("is no regular file")
	}
	now, err := root.ReadFile(c.File)
	switch {
	case err != nil:
		return err
	case len(c.After) > 0 && bytes.Equal(now, c.After):
		return nil
	case c.Before == nil || !bytes.Equal(now, c.Before):
		return ErrEdited
	case len(c.After) == 0:
		return root.Remove(c.File)
	}
	return fileset.Replace(root, c.File, c.After)
}
