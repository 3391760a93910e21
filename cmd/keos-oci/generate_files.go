package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/release"
)

// outputFlags say where generated files go: to stdout, or into a folder.
type outputFlags struct {
	dir       string
	check     bool
	mustBeNew bool // what is there already and differs is somebody else's
	overwrite bool // and is written over all the same
	edits     bool // the content is that of the file with a change in its place
	notes     []string
}

func (o *outputFlags) bind(f *pflag.FlagSet, dir string) {
	f.StringVar(&o.dir, "dir", "", dir+" (default: print)")
	f.BoolVar(&o.check, "check", false, "with --dir: change nothing, and exit with 3 where a file differs")
	f.BoolVar(&o.overwrite, "overwrite", false, "with --dir: also over files that a person wrote or edited")
}

// generateResult is what the generate commands did. Content is there where nothing was to be written.
type generateResult struct {
	Files []generatedFile `json:"files"`
	Notes []string        `json:"notes,omitempty"`

	printed bool
	marks   bool // files bear the line by which edits of a person are known
}

// generatedFile is one file. Status is created, updated, unchanged, kept (somebody added to it), differs (nothing was written) or printed.
type generatedFile struct {
	Path    string   `json:"path,omitempty"`
	Status  string   `json:"status"`
	Added   []string `json:"added,omitempty"` // components
	Updated []string `json:"updated,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Content string   `json:"content,omitempty"`
	Diff    string   `json:"diff,omitempty"`

	theirs bool // a person wrote it, or edited what is generated
}

// The states of a generated file.
const (
	fileCreated   = "created"
	fileUpdated   = "updated"
	fileUnchanged = "unchanged"
	fileKept      = "kept"
	fileDiffers   = "differs"
	filePrinted   = "printed"
)

// finishFiles prints, compares or writes files, and tells what it did. A change is the only file's.
func (a *app) finishFiles(o outputFlags, files []flux.File, change *flux.Change) error {
	res := &generateResult{Notes: o.notes, printed: o.dir == "", marks: !o.edits}
	if o.dir == "" {
		if o.check {
			return fmt.Errorf("%w: --check compares with files: name their folder with --dir", errUsage)
		}
		for _, f := range files {
			res.Files = append(res.Files, generatedFile{Path: f.Path, Status: filePrinted, Content: string(f.Content)})
		}
		return a.finish(res, nil)
	}
	root, err := openFolder(o.dir, o.check)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := res.compare(root, files); err != nil {
		return err
	}
	if change != nil {
		res.Files[0].Added, res.Files[0].Updated, res.Files[0].Removed = change.Added, change.Updated, change.Removed
	}
	if o.check {
		return a.finish(res, res.differences())
	}
	if err := res.taken(o); err != nil {
		return errors.Join(err, a.finish(res, nil))
	}
	if err := res.write(root, files); err != nil {
		return err
	}
	return a.finish(res, nil)
}

// openFolder opens a folder, which may be a new one unless it is only compared with; no file outside it is touched.
func openFolder(dir string, mustExist bool) (*os.Root, error) {
	if !mustExist {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return root, nil
}

// compare finds out what writing would do.
func (r *generateResult) compare(root *os.Root, files []flux.File) error {
	for _, f := range files {
		out := generatedFile{Path: f.Path, Status: fileUnchanged}
		before, err := readIn(root, f.Path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			out.Status = fileCreated
		case err != nil:
			return err
		case !r.marks && !bytes.Equal(before, f.Content):
			out.Status = fileUpdated
		case r.marks:
			out.Status, out.theirs = stateOfFile(before, f.Content)
		}
		if out.Status != fileUnchanged && out.Status != fileKept {
			body, _, _ := fileset.Body(before)
			_, hunks, _ := bytes.Cut(diff.Diff(f.Path, body, f.Path+" (generated)", f.Content), []byte("\n"))
			out.Diff = string(hunks)
		}
		r.Files = append(r.Files, out)
	}
	return nil
}

// stateOfFile says what becomes of a file that is there, and whether it is not ours to write.
func stateOfFile(before, generated []byte) (status string, theirs bool) {
	switch fileset.Compare(before, generated) {
	case fileset.Same:
		return fileUnchanged, false
	case fileset.Kept:
		return fileKept, false
	case fileset.Theirs:
		return fileUpdated, true
	}
	return fileUpdated, false
}

func readIn(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// differences turns a comparison into an answer.
func (r *generateResult) differences() error {
	var names []string
	for i := range r.Files {
		if f := &r.Files[i]; f.Status != fileUnchanged && f.Status != fileKept {
			f.Status = fileDiffers
			names = append(names, f.Path)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w from what would be generated: %s", release.ErrDiffers, strings.Join(names, ", "))
}

// taken refuses to write over files of something that is there already, and over what a person wrote.
func (r *generateResult) taken(o outputFlags) error {
	var theirs []string
	for i := range r.Files {
		f := &r.Files[i]
		if f.theirs && !o.overwrite {
			f.Status = fileDiffers
			theirs = append(theirs, path.Join(o.dir, f.Path))
		}
	}
	if len(theirs) > 0 && !o.mustBeNew {
		return fmt.Errorf("%w: a person wrote %s, or edited what is generated there: take over by hand what the diff shows, or write over it with --overwrite, which loses the rest",
			flux.ErrTaken, strings.Join(theirs, " and "))
	}
	for _, f := range r.Files {
		if o.mustBeNew && !o.overwrite && (f.Status == fileUpdated || f.theirs) {
			return fmt.Errorf("%w: %s is there and differs: choose another name, compare with --check, or write over it with --overwrite", flux.ErrTaken, path.Join(o.dir, f.Path))
		}
	}
	return nil
}

// write puts all files beside their places first and then moves them there, so that a fault leaves nothing half-written.
func (r *generateResult) write(root *os.Root, files []flux.File) (err error) {
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
		if r.Files[i].Status == fileUnchanged || r.Files[i].Status == fileKept {
			beside = append(beside, "")
			continue
		}
		if r.marks {
			f.Content = fileset.Mark(f.Content)
		}
		if err := root.MkdirAll(path.Dir(f.Path), 0o755); err != nil {
			return err
		}
		name := path.Join(path.Dir(f.Path), "."+path.Base(f.Path)+".keos-oci")
		beside = append(beside, name)
		if err := writeIn(root, name, f.Content, modeOf(root, f.Path)); err != nil {
			return err
		}
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

// modeOf keeps the permissions of a file that is replaced.
func modeOf(root *os.Root, name string) os.FileMode {
	if info, err := root.Stat(name); err == nil {
		return info.Mode().Perm()
	}
	return 0o644
}

func writeIn(root *os.Root, name string, content []byte, mode os.FileMode) (err error) {
	// What is there is a killed run's, or a link that somebody put there to have another file written.
	if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(content)
	return err
}

// printGenerated prints the objects themselves, or what became of each file. Notes go to stderr, so that stdout can be
// applied as it is.
func (a *app) printGenerated(w io.Writer, r *generateResult) error {
	for _, n := range r.Notes {
		say(a.err, "%s: %s\n", a.paint(bold, "note"), a.paragraph(n))
	}
	for i, f := range r.Files {
		if r.printed {
			if i > 0 {
				fmt.Fprintln(w, "---")
			}
			if len(r.Files) > 1 {
				say(w, "# %s\n", f.Path)
			}
			fmt.Fprint(w, contentFor(w, f.Content))
			continue
		}
		say(w, "%s  %s%s\n", f.Status, f.Path, f.components())
		p := diffPrinter{app: a}
		p.hunks(f.Diff)
		fmt.Fprint(w, p.out.String())
	}
	return nil
}

// contentFor is a file's content: as it is for programs, and without what steers a terminal for people.
func contentFor(w io.Writer, content string) string {
	if isTerminal(w) {
		return visibleLines(content)
	}
	return content
}

// components says which ones were concerned.
func (f generatedFile) components() string {
	var b strings.Builder
	for _, part := range []struct {
		verb  string
		names []string
	}{{"added", f.Added}, {"updated", f.Updated}, {"removed", f.Removed}} {
		if len(part.names) > 0 {
			say(&b, "  %s %s", part.verb, strings.Join(part.names, ", "))
		}
	}
	return b.String()
}
