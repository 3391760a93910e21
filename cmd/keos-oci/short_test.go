package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	maxFileLines = 350
	maxColumns   = 140
	// maxLongLines bounds how many lines of Go files have more than maxColumns columns. Lower it when you shorten one.
	maxLongLines = 205
)

// TestFilesAreShort: a Go file has at most maxFileLines lines, and no line is added that is longer than maxColumns. A tab is one column.
func TestFilesAreShort(t *testing.T) {
	var long []string
	texts := prose(t)
	for _, file := range slices.Sorted(maps.Keys(texts)) {
		text := texts[file]
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		if n := strings.Count(text, "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d are allowed: move a concern to a file of its own", file, n, maxFileLines)
		}
		for i, line := range strings.Split(text, "\n") {
			if utf8.RuneCountInString(line) > maxColumns {
				long = append(long, fmt.Sprintf("%s:%d", file, i+1))
			}
		}
	}
	if len(long) > maxLongLines {
		t.Errorf("%d lines have more than %d columns, at most %d are allowed: wrap those that you added, see git diff\n%s",
			len(long), maxColumns, maxLongLines, strings.Join(long, "\n"))
	}
}
