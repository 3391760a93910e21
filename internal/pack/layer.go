// Package pack turns files of a checkout into the bytes of a Flux artifact and back. The same files give the same
// bytes on every machine. It speaks to no registry and reads nothing but the file system it is handed.
package pack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Layer is the compressed content of a Tree.
type Layer struct {
	Bytes  []byte
	Digest digest.Digest
}

// Compress gives the layer of t: gzip at the default level, as fluxcd/pkg/tar writes it.
func (t *Tree) Compress(ctx context.Context) (Layer, error) {
	var buf bytes.Buffer
	hash := digest.Canonical.Digester()
	gz := gzip.NewWriter(&buf)
	if err := t.writeTar(ctx, io.MultiWriter(gz, hash.Hash())); err != nil {
		return Layer{}, err
	}
	if err := gz.Close(); err != nil {
		return Layer{}, err
	}
	if hash.Digest() != t.ContentDigest {
		return Layer{}, errors.New("the files changed while they were packed: run again")
	}
	return Layer{Bytes: buf.Bytes(), Digest: digest.FromBytes(buf.Bytes())}, nil
}

// writeTar streams the archive. Owners and times stay zero, and the format is left to archive/tar, because the headers
// must equal those that fluxcd/pkg/tar makes of an ordinary checkout.
func (t *Tree) writeTar(ctx context.Context, w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, e := range t.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.writeEntry(tw, e); err != nil {
			return &PathError{e.path, cause(err)}
		}
	}
	return tw.Close()
}

func (t *Tree) writeEntry(tw *tar.Writer, e entry) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: e.size}
	if e.dir {
		header.Typeflag = tar.TypeDir
	}
	if err := tw.WriteHeader(header); err != nil || e.dir {
		return err
	}
	if e.content != nil {
		_, err := tw.Write(e.content)
		return err
	}
	f, err := t.fsys.Open(e.path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(tw, io.LimitReader(f, e.size+1))
	if errors.Is(err, tar.ErrWriteTooLong) || (err == nil && n != e.size) {
		return errors.New("the file changed while it was read: run again")
	}
	return err
}

// relative gives p below root, as the tar names it.
func relative(root, p string) string {
	if p == root {
		return "."
	}
	if root == "." {
		return p
	}
	return strings.TrimPrefix(p, root+"/")
}

// within reports whether p is root or below it.
func within(root, p string) bool {
	return root == "." || p == root || strings.HasPrefix(p, root+"/")
}

// comparePaths orders as a walk does: names of one folder by bytes, and a folder's content right behind it ("a/x"
// before "a.b", although '.' sorts before '/').
func comparePaths(a, b string) int {
	if a == b {
		return 0
	}
	if a == "." {
		return -1
	}
	if b == "." {
		return 1
	}
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
