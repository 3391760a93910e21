package release

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
)

// maxShown bounds the texts that are compared line by line; a larger file is only reported as different.
const maxShown = 8 << 20

// unified gives the hunks that make after of before, "" when they are equal. The algorithm anchors at lines that are unique
// in both texts: its time is O(n log n) whatever a registry made up, where others need the square.
func unified(before, after []byte) string {
	text := diff.Diff("", before, "", after)
	for range 3 { // the command and the two file names, which only those who print know
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return string(text)
}

// isBinary reports whether data cannot be shown as text: it has a zero byte, as for Git, or is not UTF-8.
func isBinary(data []byte) bool {
	return bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data)
}

// union is the keys of both maps, sorted, each once.
func union[K cmp.Ordered, V any](a, b map[K]V) []K {
	keys := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(keys)
	return slices.Compact(keys)
}
