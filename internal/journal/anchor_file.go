package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenAnchor reads the file of an anchor. A file that is not there yet is an empty anchor.
func OpenAnchor(file string) (*Anchor, error) {
	raw, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return new(Anchor), nil
	case err != nil:
		return nil, err
	}
	a, err := ParseAnchor(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return a, nil
}

// Save writes the file anew, whole or not at all.
func (a *Anchor) Save(file string) (err error) {
	raw, err := a.File()
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".anchor-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	if _, err = temp.Write(raw); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err = errors.Join(temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
