package migrate

import (
	"fmt"

	"github.com/stratio/keos-oci/internal/fileset"
)

// PhaseResult is what a phase of a migration did. Status of a file is updated, or differs where nothing was written.
type PhaseResult struct {
	Files []fileset.Outcome `json:"files"`
	Stops []Stop            `json:"stops"`
	Notes []string          `json:"notes,omitempty"`
	Next  string            `json:"next,omitempty"`
}

// AdoptResult is what a step of adopt did.
type AdoptResult struct {
	Adoption
	Files []fileset.Outcome `json:"files"`
	Next  string            `json:"next,omitempty"`
}

// ProgressResult is how far a migration is.
type ProgressResult struct {
	Kustomizations []LiveState `json:"kustomizations"`

	Looked bool `json:"-"` // at the clusters
}

// finish writes the changes of a phase, or says what they are. What is next is only said where there were changes.
func (r *run) finish(plan *Plan, changes []Change, next string) (*PhaseResult, error) {
	res := &PhaseResult{Stops: append([]Stop{}, plan.Stops...), Notes: r.notes}
	for _, c := range plan.Clusters {
		res.Notes = append(res.Notes, c.ByHand...)
	}
	res.Files = changedFiles(changes, !r.DryRun && !r.Check && len(plan.Stops) == 0)
	switch {
	case len(plan.Stops) > 0:
		return res, plan.Err()
	case r.Check && len(changes) > 0:
		return res, fmt.Errorf("%w: %d files are to be changed", ErrIncomplete, len(changes))
	case r.DryRun || r.Check:
		return res, nil
	}
	if len(changes) > 0 {
		res.Next = next
	}
	return res, Write(r.req.Fleet.Dir, changes)
}

// changedFiles shows changes, which are written or only shown.
func changedFiles(changes []Change, written bool) []fileset.Outcome {
	files := []fileset.Outcome{}
	for _, c := range changes {
		f := fileset.Outcome{Path: c.File, Status: fileset.StatusDiffers, Diff: fileset.Hunks(c.File, c.Before, c.File+" (after)", c.After)}
		switch {
		case written && len(c.After) == 0:
			f.Status = fileset.StatusRemoved
		case written:
			f.Status = fileset.StatusUpdated
		}
		files = append(files, f)
	}
	return files
}
