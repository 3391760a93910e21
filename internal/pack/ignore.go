package pack

import (
	"io/fs"
	"path"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

// ignore decides which tracked files stay out of the artifact.
type ignore struct{ matcher gitignore.Matcher }

// newIgnore collects, weakest first: Flux's defaults, the .sourceignore files from the workspace's top down to each
// packed folder, the component's own patterns.
func newIgnore(src Source) (ignore, error) {
	var patterns []gitignore.Pattern
	for _, f := range ignoreFiles(src) {
		found, err := readIgnore(src.FS, f)
		if err != nil {
			return ignore{}, &PathError{f, cause(err)}
		}
		patterns = append(patterns, found...)
	}
	own := strings.Join(src.Ignore, "\n")
	patterns = append(patterns, sourceignore.ReadPatterns(strings.NewReader(own), split(src.Root))...)
	return ignore{sourceignore.NewDefaultMatcher(patterns, nil)}, nil
}

// ignoreFiles lists the .sourceignore files that apply, parents before children.
func ignoreFiles(src Source) []string {
	var files []string
	for dir := path.Dir(src.Root); src.Root != "."; dir = path.Dir(dir) {
		if _, err := fs.Lstat(src.FS, path.Join(dir, sourceignore.IgnoreFile)); err == nil {
			files = append([]string{path.Join(dir, sourceignore.IgnoreFile)}, files...)
		}
		if dir == "." {
			break
		}
	}
	for _, f := range src.Files {
		if path.Base(f.Path) == sourceignore.IgnoreFile && f.Mode != Symlink {
			files = append(files, f.Path)
		}
	}
	return files
}

func readIgnore(fsys fs.FS, file string) ([]gitignore.Pattern, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return sourceignore.ReadPatterns(f, split(path.Dir(file))), nil
}

func (i ignore) match(p string, dir bool) bool { return i.matcher.Match(split(p), dir) }

// split gives the elements of p; none for the workspace itself.
func split(p string) []string {
	if p == "." {
		return nil
	}
	return strings.Split(p, "/")
}
