package pack

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/opencontainers/go-digest"
)

// Limits bounds what Extract and Digest accept of a layer that a registry gave; zero fields mean the defaults.
type Limits struct {
	Bytes int64 // of all files together, 512 MiB by default
	Files int   // entries, 100,000 by default
}

func (l Limits) orDefault() Limits {
	if l.Bytes == 0 {
		l.Bytes = 512 << 20
	}
	if l.Files == 0 {
		l.Files = 100_000
	}
	return l
}

// ErrLayer reports a layer that is damaged, hostile or larger than the limits.
var ErrLayer = errors.New("bad layer")

// Extract unpacks the compressed layer r below dir, which must exist. Nothing is written outside dir, whatever the
// names in the archive say; only regular files and folders are accepted, and no name that Git takes for its own folder.
func Extract(ctx context.Context, r io.Reader, dir string, limits Limits) error {
	limits = limits.orDefault()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	gz, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLayer, err)
	}
	tr := tar.NewReader(gz)
	for n := 0; ; n++ {
		header, err := tr.Next()
		if err == io.EOF {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrLayer, err)
		}
		if n >= limits.Files {
			return fmt.Errorf("%w: more than %d entries", ErrLayer, limits.Files)
		}
		if limits.Bytes -= header.Size; header.Size < 0 || limits.Bytes < 0 {
			return fmt.Errorf("%w: %q: more bytes than the limit", ErrLayer, header.Name)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := extractEntry(root, tr, header); err != nil {
			return err
		}
	}
}

func extractEntry(root *os.Root, r io.Reader, header *tar.Header) error {
	if err := checkName(header.Name); err != nil {
		return fmt.Errorf("%w: %q: %w", ErrLayer, header.Name, err)
	}
	name := path.Clean(header.Name)
	if !fs.ValidPath(name) {
		return fmt.Errorf("%w: path %q leads out of the archive", ErrLayer, header.Name)
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		return writeFile(root, name, r, header)
	default:
		return fmt.Errorf("%w: %q is neither a file nor a folder", ErrLayer, header.Name)
	}
}

func writeFile(root *os.Root, name string, r io.Reader, header *tar.Header) (err error) {
	mode := fs.FileMode(0o644)
	if header.Mode&0o100 != 0 {
		mode = 0o755
	}
	// O_EXCL: a second entry of the same name must not replace or write through the first.
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.CopyN(f, r, header.Size)
	return err
}

// Digest is the digest of the uncompressed tar in the compressed layer r: the proof behind AnnotationContentDigest.
func Digest(r io.Reader, limits Limits) (digest.Digest, error) {
	limits = limits.orDefault()
	gz, err := gzip.NewReader(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrLayer, err)
	}
	hash := digest.Canonical.Digester()
	n, err := io.Copy(hash.Hash(), io.LimitReader(gz, limits.Bytes+1))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrLayer, err)
	}
	if n > limits.Bytes {
		return "", fmt.Errorf("%w: more bytes than the limit", ErrLayer)
	}
	return hash.Digest(), nil
}
