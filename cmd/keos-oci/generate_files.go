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
	golden    bool // files are to be equal to a reference, without the line
	edits     bool // the content is that of the file with a change in its place
	notes     []string
}

func (o *outputFlags) bind(f *pflag.FlagSet, dir string) {
	f.StringVar(&o.dir, "dir", "", dir+" (default: print)")
	f.BoolVar(&o.check, "check", false, "with --dir: change nothing; exit with 3 if a file differs")
	f.BoolVar(&o.overwrite, "overwrite", false, "with --dir: also replace files that a person wrote or edited")
	f.BoolVar(&o.golden, "golden", false,
		"with --dir: files without the line # keos-oci: …, equal to a reference; only --overwrite changes one that differs")
}

// generateResult is what the generate commands did. Content is there where nothing was to be written.
type generateResult struct {
	Files []generatedFile `json:"files"`
	Notes []string        `json:"notes,omitempty"`

	printed bool
}

// fileKind says how a file that is there is compared with what is generated, and what is written.
type fileKind int

// The kinds of files.
const (
	marked fileKind = iota // with the line by which edits of a person are known
	golden                 // without it: every difference is a person's
	edited                 // the file itself with a change in its place
)

// kindOf is the same for all files of a command.
func (o outputFlags) kindOf(string) fileKind {
	switch {
	case o.edits:
		return edited
	case o.golden:
		return golden
	}
	return marked
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

	Lost []fileset.Loss `json:"lost,omitempty"` // what writing over a person's file would lose, or has lost

	kind   fileKind
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
	res := &generateResult{Notes: o.notes, printed: o.dir == ""}
	if o.dir == "" {
		switch {
		case o.check:
			return fmt.Errorf("%w: --check compares with files: name their folder with --dir", errUsage)
		case o.golden:
			return fmt.Errorf("%w: --golden is about files: name their folder with --dir", errUsage)
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
	if err := res.compare(root, files, o.kindOf); err != nil {
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
func (r *generateResult) compare(root *os.Root, files []flux.File, kindOf func(path string) fileKind) error {
	for _, f := range files {
		out := generatedFile{Path: f.Path, Status: fileUnchanged, kind: kindOf(f.Path)}
		before, err := readIn(root, f.Path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			out.Status = fileCreated
		case err != nil:
			return err
		default:
			out.Status, out.theirs = out.kind.stateOf(before, f.Content)
		}
		if out.theirs {
			out.Lost = fileset.Lost(before, f.Content)
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

// stateOf says what becomes of a file that is there, and whether it is not ours to write.
func (k fileKind) stateOf(before, generated []byte) (status string, theirs bool) {
	state := fileset.Ours
	switch {
	case k == edited && bytes.Equal(before, generated):
		state = fileset.Same
	case k == golden:
		state = fileset.CompareGolden(before, generated)
	case k == marked:
		state = fileset.Compare(before, generated)
	}
	switch state {
	case fileset.Same:
		return fileUnchanged, false
	case fileset.Kept:
		return fileKept, false
	}
	return fileUpdated, state == fileset.Theirs
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
		return fmt.Errorf("%w: a person wrote %s, or edited what is generated there: take over by hand what the diff shows, "+
			"or write over it with --overwrite%s",
			flux.ErrTaken, strings.Join(theirs, " and "), r.losses())
	}
	for _, f := range r.Files {
		if o.mustBeNew && !o.overwrite && (f.Status == fileUpdated || f.theirs) {
			return fmt.Errorf("%w: %s is there and differs: choose another name, compare with --check, or write over it with --overwrite%s",
				flux.ErrTaken, path.Join(o.dir, f.Path), r.losses())
		}
	}
	return nil
}

// maxLosses is how many of them an error names; the result has them all.
const maxLosses = 5

// losses says what writing over the files would lose.
func (r *generateResult) losses() string {
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
		if r.Files[i].kind == marked {
			f.Content = fileset.Mark(f.Content)
		}
		name, err := fileset.Beside(root, f.Path, f.Content)
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
		f.sayLost(w)
		p := diffPrinter{app: a}
		p.hunks(f.Diff)
		fmt.Fprint(w, p.out.String())
	}
	return nil
}

// sayLost shows what would be lost with a file, or was lost, object by object.
func (f generatedFile) sayLost(w io.Writer) {
	verb := "lost"
	if f.Status == fileDiffers {
		verb = "would be lost"
	}
	for _, l := range f.Lost {
		say(w, "  %s: %s\n", verb, l)
	}
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
