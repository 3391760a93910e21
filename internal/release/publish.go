package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// ErrOlder reports a run of an older commit than the channel's: most often an old job that was run again.
var ErrOlder = errors.New("the channel is ahead of this commit")

// PublishRequest says what to publish.
type PublishRequest struct {
	Names      []string        // components; none means all, or the one that a Git tag names
	Source     Source          // the commit; FS and Files of the service are its files
	Version    *semver.Version // publish this version of the named components, as their Git tag would
	Since      string          // of these, only components that changed since this revision; "" looks at all
	DryRun     bool            // decide and stop
	Resign     bool            // add this run's identity to unchanged artifacts, after their content was read
	AllowOlder bool            // let a channel follow to an older commit
	AllowDirty bool            // let a channel follow to what is not committed
	NoPromote  bool            // publish a version without moving any channel
	Actor      string          // who, for the journal
	RunURL     string
	Request    string          // the same for a command and its repetition
	Wait       time.Duration   // for a move of another command that is under way
	Anchor     *journal.Anchor // what journals are compared with, and their heads put into; nil for nothing
	Sizes      bool            // the result says how much of each component changed, which reads the artifacts before and after
}

// Statuses of a published component.
const (
	StatusPublished = "published"
	StatusUnchanged = "unchanged"
	StatusFailed    = "failed"
	StatusPlanned   = "planned"
)

// PublishResult is what publish did; its JSON is part of the contract.
type PublishResult struct {
	Registry   string               `json:"registry"`
	Ref        string               `json:"ref"`
	Commit     string               `json:"commit"`
	Config     *ConfigSource        `json:"config,omitempty"`
	Missing    []string             `json:"missing,omitempty"` // what the config names and this commit does not have
	Components []PublishedComponent `json:"components"`
	Summary    PublishSummary       `json:"summary"`
}

// ConfigSource is the config file that a run obeyed. Commit is "" for a file on disk.
type ConfigSource struct {
	File   string `json:"file"`
	Commit string `json:"commit,omitempty"`
}

func (c *ConfigSource) String() string {
	switch {
	case c == nil:
		return "none"
	case c.Commit != "":
		return c.File + " of " + short(c.Commit)
	}
	return c.File
}

// PublishSummary counts components by status.
type PublishSummary struct {
	Published int `json:"published"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Planned   int `json:"planned,omitempty"`
	Held      int `json:"held,omitempty"` // whose channel did not move, though it could have
}

// PublishedComponent is one component's part of the result. Reused names the tag whose digest a version took over; it is
// empty when the version's content was built anew: staging never ran it.
type PublishedComponent struct {
	Name          string               `json:"name"`
	Kind          component.Kind       `json:"kind"`
	Repository    string               `json:"repository"`
	Version       string               `json:"version,omitempty"`
	Status        string               `json:"status"`
	Digest        digest.Digest        `json:"digest,omitempty"`
	ContentDigest digest.Digest        `json:"contentDigest,omitempty"`
	Reused        string               `json:"reused,omitempty"`
	Repaired      string               `json:"repaired,omitempty"` // why an artifact with this content was not left alone
	Tags          []tag.Move           `json:"tags"`
	Changed       *Size                `json:"changed,omitempty"` // of the channel that followed, if the request asks for sizes
	Signatures    []sign.Identity      `json:"signatures"`
	RemoteBases   []kustomize.Vendored `json:"remoteBases,omitempty"`
	Warnings      []finding.Finding    `json:"warnings,omitempty"`
	Notes         []string             `json:"notes,omitempty"`
	Held          []string             `json:"held,omitempty"` // why a channel did not move, though it could have
	Error         *Problem             `json:"error,omitempty"`

	err error
}

func (c *PublishedComponent) note(format string, args ...any) {
	(*notes)(&c.Notes).add(format, args...)
}

// Err joins the components' errors, nil when none failed.
func (r *PublishResult) Err() error {
	var failures Failures
	for _, c := range r.Components {
		if c.err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", c.Name, c.err))
		}
	}
	return failures.orNil()
}

// publication is what all components of a run share.
type publication struct {
	PublishRequest
	ref       Ref // as which the commit is published
	commit    git.Commit
	source    string
	changes   changes
	known     *finding.Baseline
	committed *component.Workspace // what the commit's config says, where the one in use is another
	signs     sync.Once            // says as whom
}

// Publish makes signed artifacts of the components that changed and moves the tags that follow: on a branch the
// commit's tag and the channels of that branch, for a version its tag. One failing component does not stop the others;
// the error is for what concerns all of them.
func (s *Service) Publish(ctx context.Context, req PublishRequest) (*PublishResult, error) {
	run, set, err := s.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	res := &PublishResult{Registry: s.Workspace.Registry, Ref: run.ref.String(), Commit: run.commit.Hash, Config: s.configSource(run),
		Missing: s.missing(), Components: make([]PublishedComponent, len(set))}
	s.each(ctx, set, func(ctx context.Context, i int, c component.Component) {
		res.Components[i] = s.publishOne(ctx, run, c)
	})
	for _, c := range res.Components {
		if len(c.Held) > 0 {
			res.Summary.Held++
		}
		switch c.Status {
		case StatusPublished:
			res.Summary.Published++
		case StatusUnchanged:
			res.Summary.Unchanged++
		case StatusPlanned:
			res.Summary.Planned++
		default:
			res.Summary.Failed++
		}
	}
	if req.Sizes {
		res.sizes(ctx, s)
	}
	return res, nil
}

// begin decides which components the commit means.
func (s *Service) begin(ctx context.Context, req PublishRequest) (*publication, component.Set, error) {
	run := &publication{PublishRequest: req, ref: req.Source.Ref, commit: req.Source.Commit}
	var err error
	if req.Source.Head {
		if err = s.uncommitted(ctx, run); err != nil {
			return nil, nil, err
		}
	}
	if run.source, err = s.Gate.Remote(); err != nil {
		return nil, nil, err
	}
	if run.known, err = s.baseline(); err != nil {
		return nil, nil, err
	}
	set, err := s.choose(run)
	if err == nil && run.Since != "" {
		set, err = s.changedSince(ctx, run, set)
	}
	if err != nil {
		return nil, nil, err
	}
	s.Log.Info("publish", "components", len(set), "ref", run.ref.String(), "commit", short(run.commit.Hash), "registry", s.Workspace.Registry,
		"config", s.configSource(run).String())
	for _, missing := range s.Workspace.Missing {
		s.Log.Warn("not in this commit", "config", missing.String())
	}
	return run, set, nil
}

// uncommitted finds what of the checkout is not committed. Where that is the config file, the components of the committed one tell
// which artifacts differ from the commit.
func (s *Service) uncommitted(ctx context.Context, run *publication) (err error) {
	if run.changes, err = s.changes(ctx); err != nil || s.Workspace.Config.File != component.ConfigFile || s.Committed == nil {
		return err
	}
	if tracked := s.modeOf(component.ConfigFile) != ""; tracked && !slices.Contains(run.changes.modified, component.ConfigFile) {
		return nil
	}
	run.committed, err = s.Committed(ctx)
	if errors.Is(err, component.ErrConfig) || errors.Is(err, component.ErrNoComponents) {
		run.committed, err = new(component.Workspace), nil
	}
	return err
}

// configSource says which config the run obeyed, nil for none.
func (s *Service) configSource(run *publication) *ConfigSource {
	switch file := s.Workspace.Config.File; {
	case file == "":
		return nil
	case file == component.ConfigFile && run.committed == nil:
		return &ConfigSource{File: file, Commit: run.commit.Hash}
	default:
		return &ConfigSource{File: file}
	}
}

// missing lists what the config names and this commit does not have.
func (s *Service) missing() []string {
	var list []string
	for _, v := range s.Workspace.Missing {
		list = append(list, v.String())
	}
	return list
}

// changedSince leaves out what did not change in Git: no request is made for it.
func (s *Service) changedSince(ctx context.Context, run *publication, set component.Set) (component.Set, error) {
	if run.Version != nil {
		return nil, fmt.Errorf("%w: --changed-since is for a branch, and this run publishes a version", exit.ErrUsage)
	}
	files, err := s.changedFiles(ctx, run)
	if err != nil {
		return nil, err
	}
	return s.ChangedIn(ctx, set, files)
}

func (s *Service) changedFiles(ctx context.Context, run *publication) ([]string, error) {
	if run.Source.Head {
		return s.Checkout.ChangedSince(ctx, run.Since)
	}
	return s.Checkout.ChangedBetween(ctx, run.Since, run.commit.Hash)
}

// choose settles the version and the components that the reference means.
func (s *Service) choose(run *publication) (component.Set, error) {
	if run.Version != nil {
		set, err := Versioned(s.Workspace.Components, run.Names, run.Version)
		if err == nil && run.ref == (Ref{}) {
			run.ref = Ref{Tag: set[0].GitTagOf(tag.Version(run.Version))}
		}
		return set, err
	}
	if run.ref.Tag == "" {
		return s.Workspace.Components.Select(run.Names...)
	}
	c, version, err := s.Workspace.ByGitTag(run.ref.Tag)
	if err != nil {
		return nil, err
	}
	if len(run.Names) > 0 && !slices.Equal(run.Names, []string{c.Name}) {
		return nil, fmt.Errorf("%w: the Git tag %s publishes %s, not %s", ErrRef, run.ref.Tag, c.Name, strings.Join(run.Names, ", "))
	}
	run.Version, err = tag.ParseVersion(version)
	return component.Set{c}, err
}

// Versioned is the components that get a version: those that are named, or the only one there is.
func Versioned(set component.Set, names []string, version *semver.Version) (component.Set, error) {
	if len(names) == 0 && len(set) != 1 {
		return nil, fmt.Errorf("%w: say which components get --version %s", exit.ErrUsage, tag.Version(version))
	}
	return set.Select(names...)
}
