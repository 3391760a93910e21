package scaffold

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/fileset"
)

// Result is what init found and what it proposes.
type Result struct {
	Found []FoundLayout     `json:"found"`
	Files []fileset.Outcome `json:"files"`
	Notes []string          `json:"notes,omitempty"`
}

// FoundLayout is one way to read the checkout. Config is the config file for it, empty where none is needed.
type FoundLayout struct {
	Layout  Layout   `json:"layout"`
	By      Grouping `json:"by,omitempty"`
	Rule    string   `json:"rule"`
	Reasons []string `json:"reasons"`
	Chosen  bool     `json:"chosen"`
	*component.List
	Config string `json:"config,omitempty"`
}

// Init proposes what the checkout of the options needs, compares it with the files that are there, and writes it if the
// request says so. The result is nil where there is nothing to propose.
func Init(options component.Options, req Request) (*Result, error) {
	if err := req.resolveAction(); err != nil {
		return nil, err
	}
	options.Unnamed = req.Workflows == "" // which log in to the registry
	proposal, err := Propose(options, req)
	if proposal == nil {
		return nil, err
	}
	res := newResult(proposal)
	return res, errors.Join(err, res.settle(options.Dir, proposal, req))
}

func newResult(p *Proposal) *Result {
	res := &Result{Found: []FoundLayout{}, Files: []fileset.Outcome{}, Notes: p.Notes}
	for _, r := range p.Readings {
		res.Found = append(res.Found, FoundLayout{Layout: r.Layout, By: r.By, Rule: r.Rule, Reasons: append([]string{}, r.Reasons...),
			Chosen: r.Chosen, List: r.Workspace.List(r.Workspace.Components), Config: string(r.Config)})
		if !r.Workspace.Named() && r.Chosen {
			res.Notes = append(res.Notes, "it is not known yet where to publish: set registry in keos-oci.yaml, or pass --registry HOST/PREFIX")
		}
	}
	return res
}

// settle compares the files with those that are there, and writes them if the request says so.
func (r *Result) settle(top string, p *Proposal, req Request) error {
	if p.Chosen() == nil {
		return r.undecided(req)
	}
	root, err := fileset.Open(top, true)
	if err != nil {
		return err
	}
	defer root.Close()
	compared, err := fileset.Plan(root, p.Files, proposedKind)
	if err != nil {
		return err
	}
	if r.Files = append(r.Files, compared.Files...); !req.Write {
		r.show(p.Files)
		return nil
	}
	return r.write(root, p.Files, compared, req)
}

func (r *Result) write(root *os.Root, files []fileset.File, compared *fileset.Result, req Request) error {
	if theirs := compared.Theirs(); len(theirs) > 0 && !req.Replace {
		r.show(files)
		return fmt.Errorf("%w: %s: there and different from what init proposes: compare, then keep it or write over it with --overwrite%s",
			fileset.ErrTaken, strings.Join(theirs, ", "), compared.Losses())
	}
	if err := compared.Write(root, files); err != nil {
		return err
	}
	r.Files = append([]fileset.Outcome{}, compared.Files...)
	return nil
}

// undecided is why nothing is written: a guess could publish something that nobody wants to publish.
func (r *Result) undecided(req Request) error {
	if !req.Write && req.Workflows == "" {
		return nil
	}
	names := make([]string, len(r.Found))
	for i, f := range r.Found {
		names[i] = "--layout " + string(f.Layout)
	}
	return fmt.Errorf("%w: this checkout can be read in %d ways: choose one with %s", exit.ErrUsage, len(names), strings.Join(names, " or "))
}

// proposedKind: people edit the config file, so that only they change it. Workflows are generated anew when components come and go.
func proposedKind(file string) fileset.Kind {
	if file == component.ConfigFile {
		return fileset.Golden
	}
	return fileset.Marked
}

// show is what would be written: the content of new files, the differences of others.
func (r *Result) show(proposed []fileset.File) {
	for i := range r.Files {
		f := &r.Files[i]
		f.Content = string(proposed[i].Content)
		switch f.Status {
		case fileset.StatusCreated:
			f.Status, f.Diff = fileset.StatusPrinted, ""
		case fileset.StatusUpdated:
			f.Status = fileset.StatusDiffers
		}
	}
}
