package tag

import (
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// Action says what a record is about.
type Action string

// The actions. Adopt records what another tool did to the channel, as the next move found it. Close ends moves that were begun by others
// and never finished; withdraw ends the writer's own.
const (
	ActionPromote  Action = "promote"
	ActionPublish  Action = "publish"
	ActionRollback Action = "rollback"
	ActionAdopt    Action = "adopt"
	ActionClose    Action = "close"
	ActionWithdraw Action = "withdraw"
)

// Record is what is known of one move of a channel. It is written before the channel moves, signed, and never changed.
type Record struct {
	Component   string        `json:"component"`
	Channel     string        `json:"channel"`
	Action      Action        `json:"action"`
	Version     string        `json:"version,omitempty"`
	FromVersion string        `json:"fromVersion,omitempty"`
	To          digest.Digest `json:"to"`
	From        digest.Digest `json:"from,omitempty"`
	Time        time.Time     `json:"time"`
	Actor       string        `json:"actor,omitempty"`
	RunURL      string        `json:"runURL,omitempty"`
	Reason      string        `json:"reason,omitempty"`
	Previous    digest.Digest `json:"previous,omitempty"` // the newest record that the writer saw
	PreviousTag string        `json:"previousTag,omitempty"`
	Sequence    int           `json:"sequence,omitempty"` // one more than that record's; records of the first release have none
	Request     string        `json:"request,omitempty"`  // a command that is repeated says the same; records of the first release have none

	// Closes are earlier records whose moves never take effect any more. Failed says that the registry refused the tag of a withdrawn move.
	Closes []digest.Digest `json:"closes,omitempty"`
	Failed bool            `json:"failed,omitempty"`
	// Ignores is what the writer ignored: the tags of newer records that were invalid or could not be checked, and the
	// digests of records that were gone.
	Ignores []string `json:"ignores,omitempty"`
	// Skipped are the versions above this one that rollbacks left or passed over, and that nobody promoted since.
	Skipped []Target `json:"off,omitempty"`
}

// Moves reports whether the record is of a move, its own or another tool's.
func (r Record) Moves() bool { return r.Action != ActionClose && r.Action != ActionWithdraw }

// Entry is a record as it was found in the registry. Err says why it is invalid, nil when it is valid.
type Entry struct {
	Record
	Tag    string
	Digest digest.Digest // of the record's manifest
	Signer string
	Logged time.Time // by the log's clock; zero without a log
	Marked bool      // the registry has the tag that says that the move is done
	Err    error

	Unchecked bool // Err says why the record could not be read or checked; it may be valid
	Former    bool // its signer may not move the channel any more
}

// counts reports whether the entry is a valid record of a move.
func (e Entry) counts() bool { return e.Err == nil && e.Moves() }

// legacy reports whether the first release wrote the record, which marks nothing.
func (e Entry) legacy() bool { return e.Request == "" }

// Written is when the record was written: by the log's clock, else by the writer's.
func (e Entry) Written() time.Time {
	if !e.Logged.IsZero() {
		return e.Logged
	}
	return e.Time
}

// Journal is the records of one channel, newest first: all of them, or the newest when Partial.
type Journal struct {
	Current digest.Digest // what the channel points to
	Entries []Entry
	Partial bool
	Absent  []string // tags of records that later records refer to, and that the registry does not list
}

// Suffices reports whether the entries have so many valid records that no older one needs to be read: wanted, and among them
// one that says where the channel was moved; else enough.
func (j Journal) Suffices(wanted, enough int) bool {
	valid, known := 0, false
	for _, e := range j.Entries {
		if e.Err == nil {
			valid++
			known = known || e.Moves() && (e.Marked || e.To == j.Current)
		}
	}
	return valid >= wanted && known || valid >= max(wanted, enough)
}

// Newest is the newest valid record, false when there is none.
func (j Journal) Newest() (Entry, bool) {
	for _, e := range j.Entries {
		if e.Err == nil {
			return e, true
		}
	}
	return Entry{}, false
}

// Effective is the newest move that was done, false when there is none.
func (j Journal) Effective() (Entry, bool) {
	for i, e := range j.Entries {
		if e.counts() && j.State(i) == StateDone {
			return e, true
		}
	}
	return Entry{}, false
}

// Agreement says how the journal and the channel agree.
type Agreement string

// The agreements: nothing recorded, the channel points to what a record says, a record was written but the channel not moved,
// somebody moved the channel without a record, or the newest records could not be checked.
const (
	Unrecorded  Agreement = "unrecorded"
	Settled     Agreement = "settled"
	Pending     Agreement = "pending"
	Outside     Agreement = "moved outside"
	CannotCheck Agreement = "cannot-check"
)

// Agreement compares the records with what the channel points to. For Pending, the entry is the newest move that waits.
func (j Journal) Agreement() (Agreement, Entry) {
	for i, e := range j.Entries {
		if j.State(i) == StatePending {
			return Pending, e
		}
	}
	newest, ok := j.Effective()
	switch {
	case slices.ContainsFunc(j.newer(), func(e Entry) bool { return e.Unchecked }):
		return CannotCheck, Entry{}
	case ok && newest.To == j.Current, !ok && j.Current == "":
		return Settled, Entry{}
	case ok:
		return Outside, Entry{}
	}
	return Unrecorded, Entry{}
}

// Unfinished are the moves that were begun, and of which nothing says how they ended, newest first. Of the first release's
// records, which say nothing, it is only the one that waits.
func (j Journal) Unfinished() []Entry {
	var list []Entry
	for i, e := range j.Entries {
		if state := j.State(i); state == StatePending || state == StateOvertaken && !e.legacy() {
			list = append(list, e)
		}
	}
	return list
}

// Unmarked are the moves that are done and not marked, newest first: their writer ended before that.
func (j Journal) Unmarked() []Entry {
	var list []Entry
	for i, e := range j.Entries {
		if e.counts() && !e.Marked && !e.legacy() && e.Action != ActionAdopt && e.From != e.To && j.State(i) == StateDone {
			list = append(list, e)
		}
	}
	return list
}

// Requested finds the newest record of a request.
func (j Journal) Requested(request string, action Action, version string) (int, bool) {
	for i, e := range j.Entries {
		if e.Of(request, action, version) {
			return i, true
		}
	}
	return 0, false
}

// Of reports whether a valid record is of a request: the same command, for the same version where one is named.
func (e Entry) Of(request string, action Action, version string) bool {
	return e.Err == nil && request != "" && e.Request == request && e.Action == action && (version == "" || e.Version == version)
}

// VersionOf is the version under which a digest was put on the channel, "" when no valid record says.
func (j Journal) VersionOf(d digest.Digest) string {
	for _, e := range j.Entries {
		switch {
		case !e.counts():
		case e.To == d && e.Version != "":
			return e.Version
		case e.From == d && e.FromVersion != "":
			return e.FromVersion
		}
	}
	return ""
}

// Moved reports whether a valid record is of a move to this version as this digest, or from it.
func (j Journal) Moved(version string, d digest.Digest) bool {
	for _, e := range j.Entries {
		if e.counts() && (e.Version == version && e.To == d || e.FromVersion == version && e.From == d) {
			return true
		}
	}
	return false
}

// History is where the channel was, newest first, beginning with where its records say that it is. A rollback takes away
// what it undid: after v1, v2, v3 and a rollback to v2, the channel was at v1 before. So does whoever put it back by other
// means.
func (j Journal) History() []Target {
	var past []Target
	for i := len(j.Entries) - 1; i >= 0; i-- {
		e := j.Entries[i]
		if !e.counts() || j.State(i) != StateDone {
			continue
		}
		if e.From != "" && (len(past) == 0 || past[len(past)-1].Digest != e.From) {
			past = append(past, Target{e.FromVersion, e.From}) // records before this one are gone, or were not read
		}
		past = append(undo(past, e), Target{e.Version, e.To})
	}
	slices.Reverse(past)
	return past
}

// undo takes away of the past what a move went back over, oldest first.
func undo(past []Target, e Entry) []Target {
	at := slices.IndexFunc(past, func(t Target) bool { return t.Digest == e.To })
	switch {
	case at >= 0 && e.Action != ActionPromote && e.Action != ActionPublish, at >= 0 && at == len(past)-1:
		return past[:at]
	case e.Action == ActionRollback && len(past) > 0:
		return slices.DeleteFunc(past[:len(past)-1], func(t Target) bool { return higher(t.Version, e.Version) })
	}
	return past
}

// higher reports whether version a is above b; what is no version is not.
func higher(a, b string) bool {
	va, err := ParseVersion(a)
	if err != nil {
		return false
	}
	vb, err := ParseVersion(b)
	return err == nil && va.GreaterThan(vb)
}

// SkippedVersions are the versions that rollbacks left or passed over, and that nobody promoted since. Each record repeats
// those of the one before it. Of the first release's records, it is what their rollbacks left.
func (j Journal) SkippedVersions() []Target {
	var off []Target
	done := map[digest.Digest]bool{} // what a later move went to
	for i, e := range j.Entries {
		if !e.counts() || j.State(i) != StateDone {
			continue
		}
		if !e.legacy() {
			off = append(off, e.Skipped...)
			if e.Previous == "" { // the first one, or one whose writer could not read the others
				off = append(off, j.passed(i)...)
			}
			return off
		}
		if e.Action == ActionRollback && !done[e.From] {
			off = append(off, Target{e.FromVersion, e.From})
		}
		if e.Action != ActionAdopt {
			done[e.To] = true
		}
	}
	return off
}

// passed is what was off before a move whose writer could not read the records before it, and what it left and passed over,
// if it is a rollback.
func (j Journal) passed(i int) []Target {
	e, older := j.Entries[i], Journal{Current: j.Entries[i].From, Entries: j.Entries[i+1:]}
	off := older.SkippedVersions()
	if e.Action == ActionRollback {
		off = append(older.History(), off...)
	}
	return slices.DeleteFunc(off, func(t Target) bool { return !higher(t.Version, e.Version) || t.Digest == e.To })
}
