package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
)

// Action is the project's action as workflows refer to it: pinned by its commit, since it runs with a token that signs.
type Action struct {
	Commit  string
	Version string // that the commit is of, for the comment; may be empty
}

// ParseAction reads COMMIT or VERSION@COMMIT.
func ParseAction(text string) (Action, error) {
	version, commit, both := strings.Cut(text, "@")
	if !both {
		version, commit = "", text
	}
	a := Action{Commit: commit, Version: version}
	return a, a.validate()
}

func (a Action) validate() error {
	if len(a.Commit) != 40 || strings.Trim(a.Commit, "0123456789abcdef") != "" {
		return fmt.Errorf("%w: action %q: want the full commit of a release, 40 hexadecimal digits, or VERSION@COMMIT", ErrInput, a.Commit)
	}
	if a.Version != "" && !regexp.MustCompile(`^v[0-9A-Za-z.-]+$`).MatchString(a.Version) {
		return fmt.Errorf("%w: action version %q: want one such as v1.0.0", ErrInput, a.Version)
	}
	return nil
}

// workflows is what the templates of a CI system are filled in with.
type workflows struct {
	Components []string
	Branch     string
	Follows    string // the channel that follows the branch
	Tags       []string
	Host       string // of the registry
	Key        bool   // a key pair signs, and no identity of the job
	Diffs      []variants
	Action     Action
	Release    string

	set component.Set
}

// variants is components that have the same variants.
type variants struct {
	Components []string
	Variants   []string
}

func newWorkflows(ws *component.Workspace, ask Request) *workflows {
	w := &workflows{Components: ws.Components.Names(), Branch: ask.Branch, Follows: "latest", Action: ask.Action, Release: ask.Release,
		Key: ws.Config.Signing.Key != "", set: ws.Components}
	w.Host, _, _ = strings.Cut(ws.Registry, "/")
	if list := ws.Config.Channels.From(component.FromBranch); len(list) > 0 {
		w.Follows, w.Branch = list[0].Name, list[0].Branch
	}
	for _, c := range ws.Components {
		shown := slices.DeleteFunc(slices.Clone(c.Variants), func(v string) bool { return !isPlain(v) }) // folders have any name
		i := slices.IndexFunc(w.Diffs, func(v variants) bool { return slices.Equal(v.Variants, shown) })
		if i < 0 {
			i, w.Diffs = len(w.Diffs), append(w.Diffs, variants{Variants: shown})
		}
		w.Diffs[i].Components = append(w.Diffs[i].Components, c.Name)
	}
	return w
}

// One reports whether a single diff serves all components, those to come included.
func (w *workflows) One() bool { return len(w.Diffs) == 1 }

// GHCR reports whether the job's own token opens the registry.
func (w *workflows) GHCR() bool { return w.Host == "ghcr.io" }

// files fills in templates, by the path of each file.
func (w *workflows) files(byPath [][2]string) ([]fileset.File, error) {
	var files []fileset.File
	for _, f := range byPath {
		content, err := fillIn(f[1], w)
		if err != nil {
			return nil, err
		}
		files = append(files, fileset.File{Path: f[0], Content: content})
	}
	return files, nil
}
