// Package render is how results look: as text for people, as Markdown for a comment on a pull request, as annotations in the files that are
// to blame, and as outputs for the steps of a workflow that follow. Each result has one view, with all of its forms in one file. JSON and
// YAML are the view itself: a view adds nothing to what its result has.
//
// Printing talks to nobody: what a form shows is in the result.
package render

import (
	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Result is what a verb answers with, in each form that somebody reads. JSON and YAML are the value itself.
type Result interface {
	// Text writes the result for people.
	Text(p *terminal.Page)
	// Markdown writes the result as Markdown.
	Markdown() string // for a comment on a pull request; "" where nobody would read it there
	// Annotations writes the annotations of a CI system.
	Annotations() []finding.Finding // for CI, in the files that are to blame
	// Outputs returns the outputs of a step in CI.
	Outputs() *Outputs // for the steps that follow in a workflow; nil for none
	// Brief writes the result in a few words.
	Brief() any // the result without the texts that an output has no room for
}

// Outputs is what workflows ask for most.
type Outputs struct {
	Names   []string                 // components that were published or moved
	Digests map[string]digest.Digest // of all components, also of those that did not change
	Changed bool
}

func newOutputs() *Outputs { return &Outputs{Digests: map[string]digest.Digest{}} }

func (o *Outputs) add(name string, d digest.Digest, changed bool) {
	if d != "" {
		o.Digests[name] = d
	}
	if changed {
		o.Names, o.Changed = append(o.Names, name), true
	}
}

// textAlone is part of each view that nobody reads on a pull request or in a workflow.
type textAlone struct{}

// Markdown implements Result.
func (textAlone) Markdown() string { return "" }

// Annotations implements Result.
func (textAlone) Annotations() []finding.Finding { return nil }

// Outputs implements Result.
func (textAlone) Outputs() *Outputs { return nil }
