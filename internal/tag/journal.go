package tag

import (
	"cmp"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Action says what kind of move a record is about.
type Action string

// The actions. Adopt records what another tool did to the channel, as the next move found it.
const (
	ActionPromote  Action = "promote"
	ActionPublish  Action = "publish"
	ActionRollback Action = "rollback"
	ActionAdopt    Action = "adopt"
)

// Record is one move of a channel. It is written before the channel moves, signed, and never changed.
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
}

// Entry is a record as it was found in the registry. Err says why it counts for nothing, nil when it is valid.
type Entry struct {
	Record
	Tag    string
	Digest digest.Digest // of the record's manifest
	Signer string
	Err    error
}

// Journal is the records of one channel, newest first: all of them, or the newest when Partial.
type Journal struct {
	Names   digest.Digest // what the channel names
	Entries []Entry
	Partial bool
}

// recordTag is <channel>.<UTC time to the millisecond>.<4 hex>; channels may hold dots, so it is read from its end.
var recordTag = regexp.MustCompile(`^(.+)\.([0-9]{8}T[0-9]{9}Z)\.([0-9a-f]{4})$`)

const recordTime = "20060102T150405.000"

// RecordTag names a record. The salt keeps two moves of one millisecond apart.
func RecordTag(channel string, at time.Time, salt [2]byte) string {
	stamp := strings.Replace(at.UTC().Format(recordTime), ".", "", 1) + "Z"
	return channel + "." + stamp + "." + hex.EncodeToString(salt[:])
}

// ParseRecordTag reads the channel and the time of a record's tag, false for any other tag.
func ParseRecordTag(t string) (channel string, at time.Time, ok bool) {
	m := recordTag.FindStringSubmatch(t)
	if m == nil {
		return "", time.Time{}, false
	}
	stamp := m[2]
	at, err := time.Parse(recordTime, stamp[:15]+"."+stamp[15:18])
	return m[1], at, err == nil
}

// ReleaseTag names the record that says which digest a version is.
func ReleaseTag(version string) string { return releasePrefix + version }

// IsReleaseTag says whether a tag is that of a release record.
func IsReleaseTag(t string) bool {
	version, ok := strings.CutPrefix(t, releasePrefix)
	if !ok {
		return false
	}
	_, err := ParseVersion(version)
	return err == nil
}

const releasePrefix = "release."

// RecordTags picks a channel's records out of a repository's tags, newest first.
func RecordTags(tags []string, channel string) []string {
	var list []string
	for _, t := range tags {
		if c, _, ok := ParseRecordTag(t); ok && c == channel {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(b, a) })
	return list
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

// Standing says how the journal and the channel agree.
type Standing string

// The standings: nothing recorded, the channel names what a record says, a record was written but the channel not moved,
// or somebody moved the channel without a record.
const (
	Unrecorded Standing = "unrecorded"
	Settled    Standing = "settled"
	Pending    Standing = "pending"
	Outside    Standing = "moved outside"
)

// Standing compares the records with what the channel names. For Pending, the entry is the move that waits.
//
// Registries have no compare-and-swap, so a record may be of a move that lost against another: it started from what the
// channel named before. Such records count for nothing here. A record that starts from what the channel names now is
// waiting, unless a later one shows that it took effect: then somebody took the channel back by other means.
func (j Journal) Standing() (Standing, Entry) {
	if _, ok := j.Newest(); !ok {
		if j.Names == "" {
			return Settled, Entry{}
		}
		return Unrecorded, Entry{}
	}
	for i, e := range j.Entries {
		switch {
		case e.Err != nil:
		case e.To == j.Names:
			return Settled, Entry{}
		case e.From == j.Names && j.tookEffect(i):
			return Outside, Entry{}
		case e.From == j.Names:
			return Pending, e
		}
	}
	return Outside, Entry{}
}

// tookEffect says whether a later record started from where entry i went.
func (j Journal) tookEffect(i int) bool {
	for _, later := range j.Entries[:i] {
		if later.Err == nil && later.From == j.Entries[i].To {
			return true
		}
	}
	return false
}

// States of a single record.
const (
	StateDone      = "done"
	StatePending   = "pending"
	StateInvalid   = "invalid"
	StateOvertaken = "overtaken"
)

// State says what became of entry i: it counts for nothing, its channel has not moved yet, another move won, or it is done.
func (j Journal) State(i int) string {
	e := j.Entries[i]
	standing, waiting := j.Standing()
	switch {
	case e.Err != nil:
		return StateInvalid
	case standing == Pending && waiting.Tag == e.Tag:
		return StatePending
	case j.tookEffect(i), e.To == j.Names && j.isLatestTo(i):
		return StateDone
	}
	return StateOvertaken
}

// isLatestTo says that no later record went to the same digest.
func (j Journal) isLatestTo(i int) bool {
	for _, later := range j.Entries[:i] {
		if later.Err == nil && later.To == j.Entries[i].To {
			return false
		}
	}
	return true
}

// Findings tells what is odd about the chain of records: forks, which two writers at once leave, and records that are
// named as a predecessor but are gone.
func (j Journal) Findings() []string {
	var list []string
	known := map[digest.Digest]bool{}
	followers := map[digest.Digest][]string{}
	for _, e := range j.Entries {
		known[e.Digest] = true
		if e.Err == nil && e.Previous != "" {
			followers[e.Previous] = append(followers[e.Previous], e.Tag)
		}
	}
	for i, e := range j.Entries {
		if tags := followers[e.Previous]; e.Err == nil && len(tags) > 1 && tags[0] == e.Tag {
			list = append(list, "fork: "+strings.Join(tags, " and ")+" were written at the same time")
		}
		last := i == len(j.Entries)-1
		if e.Err == nil && e.Previous != "" && !known[e.Previous] && (!last || !j.Partial) {
			list = append(list, "dangling: the record before "+e.Tag+" is gone ("+e.Previous.String()+")")
		}
	}
	return list
}

// VersionOf is the version under which a digest was put on the channel, "" when no valid record says.
func (j Journal) VersionOf(d digest.Digest) string {
	for _, e := range j.Entries {
		switch {
		case e.Err != nil:
		case e.To == d && e.Version != "":
			return e.Version
		case e.From == d && e.FromVersion != "":
			return e.FromVersion
		}
	}
	return ""
}

// Moved says whether a valid record is of a move to this version as this digest, or from it.
func (j Journal) Moved(version string, d digest.Digest) bool {
	for _, e := range j.Entries {
		if e.Err == nil && (e.Version == version && e.To == d || e.FromVersion == version && e.From == d) {
			return true
		}
	}
	return false
}

// Before is what the channel named before it came to where it is: the origin of the newest move there that was no
// rollback, since a rollback came from what was left on purpose.
func (j Journal) Before() (digest.Digest, string, bool) {
	for i, e := range j.Entries {
		if e.To == j.Names && e.From != e.To && e.Action != ActionRollback && j.State(i) == StateDone {
			return e.From, e.FromVersion, e.From != ""
		}
	}
	return "", "", false
}

// RolledBack says whether the last word on d is that it was rolled back.
func (j Journal) RolledBack(d digest.Digest) bool {
	for i, e := range j.Entries {
		switch {
		case j.State(i) != StateDone:
		case e.To == d && e.Action != ActionAdopt:
			return false
		case e.From == d && e.Action == ActionRollback:
			return true
		}
	}
	return false
}
