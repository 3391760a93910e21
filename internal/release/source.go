package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/tag"
)

// SourceRequest names the commit to publish: by a reference, by any revision of Git, or by neither, which means HEAD.
type SourceRequest struct {
	Ref     Ref
	Commit  string // "" where the reference says which, or HEAD is meant
	Version bool   // the commit gets a version, and HEAD may be on any branch
}

// Source is the commit that a run publishes, and as what.
type Source struct {
	Ref    Ref // zero for a version whose Git tag is not known yet
	Commit git.Commit
	Head   bool // the checkout is published as it is: changes that are not committed count
	Chosen bool // a flag or the reference says which commit, and not what is checked out
}

// FindSource finds the commit that a request names. Only a commit that has the branch it is published as is accepted. The error is an
// ErrRef, or of Git.
func FindSource(ctx context.Context, checkout *git.Checkout, req SourceRequest) (Source, error) {
	head, err := checkout.Head(ctx)
	if err != nil && (req.Ref.Tag == "" && req.Commit == "" || !errors.Is(err, git.ErrNoCommit)) {
		return Source{}, err
	}
	src := Source{Ref: req.Ref, Commit: head.Commit, Chosen: req.Ref != (Ref{}) || req.Commit != ""}
	if req.Commit != "" {
		if src.Commit, err = resolveCommit(ctx, checkout, req.Commit); err != nil {
			return Source{}, err
		}
	}
	switch {
	case req.Ref.Tag != "":
		src.Commit, err = taggedCommit(ctx, checkout, req.Ref.Tag, req.Commit, src.Commit)
	case req.Version && req.Ref.Branch == "":
	case req.Commit == "":
		src.Head = !req.Version && !checkout.Bare()
		err = src.headAs(ctx, checkout, head)
	default:
		err = src.commitAs(ctx, checkout, head)
	}
	return src, err
}

func resolveCommit(ctx context.Context, checkout *git.Checkout, rev string) (git.Commit, error) {
	commit, err := checkout.Resolve(ctx, rev)
	if errors.Is(err, git.ErrUnknownRevision) {
		err = fmt.Errorf("%w: --commit: %w", ErrRef, err)
	}
	return commit, err
}

// taggedCommit is what a Git tag points to, which must be the commit that was asked for, if one was.
func taggedCommit(ctx context.Context, checkout *git.Checkout, name, asked string, commit git.Commit) (git.Commit, error) {
	tagged, err := checkout.Tag(ctx, name)
	switch {
	case errors.Is(err, git.ErrUnknownRevision):
		return tagged,
			fmt.Errorf("%w: this clone has no Git tag %s: fetch it with git fetch origin tag %s (in actions/checkout: fetch-tags: true), or make it with git tag %s COMMIT",
				ErrRef, name, name, name)
	case err == nil && asked != "" && tagged.Hash != commit.Hash:
		return tagged, fmt.Errorf("%w: the Git tag %s points to commit %s, and --commit %s is %s: name one of them", ErrRef, name,
			short(tagged.Hash), asked, short(commit.Hash))
	}
	return tagged, err
}

// headAs publishes HEAD as a branch: the one that is checked out, or one that has HEAD's commit.
func (src *Source) headAs(ctx context.Context, checkout *git.Checkout, head git.Head) error {
	switch {
	case src.Ref.Branch == "" && head.Branch == "":
		return fmt.Errorf("%w: the checkout is on no branch (detached HEAD): say which with --ref refs/heads/<branch>", ErrRef)
	case src.Ref.Branch == "":
		src.Ref.Branch = head.Branch
		return nil
	case src.Ref.Branch == head.Branch || src.Ref.pull():
		return nil
	case head.Branch != "":
		return fmt.Errorf("%w: --ref names branch %s, and HEAD is on branch %s: check out %s, or say --commit %s to publish what that branch has",
			ErrRef, src.Ref.Branch, head.Branch, src.Ref.Branch, src.Ref.Branch)
	}
	return src.onBranch(ctx, checkout)
}

// commitAs publishes a commit as the branch that the reference names, else as the one that is checked out.
func (src *Source) commitAs(ctx context.Context, checkout *git.Checkout, head git.Head) error {
	if src.Ref.Branch == "" {
		src.Ref.Branch = head.Branch
	}
	if src.Ref.Branch == "" {
		return fmt.Errorf("%w: the checkout is on no branch (detached HEAD): say which one --commit belongs to with --ref refs/heads/<branch>", ErrRef)
	}
	if src.Ref.Branch == head.Branch {
		if led, err := checkout.IsAncestor(ctx, src.Commit.Hash, head.Hash); led || err != nil {
			return err
		}
	}
	return src.onBranch(ctx, checkout)
}

// onBranch checks that the branch has the commit, where this clone can tell.
func (src *Source) onBranch(ctx context.Context, checkout *git.Checkout) error {
	has, known, err := checkout.BranchHas(ctx, src.Ref.Branch, src.Commit.Hash)
	if err != nil || has || !known {
		return err
	}
	return fmt.Errorf("%w: commit %s is not on branch %s, as this clone knows it: git fetch, or name the branch that has the commit with --ref",
		ErrRef, short(src.Commit.Hash), src.Ref.Branch)
}

// OfVersion finds the commit of a version whose Git tags may exist: what such a tag names is published, not what is checked out.
func (src Source) OfVersion(ctx context.Context, checkout *git.Checkout, set component.Set, version *semver.Version) (Source, error) {
	if src.Ref.Tag != "" {
		return src, nil
	}
	asked, tagged, untagged := src.Commit.Hash, "", ""
	for _, c := range set {
		name := c.GitTagOf(tag.Version(version))
		commit, err := checkout.Tag(ctx, name)
		switch {
		case errors.Is(err, git.ErrUnknownRevision):
			untagged = name
			continue
		case err != nil:
			return src, err
		case commit.Hash != src.Commit.Hash && (src.Chosen || tagged != ""):
			return src, fmt.Errorf("%w: the Git tag %s points to commit %s, not to %s: publish it with --ref refs/tags/%s", ErrRef, name,
				short(commit.Hash), short(src.Commit.Hash), name)
		}
		tagged, src.Commit = name, commit
	}
	if tagged != "" && untagged != "" && src.Commit.Hash != asked {
		return src, fmt.Errorf("%w: the Git tag %s points to commit %s, and there is no Git tag %s: publish the two one by one", ErrRef, tagged,
			short(src.Commit.Hash), untagged)
	}
	return src, nil
}

func short(hash string) string { return hash[:min(8, len(hash))] }
