package fileset

import (
	"errors"
	"os"
	"path"
)

// Replace writes a file in a folder beside its place and moves it there, so that a fault leaves nothing half-written. The folders above it
// are made.
func Replace(root *os.Root, name string, content []byte) error {
	beside, err := Beside(root, name, content)
	if err != nil {
		return err
	}
	return root.Rename(beside, name)
}

// Beside writes what is to replace a file next to it, with the permissions of the file, and returns where. Nothing is left of it where
// the error is not nil.
func Beside(root *os.Root, name string, content []byte) (beside string, err error) {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return "", err
	}
	beside = path.Join(path.Dir(name), "."+path.Base(name)+".keos-oci")
	// What is there is of a killed run, or a link that somebody put there to have another file written.
	if err := root.Remove(beside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	f, err := root.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, modeOf(root, name))
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, root.Remove(beside))
	}
	return beside, nil
}

// modeOf keeps the permissions of a file that is replaced.
func modeOf(root *os.Root, name string) os.FileMode {
	if info, err := root.Stat(name); err == nil {
		return info.Mode().Perm()
	}
	return 0o644
}
