package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// compared is the artifact whose content decides whether the component changed.
type compared struct {
	tag      string
	artifact pack.Artifact
	found    bool
	repaired string // why it has this content and is not left alone, "" where it has other content
}

// publishBranch publishes what a branch has. Unchanged is what the gate accepts with this content; anything else with this
// content is repaired.
func (j *job) publishBranch(ctx context.Context, out PublishedComponent) (PublishedComponent, error) {
	channels := j.follows()
	if j.dirty && !j.run.AllowDirty {
		channels = nil
	}
	was := compared{tag: j.comparedTag(channels)}
	var err error
	if was.artifact, was.found, err = readArtifact(ctx, j.repo, was.tag); err != nil {
		return out, err
	}
	switch current := was.artifact; {
	case was.found && current.ContentDigest() == j.tree.ContentDigest && (!current.Dirty() || j.dirty):
		v := j.gate.Judge(ctx, j.question(current, was.tag))
		untold := j.run.DryRun && errors.Is(v.Err, trust.ErrNoPolicy)
		if untold {
			out.note("%s has this content; it is unknown whether its signature is accepted: %v", was.tag, v.Err)
		}
		if untold || v.Answer == trust.Accepted {
			return j.unchanged(ctx, out, was, v)
		}
		if !trust.IsUnsigned(v.Err) {
			return out, v.Err
		}
		was.repaired = fmt.Sprintf("%s pointed to %s with this content, which is refused: %v", was.tag, current.Descriptor.Digest, v.Err)
	case was.found && !j.run.AllowOlder && len(channels) > 0:
		note, err := j.refuseOlder(ctx, current, channels[0].Name)
		out.Notes = append(out.Notes, note...)
		if err != nil {
			return out, err
		}
	}
	return j.publishChanged(ctx, out, channels, was)
}

// publishChanged builds, signs and tags what the branch has. Where the artifact that was there is what this repository published, that one
// is signed again, and has its tags already.
func (j *job) publishChanged(ctx context.Context, out PublishedComponent, channels following, was compared) (PublishedComponent, error) {
	c, warnings, err := j.pass(ctx)
	out.Warnings, out.Repaired = warnings, was.repaired
	if err != nil {
		return out, err
	}
	built, err := j.newArtifact(c)
	if err != nil {
		return out, err
	}
	again := false
	if was.repaired != "" {
		var same pack.Built
		if same, again = j.rebuilt(ctx, was.artifact, c); again {
			built = same
			out.Repaired += "; it is what this repository published, so it was signed again"
		} else {
			out.Repaired += "; it was replaced"
		}
		out.Notes = append(out.Notes, out.Repaired)
	}
	s := j.stage(built, c)
	out.Digest = s.artifact.Descriptor.Digest
	s.ours = was.found && was.artifact.ContentDigest() != ""
	s.tags, s.ref = append(channels.names(), j.commitTag()), j.run.ref.git()
	if s.plan = tagged; !again {
		s.plan = func(ctx context.Context) (tag.Plan, bool, error) {
			return j.planBranch(ctx, was, channels, out.Digest, s.ours)
		}
	}
	return j.finish(ctx, out, s)
}

// refuseOlder keeps a channel from following an older commit. Only an artifact that the gate accepts can say how new it is.
func (j *job) refuseOlder(ctx context.Context, current pack.Artifact, channel string) (notes, error) {
	how, err := j.older(ctx, current)
	if how == "" || err != nil {
		return nil, err
	}
	v := j.gate.Judge(ctx, j.question(current, channel))
	switch {
	case v.Answer == trust.Accepted:
		return nil, fmt.Errorf("%w: %s:%s is of %s, and %s; to go back on purpose, say --allow-older", ErrOlder,
			j.component.Repository, channel, current.Revision(), how)
	case !trust.IsUnsigned(v.Err):
		return nil, v.Err
	}
	return notes{fmt.Sprintf("%s pointed to %s, which is refused: %v", channel, current.Descriptor.Digest, v.Err)}, nil
}

// following is the channels that a branch moves.
type following component.Channels

func (f following) first() string {
	if len(f) == 0 {
		return ""
	}
	return f[0].Name
}

func (f following) names() []string {
	list := make([]string, len(f))
	for i, c := range f {
		list[i] = c.Name
	}
	return list
}

// follows gives the channels of the run's branch. A branch that no channel follows publishes its commit alone: nothing
// but the configured branch may move a channel.
func (j *job) follows() following {
	var list following
	for _, c := range j.component.Channels.From(component.FromBranch) {
		if c.Branch == j.run.ref.Branch {
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
	if all := j.component.Channels.From(component.FromBranch); len(all) > 0 && !j.dirty {
		return all[0].Name
	}
	return j.commitTag()
}

// commitTag is the immutable tag of this commit. What a dirty work tree has is not the commit's content, so it gets a
// tag of its own.
func (j *job) commitTag() string {
	t := tag.Commit(j.run.ref.Branch, j.run.commit.Hash)
	if j.dirty {
		t += "-dirty-" + j.tree.ContentDigest.Encoded()[:8]
	}
	return t
}

// older says how it is known that this run's commit is older than the channel's, "" where it is not. An ancestor in Git is older; time
// counts only where this clone's history does not tell.
func (j *job) older(ctx context.Context, current pack.Artifact) (string, error) {
	ref, hash, _ := strings.Cut(current.Revision(), "@sha1:")
	if ref != j.run.ref.Branch || hash == j.run.commit.Hash {
		return "", nil
	}
	has, err := j.service.Checkout.HasCommit(ctx, hash)
	if err != nil {
		return "", err
	}
	if has {
		if older, err := j.service.Checkout.IsAncestor(ctx, j.run.commit.Hash, hash); older || err != nil {
			return fmt.Sprintf("%s is an ancestor of that commit", short(j.run.commit.Hash)), err
		}
		if newer, err := j.service.Checkout.IsAncestor(ctx, hash, j.run.commit.Hash); newer || err != nil || !j.service.Checkout.Shallow() {
			return "", err
		}
	}
	if !current.Created().After(j.run.commit.Time) {
		return "", nil
	}
	why := "this clone does not have that commit, so that only the times of the two commits tell: git fetch"
	if j.service.Checkout.Shallow() {
		why = "this clone is shallow, so that only the times of the two commits tell: fetch the whole history with git fetch --unshallow (fetch-depth: 0 in actions/checkout)"
	}
	return fmt.Sprintf("%s was committed before that commit; %s", short(j.run.commit.Hash), why), nil
}

// planBranch moves the commit's tag and the channels. What is not ours yet needs a listing of the tags: it shows whether
// the repository is new, which saves the look-ups of signatures. shared says that the commit's tag is there: then others may be
// signing the artifact, too.
func (j *job) planBranch(ctx context.Context, was compared, channels following, to digest.Digest, ours bool) (_ tag.Plan, shared bool,
	err error) {
	state := tag.State{}
	if was.found {
		state[channels.first()] = was.artifact.Descriptor.Digest
	}
	commit := j.commitTag()
	known, err := j.exists(ctx, commit, ours)
	if err != nil {
		return nil, false, err
	}
	state[commit] = known
	plan, err := state.PlanImmutable(commit, to)
	if err != nil {
		return nil, false, err
	}
	for i, c := range channels {
		if i > 0 {
			if state[c.Name], err = resolve(ctx, j.repo, c.Name); err != nil {
				return nil, false, err
			}
		}
		plan = append(plan, state.PlanChannel(c.Name, to)...)
	}
	return plan, known != "", nil
}

// exists gives the digest of an immutable tag, "" when there is none.
func (j *job) exists(ctx context.Context, name string, ours bool) (digest.Digest, error) {
	if !ours {
		tags, err := j.repo.Tags(ctx)
		if err != nil || !slices.Contains(tags, name) {
			return "", err
		}
	}
	return resolve(ctx, j.repo, name)
}

// unchanged has nothing to do but, with Resign, to sign what is there: what the gate accepts, and whose layer is the content.
func (j *job) unchanged(ctx context.Context, out PublishedComponent, was compared, v trust.Verdict) (PublishedComponent, error) {
	out.Status, out.Digest = StatusUnchanged, was.artifact.Descriptor.Digest
	if !j.run.Resign || j.run.DryRun {
		return out, nil
	}
	if err := j.contentOf(ctx, was.artifact); err != nil {
		return out, err
	}
	pass, err := v.Pass()
	if err != nil {
		return out, err
	}
	signed, _, err := j.addSignature(ctx, pass, j.question(was.artifact, was.tag))
	return out.signedBy(signed), err
}

// contentOf checks that the layer which the registry gives is the content of the checkout.
func (j *job) contentOf(ctx context.Context, a pack.Artifact) error {
	got, err := j.gate.Content(ctx, j.component, a)
	if err == nil && got != j.tree.ContentDigest {
		err = fmt.Errorf("%w: %s has the content %s, and the checkout %s", trust.ErrForeign, a.Descriptor.Digest, got, j.tree.ContentDigest)
	}
	return err
}
