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

// publishBranch publishes what a branch has. Unchanged is what the gate accepts with this content; anything else with this
// content is repaired.
func (j *job) publishBranch(ctx context.Context) error {
	channels := j.follows()
	if j.dirty && !j.run.AllowDirty {
		channels = nil
	}
	compared := j.comparedTag(channels)
	current, found, err := j.artifact(ctx, compared)
	if err != nil {
		return err
	}
	if found && current.ContentDigest() == j.tree.ContentDigest && (!current.Dirty() || j.dirty) {
		v := j.Gate.Judge(ctx, j.question(current, compared))
		if v.Answer == trust.Accepted {
			return j.unchanged(ctx, current, v, compared)
		}
		if j.run.DryRun && errors.Is(v.Err, trust.ErrNoPolicy) {
			j.out.Notes = append(j.out.Notes, fmt.Sprintf("%s has this content; whether its signature is accepted cannot be told: %v", compared, v.Err))
			return j.unchanged(ctx, current, v, compared)
		}
		if !trust.IsUnsigned(v.Err) {
			return v.Err
		}
		j.out.Repaired = fmt.Sprintf("%s pointed to %s with this content, which is refused: %v", compared, current.Descriptor.Digest, v.Err)
	} else if found && !j.run.AllowOlder && len(channels) > 0 {
		if err := j.refuseOlder(ctx, current, channels[0].Name); err != nil {
			return err
		}
	}
	layer, err := j.pass(ctx)
	if err != nil {
		return err
	}
	built, err := j.newArtifact(layer)
	if err != nil {
		return err
	}
	again := false
	if j.out.Repaired != "" {
		var was pack.Built
		if was, again = j.rebuilt(ctx, current, layer); again {
			built = was
			j.out.Repaired += "; it is what this repository published, so it was signed again"
		} else {
			j.out.Repaired += "; it was replaced"
		}
		j.out.Notes = append(j.out.Notes, j.out.Repaired)
	}
	return j.publishBuilt(ctx, built, layer, channels, current, found, again)
}

// publishBuilt signs and tags an artifact of the branch. One that is only signed again has its tags already.
func (j *job) publishBuilt(ctx context.Context, built pack.Built, layer pack.Layer, channels following, current pack.Artifact, found,
	again bool) error {
	digest := built.Artifact().Descriptor.Digest
	j.out.Digest = digest
	state := tag.State{}
	if found {
		state[channels.first()] = current.Descriptor.Digest
	}
	ours := found && current.ContentDigest() != ""
	s := signing{built: &built, layer: &layer, ours: ours, tags: append(channels.names(), j.commitTag()), ref: j.run.ref.git()}
	s.plan = func(ctx context.Context) (tag.Plan, bool, error) {
		return j.planBranch(ctx, state, channels, digest, ours)
	}
	if again {
		s.plan = func(context.Context) (tag.Plan, bool, error) { return nil, true, nil }
	}
	if j.run.DryRun {
		return j.dryRun(ctx, s.plan)
	}
	return j.release(ctx, s)
}

// refuseOlder keeps a channel from following an older commit. Only an artifact that the gate accepts can say how new it is.
func (j *job) refuseOlder(ctx context.Context, current pack.Artifact, channel string) error {
	how, err := j.older(ctx, current)
	if how == "" || err != nil {
		return err
	}
	v := j.Gate.Judge(ctx, j.question(current, channel))
	switch {
	case v.Answer == trust.Accepted:
		return fmt.Errorf("%w: %s:%s is of %s, and %s; to go back on purpose, say --allow-older", ErrOlder,
			j.component.Repository, channel, current.Revision(), how)
	case !trust.IsUnsigned(v.Err):
		return v.Err
	}
	j.out.Notes = append(j.out.Notes, fmt.Sprintf("%s pointed to %s, which is refused: %v", channel, current.Descriptor.Digest, v.Err))
	return nil
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

// commitTag is the immutable tag of this commit. What a dirty work tree holds is not the commit's content, so it gets a
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
	has, err := j.Checkout.HasCommit(ctx, hash)
	if err != nil {
		return "", err
	}
	if has {
		if older, err := j.Checkout.IsAncestor(ctx, j.run.commit.Hash, hash); older || err != nil {
			return fmt.Sprintf("%s is an ancestor of that commit", short(j.run.commit.Hash)), err
		}
		if newer, err := j.Checkout.IsAncestor(ctx, hash, j.run.commit.Hash); newer || err != nil || !j.Checkout.Shallow() {
			return "", err
		}
	}
	if !current.Created().After(j.run.commit.Time) {
		return "", nil
	}
	why := "this clone does not have that commit, so that only the times of the two commits tell: git fetch"
	if j.Checkout.Shallow() {
		why = "this clone is shallow, so that only the times of the two commits tell: fetch the whole history with git fetch --unshallow (fetch-depth: 0 in actions/checkout)"
	}
	return fmt.Sprintf("%s was committed before that commit; %s", short(j.run.commit.Hash), why), nil
}

// planBranch moves the commit's tag and the channels. What is not ours yet needs a listing of the tags: it tells whether
// the repository is new, which saves the look-ups of signatures. shared says that the commit's tag is there: then others may be
// signing the artifact, too.
func (j *job) planBranch(ctx context.Context, state tag.State, channels following, to digest.Digest, ours bool) (_ tag.Plan, shared bool,
	err error) {
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
func (j *job) unchanged(ctx context.Context, current pack.Artifact, v trust.Verdict, compared string) error {
	j.out.Status, j.out.Digest = StatusUnchanged, current.Descriptor.Digest
	if !j.run.Resign || j.run.DryRun {
		return nil
	}
	if err := j.contentOf(ctx, current); err != nil {
		return err
	}
	pass, err := v.Pass()
	if err != nil {
		return err
	}
	_, err = j.addSignature(ctx, pass, j.question(current, compared))
	return err
}

// contentOf demands that the layer which the registry gives is the content of the checkout.
func (j *job) contentOf(ctx context.Context, a pack.Artifact) error {
	got, err := j.Gate.Content(ctx, j.component, a)
	if err == nil && got != j.tree.ContentDigest {
		err = fmt.Errorf("%w: %s has the content %s, and the checkout %s", trust.ErrForeign, a.Descriptor.Digest, got, j.tree.ContentDigest)
	}
	return err
}
