package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitTarget(t *testing.T) {
	for args, want := range map[string]string{
		"":                                    "",
		"frontend":                            "frontend",
		"frontend v1.0.0":                     "frontend v1.0.0",
		"frontend:v1.0.0":                     "frontend v1.0.0",
		"frontend:v1.0.0 dir":                 "frontend v1.0.0 dir",
		"frontend@sha256:ab":                  "frontend sha256:ab",
		"127.0.0.1:5000/r/frontend":           "127.0.0.1:5000/r/frontend",
		"127.0.0.1:5000/r/frontend:v1.0.0 x":  "127.0.0.1:5000/r/frontend v1.0.0 x",
		"localhost:5000/r/frontend@sha256:ab": "localhost:5000/r/frontend sha256:ab",
		"frontend latest:stable":              "frontend latest:stable",
	} {
		if got := splitTarget(strings.Fields(args)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("splitTarget(%s) = %q, want %s", args, got, want)
		}
	}
}

func TestJoinTarget(t *testing.T) {
	for args, want := range map[string]string{
		"frontend":           "frontend",
		"frontend:v1.0.0":    "frontend:v1.0.0",
		"frontend v1.0.0":    "frontend:v1.0.0",
		"frontend sha256:ab": "frontend@sha256:ab",
	} {
		if got := joinTarget(strings.Fields(args)); got != want {
			t.Errorf("joinTarget(%s) = %s, want %s", args, got, want)
		}
	}
}
