package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// ErrExpect reports a channel that does not name what --expect says.
var ErrExpect = errors.New("unexpected digest")

// ErrChannel reports a channel that follows a branch, where one that follows versions is needed.
var ErrChannel = errors.New("not a channel of versions")

// MoveItem is one component to move. Without a Version, a rollback finds by itself where it goes.
type MoveItem struct {
	Component string
	Version   *semver.Version
}

// MoveRequest says which components move, and why.
type MoveRequest struct {
	Items   []MoveItem
	Channel string        // default: the first that follows versions
	Expect  digest.Digest // move only if the channel names this now
	Reason  string
	Actor   string // who; default: the signing identity
	RunURL  string
	DryRun  bool

	Request     string        // the same for a command and its repetition
	Wait        time.Duration // for a move of another command that is under way
	Prereleases bool          // a rollback may go to one
	Unrecorded  bool          // a rollback to a version writes no record: signing is down

	Anchor *journal.Anchor // what journals are compared with, and their heads put into; nil for nothing
	Sizes  bool            // the result says how much of each component changed, which reads the artifacts before and after
}

// Statuses of a moved component, beside those of publish.
const (
	StatusMoved = "moved"
	StatusHeld  = "held"
	// StatusClosed is a channel whose open moves were closed.
	StatusClosed = "closed"
)

// MoveResult is what promote or rollback did; its JSON is part of the contract.
type MoveResult struct {
	Registry   string           `json:"registry"`
	Action     tag.Action       `json:"action"`
	Components []MovedComponent `json:"components"`
	Summary    MoveSummary      `json:"summary"`
}

// MoveSummary counts components by status.
type MoveSummary struct {
	Moved     int `json:"moved"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Held      int `json:"held,omitempty"`
	Closed    int `json:"closed,omitempty"`
	Planned   int `json:"planned,omitempty"`
}

// MovedComponent is one component's part of the result. Record is the tag of the journal's entry.
type MovedComponent struct {
	Name        string          `json:"name"`
	Repository  string          `json:"repository"`
	Channel     string          `json:"channel"`
	Status      string          `json:"status"`
	Version     string          `json:"version,omitempty"`
	FromVersion string          `json:"fromVersion,omitempty"`
	From        digest.Digest   `json:"from,omitempty"`
	To          digest.Digest   `json:"to,omitempty"`
	Held        string          `json:"held,omitempty"` // why a publication did not move the channel, though it could have
	Record      string          `json:"record,omitempty"`
	Signer      string          `json:"signer,omitempty"`     // of the record
	Signatures  []sign.Identity `json:"signatures,omitempty"` // of the artifact moved to, all that are valid
	Changed     *Size           `json:"changed,omitempty"`    // if the request asks for sizes
	Changes     []*DiffResult   `json:"changes,omitempty"`    // of a dry run: the files, then the objects of each variant
	Notes       []string        `json:"notes,omitempty"`
	Error       *Problem        `json:"error,omitempty"`

	err error
}

// Err joins the components' errors, nil when none failed.
func (r *MoveResult) Err() error {
	var failures Failures
	for _, c := range r.Components {
		if c.err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", c.Name, c.err))
		}
	}
	return failures.orNil()
}

// Promote moves a channel of each component to a published version. All are read, decided and verified before the first
// one moves.
func (s *Service) Promote(ctx context.Context, req MoveRequest) (*MoveResult, error) {
	return s.move(ctx, tag.ActionPromote, req)
}

// Rollback is a promote that may go back: to the named version, or to what the journal says was there before.
func (s *Service) Rollback(ctx context.Context, req MoveRequest) (*MoveResult, error) {
	return s.move(ctx, tag.ActionRollback, req)
}

// moving is how far a move has come, and why it ended before.
type moving struct {
	*move
	outcome
	changes []*DiffResult
	err     error
}

func (s *Service) move(ctx context.Context, action tag.Action, req MoveRequest) (*MoveResult, error) {
	moves, err := s.moves(action, req)
	if err != nil {
		return nil, err
	}
	s.Log.Info(string(action), "components", len(moves), "registry", s.Workspace.Registry)
	all := make([]moving, len(moves))
	s.sideBySide(len(moves), func(i int) {
		all[i].move = moves[i]
		all[i].planned, all[i].err = moves[i].prepare(ctx)
	})
	switch {
	case anyFailed(all):
	case req.DryRun:
		s.sideBySide(len(all), func(i int) { all[i].changes = s.changesOf(ctx, moves[i].component, &all[i].planned) })
	default:
		s.actTogether(ctx, all)
		s.sideBySide(len(all), func(i int) {
			if all[i].err == nil {
				moves[i].keep(ctx, &all[i].outcome)
			}
		})
	}
	done := make([]MovedComponent, len(all))
	for i, m := range all {
		done[i] = m.result()
	}
	res := s.moveResult(action, done)
	if req.Sizes {
		res.sizes(ctx, s)
	}
	return res, nil
}

// actTogether signs all records before the first one is written: what cannot be signed leaves nothing moved.
func (s *Service) actTogether(ctx context.Context, all []moving) {
	s.sideBySide(len(all), func(i int) {
		m := &all[i]
		if !m.step.Writes() {
			return
		}
		if m.signedMove, m.err = m.sign(ctx, m.planned); m.err != nil {
			m.logFailure(m.err)
		}
	})
	if anyFailed(all) {
		return
	}
	s.sideBySide(len(all), func(i int) {
		if m := &all[i]; m.step.Writes() {
			m.outcome, m.err = m.act(ctx, m.signedMove)
		}
	})
}

// keep puts the newest record into the anchor, where there is one and the journal is what it says.
func (m *move) keep(ctx context.Context, out *outcome) {
	if m.Anchor == nil {
		return
	}
	if out.entry != nil && out.record == out.entry.Tag {
		m.Anchor.KeepSigned(m.journal, *out.entry)
		return
	}
	if err := m.Anchor.Keep(ctx, m.journal, out.view.Journal); err != nil {
		out.failed.add("the newest record of %s could not be put into the anchor: %v", m.channel.Name, err)
	}
}

// result is the component's part of the result.
func (m moving) result() MovedComponent {
	out := m.part()
	out.From, out.FromVersion, out.To, out.Version = m.view.Digest, m.view.Version, m.target.Digest, m.target.Version
	out.Notes, out.Signatures, out.Held = slices.Concat(m.notes, m.failed), m.verdict.signatures(), m.step.NotMoved
	out.Record, out.Signer, out.Changes = m.record, m.signer, m.changes
	switch {
	case m.acted:
		out.Status = m.status()
	case !m.step.Writes():
		out.Status = StatusUnchanged
	case m.DryRun:
		out.Status = StatusPlanned
	case m.err == nil:
		out.Status = StatusHeld
		out.Notes = append(out.Notes, "not moved, because another component may not move")
	}
	return out.with(m.err)
}

// part is the component's part of the result, before anything is known.
func (m *move) part() MovedComponent {
	return MovedComponent{Name: m.component.Name, Repository: m.component.Repository.String(), Channel: m.channel.Name}
}

// with is the part with why the component failed.
func (c MovedComponent) with(err error) MovedComponent {
	if err != nil {
		c.Status, c.Error, c.err = StatusFailed, problem(err), err
	}
	return c
}

func (s *Service) moves(action tag.Action, req MoveRequest) ([]*move, error) {
	var list []*move
	seen := map[string]bool{}
	for _, item := range req.Items {
		c, err := s.Workspace.Components.Find(item.Component)
		if err != nil {
			return nil, err
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("%w: %s is listed twice", exit.ErrUsage, c.Name)
		}
		seen[c.Name] = true
		ch, err := movable(c, req.Channel)
		if err != nil {
			return nil, err
		}
		list = append(list, s.newMove(action, req, c, ch, item.Version))
	}
	return list, nil
}

// movable finds the channel to move: only channels that follow versions are moved by hand.
func movable(c component.Component, name string) (component.Channel, error) {
	list := c.Channels.From(component.FromVersion)
	if name == "" && len(list) > 0 {
		return list[0], nil
	}
	ch, err := c.Channels.Find(name)
	if err != nil {
		return ch, err
	}
	if ch.From != component.FromVersion {
		return ch, fmt.Errorf("%w: %s follows branch %s and has no journal: publish alone moves it", ErrChannel, ch.Name, ch.Branch)
	}
	return ch, nil
}

func anyFailed(all []moving) bool {
	return slices.ContainsFunc(all, func(m moving) bool { return m.err != nil })
}

func (s *Service) moveResult(action tag.Action, done []MovedComponent) *MoveResult {
	res := &MoveResult{Registry: s.Workspace.Registry, Action: action, Components: done}
	for _, c := range done {
		switch c.Status {
		case StatusMoved:
			res.Summary.Moved++
		case StatusUnchanged:
			res.Summary.Unchanged++
		case StatusPlanned:
			res.Summary.Planned++
		case StatusHeld:
			res.Summary.Held++
		case StatusClosed:
			res.Summary.Closed++
		default:
			res.Summary.Failed++
		}
	}
	return res
}

// changesOf shows what the move would change for clusters.
func (s *Service) changesOf(ctx context.Context, c component.Component, p *planned) []*DiffResult {
	if !p.step.Move || p.view.Digest == "" {
		return nil
	}
	to := Target{Component: c.Name, Digest: p.target.Digest}
	req := DiffRequest{Component: c.Name, From: Target{Component: c.Name, Digest: p.view.Digest}, To: &to}
	var changes []*DiffResult
	for _, variants := range append([][]string{nil}, singles(c.Variants)...) {
		req.Variants = variants
		diff, err := s.diff(ctx, req)
		if err != nil {
			p.add("not compared: %v", err)
			continue
		}
		diff.Variant = strings.Join(variants, "")
		changes = append(changes, diff)
	}
	return changes
}

// singles makes a list of each element: variants are compared one by one, since either side may lack one.
func singles(list []string) [][]string {
	out := make([][]string, len(list))
	for i, s := range list {
		out[i] = []string{s}
	}
	return out
}
