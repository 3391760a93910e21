package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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

// TestReportsCost: only a run that writes a report reads what it takes to say how much changed: both artifacts, once, and at the end.
func TestReportsCost(t *testing.T) {
	s := newSandbox(t)
	key := s.key()
	blobs := func(args ...string) (read int) {
		t.Helper()
		s.registry.Reset()
		s.must(append(args, "--key", key)...)
		for _, request := range s.registry.Requests() {
			if request.Method == http.MethodGet && strings.Contains(request.Path, "/blobs/") {
				read++
			}
		}
		return read
	}
	report := filepath.Join(t.TempDir(), "report.md")
	for i, version := range []string{"v1.0.0", "v1.1.0", "v1.2.0"} {
		s.component("frontend", version)
		s.commit(version)
		args, want := []string{"publish"}, 0
		if i == 2 {
			args, want = append(args, "--report", report), 2
		}
		if n := blobs(args...); n != want {
			t.Errorf("%v read %d blobs, want %d: %v", args, n, want, s.registry.Requests())
		}
		s.must("publish", "--key", key, "--version", version, "frontend", "--no-promote")
		args = append([]string{"promote", "frontend", version}, args[1:]...)
		if n := blobs(args...); n != want {
			t.Errorf("%v read %d blobs, want %d: %v", args, n, want, s.registry.Requests())
		}
	}
}
