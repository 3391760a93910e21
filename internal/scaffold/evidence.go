package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

func bases(dirs []string) []string {
	names := make([]string, len(dirs))
	for i, dir := range dirs {
		names[i] = path.Base(dir)
	}
	return names
}

// tops returns the folders at the top that clusters build, from their own source or from another one.
func tops(s *component.Survey, own bool) []string {
	var found []string
	for _, b := range s.Builds {
		if top, _, _ := strings.Cut(b.Path, "/"); b.Own == own && top != "." && top != "components" {
			found = append(found, top)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func within(all, of []string) bool {
	return !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(of, s) })
}

func folder(s *component.Survey, dir string) component.Folder {
	for _, f := range s.Folders {
		if f.Path == dir {
			return f
		}
	}
	return component.Folder{Path: dir}
}

func holdsKustomization(s *component.Survey, dir string) bool { return folder(s, dir).Kustomizations }

// environmentFirst returns the folders laid out as <folder>/<environment>/<app>.
func environmentFirst(s *component.Survey) []string {
	var found []string
	for _, f := range s.Folders {
		if _, apps := envFirstOf(f); apps || len(f.Environments) > 1 {
			found = append(found, f.Path)
		}
	}
	return found
}

func isPinned(s *component.Survey, dir string) bool { return slices.Contains(tops(s, false), dir) }

// builds says which clusters build these folders, and from where.
func builds(s *component.Survey, parts []string) []string {
	var lines []string
	for _, b := range s.Builds {
		top, _, _ := strings.Cut(b.Path, "/")
		if !slices.Contains(parts, top) {
			continue
		}
		line := fmt.Sprintf("%s builds ./%s from %s, its own source.", b.Cluster, b.Path, b.Source)
		if !b.Own {
			line = fmt.Sprintf("%s builds ./%s from %s, a source of this repository that it pins apart from its own.", b.Cluster, b.Path, b.Source)
		}
		lines = append(lines, line)
	}
	return slices.Compact(lines)
}

// templates lists the folders that are no components because of their names.
func templates(s *component.Survey) []string {
	var lines []string
	for _, dir := range s.Templates {
		line := dir + " is left out: names that begin with _ or . are templates."
		if strings.HasPrefix(dir, "components/") {
			if name := component.ProposeName(path.Base(dir)); name != "" {
				line += fmt.Sprintf(" To publish it: components: {%s: {paths: [%s]}}", name, dir)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// leftOut lists which manifests are in no artifact.
func leftOut(s *component.Survey) []string {
	var dirs []string
	for _, f := range s.Folders {
		if f.Manifests {
			dirs = append(dirs, f.Path+"/")
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	return []string{enumerate(dirs) + " is in no artifact: it lies outside components/."}
}

func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
