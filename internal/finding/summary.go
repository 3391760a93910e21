package finding

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Of more than maxLines findings of one rule, the first shownLines are shown.
const (
	maxLines   = 10
	shownLines = 3
	maxGlobs   = 3
)

// Line is one line of a report for people: a finding, or the sum of many of one rule.
type Line struct {
	Severity Severity
	Text     string
}

// kind is what findings have in common that are summed up together.
type kind struct {
	severity Severity
	rule     string
	known    bool
}

func (f Finding) kind() kind { return kind{f.Severity, f.Rule, f.Known} }

// Summarise returns the findings of one component as lines for people. Of more than ten findings of one rule there are the first
// three, and one line about the others. Where an allowance can lift findings of this rule, that line has globs that match the files
// of all of them.
func Summarise(list []Finding) []Line {
	groups := map[kind][]Finding{}
	for _, f := range list {
		groups[f.kind()] = append(groups[f.kind()], f)
	}
	var lines []Line
	shown := map[kind]int{}
	for _, f := range list {
		k := f.kind()
		shown[k]++
		switch group := groups[k]; {
		case len(group) <= maxLines || shown[k] <= shownLines:
			lines = append(lines, Line{f.Severity, f.String()})
		case shown[k] == shownLines+1:
			lines = append(lines, Line{f.Severity, k.more(group)})
		}
	}
	return lines
}

// more is the line about the findings of a group that are not shown.
func (k kind) more(group []Finding) string {
	hidden := len(group) - shownLines
	files := len(filesOf(group[shownLines:]))
	text := fmt.Sprintf("… and %d more of rule %s in %s", hidden, k.rule, count(files, "file"))
	switch {
	case k.known:
		return text + " (known)"
	case !allowable(k.rule):
		return text
	}
	globs := Globs(filesOf(group))
	if globs == nil {
		return text + "; what is harmless can be allowed in keos-oci.yaml: secrets: {allow: […]}"
	}
	return text + "; to allow them all: secrets: {allow: [" + entries(globs) + "]}"
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func entries(globs []string) string {
	var list []string
	for _, g := range globs {
		list = append(list, fmt.Sprintf("{path: %q, reason: \"…\"}", g))
	}
	return strings.Join(list, ", ")
}

// allowable reports whether an allowance in the config can lift findings of a rule.
func allowable(rule string) bool {
	return slices.Contains([]string{RuleSecret, RulePrivateKey, RuleDotenv, RuleToken, RulePassword}, rule)
}

// filesOf returns the files of findings, each once, sorted.
func filesOf(list []Finding) []string {
	var files []string
	for _, f := range list {
		files = append(files, f.File)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// Globs returns at most three patterns, as allowances have them, that match all the files. Files are slash-separated and relative to
// the workspace. The result is nil where nothing narrower than the whole workspace would do.
func Globs(files []string) []string {
	files = slices.Clone(files)
	slices.Sort(files)
	files = slices.Compact(files)
	if len(files) <= maxGlobs {
		return globsOf(files, func(file string) string { return file })
	}
	if globs := globsOf(files, path.Base); len(globs) <= maxGlobs {
		return globs
	}
	for depth := slices.Max(depths(files)); depth > 0; depth-- {
		globs := globsOf(files, func(file string) string { return upTo(file, depth) })
		if len(globs) <= maxGlobs {
			return globs
		}
	}
	return nil
}

// globsOf parts files by key, and returns the glob of each part that no other glob covers.
func globsOf(files []string, key func(string) string) []string {
	parts := map[string][]string{}
	for _, file := range files {
		parts[key(file)] = append(parts[key(file)], file)
	}
	var globs []string
	for _, part := range parts {
		globs = append(globs, globOf(part))
	}
	slices.Sort(globs)
	return slices.DeleteFunc(slices.Compact(globs), func(glob string) bool {
		return slices.ContainsFunc(globs, func(wider string) bool {
			folder, whole := strings.CutSuffix(wider, "**")
			return whole && wider != glob && strings.HasPrefix(glob, folder)
		})
	})
}

// globOf is one pattern for files that have a folder or a name in common.
func globOf(files []string) string {
	if len(files) == 1 {
		if !strings.Contains(files[0], "/") { // without a slash, a pattern matches the name in any folder
			return "/" + literal(files[0])
		}
		return literal(files[0])
	}
	folder, base := commonFolder(files), path.Base(files[0])
	sameName := !slices.ContainsFunc(files, func(file string) bool { return path.Base(file) != base })
	switch {
	case sameName && folder == "":
		return "**/" + literal(base)
	case sameName:
		return literal(folder) + "/**/" + literal(base)
	}
	return literal(folder) + "/**"
}

// commonFolder is the deepest folder that has all the files, "" for the workspace.
func commonFolder(files []string) string {
	common := strings.Split(files[0], "/")
	common = common[:len(common)-1]
	for _, file := range files {
		parts := strings.Split(file, "/")
		n := 0
		for n < len(common) && n < len(parts)-1 && common[n] == parts[n] {
			n++
		}
		common = common[:n]
	}
	return strings.Join(common, "/")
}

// upTo is a file's folder, cut after some folders; a file at the top of the workspace is its own part.
func upTo(file string, depth int) string {
	parts := strings.Split(file, "/")
	if len(parts) == 1 {
		return file
	}
	return strings.Join(parts[:min(depth, len(parts)-1)], "/") + "/"
}

func depths(files []string) []int {
	var list []int
	for _, file := range files {
		list = append(list, strings.Count(file, "/"))
	}
	return list
}

// literal escapes what a pattern does not take as it is.
func literal(file string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(file)
	if strings.HasPrefix(escaped, "!") {
		escaped = `\` + escaped
	}
	if strings.HasSuffix(escaped, " ") {
		escaped = escaped[:len(escaped)-1] + `\ `
	}
	return escaped
}
