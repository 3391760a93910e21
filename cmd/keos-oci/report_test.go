package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stratio/keos-oci/internal/flux"
)

// TestWriteFollowsNoLink: a link at the place beside a file, where its new content goes first, is not written through.
func TestWriteFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "precious"), "keep me")
	if err := os.Symlink("precious", filepath.Join(dir, ".out.yaml.keos-oci")); err != nil {
		t.Fatal(err)
	}
	a := &app{out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }}
	if err := a.finishFiles(outputFlags{dir: dir}, []flux.File{{Path: "out.yaml", Content: []byte("new")}}, nil); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "precious"))
	if err != nil || string(kept) != "keep me" {
		t.Errorf("%q %v", kept, err)
	}
	info, err := os.Lstat(filepath.Join(dir, "out.yaml"))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v %v", info, err)
	}
}
