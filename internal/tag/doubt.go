package tag

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// newer are the records that are invalid or could not be checked, and that are newer than the newest valid
// record. Records that a valid record ignores are not among them.
func (j Journal) newer() []Entry {
	var list []Entry
	for _, e := range j.Entries {
		if e.Err == nil {
			break
		}
		if !j.ignored(e.Tag) {
			list = append(list, e)
		}
	}
	return list
}

// ignored reports whether a valid record ignores another one.
func (j Journal) ignored(what string) bool {
	return slices.ContainsFunc(j.Entries, func(e Entry) bool { return e.Err == nil && slices.Contains(e.Ignores, what) })
}

// gaps are the records after which one is missing: they refer to a record before them that is gone.
func (j Journal) gaps() []Entry {
	known := map[digest.Digest]bool{}
	for _, e := range j.Entries {
		known[e.Digest] = true
	}
	var list []Entry
	for i, e := range j.Entries {
		if e.Err == nil && e.Previous != "" && !known[e.Previous] && (!j.Partial || j.readPast(i) || slices.Contains(j.Absent, e.PreviousTag)) &&
			!j.ignored(e.Previous.String()) {
			list = append(list, e)
		}
	}
	return list
}

// readPast reports whether the record before entry i would be among those that were read: an older one is. Records of the
// first release have no numbers, and are in the order of their time.
func (j Journal) readPast(i int) bool {
	return slices.ContainsFunc(j.Entries[i+1:], func(older Entry) bool {
		return older.Err == nil && (j.Entries[i].Sequence == 0 || older.Sequence < j.Entries[i].Sequence-1)
	})
}

// Why the newest record of a journal is in doubt: ErrInvalid and ErrGap are both ErrDoubt.
var (
	ErrDoubt   = errors.New("the journal is in doubt")
	ErrInvalid = fmt.Errorf("%w: invalid record", ErrDoubt)
	ErrGap     = fmt.Errorf("%w: gap", ErrDoubt)
)

// Doubts says why the newest valid record is in doubt, nothing when it is not: newer records that are invalid or could
// not be checked, and records that are gone. Automatic moves stop then. Errors of records that could not be read or
// checked are theirs, the others are ErrDoubt.
func (j Journal) Doubts() []error {
	var list []error
	for _, e := range j.newer() {
		if e.Unchecked {
			list = append(list, fmt.Errorf("record %s cannot be checked: %w", e.Tag, e.Err))
		} else {
			list = append(list, fmt.Errorf("%w: %s is newer than any valid one: %w", ErrInvalid, e.Tag, e.Err))
		}
	}
	for _, e := range j.gaps() {
		list = append(list, fmt.Errorf("%w: the record before %s is gone (%s)", ErrGap, e.Tag, e.Previous))
	}
	return list
}

// Doubt is one error of all doubts, nil for none. What cannot be checked comes first: it may be the answer to the others.
func (j Journal) Doubt() error {
	list := j.Doubts()
	if i := slices.IndexFunc(list, func(err error) bool { return !errors.Is(err, ErrDoubt) }); i > 0 {
		list = list[i:]
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return fmt.Errorf("%w, and %d more like it", list[0], len(list)-1)
}

// maxIgnores bounds the list of ignored records in a record.
const maxIgnores = 256

// Ignorable lists what a writer ignores that moves the channel although it is in doubt: tags of records, and digests of missing ones.
func (j Journal) Ignorable() []string {
	var list []string
	for _, e := range j.newer() {
		list = append(list, e.Tag)
	}
	for _, e := range j.gaps() {
		list = append(list, e.Previous.String())
	}
	return list[:min(len(list), maxIgnores)]
}

// Findings lists what is odd about the chain of records: forks, which two writers at the same time cause, and records that
// are missing although a later record refers to them.
func (j Journal) Findings() []string {
	var list []string
	followers := map[digest.Digest][]string{}
	for i, e := range j.Entries {
		if e.counts() && e.Previous != "" && j.closed(i) == "" &&
			!j.ignored(e.Tag) { // a writer that withdrew its move leaves a fork, and nothing is lost
			followers[e.Previous] = append(followers[e.Previous], e.Tag)
		}
	}
	for _, e := range j.Entries {
		if tags := followers[e.Previous]; e.Err == nil && len(tags) > 1 && tags[0] == e.Tag {
			list = append(list, "fork: "+strings.Join(tags, " and ")+" were written at the same time")
		}
	}
	for _, e := range j.gaps() {
		list = append(list, "gap: the record before "+e.Tag+" is gone ("+e.Previous.String()+")")
	}
	return list
}

// SameNumber are pairs of valid records with the same number, the newer one first, of which none was closed.
func (j Journal) SameNumber() [][2]Entry {
	var list [][2]Entry
	seen := map[int]Entry{}
	for i, e := range j.Entries {
		if e.Err != nil || e.Sequence == 0 || !e.Moves() || j.closed(i) != "" || j.ignored(e.Tag) {
			continue
		}
		if newer, there := seen[e.Sequence]; there {
			list = append(list, [2]Entry{newer, e})
		}
		seen[e.Sequence] = e
	}
	return list
}
