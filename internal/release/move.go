package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// ErrExpect reports a channel that does not name what --expect says.
var ErrExpect = errors.New("unexpected digest")

// MoveItem is one component to move. An empty Version is where a rollback goes by itself.
type MoveItem struct{ Component, Version string }

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

func (s *Service) move(ctx context.Context, action tag.Action, req MoveRequest) (*MoveResult, error) {
	movers, err := s.movers(action, req)
	if err != nil {
		return nil, err
	}
	s.Log.Info(string(action), "components", len(movers), "registry", s.Workspace.Registry)
	s.sideBySide(len(movers), func(i int) { movers[i].prepare(ctx) })
	switch {
	case anyFailed(movers):
	case req.DryRun:
		s.sideBySide(len(movers), func(i int) { movers[i].compare(ctx) })
	default:
		s.actTogether(ctx, movers)
		s.sideBySide(len(movers), func(i int) { movers[i].keep(ctx) })
	}
	res := s.moveResult(action, movers, req.DryRun)
	if req.Sizes {
		res.sizes(ctx, s)
	}
	return res, nil
}

// actTogether signs all records before the first one is written: what cannot be signed leaves nothing moved.
func (s *Service) actTogether(ctx context.Context, movers []*mover) {
	s.sideBySide(len(movers), func(i int) {
		if m := movers[i]; m.step.Writes() {
			if err := m.sign(ctx); err != nil {
				m.fail(err)
			}
		}
	})
	if anyFailed(movers) {
		return
	}
	s.sideBySide(len(movers), func(i int) {
		if movers[i].step.Writes() {
			movers[i].act(ctx)
		}
	})
}

func (s *Service) movers(action tag.Action, req MoveRequest) ([]*mover, error) {
	var list []*mover
	seen := map[string]bool{}
	for _, item := range req.Items {
		c, err := s.Workspace.Components.Find(item.Component)
		if err != nil {
			return nil, err
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("%w: %s is named twice", ErrRef, c.Name)
		}
		seen[c.Name] = true
		ch, err := movable(c, req.Channel)
		if err != nil {
			return nil, err
		}
		if item.Version != "" {
			if _, err := tag.ParseVersion(item.Version); err != nil {
				return nil, err
			}
		}
		list = append(list, &mover{Service: s, MoveRequest: req, action: action, component: c, channel: ch, version: item.Version,
			repo: s.Open(c.Repository), out: MovedComponent{Name: c.Name, Repository: c.Repository.String(), Channel: ch.Name}})
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
		return ch, fmt.Errorf("%w: channel %s follows branch %s and is moved by publish alone", ErrRef, ch.Name, ch.Branch)
	}
	return ch, nil
}

func anyFailed(movers []*mover) bool {
	for _, m := range movers {
		if m.out.err != nil {
			return true
		}
	}
	return false
}

func (s *Service) moveResult(action tag.Action, movers []*mover, dryRun bool) *MoveResult {
	res := &MoveResult{Registry: s.Workspace.Registry, Action: action, Components: make([]MovedComponent, len(movers))}
	for i, m := range movers {
		m.settleStatus(dryRun)
		res.Components[i] = m.out
		switch m.out.Status {
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
