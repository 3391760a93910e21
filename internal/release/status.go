package release

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
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
// of the commit. Standing is the journal's view: settled, pending, moved outside or unrecorded.
type ChannelStatus struct {
	Name     string        `json:"name"`
	Digest   digest.Digest `json:"digest,omitempty"`
	Version  string        `json:"version,omitempty"`
	Revision string        `json:"revision,omitempty"`
	Since    *time.Time    `json:"since,omitempty"`
	Actor    string        `json:"actor,omitempty"`
	Signer   string        `json:"signer,omitempty"` // of the move
	Standing tag.Standing  `json:"standing,omitempty"`
	Verdict  trust.Answer  `json:"verdict,omitempty"` // the gate's, on what the channel points to
	Notes    []string      `json:"notes,omitempty"`

	content  digest.Digest
	artifact pack.Artifact
}

// Err joins the components' errors, nil when none failed.
func (r *StatusResult) Err() error {
	var failures Failures
	for _, c := range r.Components {
		if c.err != nil {
			failures = append(failures, c.err)
		}
	}
	return failures.orNil()
}

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
	repo := s.Open(c.Repository)
	var tags []string
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		tags, err = repo.Tags(gctx)
		return err
	})
	for i, ch := range c.Channels {
		group.Go(func() error { return readChannel(gctx, repo, ch, &out.Channels[i]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	group, gctx = errgroup.WithContext(ctx)
	for i, ch := range c.Channels {
		group.Go(func() error {
			at := &out.Channels[i]
			if ch.Journal {
				if err := s.standing(gctx, c, ch, repo, tags, at); err != nil {
					return err
				}
			}
			s.judge(gctx, c, at)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, ch := range out.Channels[1:] {
		out.Drift = out.Drift || ch.content != out.Channels[0].content
	}
	return nil
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
	out.Verdict = v.Answer
	if v.Err != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("%s: %v", v.Answer, v.Err))
	}
}

// standing adds what the newest record says.
func (s *Service) standing(ctx context.Context, c component.Component, ch component.Channel, repo trust.Repository, tags []string, out *ChannelStatus) error {
	l := s.Gate.Journal(c, ch)
	j, err := l.Read(ctx, tags, 1, out.Digest)
	if err != nil {
		return err
	}
	standing, waiting := j.Standing()
	out.Standing, out.Version = standing, j.VersionOf(out.Digest)
	if out.Version == "" && out.Digest != "" {
		if out.Version, err = versionOf(ctx, repo, tags, out.Digest); err != nil {
			return err
		}
	}
	if standing == tag.Pending {
		out.Notes = append(out.Notes, fmt.Sprintf("a move to %s was begun and not finished (record %s): its command completes it when it is repeated, and keos-oci cancel %s ends it",
			waiting.Version, waiting.Tag, c.Name))
	}
	for i, e := range j.Entries {
		if e.Err != nil {
			out.Notes = append(out.Notes, "record "+e.Tag+" counts for nothing: "+e.Err.Error())
		} else if e.Moves() && e.To == out.Digest && j.State(i) == tag.StateDone {
			at := e.Time
			out.Since, out.Actor, out.Signer = &at, e.Actor, e.Signer
			break
		}
	}
	return nil
}

// HistoryResult is the journal of one channel, newest first.
type HistoryResult struct {
	Name       string        `json:"name"`
	Repository string        `json:"repository"`
	Channel    string        `json:"channel"`
	Digest     digest.Digest `json:"digest,omitempty"`
	Standing   tag.Standing  `json:"standing"`
	Moves      []HistoryMove `json:"moves"`
	Findings   []string      `json:"findings,omitempty"`
	More       bool          `json:"more,omitempty"` // older records exist
}

// HistoryMove is one record. State is done, pending, overtaken, failed, closed, invalid or cannot-check; Error says why it is one of the
// last two.
type HistoryMove struct {
	tag.Record
	State  string `json:"state"`
	Signer string `json:"signer,omitempty"`
	Tag    string `json:"tag"`
	Error  string `json:"error,omitempty"`
}

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
	tags, err := repo.Tags(ctx)
	if err != nil {
		return nil, err
	}
	j, err := l.Read(ctx, tags, limit, names)
	if err != nil {
		return nil, err
	}
	standing, _ := j.Standing()
	res := &HistoryResult{Name: c.Name, Repository: c.Repository.String(), Channel: ch.Name, Digest: names, Standing: standing,
		Moves: []HistoryMove{}, Findings: j.Findings(), More: j.Partial}
	for i, e := range j.Entries {
		m := HistoryMove{Record: e.Record, State: j.State(i), Signer: e.Signer, Tag: e.Tag}
		if e.Err != nil {
			m.Error = e.Err.Error()
		}
		res.Moves = append(res.Moves, m)
	}
	return res, nil
}
