package tag

import (
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"
)

// Why a channel does not move. ErrPrerelease and ErrBackwards protect against accidents; ErrConflict reports that the
// channel is not, or no longer, where the move started from.
var (
	ErrBackwards  = errors.New("backwards")
	ErrPrerelease = errors.New("pre-release")
	ErrConflict   = errors.New("conflict")
	ErrNoPrevious = errors.New("no previous version")
)

// View is a channel as it was read.
type View struct {
	Name    string
	Digest  digest.Digest // what it names, "" when it does not exist
	Version string        // of that digest, "" when unknown
	Rank    string        // highest version tag of that digest, where it is above the target; else ""
	Journal Journal
}

// Target is where a channel is to go.
type Target struct {
	Version string // "" when a digest without a version is meant
	Digest  digest.Digest
}

// Step is what a verb does to a channel. A zero step does nothing, for the reason in Note.
type Step struct {
	Move  bool
	Write bool   // a record is written first; false where a pending record of this very move is completed. Alone, it records a version
	Adopt bool   // another tool's move is recorded before
	Note  string // for people
}

// Acts tells whether the step writes anything.
func (s Step) Acts() bool { return s.Move || s.Write || s.Adopt }

// Promote decides an explicit move forward.
func (v View) Promote(t Target) (Step, error) {
	if err := v.forward(t); err != nil {
		return Step{}, err
	}
	return v.step(t), nil
}

// Publish decides the move that follows the publication of a version: what Promote would refuse is no error here, since
// publishing is done; neither is a version that was rolled back put on the channel again.
func (v View) Publish(t Target) Step {
	if err := v.forward(t); err != nil {
		return Step{Note: fmt.Sprintf("%s stays where it is: %v", v.Name, err)}
	}
	if v.Journal.RolledBack(t.Digest) {
		return Step{Note: fmt.Sprintf("%s stays where it is: %s was rolled back; promote it to put it there again", v.Name, t.Version)}
	}
	return v.step(t)
}

// Rollback decides a move back, which may go anywhere.
func (v View) Rollback(t Target) Step {
	if v.raises(t) {
		v.Version = t.Version // it is there, and a rollback raises nothing
	}
	return v.step(t)
}

// Previous is where a rollback without a version goes.
func (v View) Previous() (Target, error) {
	d, version, ok := v.Journal.Before()
	if !ok {
		return Target{}, fmt.Errorf("%w: the journal of %s does not say what was there before; name a version", ErrNoPrevious, v.Name)
	}
	return Target{Version: version, Digest: d}, nil
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
		if from, err := ParseVersion(version); err == nil && to.LessThan(from) {
			return fmt.Errorf("%w: %s is on %s and %s is older; use rollback to go back on purpose", ErrBackwards, v.Name, version, t.Version)
		}
	}
	return nil
}

// raises tells whether the target is what the channel points to already, under a higher version than the channel is known to have.
func (v View) raises(t Target) bool {
	to, err := ParseVersion(t.Version)
	if err != nil || t.Digest != v.Digest || v.Rank != "" {
		return false
	}
	from, err := ParseVersion(v.Version)
	return err == nil && to.GreaterThan(from)
}

func (v View) step(t Target) Step {
	standing, waiting := v.Journal.Standing()
	switch {
	case standing == Pending && waiting.To == t.Digest:
		return Step{Move: true, Note: "completes the pending move " + waiting.Tag}
	case t.Digest == v.Digest && standing == Outside:
		return Step{Adopt: true, Note: v.Name + " was moved there outside keos-oci, which is recorded now"}
	case v.raises(t):
		return Step{Write: true, Note: fmt.Sprintf("%s is what %s points to already, as %s: the new version is put on record", t.Version, v.Name, v.Version)}
	case t.Digest == v.Digest:
		return Step{Note: v.Name + " is there already"}
	case standing == Outside:
		return Step{Move: true, Write: true, Adopt: true, Note: v.Name + " had been moved outside keos-oci, which is recorded first"}
	}
	return Step{Move: true, Write: true}
}

// Above picks the versions above v that a channel of versions may have had, newest first; pre-releases are not among them.
func Above(v *semver.Version, versions []string) []string {
	var above []string
	for _, s := range versions { // newest first
		if other, err := ParseVersion(s); err == nil && other.Prerelease() == "" && other.GreaterThan(v) {
			above = append(above, s)
		}
	}
	return above
}

// Nearest lists the published versions next to one that is missing, at most three to each side, newest first.
func Nearest(missing *semver.Version, versions []string) []string {
	var above, below []string
	for _, s := range versions { // newest first
		v, err := ParseVersion(s)
		if err != nil {
			continue
		}
		if v.GreaterThan(missing) {
			above = append(above, s)
		} else {
			below = append(below, s)
		}
	}
	return append(above[max(0, len(above)-3):], below[:min(3, len(below))]...)
}
