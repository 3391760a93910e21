package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// publishBranch publishes what a branch holds. An unchanged component costs one request.
func (j *job) publishBranch(ctx context.Context) error {
	channels := j.follows()
	current, found, err := j.artifact(ctx, j.comparedTag(channels))
	if err != nil {
		return err
	}
	if found && current.ContentDigest() == j.tree.ContentDigest && (!current.Dirty() || j.dirty(j.run.changes)) {
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
	if j.dirty(j.run.changes) {
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
			if state[c.Name], err = resolve(ctx, j.repo, c.Name); err != nil {
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
	return resolve(ctx, j.repo, name)
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
