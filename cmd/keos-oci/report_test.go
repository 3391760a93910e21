package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

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
