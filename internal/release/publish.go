package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/check"
	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// ErrOlder reports a run of an older commit than the channel's: most often an old job that was run again.
var ErrOlder = errors.New("the channel is ahead of this commit")

// PublishRequest says what to publish.
type PublishRequest struct {
	Names      []string        // components; none means all, or the one that a Git tag names
	Ref        Ref             // zero asks Git
	Version    *semver.Version // publish this version of the named components, as their Git tag would
	DryRun     bool            // decide and stop
	Resign     bool            // add this run's identity to unchanged artifacts
	AllowOlder bool            // let a channel follow to an older commit
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
	Components []PublishedComponent `json:"components"`
	Summary    PublishSummary       `json:"summary"`
}

// PublishSummary counts components by status.
type PublishSummary struct {
	Published int `json:"published"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Planned   int `json:"planned,omitempty"`
}

// PublishedComponent is one component's part of the result. Reused names the tag whose digest a version took over; it is
// empty when the version's content was built anew, which is to say that no channel ran it before.
type PublishedComponent struct {
	Name          string          `json:"name"`
	Kind          component.Kind  `json:"kind"`
	Repository    string          `json:"repository"`
	Version       string          `json:"version,omitempty"`
	Status        string          `json:"status"`
	Digest        digest.Digest   `json:"digest,omitempty"`
	ContentDigest digest.Digest   `json:"contentDigest,omitempty"`
	Reused        string          `json:"reused,omitempty"`
	Tags          []tag.Move      `json:"tags"`
	Signatures    []sign.Identity `json:"signatures"`
	Warnings      []check.Finding `json:"warnings,omitempty"`
	Notes         []string        `json:"notes,omitempty"`
	Error         *Problem        `json:"error,omitempty"`

	err error
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
	head    git.Head
	source  string
	changes changes
}

// Publish makes signed artifacts of the components that changed and moves the tags that follow: on a branch the
// commit's tag and the channels of that branch, for a version its tag. One failing component does not stop the others;
// the error is for what concerns all of them.
func (s *Service) Publish(ctx context.Context, req PublishRequest) (*PublishResult, error) {
	run, set, err := s.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	res := &PublishResult{Registry: s.Workspace.Registry, Ref: run.Ref.String(), Commit: run.head.Hash, Components: make([]PublishedComponent, len(set))}
	s.each(ctx, set, func(ctx context.Context, i int, c component.Component) {
		res.Components[i] = s.publishOne(ctx, run, c)
	})
	for _, c := range res.Components {
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
	return res, nil
}

// begin asks Git what is published and decides which components that means.
func (s *Service) begin(ctx context.Context, req PublishRequest) (*publication, component.Set, error) {
	run := &publication{PublishRequest: req}
	var err error
	if run.head, err = s.Checkout.Head(ctx); err != nil {
		return nil, nil, err
	}
	if run.changes, err = s.changes(ctx); err != nil {
		return nil, nil, err
	}
	remote, err := s.Checkout.RemoteURL(ctx)
	if err != nil && !errors.Is(err, git.ErrNoRemote) {
		return nil, nil, err
	}
	run.source = sourceURL(remote)
	set, err := s.chooseRef(run)
	if err != nil {
		return nil, nil, err
	}
	s.Log.Info("publish", "components", len(set), "ref", run.Ref.String(), "commit", run.head.Hash[:8], "registry", s.Workspace.Registry)
	return run, set, nil
}

// chooseRef settles the reference, the version and the components that they mean.
func (s *Service) chooseRef(run *publication) (component.Set, error) {
	switch {
	case run.Version != nil:
		if len(run.Names) == 0 && len(s.Workspace.Components) != 1 {
			return nil, fmt.Errorf("%w: name the components that get --version %s", ErrRef, tag.Version(run.Version))
		}
		set, err := s.Workspace.Components.Select(run.Names...)
		if err == nil && run.Ref == (Ref{}) {
			run.Ref = Ref{Tag: set[0].GitTagOf(tag.Version(run.Version))}
		}
		return set, err
	case run.Ref.Tag != "":
		c, version, err := s.Workspace.ByGitTag(run.Ref.Tag)
		if err != nil {
			return nil, err
		}
		if len(run.Names) > 0 && !slices.Equal(run.Names, []string{c.Name}) {
			return nil, fmt.Errorf("%w: the Git tag %s publishes %s, not %s", ErrRef, run.Ref.Tag, c.Name, strings.Join(run.Names, ", "))
		}
		run.Version, err = tag.ParseVersion(version)
		return component.Set{c}, err
	case run.Ref.Branch == "" && run.head.Branch == "":
		return nil, fmt.Errorf("%w: the checkout is on no branch (detached HEAD): say which with --ref refs/heads/<branch>", ErrRef)
	case run.Ref.Branch == "":
		run.Ref.Branch = run.head.Branch
	}
	return s.Workspace.Components.Select(run.Names...)
}

// publishOne publishes c and tells about it.
func (s *Service) publishOne(ctx context.Context, run *publication, c component.Component) PublishedComponent {
	out := PublishedComponent{Name: c.Name, Kind: c.Kind, Repository: c.Repository.String(), Tags: []tag.Move{}, Signatures: []sign.Identity{}}
	err := ctx.Err()
	if err == nil {
		err = s.publishInto(ctx, run, c, &out)
	}
	if err != nil {
		out.Status, out.Error, out.err = StatusFailed, problem(err), err
		s.Log.Error("failed", "component", c.Name, "code", out.Error.Code)
		return out
	}
	s.Log.Info(out.Status, "component", c.Name, "digest", out.Digest)
	return out
}

func (s *Service) publishInto(ctx context.Context, run *publication, c component.Component, out *PublishedComponent) error {
	tree, err := pack.Read(ctx, s.source(c))
	if err != nil {
		return err
	}
	out.ContentDigest = tree.ContentDigest
	job := &job{Service: s, run: run, component: c, tree: tree, repo: s.Open(c.Repository), out: out}
	if run.changes.dirty(c) {
		out.Notes = append(out.Notes, "files differ from the commit (dirty work tree): the artifact says so in "+pack.AnnotationDirty)
		s.Log.Warn("dirty work tree", "component", c.Name)
	}
	if run.Version != nil {
		return job.publishVersion(ctx)
	}
	return job.publishBranch(ctx)
}

// job is one component's way through publish.
type job struct {
	*Service
	run       *publication
	component component.Component
	tree      *pack.Tree
	repo      *registry.Repository
	out       *PublishedComponent
}

// publishBranch publishes what a branch holds. An unchanged component costs one request.
func (j *job) publishBranch(ctx context.Context) error {
	channels := j.follows()
	current, found, err := j.artifact(ctx, j.comparedTag(channels))
	if err != nil {
		return err
	}
	if found && current.ContentDigest() == j.tree.ContentDigest {
		return j.unchanged(ctx, current)
	}
	if found && !j.run.AllowOlder && len(channels) > 0 && j.older(current) {
		return fmt.Errorf("%w: %s:%s is of %s, committed after %s; to go back on purpose, say --allow-older", ErrOlder,
			j.component.Repository, channels[0].Name, current.Revision(), j.run.head.Hash[:8])
	}
	layer, err := j.pass(ctx)
	if err != nil {
		return err
	}
	a, err := j.newArtifact(layer)
	if err != nil {
		return err
	}
	j.out.Digest = a.Descriptor.Digest
	state := tag.State{}
	if found {
		state[channels.first()] = current.Descriptor.Digest
	}
	ours := found && current.ContentDigest() != ""
	plan := func(ctx context.Context) (tag.Plan, error) { return j.planBranch(ctx, state, channels, a, ours) }
	if j.run.DryRun {
		return j.dryRun(ctx, plan)
	}
	return j.release(ctx, a, &layer, ours, plan, j.branchPolicy(channels))
}

// following is the channels that a branch moves.
type following component.Channels

func (f following) first() string {
	if len(f) == 0 {
		return ""
	}
	return f[0].Name
}

// follows gives the channels of the run's branch. A branch that no channel follows publishes its commit alone: nothing
// but the configured branch may move a channel.
func (j *job) follows() following {
	var list following
	for _, c := range j.component.Channels.From(component.FromBranch) {
		if c.Branch == j.run.Ref.Branch {
			list = append(list, c)
		}
	}
	return list
}

// comparedTag is the tag whose content decides whether the component changed: the branch's channel, or for other
// branches the channel that their content will meet.
func (j *job) comparedTag(channels following) string {
	if len(channels) > 0 {
		return channels[0].Name
	}
	if all := j.component.Channels.From(component.FromBranch); len(all) > 0 {
		return all[0].Name
	}
	return j.commitTag()
}

// commitTag is the immutable tag of this commit. What a dirty work tree holds is not the commit's content, so it gets a
// tag of its own.
func (j *job) commitTag() string {
	t := tag.Commit(j.run.Ref.Branch, j.run.head.Hash)
	if j.run.changes.dirty(j.component) {
		t += "-dirty-" + j.tree.ContentDigest.Encoded()[:8]
	}
	return t
}

func (j *job) older(current pack.Artifact) bool {
	return strings.HasPrefix(current.Revision(), j.run.Ref.Branch+"@") && current.Created().After(j.run.head.Time)
}

// planBranch moves the commit's tag and the channels. What is not ours yet needs a listing of the tags: it tells whether
// the repository is new, which saves the look-ups of signatures.
func (j *job) planBranch(ctx context.Context, state tag.State, channels following, a pack.Artifact, ours bool) (tag.Plan, error) {
	commit := j.commitTag()
	known, err := j.exists(ctx, commit, ours)
	if err != nil {
		return nil, err
	}
	state[commit] = known
	plan, err := state.Fix(commit, a.Descriptor.Digest)
	if err != nil {
		return nil, err
	}
	for i, c := range channels {
		if i > 0 {
			if state[c.Name], err = j.resolve(ctx, c.Name); err != nil {
				return nil, err
			}
		}
		plan = append(plan, state.Follow(c.Name, a.Descriptor.Digest)...)
	}
	return plan, nil
}

// exists gives the digest of an immutable tag, "" when there is none.
func (j *job) exists(ctx context.Context, name string, ours bool) (digest.Digest, error) {
	if !ours {
		tags, err := j.repo.Tags(ctx)
		if err != nil || !slices.Contains(tags, name) {
			return "", err
		}
	}
	return j.resolve(ctx, name)
}

func (j *job) resolve(ctx context.Context, name string) (digest.Digest, error) {
	d, err := j.repo.Resolve(ctx, name)
	if errors.Is(err, registry.ErrNotFound) {
		return "", nil
	}
	return d, err
}

// unchanged has nothing to do but, with Resign, to sign what is there.
func (j *job) unchanged(ctx context.Context, current pack.Artifact) error {
	j.out.Status, j.out.Digest = StatusUnchanged, current.Descriptor.Digest
	if !j.run.Resign || j.run.DryRun {
		return nil
	}
	_, err := j.addSignature(ctx, current, sign.Policy{})
	return err
}

// artifact reads what a tag names, false when there is none.
func (j *job) artifact(ctx context.Context, ref string) (pack.Artifact, bool, error) {
	_, raw, err := j.repo.Manifest(ctx, ref)
	if errors.Is(err, registry.ErrNotFound) {
		return pack.Artifact{}, false, nil
	}
	if err != nil {
		return pack.Artifact{}, false, err
	}
	a, err := pack.ParseArtifact(raw)
	return a, err == nil, err
}

// pass compresses the component and runs the gate over the result.
func (j *job) pass(ctx context.Context) (pack.Layer, error) {
	layer, err := j.tree.Compress(ctx)
	if err != nil {
		return layer, err
	}
	j.out.Warnings, err = j.gate(ctx, packed{j.component, j.tree, layer}, j.run.changes)
	return layer, err
}

func (j *job) newArtifact(layer pack.Layer) (pack.Artifact, error) {
	return pack.NewArtifact(j.tree, layer, pack.Metadata{
		Component: j.component.Name, Source: j.run.source, Created: j.run.head.Time,
		Revision: j.run.Ref.short() + "@sha1:" + j.run.head.Hash, Dirty: j.run.changes.dirty(j.component),
	})
}

func (j *job) dryRun(ctx context.Context, plan func(context.Context) (tag.Plan, error)) error {
	moves, err := plan(ctx)
	if err != nil {
		return err
	}
	j.out.Status, j.out.Tags = StatusPlanned, append(j.out.Tags, moves...)
	return nil
}

// release is promise 1: content by digest, then its signature, then tags. Content and signature are uploaded side by
// side, but the signature becomes visible only after the content, and tags only after both. A nil layer means that the
// content is in the repository already.
func (j *job) release(ctx context.Context, a pack.Artifact, layer *pack.Layer, ours bool, plan func(context.Context) (tag.Plan, error), policy sign.Policy) error {
	var moves tag.Plan
	var signature *sign.Signature
	group, gctx := errgroup.WithContext(ctx)
	if layer != nil {
		group.Go(func() error { return j.pushContent(gctx, a, *layer, ours) })
	}
	planned := make(chan struct{})
	group.Go(func() (err error) {
		moves, err = plan(gctx)
		close(planned)
		return err
	})
	group.Go(func() (err error) {
		if !ours {
			<-planned // its listing of the tags spares look-ups
		}
		signature, err = j.prepareSignature(gctx, a, policy)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := signature.Attach(ctx); err != nil {
		return err
	}
	j.out.Signatures = append(j.out.Signatures, signature.Identity)
	done, err := moves.Apply(ctx, func(ctx context.Context, name string) error { return j.write(ctx, a, name) })
	j.out.Tags, j.out.Status = append(j.out.Tags, done...), StatusPublished
	return err
}

// write moves one tag. A version is looked at once more: signing may have taken seconds, and another run may have given
// the version to other content meanwhile.
func (j *job) write(ctx context.Context, a pack.Artifact, name string) error {
	if j.run.Version != nil {
		now, err := j.resolve(ctx, name)
		if err != nil {
			return err
		}
		if _, err := (tag.State{name: now}).Fix(name, a.Descriptor.Digest); err != nil {
			return err
		}
	}
	return j.repo.Tag(ctx, a.Descriptor, a.Manifest, name)
}

// pushContent uploads layer, config and manifest. Where the repository holds an artifact of ours, it holds the config.
func (j *job) pushContent(ctx context.Context, a pack.Artifact, layer pack.Layer, ours bool) error {
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return j.repo.PushBlob(gctx, a.Parsed.Layers[0], layer.Bytes) })
	if !ours {
		group.Go(func() error { return j.pushConfig(gctx, a) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	err := j.repo.PushManifest(ctx, a.Descriptor, a.Manifest)
	if ours && errors.Is(err, registry.ErrMissingBlob) {
		if err := j.pushConfig(ctx, a); err != nil {
			return err
		}
		return j.repo.PushManifest(ctx, a.Descriptor, a.Manifest)
	}
	return err
}

func (j *job) pushConfig(ctx context.Context, a pack.Artifact) error {
	return j.repo.PushBlob(ctx, a.Parsed.Config, ocispec.DescriptorEmptyJSON.Data)
}

// prepareSignature signs a and refuses when the policy of the channel would refuse the signer.
func (j *job) prepareSignature(ctx context.Context, a pack.Artifact, policy sign.Policy) (*sign.Signature, error) {
	id, err := j.Signer.Identity(ctx)
	if err != nil {
		return nil, err
	}
	if !policy.IsZero() && !policy.Allows(id) {
		return nil, fmt.Errorf("%w: this run signs as %s, and clusters expect %s", sign.ErrWrongIdentity, id, policy)
	}
	return j.Signer.Prepare(ctx, j.repo, a.Descriptor, j.component.Repository.Digest(a.Descriptor.Digest.String()).String())
}

// addSignature signs an artifact that is in the repository; new tells whether this identity had not signed it before.
func (j *job) addSignature(ctx context.Context, a pack.Artifact, policy sign.Policy) (added bool, err error) {
	signature, err := j.prepareSignature(ctx, a, policy)
	if err != nil {
		return false, err
	}
	if err := signature.Attach(ctx); err != nil {
		return false, err
	}
	j.out.Signatures = append(j.out.Signatures, signature.Identity)
	return signature.New(), nil
}

// branchPolicy is whose signature clusters expect on the first channel; zero when the config does not say.
func (j *job) branchPolicy(channels following) sign.Policy {
	if len(channels) == 0 {
		return sign.Policy{}
	}
	return configuredPolicy(channels[0].Identity)
}

func configuredPolicy(id component.Identity) sign.Policy {
	return sign.Policy{Issuer: id.Issuer, Subject: id.Subject, SubjectPattern: id.SubjectRegexp}
}

// changes is how the work tree differs from the commit.
type changes struct {
	modified  []string
	untracked map[string]bool
}

func (c changes) dirty(comp component.Component) bool {
	return slices.ContainsFunc(c.modified, comp.Holds)
}

func (s *Service) changes(ctx context.Context) (changes, error) {
	status, err := s.Checkout.Status(ctx)
	if err != nil {
		return changes{}, err
	}
	ch := changes{modified: status.Modified, untracked: map[string]bool{}}
	for _, f := range status.Untracked {
		ch.untracked[strings.TrimSuffix(f, "/")] = true
	}
	return ch, nil
}
