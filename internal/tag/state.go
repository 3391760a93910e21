package tag

import (
	"slices"
)

// States of a single record.
const (
	StateDone      = "done"
	StatePending   = "pending"
	StateInvalid   = "invalid"
	StateOvertaken = "overtaken"
	StateClosed    = "closed"
	StateFailed    = "failed"
	StateUnchecked = "cannot-check"
)

// State is the outcome of entry i. A move is done if it is marked, or if the channel points to where it went. One that is neither is
// pending as long as the channel points to where it came from. A later record may close it.
func (j Journal) State(i int) string {
	e := j.Entries[i]
	switch {
	case e.Unchecked:
		return StateUnchecked
	case e.Err != nil:
		return StateInvalid
	case !e.Moves(), e.Action == ActionAdopt, e.From == e.To && !e.legacy():
		return StateDone
	}
	if closed := j.closed(i); closed != "" {
		return closed
	}
	switch {
	case e.Marked:
		return StateDone
	case j.tookEffect(i), e.To == j.Current && !j.superseded(i):
		return StateDone
	case e.From == j.Current && !j.superseded(i):
		return StatePending
	}
	return StateOvertaken
}

// closed is the state that a later record gave entry i, "" where none did. Its writer may have been alive, and moved the
// channel all the same: then it marked the record. Anybody who can write to the registry can write a mark. So a mark counts
// against a closing only where the channel, or a later record, says that the channel was there.
func (j Journal) closed(i int) string {
	e := j.Entries[i]
	switch by := j.closer(i); {
	case by.Tag == "", e.Marked && (j.tookEffect(i) || e.To == j.Current && by.Action != ActionWithdraw):
		return ""
	case by.Failed:
		return StateFailed
	}
	return StateClosed
}

// closer is the record that closed entry i.
func (j Journal) closer(i int) Entry {
	for _, later := range j.Entries {
		if later.Err == nil && slices.Contains(later.Closes, j.Entries[i].Digest) {
			return later
		}
	}
	return Entry{}
}

// tookEffect reports whether a later move started from where entry i went.
func (j Journal) tookEffect(i int) bool {
	for _, later := range j.Entries[:i] {
		if later.counts() && later.From == j.Entries[i].To && later.From != "" {
			return true
		}
	}
	return false
}

// superseded says that a later move was done, or went to the same digest.
func (j Journal) superseded(i int) bool {
	for k, later := range j.Entries[:i] {
		if later.counts() && (later.To == j.Entries[i].To || later.Marked || later.legacy() && (later.To == j.Current || j.tookEffect(k))) {
			return true
		}
	}
	return false
}
