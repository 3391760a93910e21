package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/render"
)

// writeBaseline takes today's errors of all components as known, and writes them to a file of the checkout.
func (a *app) writeBaseline(ctx context.Context, file string, names []string) error {
	if len(names) > 0 {
		return fmt.Errorf("%w: --write-baseline is about all components: name none", errUsage)
	}
	if a.global.output == formatSARIF {
		return fmt.Errorf("%w: --write-baseline prints text, json or yaml", errUsage)
	}
	svc, err := a.service(ctx, nil)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(svc.Checkout.Top())
	if err != nil {
		return err
	}
	defer root.Close()
	name, err := placeIn(root, file)
	if err != nil {
		return err
	}
	res, err := svc.NewBaseline(ctx, name)
	if err != nil {
		return err
	}
	raw, err := res.Baseline.YAML()
	if err != nil {
		return err
	}
	if err := fileset.Replace(root, name, raw); err != nil {
		return err
	}
	return a.finish(render.Baseline{BaselineResult: res}, res.Err())
}

// placeIn is where a file is in a folder, which it must not leave: neither by its path nor by a symbolic link.
func placeIn(root *os.Root, file string) (string, error) {
	outside := fmt.Errorf("%w: --write-baseline %s is no place for a file of the checkout %s", errUsage, file, root.Name())
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
	return name, plainIn(root, name)
}

// plainIn refuses a file that is something else already, or that is behind a symbolic link.
func plainIn(root *os.Root, name string) error {
	part := ""
	for step := range strings.SplitSeq(name, "/") {
		part = path.Join(part, step)
		info, err := root.Lstat(part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("%w: --write-baseline: %w", errUsage, err)
		case info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%w: --write-baseline %s: %s is a symbolic link", errUsage, name, part)
		case part == name && !info.Mode().IsRegular(), part != name && !info.IsDir():
			return fmt.Errorf("%w: --write-baseline %s: %s is there already, and is something else", errUsage, name, part)
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
