package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// StatusResult says what each channel of each component names, for as many components as asked for.
type StatusResult struct {
	Registry   string            `json:"registry"`
	Components []ComponentStatus `json:"components"`
}

// ComponentStatus is one component's channels. Drift says that they do not all name the same content.
type ComponentStatus struct {
	Name       string          `json:"name"`
	Kind       component.Kind  `json:"kind"`
	Repository string          `json:"repository"`
	Channels   []ChannelStatus `json:"channels"`
	Drift      bool            `json:"drift"`
	Error      *Problem        `json:"error,omitempty"`

	err error
}

// ChannelStatus is what one channel names. Since is when it was moved there, or for a channel without a journal the time
// of the commit. Standing is the journal's view: settled, pending, moved outside, unrecorded or cannot-check. Doubts are why
// the newest record is not known for sure.
type ChannelStatus struct {
	Name     string        `json:"name"`
	Digest   digest.Digest `json:"digest,omitempty"`
	Version  string        `json:"version,omitempty"`
	Revision string        `json:"revision,omitempty"`
	Since    *time.Time    `json:"since,omitempty"`
	Actor    string        `json:"actor,omitempty"`
	Signer   string        `json:"signer,omitempty"` // of the move
	Standing tag.Agreement `json:"standing,omitempty"`
	Verdict  trust.Answer  `json:"verdict,omitempty"` // the gate's, on what the channel points to
	State    []string      `json:"state,omitempty"`   // in words: the standing, and what is odd
	Notes    []string      `json:"notes,omitempty"`
	Unknown  bool          `json:"unknown,omitempty"` // what it points to could not be read

	content  digest.Digest
	artifact pack.Artifact
	err      error // why something about it is unknown
	odd      bool
}

// errCannotTell is the answer where signatures or records could not be checked.
var errCannotTell = errors.New("cannot tell")

// ErrOdd reports a channel that somebody should look at.
var ErrOdd = errors.New("not as it should be")

// Err joins what is unknown of each component, nil when all is known.
func (r *StatusResult) Err() error { return r.failures().orNil() }

func (r *StatusResult) failures() Failures {
	var list Failures
	for _, c := range r.Components {
		if c.err != nil {
			list = append(list, fmt.Errorf("%s: %w", c.Name, c.err))
		}
	}
	return list
}

// Odd is Err, and an ErrOdd for each channel that is moved outside, pending, in doubt, or at what the gate refuses.
func (r *StatusResult) Odd() error {
	failures := r.failures()
	for _, c := range r.Components {
		for _, ch := range c.Channels {
			if ch.odd {
				failures = append(failures, fmt.Errorf("%s %s is %w: %s", c.Name, ch.Name, ErrOdd, strings.Join(ch.State, ", ")))
			}
		}
	}
	return failures.orNil()
}

// Odd reports whether somebody should look at the channel: it is moved outside, pending, in doubt, or points to what the gate refuses.
func (c ChannelStatus) Odd() bool { return c.odd }

// Status reads the channels of the named components, all for none: one listing, one request per channel and the newest
// record of each journal.
func (s *Service) Status(ctx context.Context, names []string) (*StatusResult, error) {
	set, err := s.Workspace.Components.Select(names...)
	if err != nil {
		return nil, err
	}
	res := &StatusResult{Registry: s.Workspace.Registry, Components: make([]ComponentStatus, len(set))}
	s.each(ctx, set, func(ctx context.Context, i int, c component.Component) {
		out := ComponentStatus{Name: c.Name, Kind: c.Kind, Repository: c.Repository.String(), Channels: make([]ChannelStatus, len(c.Channels))}
		if out.err = s.statusOf(ctx, c, &out); out.err != nil {
			out.Error = problem(out.err)
		}
		res.Components[i] = out
	})
	return res, nil
}

func (s *Service) statusOf(ctx context.Context, c component.Component, out *ComponentStatus) error {
	var group errgroup.Group
	for i, ch := range c.Channels {
		group.Go(func() error {
			s.channelStatus(ctx, c, ch, &out.Channels[i])
			return nil
		})
	}
	_ = group.Wait()
	var unknown []error
	for i := range out.Channels {
		ch := &out.Channels[i]
		out.Drift = out.Drift || !ch.Unknown && !out.Channels[0].Unknown && ch.content != out.Channels[0].content
		if ch.err != nil && !slices.ContainsFunc(unknown, func(err error) bool { return err.Error() == ch.err.Error() }) {
			unknown = append(unknown, ch.err)
		}
	}
	return errors.Join(unknown...)
}

// channelStatus reads what a channel points to, and its records beside it. What is unknown of one channel is no reason
// to say nothing of another.
func (s *Service) channelStatus(ctx context.Context, c component.Component, ch component.Channel, out *ChannelStatus) {
	var records journal.Tags
	repo, l := s.Open(c.Repository), s.Gate.Journal(c, ch)
	group, gctx := errgroup.WithContext(ctx)
	if ch.Journal {
		group.Go(func() (err error) {
			records, err = l.Tags(gctx)
			return err
		})
	}
	group.Go(func() error {
		err := readChannel(gctx, repo, ch, out)
		out.Unknown = err != nil
		return err
	})
	err := group.Wait()
	if err == nil && ch.Journal {
		err = s.standing(ctx, l, records, repo, c, out)
	}
	if err != nil {
		out.err = err
		if ch.Journal && out.Standing == "" {
			out.Standing = tag.CannotCheck
		}
	}
	if out.Standing != "" {
		out.State = slices.Insert(out.State, 0, string(out.Standing))
	}
	if !out.Unknown {
		s.judge(ctx, c, out)
	}
}

func readChannel(ctx context.Context, repo trust.Repository, ch component.Channel, out *ChannelStatus) error {
	out.Name = ch.Name
	a, found, err := readArtifact(ctx, repo, ch.Name)
	if err != nil || !found {
		return err
	}
	out.Digest, out.Revision, out.content, out.artifact = a.Descriptor.Digest, a.Revision(), a.ContentDigest(), a
	if created := a.Created(); !created.IsZero() {
		out.Since = &created
	}
	return nil
}

// judge adds the gate's verdict. What is not accepted is shown with the reason.
func (s *Service) judge(ctx context.Context, c component.Component, out *ChannelStatus) {
	if out.Digest == "" {
		return
	}
	v := s.Gate.Judge(ctx, trust.Question{Component: c, Tags: []string{out.Name}, Version: out.Version, Artifact: out.artifact})
	switch out.Verdict = v.Answer; v.Answer {
	case trust.Refused:
		out.odd = true
		out.State = append(out.State, fmt.Sprintf("%s (%s)", v.Answer, code(v.Err)))
	case trust.CannotTell:
		out.State = append(out.State, string(v.Answer))
		out.err = cmp.Or(out.err, fmt.Errorf("%s: %w: %v", out.Name, errCannotTell,
			v.Err)) //nolint:errorlint // without a policy, too: who looks made no mistake
	}
	if v.Err != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("%s: %v", v.Answer, v.Err))
	}
}

// standing adds what the newest records say.
func (s *Service) standing(ctx context.Context, l *journal.Journal, records journal.Tags, repo trust.Repository, c component.Component,
	out *ChannelStatus) error {
	j, err := l.Recent(ctx, &records, 1, out.Digest)
	if newest, ok := j.Newest(); err == nil && ok && newest.Previous != "" && newest.PreviousTag == "" {
		j, err = l.Recent(ctx, &records, 2,
			out.Digest) // a record of an earlier version of keos-oci: whether the one before it is there is seen by reading it
	}
	if err != nil {
		return err
	}
	standing, waiting := j.Agreement()
	out.Standing = standing
	s.doubts(j, out)
	if out.Version, err = versionAt(ctx, repo, j, out.Digest); err != nil {
		return err
	}
	out.odd = out.odd || standing == tag.Pending || standing == tag.Outside
	if standing == tag.Pending {
		out.Notes = append(out.Notes,
			fmt.Sprintf("unfinished move to %s (record %s); %s still points to %s. Finish: repeat its command. Cancel: keos-oci cancel %s",
				waiting.Version, waiting.Tag, out.Name, cmp.Or(out.Version, orNothing(out.Digest)), c.Name))
	}
	for i, e := range j.Entries {
		if e.Err == nil && e.Moves() && e.To == out.Digest && j.State(i) == tag.StateDone {
			at := e.Written()
			out.Since, out.Actor, out.Signer = &at, e.Actor, e.Signer
			break
		}
	}
	return nil
}

// doubts adds why the newest record is not known for sure.
func (s *Service) doubts(j tag.Journal, out *ChannelStatus) {
	for _, doubt := range j.Doubts() {
		word := "cannot check a record"
		switch {
		case errors.Is(doubt, tag.ErrGap):
			word = "gap"
		case errors.Is(doubt, tag.ErrInvalid):
			word = "invalid record"
		}
		if !slices.Contains(out.State, word) && errors.Is(doubt, tag.ErrDoubt) {
			out.odd, out.State = true, append(out.State, word)
		}
		if len(out.Notes) < maxNotes {
			out.Notes = append(out.Notes, doubt.Error())
		}
	}
	if out.Standing == tag.CannotCheck {
		out.err = fmt.Errorf("%s: %w: %v", out.Name, errCannotTell, j.Doubt()) //nolint:errorlint // as in judge
	}
}

// maxNotes is how many doubts are listed one by one.
const maxNotes = 5

// HistoryResult is the journal of one channel, newest first.
type HistoryResult struct {
	Name       string        `json:"name"`
	Repository string        `json:"repository"`
	Channel    string        `json:"channel"`
	Digest     digest.Digest `json:"digest,omitempty"`
	Standing   tag.Agreement `json:"standing"`
	Moves      []HistoryMove `json:"moves"`
	Findings   []string      `json:"findings,omitempty"`
	More       bool          `json:"more,omitempty"` // older records exist

	err error
}

// HistoryMove is one record. State is done, pending, overtaken, failed, closed, invalid or cannot-check; Error says why it is one of the
// last two.
type HistoryMove struct {
	tag.Record
	State  string `json:"state"`
	Signer string `json:"signer,omitempty"`
	Former bool   `json:"formerMover,omitempty"` // the signer may not move the channel any more
	Tag    string `json:"tag"`
	Error  string `json:"error,omitempty"`

	Logged *time.Time `json:"logged,omitempty"` // by the transparency log's clock
}

// Err says why the newest records could not be checked, nil when they were.
func (r *HistoryResult) Err() error { return r.err }

// History reads the newest records of a component's channel: one listing, and one request for each.
func (s *Service) History(ctx context.Context, name, channel string, limit int) (*HistoryResult, error) {
	c, err := s.Workspace.Components.Find(name)
	if err != nil {
		return nil, err
	}
	ch, err := movable(c, channel)
	if err != nil {
		return nil, err
	}
	repo := s.Open(c.Repository)
	l := s.Gate.Journal(c, ch)
	names, err := resolve(ctx, repo, ch.Name)
	if err != nil {
		return nil, err
	}
	tags, err := l.Tags(ctx)
	if err != nil {
		return nil, err
	}
	j, err := l.Read(ctx, &tags, limit, names)
	if err != nil {
		return nil, err
	}
	standing, _ := j.Agreement()
	res := &HistoryResult{Name: c.Name, Repository: c.Repository.String(), Channel: ch.Name, Digest: names, Standing: standing,
		Moves: []HistoryMove{}, Findings: j.Findings(), More: j.Partial}
	if standing == tag.CannotCheck {
		res.err = fmt.Errorf("%s %s: %w", c.Name, ch.Name, j.Doubt())
	}
	for i, e := range j.Entries {
		m := HistoryMove{Record: e.Record, State: j.State(i), Signer: e.Signer, Former: e.Former, Tag: e.Tag}
		if !e.Logged.IsZero() {
			m.Logged = &e.Logged
		}
		if e.Err != nil {
			m.Error = e.Err.Error()
		}
		res.Moves = append(res.Moves, m)
	}
	return res, nil
}
