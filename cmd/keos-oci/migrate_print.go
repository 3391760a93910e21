package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/stratio/keos-oci/internal/migrate"
)

// phaseResult is what a phase of a migration did. Status of a file is updated, or differs where nothing was written.
type phaseResult struct {
	Files []generatedFile `json:"files"`
	Stops []migrate.Stop  `json:"stops"`
	Notes []string        `json:"notes,omitempty"`
	Next  string          `json:"next,omitempty"`
}

// finishPhase writes the changes of a phase, or says what they are.
func (a *app) finishPhase(g *migrateFlags, fleet *migrate.Fleet, plan *migrate.Plan, changes []migrate.Change, next string) error {
	res := &phaseResult{Stops: append([]migrate.Stop{}, plan.Stops...), Notes: g.notes}
	for _, c := range plan.Clusters {
		res.Notes = append(res.Notes, c.ByHand...)
	}
	res.Files = changedFiles(changes, !g.dryRun && !g.check && len(plan.Stops) == 0)
	switch {
	case len(plan.Stops) > 0:
		return a.finish(res, plan.Err())
	case g.check && len(changes) > 0:
		return a.finish(res, fmt.Errorf("%w: %d files are to be changed", migrate.ErrIncomplete, len(changes)))
	case g.dryRun || g.check:
		return a.finish(res, nil)
	}
	if len(changes) > 0 {
		res.Next = next
	}
	return a.finish(res, migrate.Write(fleet.Dir, changes))
}

// fileRemoved is the state of a file of which nothing is left.
const fileRemoved = "removed"

// changedFiles shows changes, which are written or only shown.
func changedFiles(changes []migrate.Change, written bool) []generatedFile {
	files := []generatedFile{}
	for _, c := range changes {
		_, hunks, _ := bytes.Cut(diff.Diff(c.File, c.Before, c.File+" (after)", c.After), []byte("\n"))
		f := generatedFile{Path: c.File, Status: fileDiffers, Diff: string(hunks)}
		switch {
		case written && len(c.After) == 0:
			f.Status = fileRemoved
		case written:
			f.Status = fileUpdated
		}
		files = append(files, f)
	}
	return files
}

func (a *app) printFiles(w io.Writer, files []generatedFile) {
	for _, f := range files {
		say(w, "%s  %s\n", f.Status, f.Path)
		p := diffPrinter{app: a}
		p.hunks(f.Diff)
		fmt.Fprint(w, p.out.String())
	}
}

func (a *app) printPhase(w io.Writer, r *phaseResult) {
	a.printFiles(w, r.Files)
	a.printStops(w, r.Stops)
	for _, n := range r.Notes {
		say(w, "%s: %s\n", a.paint(bold, "note"), n)
	}
	if len(r.Files)+len(r.Stops) == 0 {
		fmt.Fprintln(w, "nothing to do")
	}
	if r.Next != "" {
		say(w, "%s: %s\n", a.paint(bold, "next"), r.Next)
	}
}

func (a *app) printStops(w io.Writer, stops []migrate.Stop) {
	for _, s := range stops {
		say(w, "%s: %s: %s:%d: %s [%s]; %s\n", a.paint(red, "stop"), s.Cluster, s.File, s.Line, s.Message, s.Code, s.Do)
	}
}

func (a *app) printPlan(w io.Writer, p *migrate.Plan) {
	fmt.Fprintln(w, "CLUSTER\tKUSTOMIZATION\tTODAY\tTOMORROW\tPATH\tOBJECTS")
	for _, c := range p.Clusters {
		for _, m := range c.Moves {
			tomorrow := "?"
			if m.Component != "" {
				tomorrow = m.Component + ":" + cmp.Or(m.Version, m.Channel)
			}
			equal := map[string]string{migrate.EqualYes: "equal", migrate.EqualNo: "differ", migrate.EqualUnknown: "unknown"}[m.Equal]
			say(w, "%s\t%s\t%s@%s\t%s\t%s\t%d %s\n", c.Name, m.Kustomization, m.Source[strings.LastIndex(m.Source, "/")+1:], m.Branch, tomorrow,
				m.NewPath, m.Objects, equal)
		}
	}
	for _, c := range p.Clusters {
		for _, n := range c.Secrets {
			say(w, "%s: namespace %s needs the registry's login and what verifies signatures, for %s\n", c.Name, n.Namespace,
				strings.Join(slices.Sorted(slices.Values(n.For)), ", "))
		}
		if len(c.Waits) > 0 {
			say(w, "%s: %s: %d Kustomizations wait for another component, such as %s for %s: both were of one commit, and will be of versions of their own\n",
				a.paint(bold, "note"), c.Name, len(c.Waits), c.Waits[0].Kustomization, c.Waits[0].For)
		}
		for _, n := range append(slices.Clone(c.Notes), c.ByHand...) {
			say(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, n)
		}
	}
	a.printStops(w, p.Stops)
}
