package tag

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Why a channel does not move. ErrPrerelease and ErrBackwards protect against accidents; ErrConflict reports that the
// channel is not, or no longer, where the move started from, or that another move is under way.
var (
	ErrBackwards  = errors.New("backwards")
	ErrPrerelease = errors.New("pre-release")
	ErrConflict   = errors.New("conflict")
	ErrNoPrevious = errors.New("no previous version")
)

// A move that was begun and not finished is dead, and may be closed, when it is that old, or when somebody saw it open for
// that long: a live one ends within half a minute.
const (
	DeadAge   = 15 * time.Minute
	DeadWatch = time.Minute
)

// View is a channel as it was read.
type View struct {
	Component string
	Name      string
	Digest    digest.Digest // what it points to, "" when it does not exist
	Version   string        // of that digest, "" when unknown
	Rank      string        // highest version tag of that digest, where it is above the target; else ""
	Versions  []string      // all version tags, newest first
	Journal   Journal

	Request string // of the command that looks
	Before  *Entry // a move of this request that was done, and is not among the records that were read
	Now     time.Time
	Seen    map[string]time.Time // since when it sees open moves, by the tag of their record
	Force   bool                 // moves of others are closed even if they are live
}

// Target is where a channel is to go.
type Target struct {
	Version string        `json:"version,omitempty"` // "" when a digest without a version is meant
	Digest  digest.Digest `json:"digest,omitempty"`
}

// Step is what a verb does to a channel. A zero step does nothing, for the reason in Note.
type Step struct {
	Move     bool            // the channel is written
	Write    bool            // a record is written; alone, it says that the channel is where it is for a reason
	Adopt    bool            // another tool's move is recorded before
	Mark     bool            // nothing but marks is missing
	Closes   []digest.Digest // records of moves that were never finished
	Skipped  []Target        // what publish does not put on the channel after this
	Ignore   []string        // newer records in doubt that the writer ignored
	Note     string          // for people
	NotMoved string          // why a publication that could have moved the channel did not: a warning
}

// Writes reports whether the step writes anything.
func (s Step) Writes() bool { return s.Move || s.Write || s.Adopt || s.Mark }

// Promote decides an explicit move forward.
func (v View) Promote(t Target) (Step, error) {
	if err := v.forward(t); err != nil {
		return Step{}, err
	}
	return v.step(ActionPromote, t), nil
}

// Publish decides the move that follows the publication of a version: what Promote would refuse is no error here, since
// publishing is done. Publish never moves the channel to an older version, completes no move of another command, and does
// not return to a version that a rollback left or passed over. It moves nothing while the newest record is in doubt: the
// error says why.
func (v View) Publish(t Target) (Step, error) {
	if err := v.forward(t); err != nil {
		return Step{Note: fmt.Sprintf("%s stays where it is: %v", v.Name, err)}, nil
	}
	there := t.Digest == v.Digest && !v.raises(t)
	if err := v.Journal.Doubt(); err != nil && !there {
		return Step{},
			fmt.Errorf("%w; nothing moves %s by itself until a person has checked it: keos-oci history %s, then promote or roll back to a version",
				err, v.Name, v.Component)
	}
	if why := v.off(t); why != "" {
		return Step{NotMoved: fmt.Sprintf("%s stays where it is: %s; promote it to put it there", v.Name, why)}, nil
	}
	if there {
		return Step{Note: v.Name + " is there already"}, nil
	}
	return v.step(ActionPublish, t), nil
}

// Rollback decides a move back, which may go anywhere. Pre-releases are only for those who ask for them.
func (v View) Rollback(t Target, prereleases bool) (Step, error) {
	if to, err := ParseVersion(t.Version); err == nil && to.Prerelease() != "" && !prereleases {
		return Step{}, fmt.Errorf("%w: %s: say --allow-prerelease to put it on %s", ErrPrerelease, t.Version, v.Name)
	}
	return v.step(ActionRollback, t), nil
}

// Interrupted finds the rollback without a version that a command repeats: its writer ended before it could say that the channel had
// moved. Who does not know that, and goes back once more, would go back twice.
func (v View) Interrupted() (Step, bool) {
	newest, ok := v.Journal.Effective()
	open := v.Journal.Unmarked()
	if !ok || newest.Action != ActionRollback || newest.To != v.Digest || len(open) == 0 || open[0].Tag != newest.Tag {
		return Step{}, false
	}
	return Step{Mark: true,
		Note: fmt.Sprintf("a rollback to %s, which was interrupted, had moved %s already: it is done now; say rollback again to go back further",
			newest.Version, v.Name)}, true
}

// Previous is where a rollback without a version goes, the nearest first: what the channel pointed to before. Another tool's
// move is what it undoes: then it goes to where the records say that the channel was. The error is ErrNoPrevious, or says
// why the records are in doubt.
func (v View) Previous() ([]Target, error) {
	past, doubt := v.Journal.History(), v.Journal.Doubt()
	standing, _ := v.Journal.Agreement()
	if standing != Outside && len(past) > 0 && past[0].Digest == v.Digest {
		past = past[1:]
	}
	advice := fmt.Sprintf("give a version: keos-oci rollback %s VERSION", v.Component)
	switch {
	case doubt != nil && !errors.Is(doubt, ErrDoubt):
		return nil, fmt.Errorf("the version before on %s is in doubt: %w; %s", v.Name, doubt, advice)
	case len(past) == 0 && doubt != nil:
		return nil, fmt.Errorf("%w: no earlier move of %s is recorded, and %w; %s", ErrNoPrevious, v.Name, doubt, advice)
	case len(past) == 0:
		return nil, fmt.Errorf("%w: no earlier move of %s is recorded; %s", ErrNoPrevious, v.Name, advice)
	case doubt != nil && higher(past[0].Version, v.Version): // a rollback from there may be what is missing
		return nil, fmt.Errorf("%s is at %s, and it is in doubt that it was at %s before: %w; %s", v.Name, v.Version, past[0].Version, doubt,
			advice)
	}
	return past, nil
}

// ErrClosed is ErrConflict for a command whose own move somebody closed.
var ErrClosed = fmt.Errorf("%w: the move was closed", ErrConflict)

// Resume looks at moves that were begun before. done says that there is nothing more to do: the same command did it. The version is the one
// that the command names, "" for none. The error is ErrConflict while a move of another command is under way, and ErrClosed.
func (v View) Resume(action Action, version string) (step Step, done bool, err error) {
	if v.Before != nil {
		return v.again(*v.Before), true, nil
	}
	if i, ok := v.Journal.Requested(v.Request, action, version); ok {
		e := v.Journal.Entries[i]
		switch v.Journal.State(i) {
		case StateDone:
			return v.again(e), true, nil
		case StateClosed:
			if by := v.Journal.closer(i); by.Action != ActionWithdraw && by.Request != v.Request {
				return Step{}, true,
					fmt.Errorf("%w: record %s closed the move to %s that this command had begun (%s); start a new run, or say --request with another name",
						ErrClosed, by.Tag, e.Version, e.Tag)
			}
		}
	}
	for _, e := range v.Journal.Unfinished() {
		if why := v.lives(e); why != "" && !v.Force {
			return Step{}, true,
				fmt.Errorf("%w: a move of %s to %s is under way (record %s, %s): wait for it with --wait-for-move 2m, or end it with keos-oci cancel %s --now%s",
					ErrConflict, v.Name, orDigest(e.Version, e.To), e.Tag, why, e.Component, repeat(e))
		}
	}
	return Step{}, false, nil
}

// again is the answer to a command that was done before.
func (v View) again(e Entry) Step {
	s := Step{Mark: len(v.Journal.Unmarked()) > 0, Note: "this command was done before: record " + e.Tag}
	if e.To != v.Digest {
		s.Note += fmt.Sprintf("; %s was moved on since", v.Name)
	}
	return s
}

// repeat says how the command that began a move completes it.
func repeat(e Entry) string {
	if e.Request == "" {
		return ""
	}
	return "; if it was your command that was interrupted, repeat it with --request " + strconv.Quote(e.Request)
}

// MoveUnderWay reports whether a move of another command is under way, which may be waited for.
func (v View) MoveUnderWay() bool {
	return slices.ContainsFunc(v.Journal.Unfinished(), func(e Entry) bool { return v.lives(e) != "" })
}

// lives says why an open move may still be under way, "" when it is dead.
func (v View) lives(e Entry) string {
	age := v.Now.Sub(e.Written())
	seen, watched := v.Seen[e.Tag]
	switch {
	case e.Request != "" && e.Request == v.Request:
		return ""
	case age > DeadAge, watched && v.Now.Sub(seen) >= DeadWatch:
		return ""
	case age < 0:
		return "by a clock that is ahead of this one"
	}
	return age.Truncate(time.Second).String() + " ago"
}

func orDigest(version string, d digest.Digest) string {
	if version == "" {
		return d.String()
	}
	return version
}

// forward refuses pre-releases and lower versions.
func (v View) forward(t Target) error {
	to, err := ParseVersion(t.Version)
	if err != nil {
		return err
	}
	if to.Prerelease() != "" {
		return fmt.Errorf("%w: %s is never put on %s", ErrPrerelease, t.Version, v.Name)
	}
	if t.Digest == v.Digest {
		return nil
	}
	for _, version := range []string{v.Version, v.Rank} {
		if higher(version, t.Version) {
			return fmt.Errorf("%w: %s is on %s and %s is older; use rollback to go back on purpose", ErrBackwards, v.Name, version, t.Version)
		}
	}
	return nil
}

// floor is the version that the channel was moved to last, as far as its records know versions.
func (j Journal) floor() string {
	for i, e := range j.Entries {
		if e.counts() && e.Version != "" && (j.State(i) == StateDone || e.legacy()) {
			return e.Version
		}
	}
	return ""
}

// raises reports whether the target is what the channel points to already, under a higher version than the channel is known to have.
func (v View) raises(t Target) bool {
	return t.Digest == v.Digest && v.Rank == "" && higher(t.Version, v.Version)
}

// step is the move itself, with what has to be recorded, too.
func (v View) step(action Action, t Target) Step {
	s := Step{Move: t.Digest != v.Digest, Write: true, Skipped: v.offAfter(action, t), Ignore: v.Journal.Ignorable()}
	var notes []string
	if err := v.Journal.Doubt(); err != nil {
		notes = append(notes, fmt.Sprintf("%v; the move goes on without it, and says so on record", err))
	}
	for _, e := range v.Journal.Unfinished() {
		s.Closes = append(s.Closes, e.Digest)
		if e.To == t.Digest && e.Request == v.Request {
			notes = append(notes, "completes the pending move "+e.Tag)
		} else {
			notes = append(notes, fmt.Sprintf("the unfinished move to %s (%s) is closed", orDigest(e.Version, e.To), e.Tag))
		}
	}
	standing, _ := v.Journal.Agreement()
	s.Adopt = standing == Outside && v.Digest != ""
	switch {
	case s.Adopt && s.Move:
		notes = append(notes, v.Name+" had been moved outside keos-oci, which is recorded first")
	case s.Adopt:
		notes = append(notes, v.Name+" was moved there outside keos-oci, which is recorded now")
	case v.raises(t) && v.Version != "":
		notes = append(notes, fmt.Sprintf("%s is what %s points to already, as %s: the new version is recorded", t.Version, v.Name,
			v.Version))
	case !s.Move:
		notes = append(notes, v.Name+" is there already, which is recorded")
	}
	s.Note = strings.Join(notes, "; ")
	return s
}
