package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// WriteKeyPair makes a key pair and writes both files or none. It looks first whether the files can be made, and asks for
// the password then.
func WriteKeyPair(privateFile, publicFile string, password func() ([]byte, error)) error {
	for _, file := range []string{privateFile, publicFile} {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: choose another name with --output-key-prefix", file)
		}
	}
	secret, err := password()
	if err != nil {
		return err
	}
	private, public, err := GenerateKey(secret)
	if err != nil {
		return err
	}
	if err := writeNew(privateFile, private, 0o600); err != nil {
		return err
	}
	if err := writeNew(publicFile, public, 0o644); err != nil {
		return errors.Join(err, os.Remove(privateFile)) // the next run can make both
	}
	return nil
}

// writeNew writes a file that is not there yet. If it fails, it leaves no file behind.
func writeNew(file string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}
