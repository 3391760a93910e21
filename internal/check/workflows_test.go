package check

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
)

func TestWorkflows(t *testing.T) {
	files := fstest.MapFS{
		".github/workflows/call.yml":     {Data: []byte("name: x\non:\n  push:\n  workflow_call:\njobs: {a: {steps: [{run: keos-oci publish}]}}\n")},
		".github/workflows/list.yaml":    {Data: []byte("on: [push, pull_request_target]\njobs: {a: {steps: [{uses: stratio/keos-oci@v1}]}}\n")},
		".github/workflows/word.yaml":    {Data: []byte("on: workflow_call\njobs: {a: {steps: [{run: keos-oci promote}]}}\n")},
		".github/workflows/good.yaml":    {Data: []byte("on: [push, workflow_dispatch]\njobs: {a: {steps: [{run: keos-oci publish}]}}\n")},
		".github/workflows/other.yaml":   {Data: []byte("on: workflow_call\njobs: {a: {steps: [{run: make test}]}}\n")},
		".github/workflows/broken.yaml":  {Data: []byte("on: [keos-oci\n")},
		"docs/workflows/elsewhere.yaml":  {Data: []byte("on: workflow_call # keos-oci\n")},
		".github/workflows/sub/dir.yaml": {Data: []byte("on: workflow_call # keos-oci\n")},
	}
	var names, got []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, f := range Workflows(files, names) {
		got = append(got, fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Severity))
	}
	want := []string{".github/workflows/call.yml:4 warning", ".github/workflows/list.yaml:1 warning", ".github/workflows/word.yaml:1 warning"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
