package fluxtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// errSum is another module under a pinned version: never a reason to skip.
var errSum = errors.New("is not what was pinned")

// release is a module at a version, and the h1 sum of its files.
type release struct{ module, version, sum string }

func (r release) String() string { return r.module + "@" + r.version }

// releases are the newest that Go 1.26 builds. Only their CRDs are read: flux-operator is AGPL-3.0 and is never linked.
func releases() []release {
	return []release{
		{"github.com/fluxcd/source-controller", "v1.9.5", "h1:MFPyCodUi9hZIMaKDsC/rYbNoyzpvrAdrPVixj7W9F0="},
		{"github.com/fluxcd/kustomize-controller", "v1.9.5", "h1:/XY2zy3K7fntyppEXIHG7oRMzmfgIt50eJzUfaPX1Kc="},
		{"github.com/fluxcd/helm-controller", "v1.6.3", "h1:MSiDP/s8xRSkO3g11vBiDStxfmJ5ZVdwDEpW7BSE/UA="},
		{"github.com/controlplaneio-fluxcd/flux-operator", "v0.58.1", "h1:ME/p3jGf5h9bNmQ5dhQBSjvj0G+7NTI1k3At+pCscis="},
	}
}

// download gives the folder of each release in the module cache, fetching what is missing. It runs the go command in an
// empty folder, so that the module under test neither constrains nor records what it fetches.
func download(ctx context.Context, empty string, releases []release) ([]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, r := range releases {
		args = append(args, r.String())
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = empty, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, failed := cmd.Output()
	dirs, err := folders(out, releases)
	if err == nil && failed != nil {
		err = failed
	}
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return dirs, err
}

// folders reads what go mod download -json says of each release and checks that it is the pinned one.
func folders(answer []byte, releases []release) ([]string, error) {
	var dirs []string
	dec := json.NewDecoder(bytes.NewReader(answer))
	for _, r := range releases {
		var got struct{ Path, Version, Dir, Sum, Error string }
		if err := dec.Decode(&got); err != nil {
			return nil, fmt.Errorf("%s: no answer from go mod download: %w", r, noEOF(err))
		}
		switch {
		case got.Error != "":
			return nil, fmt.Errorf("%s: %s", r, got.Error)
		case got.Path != r.module || got.Version != r.version || got.Sum != r.sum:
			return nil, fmt.Errorf("%s %w: %s@%s has the sum %s", r, errSum, got.Path, got.Version, got.Sum)
		}
		dirs = append(dirs, got.Dir)
	}
	return dirs, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
