package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

// ignore decides which tracked files stay out of the artifact, by rules of which the last that says anything counts.
type ignore []rule

// rule is a pattern and its place.
type rule struct {
	gitignore.Pattern
	origin string
}

// newIgnore collects, weakest first: Flux's defaults, the .sourceignore files from the workspace's top down to each
// packed folder, the component's own patterns.
func newIgnore(src Source) (ignore, error) {
	rules := defaultRules()
	for _, f := range ignoreFiles(src) {
		found, err := readIgnore(src.FS, f)
		if err != nil {
			return nil, &PathError{f, cause(err)}
		}
		rules = append(rules, found...)
	}
	own, err := parseRules(strings.NewReader(strings.Join(src.Ignore, "\n")), src.Root, func(_ int, pattern string) string {
		return "the config's " + pattern
	})
	if err != nil {
		return nil, fmt.Errorf("artifact.ignore: %w", err)
	}
	return append(rules, own...), nil
}

// defaultRules are those of Flux, in its order.
func defaultRules() ignore {
	var rules ignore
	for _, list := range []string{sourceignore.ExcludeVCS, sourceignore.ExcludeExt, sourceignore.ExcludeCI, sourceignore.ExcludeExtra} {
		for pattern := range strings.SplitSeq(list, ",") {
			rules = append(rules, rule{gitignore.ParsePattern(pattern, nil), "Flux's default " + pattern})
		}
	}
	return rules
}

// ignoreFiles lists the .sourceignore files that apply, parents before children.
func ignoreFiles(src Source) []string {
	files := slices.Clone(src.Rules)
	for dir := src.Root; dir != "."; {
		dir = path.Dir(dir)
		if _, err := fs.Lstat(src.FS, path.Join(dir, sourceignore.IgnoreFile)); err == nil {
			files = append(files, path.Join(dir, sourceignore.IgnoreFile))
		}
	}
	for _, f := range src.Files {
		if path.Base(f.Path) == sourceignore.IgnoreFile && f.Mode != Symlink {
			files = append(files, f.Path)
		}
	}
	slices.SortFunc(files, func(a, b string) int { return comparePaths(path.Dir(a), path.Dir(b)) })
	return slices.Compact(files)
}

func readIgnore(fsys fs.FS, file string) (ignore, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseRules(f, path.Dir(file), func(line int, pattern string) string {
		return fmt.Sprintf("%s:%d (%s)", file, line, pattern)
	})
}

// parseRules reads patterns line by line, as sourceignore.ReadPatterns does, which keeps no lines. That one drops an
// overlong line and all after it without a word: what they name would be in the artifact.
func parseRules(r io.Reader, dir string, origin func(line int, pattern string) string) (ignore, error) {
	var rules ignore
	scanner := bufio.NewScanner(r)
	line := 1
	for ; scanner.Scan(); line++ {
		text := scanner.Text()
		if !strings.HasPrefix(text, "#") && strings.TrimSpace(text) != "" {
			rules = append(rules, rule{gitignore.ParsePattern(text, split(dir)), origin(line, text)})
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d has %d KiB or more, and neither it nor the lines after it would be read: shorten it, or remove it", line,
			bufio.MaxScanTokenSize>>10)
	}
	return rules, scanner.Err()
}

// match says which rule ignores p, "" when none does.
func (i ignore) match(p string, dir bool) string {
	steps := split(p)
	for _, r := range slices.Backward(i) {
		switch r.Match(steps, dir) {
		case gitignore.Exclude:
			return r.origin
		case gitignore.Include:
			return ""
		}
	}
	return ""
}

// split gives the elements of p; none for the workspace itself.
func split(p string) []string {
	if p == "." {
		return nil
	}
	return strings.Split(p, "/")
}
