package fileset

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/stratio/keos-oci/internal/exit"
)

// Errors of generated files. ErrTaken and ErrDiffers are answers.
var (
	ErrTaken   = errors.New("taken")
	ErrDiffers = errors.New("differs")
)

// Request says where generated files go, and what happens to files that are there. Without Dir the content of the files is the result.
type Request struct {
	Dir       string
	Check     bool // only compare
	Overwrite bool // also write over files that a person wrote or edited
	Golden    bool // files are to be equal to a reference, without the line that marks a generated file
	MustBeNew bool // a file that is there and differs belongs to something else
	Edits     bool // the content is that of the file with a change in its place
	Notes     []string
}

// Note adds a note to the result.
func (q *Request) Note(notes ...string) { q.Notes = append(q.Notes, notes...) }

// kindOf is the same for all files of a request.
func (q Request) kindOf(string) Kind {
	switch {
	case q.Edits:
		return Edited
	case q.Golden:
		return Golden
	}
	return Marked
}

// Put compares or writes files. The components that changed are those of the only file. The result is nil where nothing was compared.
func (q Request) Put(files []File, changed Entries) (*Result, error) {
	if q.Dir == "" {
		return q.content(files)
	}
	root, err := Open(q.Dir, q.Check)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	res, err := Plan(root, files, q.kindOf)
	if err != nil {
		return nil, err
	}
	res.Notes = q.Notes
	if len(res.Files) > 0 {
		res.Files[0].Entries = changed
	}
	if q.Check {
		return res, res.differences()
	}
	if err := res.refuse(q); err != nil {
		return res, err
	}
	if err := res.Write(root, files); err != nil {
		return nil, err
	}
	return res, nil
}

// content is the result of a request without a folder.
func (q Request) content(files []File) (*Result, error) {
	switch {
	case q.Check:
		return nil, fmt.Errorf("%w: --check compares with files: name their folder with --dir", exit.ErrUsage)
	case q.Golden:
		return nil, fmt.Errorf("%w: --golden is about files: name their folder with --dir", exit.ErrUsage)
	}
	res := &Result{Notes: q.Notes, Printed: true}
	for _, f := range files {
		res.Files = append(res.Files, Outcome{Path: f.Path, Status: StatusPrinted, Content: string(f.Content)})
	}
	return res, nil
}

// Open opens a folder. It makes the folder unless that must exist. Files outside the folder cannot be reached through it.
func Open(dir string, mustExist bool) (*os.Root, error) {
	if !mustExist {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", exit.ErrUsage, err)
	}
	return root, nil
}

// differences turns a comparison into an answer.
func (r *Result) differences() error {
	var names []string
	for i := range r.Files {
		if f := &r.Files[i]; !f.settled() {
			f.Status = StatusDiffers
			names = append(names, f.Path)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w from what would be generated: %s", ErrDiffers, strings.Join(names, ", "))
}

// refuse is an error where files of something else would be written over, or files that a person wrote or edited.
func (r *Result) refuse(q Request) error {
	var theirs []string
	for i := range r.Files {
		f := &r.Files[i]
		if f.theirs && !q.Overwrite {
			f.Status = StatusDiffers
			theirs = append(theirs, path.Join(q.Dir, f.Path))
		}
	}
	if len(theirs) > 0 && !q.MustBeNew {
		return fmt.Errorf("%w: a person wrote %s, or edited what is generated there: take over by hand what the diff shows, "+
			"or write over it with --overwrite%s",
			ErrTaken, strings.Join(theirs, " and "), r.Losses())
	}
	for _, f := range r.Files {
		if q.MustBeNew && !q.Overwrite && (f.Status == StatusUpdated || f.theirs) {
			return fmt.Errorf("%w: %s is there and differs: choose another name, compare with --check, or write over it with --overwrite%s",
				ErrTaken, path.Join(q.Dir, f.Path), r.Losses())
		}
	}
	return nil
}

// PutEdit is Put for one file that has a change in its place. The line that marks a generated file fits it afterwards.
func (q Request) PutEdit(file string, before, after []byte, changed Entries) (*Result, error) {
	q.Dir, q.Edits = filepath.Dir(file), true
	return q.Put([]File{{Path: filepath.Base(file), Content: Edit(before, after)}}, changed)
}
