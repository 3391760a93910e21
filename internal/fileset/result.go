package fileset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Result lists generated files, each with its status.
type Result struct {
	Files []Outcome `json:"files"`
	Notes []string  `json:"notes,omitempty"`

	Printed bool `json:"-"` // the files are not for a folder: their content is the result
}

// Outcome is one file and its status. Content is there where nothing was to be written.
type Outcome struct {
	Path   string `json:"path,omitempty"`
	Status Status `json:"status"`
	Entries
	Content string `json:"content,omitempty"`
	Diff    string `json:"diff,omitempty"`

	Lost []Loss `json:"lost,omitempty"` // what writing over a person's file would lose, or has lost

	kind   Kind
	theirs bool // a person wrote it, or edited what is generated
}

// Entries are the components that a change of a file concerns.
type Entries struct {
	Added   []string `json:"added,omitempty"`
	Updated []string `json:"updated,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// Status is the state of a file in a result.
type Status string

// The states of a file in a result.
const (
	StatusCreated   Status = "created"
	StatusUpdated   Status = "updated"
	StatusUnchanged Status = "unchanged"
	StatusKept      Status = "kept"    // a person added to it, and it has all that is generated
	StatusDiffers   Status = "differs" // nothing was written
	StatusPrinted   Status = "printed"
	StatusRemoved   Status = "removed" // nothing is left of it
)

// Kind is how a file that is there is compared with what is generated, and what is written.
type Kind int

// The kinds of files.
const (
	Marked Kind = iota // with the line by which edits of a person are known
	Golden             // without it: every difference is a person's
	Edited             // the file itself with a change in its place
)

// stateOf says what becomes of a file that is there, and whether it is not ours to write.
func (k Kind) stateOf(before, generated []byte) (status Status, theirs bool) {
	state := Ours
	switch {
	case k == Edited && bytes.Equal(before, generated):
		state = Same
	case k == Golden:
		state = CompareGolden(before, generated)
	case k == Marked:
		state = Compare(before, generated)
	}
	switch state {
	case Same:
		return StatusUnchanged, false
	case Kept:
		return StatusKept, false
	}
	return StatusUpdated, state == Theirs
}

// Plan compares files with those of a folder, and returns what writing would do.
func Plan(root *os.Root, files []File, kindOf func(file string) Kind) (*Result, error) {
	r := &Result{}
	for _, f := range files {
		out, err := outcomeOf(root, f, kindOf(f.Path))
		if err != nil {
			return nil, err
		}
		r.Files = append(r.Files, out)
	}
	return r, nil
}

func outcomeOf(root *os.Root, f File, kind Kind) (Outcome, error) {
	out := Outcome{Path: f.Path, Status: StatusUnchanged, kind: kind}
	before, err := ReadIn(root, f.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		out.Status = StatusCreated
	case err != nil:
		return out, err
	default:
		out.Status, out.theirs = kind.stateOf(before, f.Content)
	}
	if out.theirs {
		out.Lost = Lost(before, f.Content)
	}
	if !out.settled() {
		body, _, _ := Body(before)
		out.Diff = Hunks(f.Path, body, f.Path+" (generated)", f.Content)
	}
	return out, nil
}

// settled reports whether nothing is to be written.
func (o Outcome) settled() bool { return o.Status == StatusUnchanged || o.Status == StatusKept }

// Hunks is how one text differs from another, without the line that says which texts these are.
func Hunks(oldName string, before []byte, newName string, after []byte) string {
	_, hunks, _ := bytes.Cut(diff.Diff(oldName, before, newName, after), []byte("\n"))
	return string(hunks)
}

// ReadIn reads a file of a folder.
func ReadIn(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Theirs lists the files that a person wrote or edited.
func (r *Result) Theirs() []string {
	var names []string
	for _, f := range r.Files {
		if f.theirs {
			names = append(names, path.Clean(f.Path))
		}
	}
	return names
}

// maxLosses is how many losses an error has; the result has them all.
const maxLosses = 5

// Losses says what writing over the files would lose.
func (r *Result) Losses() string {
	var all []string
	for _, f := range r.Files {
		for _, l := range f.Lost {
			all = append(all, l.String())
		}
	}
	if len(all) == 0 {
		return ", which loses what else is different in it"
	}
	if more := len(all) - maxLosses; more > 0 {
		all = append(all[:maxLosses], fmt.Sprintf("and of %d more objects", more))
	}
	return ", which loses " + strings.Join(all, "; ")
}

// Write puts all files beside their places first and then moves them there, so that a fault leaves nothing half-written.
func (r *Result) Write(root *os.Root, files []File) (err error) {
	var beside []string
	defer func() {
		for _, name := range beside {
			if err != nil {
				_ = root.Remove(name)
			}
		}
	}()
	for i, f := range files {
		r.Files[i].Diff = ""
		if r.Files[i].settled() {
			beside = append(beside, "")
			continue
		}
		if r.Files[i].kind == Marked {
			f.Content = Mark(f.Content)
		}
		name, err := Beside(root, f.Path, f.Content)
		if err != nil {
			return err
		}
		beside = append(beside, name)
	}
	for i, f := range files {
		if beside[i] == "" {
			continue
		}
		if err := root.Rename(beside[i], f.Path); err != nil {
			return err
		}
	}
	return nil
}
