package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// writeTo writes all files below dir.
func (t *Tree) writeTo(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	made := map[string]bool{".": true}
	for _, f := range t.Files {
		if parent := path.Dir(f.Path); !made[parent] {
			if err := root.MkdirAll(filepath.FromSlash(parent), 0o755); err != nil {
				return err
			}
			made[parent] = true
		}
		if err := t.writeFile(root, f); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return nil
}

func (t *Tree) writeFile(root *os.Root, f File) error {
	name := filepath.FromSlash(f.Path)
	switch f.Mode {
	case Submodule:
		return root.MkdirAll(name, 0o755)
	case Symlink:
		target, err := t.ReadLink(f.Path)
		if err != nil {
			return err
		}
		return root.Symlink(target, name)
	}
	data, err := t.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) && t.changed != nil {
		return nil // it was deleted from the work tree
	}
	if err != nil {
		return err
	}
	return root.WriteFile(name, data, f.Mode.fileMode())
}

func (m Mode) fileMode() fs.FileMode {
	switch m {
	case Executable:
		return 0o755
	case Symlink:
		return fs.ModeSymlink | 0o777
	case Submodule:
		return fs.ModeDir | 0o755
	}
	return 0o644
}
