package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ErrNoCommit says that a repository has no commit yet, or that no commit touches the paths asked for.
var ErrNoCommit = errors.New("no commit")

// ErrShallow says that the history of a shallow clone ends where an answer was found, so that the true answer may lie
// beyond it.
var ErrShallow = errors.New("shallow clone")

// Commit is one commit: its full hash and the committer's time in UTC.
type Commit struct {
	Hash string
	Time time.Time
}

// Head is the commit that is checked out. Branch is its short name, empty when HEAD is detached.
type Head struct {
	Commit
	Branch string
}

// Head returns the commit that is checked out. The error is ErrNoCommit for an empty repository.
func (c *Checkout) Head(ctx context.Context) (Head, error) {
	// Only branches are asked for, so that a repository with thousands of tags costs nothing more.
	out, err := c.git(ctx, "log", "-1", "--format=%H%x00%ct%x00%D", "--decorate=full",
		"--decorate-refs=HEAD", "--decorate-refs=refs/heads/*", "--end-of-options", "HEAD", "--")
	if err != nil {
		return Head{}, c.headError(ctx, err)
	}
	commit, decoration, err := parseCommit(out)
	if err != nil {
		return Head{}, fmt.Errorf("read HEAD: %w", err)
	}
	return Head{Commit: commit, Branch: headBranch(decoration)}, nil
}

// headError distinguishes an empty repository from one that cannot be read.
func (c *Checkout) headError(ctx context.Context, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) {
		return fmt.Errorf("read HEAD: %w", err)
	}
	if _, err := c.git(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		return fmt.Errorf("%s: %w yet", c.top, ErrNoCommit)
	}
	return fmt.Errorf("read HEAD: %w", err)
}

// headBranch finds the branch in a decoration such as "HEAD -> refs/heads/main, refs/heads/other".
func headBranch(decoration string) string {
	for ref := range strings.SplitSeq(decoration, ", ") {
		if branch, ok := strings.CutPrefix(ref, "HEAD -> refs/heads/"); ok {
			return branch
		}
	}
	return ""
}

// Resolve returns the commit that rev names: a hash, a branch, a tag or any other single revision of Git. The error
// is ErrUnknownRevision where there is none.
func (c *Checkout) Resolve(ctx context.Context, rev string) (Commit, error) {
	single, err := commitOf(rev)
	if err != nil {
		return Commit{}, err
	}
	out, err := c.git(ctx, "log", "-1", "--format=%H%x00%ct%x00", "--end-of-options", single, "--")
	if err != nil {
		return Commit{}, c.revisionError(rev, err)
	}
	commit, _, err := parseCommit(out)
	if err != nil {
		return Commit{}, fmt.Errorf("resolve %s: %w", rev, err)
	}
	return commit, nil
}

// MainBranch is master where that exists and main does not, here or at the origin. Else it is main.
func (c *Checkout) MainBranch(ctx context.Context) string {
	for _, branch := range []string{"main", "master"} {
		for _, ref := range []string{"refs/heads/", "refs/remotes/origin/"} {
			if _, err := c.Resolve(ctx, ref+branch); err == nil {
				return branch
			}
		}
	}
	return "main"
}

// LastCommit returns the newest commit up to rev that touched one of paths, which are relative to the top folder; with
// none of them, rev's own. It follows first parents only: a component that came by a merge was published from the
// merge, not from a commit of the branch that was merged.
//
// The error is ErrNoCommit where no commit touched them. In a shallow clone the commit at the border seems to have
// touched everything: it is returned together with ErrShallow, for the caller to use or not.
func (c *Checkout) LastCommit(ctx context.Context, rev string, paths ...string) (Commit, error) {
	single, err := commitOf(rev)
	if err != nil {
		return Commit{}, err
	}
	args := []string{"log", "-1", "--first-parent", "--no-follow", "--format=%H%x00%ct%x00%P", "--end-of-options", single, "--"}
	out, err := c.git(ctx, append(args, paths...)...)
	if err != nil {
		return Commit{}, c.revisionError(rev, err)
	}
	if len(out) == 0 {
		return Commit{}, fmt.Errorf("%w up to %s touches %s", ErrNoCommit, rev, strings.Join(paths, ", "))
	}
	commit, parents, err := parseCommit(out)
	if err != nil {
		return Commit{}, fmt.Errorf("find the last commit of %s: %w", rev, err)
	}
	if c.shallow && parents == "" && len(paths) > 0 {
		return commit, fmt.Errorf("%w: %s may not be the last commit that touches %s: fetch with fetch-depth: 0",
			ErrShallow, commit.Hash, strings.Join(paths, ", "))
	}
	return commit, nil
}

// IsAncestor reports whether older is newer or one of the commits that led to it. In a shallow clone the answer is false where
// history ends before it is found.
func (c *Checkout) IsAncestor(ctx context.Context, older, newer string) (bool, error) {
	a, err := commitOf(older)
	if err != nil {
		return false, err
	}
	b, err := commitOf(newer)
	if err != nil {
		return false, err
	}
	_, err = c.git(ctx, "merge-base", "--is-ancestor", "--end-of-options", a, b)
	var failed *commandError
	var exit *exec.ExitError
	if errors.As(err, &failed) && errors.As(failed.err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// HasCommit reports whether this clone has the commit with this full hash.
func (c *Checkout) HasCommit(ctx context.Context, hash string) (bool, error) {
	_, err := c.Resolve(ctx, hash)
	if errors.Is(err, ErrUnknownRevision) {
		return false, nil
	}
	return err == nil, err
}

// Tag returns the commit that a tag points to, be the tag light, annotated, signed, or a tag of a tag. The error is ErrUnknownRevision
// where this clone has no such tag.
func (c *Checkout) Tag(ctx context.Context, name string) (Commit, error) {
	return c.Resolve(ctx, "refs/tags/"+name)
}

// BranchHas reports whether a commit is the tip of a branch or led to it. The branch is the one that remotes have, as it was fetched last;
// the local one where no remote has it. known is false where this clone cannot tell: it has no such branch, or too little history.
func (c *Checkout) BranchHas(ctx context.Context, branch, hash string) (has, known bool, err error) {
	tips, err := c.refs(ctx, "refs/remotes/*/"+branch)
	if err == nil && len(tips) == 0 {
		tips, err = c.refs(ctx, "refs/heads/"+branch)
	}
	if err != nil {
		return false, false, err
	}
	for _, tip := range tips {
		led, err := c.IsAncestor(ctx, hash, tip)
		if led || err != nil {
			return led, true, err
		}
	}
	return false, len(tips) > 0 && !c.shallow, nil
}

// refs returns the full names of references that match a pattern.
func (c *Checkout) refs(ctx context.Context, pattern string) ([]string, error) {
	out, err := c.git(ctx, "for-each-ref", "--format=%(refname)", pattern)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", pattern, err)
	}
	return strings.Fields(string(out)), nil
}

// TagsAt returns the names of the tags, light or annotated, that point at the commit with this full hash, in lexical
// order.
func (c *Checkout) TagsAt(ctx context.Context, hash string) ([]string, error) {
	if !isHash(hash) {
		return nil, fmt.Errorf("list tags at %q: want the full hash of a commit", hash)
	}
	out, err := c.git(ctx, "for-each-ref", "--points-at="+hash, "--format=%(refname:lstrip=2)%00", "refs/tags")
	if err != nil {
		return nil, fmt.Errorf("list tags at %s: %w", hash, err)
	}
	return strings.Fields(strings.ReplaceAll(string(out), "\x00", " ")), nil
}

// commitOf makes a revision name one commit and nothing else: not a range, a tree or a file.
func commitOf(rev string) (string, error) {
	if rev == "" || strings.Contains(rev, "..") || strings.HasPrefix(rev, "^") || strings.ContainsAny(rev, "\x00\n") {
		return "", fmt.Errorf("%w %q: want one commit, branch or tag", ErrUnknownRevision, rev)
	}
	return rev + "^{commit}", nil
}

// revisionError says what to do about a revision that git does not find.
func (c *Checkout) revisionError(rev string, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) || !missingRevision(failed.stderr) {
		return fmt.Errorf("read revision %s: %w", rev, err)
	}
	if c.shallow {
		return fmt.Errorf("%w %s: this is a shallow clone: fetch the whole history (fetch-depth: 0 in actions/checkout, "+
			"or git fetch --unshallow)", ErrUnknownRevision, rev)
	}
	return fmt.Errorf("%w %s: no such commit, branch or tag here: git fetch it first (fetch-depth: 0 in actions/checkout)",
		ErrUnknownRevision, rev)
}

func missingRevision(stderr string) bool {
	return strings.Contains(stderr, "bad revision") || strings.Contains(stderr, "bad object") ||
		strings.Contains(stderr, "unknown revision") || strings.Contains(stderr, "ambiguous argument")
}

// parseCommit reads the hash, the time and one more field of git log's answer.
func parseCommit(out []byte) (Commit, string, error) {
	parts := strings.SplitN(strings.TrimSuffix(string(out), "\n"), "\x00", 3)
	if len(parts) != 3 || !isHash(parts[0]) {
		return Commit{}, "", fmt.Errorf("unexpected answer %q of git log", out)
	}
	seconds, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return Commit{}, "", fmt.Errorf("commit time of %s: %w", parts[0], err)
	}
	return Commit{Hash: parts[0], Time: time.Unix(seconds, 0).UTC()}, parts[2], nil
}

// isHash reports whether s is a full object name, of SHA-1 or SHA-256.
func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
