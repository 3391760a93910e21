package component

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// paths reads folders and files of the workspace; one within another adds nothing.
func (l *loader) paths(texts []string, at []string) []string {
	var paths []string
	for i, text := range texts {
		if p, ok := l.path(text, with(at, strconv.Itoa(i))); ok {
			paths = append(paths, p)
		}
	}
	slices.SortFunc(paths, comparePaths)
	var outer []string
	for _, p := range paths {
		if !slices.ContainsFunc(outer, func(o string) bool { return within(o, p) }) {
			outer = append(outer, p)
		}
	}
	slices.Sort(outer)
	return outer
}

// path reads a path of the workspace with a tracked file at or below it.
func (l *loader) path(text string, at []string) (string, bool) {
	if text == "" {
		l.doc.add(at, "path is missing")
		return "", false
	}
	p, err := cleanPath(text)
	if err != nil {
		l.doc.add(at, "%v", err)
		return "", false
	}
	if !l.tree.hasDir(p) && !l.tree.hasFile(p) {
		l.lacks(at, "%s has no file that Git tracks", p)
		return "", false
	}
	return p, true
}

// cleanPath reads a slash-separated path that stays in its folder.
func cleanPath(text string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("must not be empty")
	case strings.ContainsAny(text, "\\\x00"):
		return "", fmt.Errorf("%q is not a path: want folders separated by /", text)
	case path.IsAbs(text):
		return "", fmt.Errorf("%q is absolute: want a path relative to the workspace", text)
	case slices.Contains(strings.Split(text, "/"), ".."):
		return "", fmt.Errorf("%q may not contain .. elements", text)
	}
	return path.Clean(text), nil
}

// commonDir returns the innermost folder with both a and b.
func commonDir(a, b string) string {
	for !within(a, b) {
		a = path.Dir(a)
	}
	return a
}
