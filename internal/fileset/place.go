package fileset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/stratio/keos-oci/internal/exit"
)

// Place is where a file that a flag names is in a checkout. The file must not leave the checkout, neither by its path nor by a symbolic
// link.
func Place(root *os.Root, flag, file string) (string, error) {
	outside := fmt.Errorf("%w: --%s %s is no place for a file of the checkout %s", exit.ErrUsage, flag, file, root.Name())
	full, err := absolute(file)
	if err != nil {
		return "", err
	}
	name, err := filepath.Rel(root.Name(), full)
	if err != nil || !filepath.IsLocal(name) || name == "." {
		return "", outside
	}
	name = filepath.ToSlash(name)
	if top, _, _ := strings.Cut(name, "/"); strings.EqualFold(top, ".git") {
		return "", outside
	}
	return name, plainIn(root, flag, name)
}

// plainIn refuses a file that is something else already, or that is behind a symbolic link.
func plainIn(root *os.Root, flag, name string) error {
	part := ""
	for step := range strings.SplitSeq(name, "/") {
		part = path.Join(part, step)
		info, err := root.Lstat(part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("%w: --%s: %w", exit.ErrUsage, flag, err)
		case info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%w: --%s %s: %s is a symbolic link", exit.ErrUsage, flag, name, part)
		case part == name && !info.Mode().IsRegular(), part != name && !info.IsDir():
			return fmt.Errorf("%w: --%s %s: %s is there already, and is something else", exit.ErrUsage, flag, name, part)
		}
	}
	return nil
}

// absolute is a path without the links that lead to the working directory: Git names the top of a checkout without them, too.
func absolute(file string) (string, error) {
	if filepath.IsAbs(file) {
		return filepath.Clean(file), nil
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return "", err
	}
	if here, err = filepath.EvalSymlinks(here); err != nil {
		return "", err
	}
	return filepath.Join(here, file), nil
}
