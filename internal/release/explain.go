package release

import (
	"context"
	"fmt"
	"path"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/pack"
)

// ExplainResult is every tracked file below a component's root, and whether its artifact contains it.
type ExplainResult struct {
	Name  string          `json:"name"`
	Root  string          `json:"root"`
	Files []ExplainedFile `json:"files"`
}

// ExplainedFile is one file, relative to the workspace, and why it is in or out; Reason is a word for programs.
type ExplainedFile struct {
	Path      string          `json:"path"`
	In        bool            `json:"in"`
	Reason    string          `json:"reason"`
	Why       string          `json:"why"`
	Reference *kustomize.Edge `json:"reference,omitempty"`
}

// Reasons for a file to be in an artifact, then to be out of it.
const (
	ReasonPath         = "path"
	ReasonVariant      = "variant"
	ReasonReference    = "reference"
	ReasonIgnored      = "ignored"
	ReasonRefused      = "refused"
	ReasonUnreferenced = "unreferenced"
	ReasonOutside      = "outside"
)

// Explain says of each tracked file below a component's root why it is in the artifact or not. Contents are read only as
// far as references have to be followed.
func (s *Service) Explain(ctx context.Context, name string) (*ExplainResult, error) {
	c, err := s.Workspace.Components.Find(name)
	if err != nil {
		for _, d := range s.Workspace.Disabled {
			if d.Name == name {
				return nil, fmt.Errorf("%w component %q: it is an app that no environment builds: %s", component.ErrUnknown, name, d.Why)
			}
		}
		return nil, err
	}
	all, err := s.contents(ctx, c)
	if err != nil {
		return nil, err
	}
	source := all.source
	source.Files = nil
	for _, f := range s.Files { // rules say something of files that nothing refers to as well
		if within(c.Root, f.Path) {
			source.Files = append(source.Files, pack.File{Path: f.Path, Mode: packMode(f.Mode)})
		}
	}
	ignored, err := pack.Ignored(source)
	if err != nil {
		return nil, err
	}
	res := &ExplainResult{Name: c.Name, Root: c.Root, Files: []ExplainedFile{}}
	for _, f := range s.Files {
		if within(c.Root, f.Path) {
			res.Files = append(res.Files, all.explain(f, ignored[f.Path]))
		}
	}
	return res, nil
}

// explain says why a file is in or out, given the rule that ignores it.
func (c contents) explain(f git.File, rule string) ExplainedFile {
	out := ExplainedFile{Path: f.Path}
	switch {
	case rule != "" && (c.takes(f.Path) || c.component.Contains(f.Path)):
		out.Reason, out.Why = ReasonIgnored, rule
	case !c.takes(f.Path) && !c.component.Contains(f.Path) && (c.reached == nil || !c.external):
		out.Reason, out.Why = ReasonOutside, "not in the component's paths"
	case !c.takes(f.Path):
		out.Reason, out.Why = ReasonUnreferenced, "nothing that is built refers to it"
	case f.Mode == git.Symlink:
		out.Reason, out.Why = ReasonRefused, pack.ErrSymlink.Error()+": publish refuses it"
	case f.Mode == git.Submodule:
		out.Reason, out.Why = ReasonRefused, pack.ErrSubmodule.Error()+": publish refuses it"
	default:
		out.In = true
		c.explainIn(&out)
	}
	return out
}

func (c contents) explainIn(f *ExplainedFile) {
	if !c.closure && c.component.Contains(f.Path) {
		f.Reason, f.Why = ReasonPath, "in "+c.component.PathOf(f.Path)
		return
	}
	edge := c.reached.Files[f.Path]
	f.Reference = &edge
	if edge.Start != "" {
		f.Reason, f.Why = ReasonVariant, "built as "+edge.Start
		if path.Dir(f.Path) != edge.Start {
			f.Why = "built with " + edge.Start
		}
		return
	}
	f.Reason, f.Why = ReasonReference, fmt.Sprintf("referenced by %s:%d (%s)", edge.File, edge.Line, edge.Field)
}
