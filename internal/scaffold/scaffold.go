// Package scaffold proposes what a checkout needs to be published: a config file where its layout
// needs one, and the workflows of its CI system.
//
// It promises that a config it proposes was loaded and yields the components it claims, and that it decides nothing where
// a checkout can be read in two ways: it then gives all readings. It looks at the checkout through internal/component
// alone, and speaks to no network. Init writes what it proposes if the request says so.
package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/fileset"
)

// Errors of a request. All mean that nothing is proposed.
var (
	ErrLayout = errors.New("no such layout here")
	ErrInput  = errors.New("invalid input")
	ErrLacks  = errors.New("the config file lacks settings")
)

// The CI systems that workflows are written for.
const (
	GitHub = "github"
	GitLab = "gitlab"
)

// Systems are the values of Request.Workflows.
func Systems() []string { return []string{GitHub, GitLab} }

// Request is what the user wants.
type Request struct {
	Layout    Layout   // of several that are possible; empty for the one that is clear
	By        Grouping // what of a layer of environments is released together; empty for all of it
	Write     bool     // write the files
	Replace   bool     // propose a config even if there is one already, and write over files that a person wrote or edited
	Workflows string   // GitHub, GitLab or empty
	Branch    string   // the branch that clusters' first channel follows; "main" where it is empty
	ActionRef string   // for GitHub: the commit that workflows pin, as COMMIT or VERSION@COMMIT; BuiltFrom where it is empty
	BuiltFrom string   // commit of the release that runs, empty where that is not known
	Action    Action   // Init sets it from these two
	Release   string   // version of keos-oci that runs, which GitLab's jobs install and whose schema editors read; empty between releases
}

// Proposal is the answer: the ways in which the checkout can be read, and the files for the one that was chosen.
type Proposal struct {
	Readings []Reading
	Files    []fileset.File
	Notes    []string
}

// Chosen returns the reading that the files are for, nil where it is yet to be chosen.
func (p *Proposal) Chosen() *Reading {
	for i := range p.Readings {
		if p.Readings[i].Chosen {
			return &p.Readings[i]
		}
	}
	return nil
}

// Propose looks at a checkout. Of its options, the registry goes into the config, since publish is to find it there.
func Propose(o component.Options, ask Request) (*Proposal, error) {
	if err := ask.validate(); err != nil {
		return nil, err
	}
	existing, err := o.ConfigOnDisk()
	if err != nil {
		return nil, err
	}
	survey, err := o.Survey()
	if err != nil {
		return nil, err
	}
	p := &proposer{options: o, existing: existing, ask: ask, survey: survey}
	if err := p.fits(); err != nil {
		return nil, err
	}
	if existing == nil && slices.Contains(o.Files, "keos-oci.yml") {
		_, err := component.Load(o) // whose error says which name the file needs
		return nil, err
	}
	if existing != nil && ask.Layout == "" && ask.By == "" && !ask.Replace {
		return p.beside(existing)
	}
	return p.fresh()
}

// fits checks that the workflows asked for are of the system of the Git remote, as far as its host shows this.
func (p *proposer) fits() error {
	if p.ask.Workflows == GitLab {
		_, err := p.signing()
		return err
	}
	if host, _, err := p.remote(); err == nil && p.ask.Workflows == GitHub && strings.HasPrefix(host, "gitlab.") {
		return fmt.Errorf("%w: the Git remote is on %s, and workflows are asked for GitHub", ErrInput, host)
	}
	return nil
}

func (a *Request) validate() error {
	if a.Workflows != "" && !slices.Contains(Systems(), a.Workflows) {
		return fmt.Errorf("%w: workflows %q: want %s", ErrInput, a.Workflows, strings.Join(Systems(), " or "))
	}
	if a.By != "" && !slices.Contains(Groupings(), string(a.By)) {
		return fmt.Errorf("%w: by %q: want %s", ErrInput, a.By, strings.Join(Groupings(), " or "))
	}
	if a.Branch == "" {
		a.Branch = "main"
	}
	if !isPlain(a.Branch) {
		return fmt.Errorf("%w: branch %q: want letters, digits and any of . _ - /", ErrInput, a.Branch)
	}
	if a.Workflows == GitHub {
		return a.Action.validate()
	}
	return nil
}

// resolveAction decides which commit the workflows of GitHub pin.
func (r *Request) resolveAction() (err error) {
	switch {
	case r.Workflows != GitHub && r.ActionRef != "":
		return fmt.Errorf("%w: --action-ref goes with --workflows github", exit.ErrUsage)
	case r.Workflows != GitHub:
	case r.ActionRef != "":
		r.Action, err = ParseAction(r.ActionRef)
	case r.BuiltFrom == "":
		return fmt.Errorf("%w: this keos-oci does not know the commit of a release that it was built from: name the one that workflows shall pin "+
			"with --action-ref COMMIT, all 40 digits, or VERSION@COMMIT", exit.ErrUsage)
	default:
		r.Action = Action{Commit: r.BuiltFrom, Version: r.Release}
	}
	return err
}

// isPlain reports whether a text may be in conditions and scripts of workflows, where another letter could end it.
func isPlain(text string) bool {
	return text != "" && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/") == ""
}

// proposer is one run.
type proposer struct {
	options  component.Options
	existing []byte // the config file that is there, nil where none is
	ask      Request
	survey   *component.Survey
	found    Proposal
}

// fresh proposes as if there were no config file.
func (p *proposer) fresh() (*Proposal, error) {
	readings, clear, err := p.readings()
	if err != nil {
		return nil, err
	}
	if err := choose(readings, p.ask.Layout, clear); err != nil {
		return nil, err
	}
	p.found.Readings = readings
	chosen := p.found.Chosen()
	if chosen == nil {
		return &p.found, nil
	}
	if chosen.Config != nil {
		p.found.Files = append(p.found.Files, fileset.File{Path: component.ConfigFile, Content: chosen.Config})
	}
	return p.withWorkflows(chosen.Workspace)
}

// choose marks the requested reading, or the best one if it is clear.
func choose(readings []Reading, asked Layout, clear bool) error {
	if asked == "" {
		readings[0].Chosen = clear
		return nil
	}
	var names []string
	for i := range readings {
		if readings[i].Layout == asked {
			readings[i].Chosen = true
			return nil
		}
		names = append(names, string(readings[i].Layout))
	}
	return fmt.Errorf("%w: %q: this checkout can be read as %s", ErrLayout, asked, strings.Join(names, ", "))
}

// beside proposes the files beside the config file that is there. The config file decides what is published.
func (p *proposer) beside(existing []byte) (*Proposal, error) {
	ws, err := component.Load(p.options)
	if err != nil {
		return nil, err
	}
	p.found.Readings = []Reading{{Layout: LayoutConfig, Rule: "keos-oci.yaml is there and decides what is published", Workspace: ws,
		Chosen: true}}
	if p.ask.Workflows != "" {
		p.ask.Branch = newWorkflows(ws, p.ask).Branch
		if p.ask.Workflows == GitLab {
			if err := p.signedOnGitLab(ws); err != nil {
				return &p.found, err
			}
		}
		return p.withWorkflows(ws)
	}
	p.compare(ws, existing)
	return &p.found, nil
}

// compare adds what init would propose without the config file, so that people can compare. If that is not clear, the file
// decides. If the file makes a component of each app, and init would still propose this, it is the proposal.
func (p *proposer) compare(ws *component.Workspace, existing []byte) {
	for _, by := range []Grouping{ByLayer, ByApp} {
		other := &proposer{options: p.options, existing: existing, ask: p.ask, survey: p.survey}
		if other.ask.By = by; ws.Named() {
			other.options.Registry = ws.Address()
		}
		proposed, err := other.fresh()
		if err != nil || proposed.Chosen() == nil {
			continue
		}
		if by == ByLayer || bytes.Equal(proposed.Chosen().Config, existing) {
			p.found.Files = proposed.Files
		}
	}
}

// withWorkflows adds the files of the CI system.
func (p *proposer) withWorkflows(ws *component.Workspace) (*Proposal, error) {
	w := newWorkflows(ws, p.ask)
	if p.ask.Workflows != "" && !isPlain(w.Branch) {
		return &p.found, fmt.Errorf("%w: the channel %s follows the branch %q: workflows take letters, digits and any of . _ - /", ErrInput,
			w.Follows, w.Branch)
	}
	var files []fileset.File
	var err error
	switch p.ask.Workflows {
	case GitHub:
		files, err = w.github()
	case GitLab:
		files, err = w.gitlab()
	}
	p.found.Files = append(p.found.Files, files...)
	return &p.found, err
}
