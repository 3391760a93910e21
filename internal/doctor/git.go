package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
)

// git looks at the checkout.
func (p *patient) git(ctx context.Context) []Check {
	const name = "git"
	if p.checkout == nil && p.Session != nil {
		return []Check{{name, "", Warning, "no checkout here: Git, the config and the content of components are not looked at",
			"run it in a clone to look at these as well"}}
	}
	if p.checkout == nil {
		return []Check{{name, "", Error, p.absent.Error(),
			"run it in a clone; or give full repository names, such as ghcr.io/ORG/REPO/COMPONENT"}}
	}
	list := []Check{p.commit(ctx)}
	if p.checkout.Shallow() {
		list = append(list, Check{name, "history", Warning, "this clone is shallow: which of two commits is older is decided by their times",
			"git fetch --unshallow; in GitHub Actions, fetch-depth: 0"})
	}
	list = append(list, p.remote(ctx))
	if p.Session == nil {
		return list
	}
	return append(list, p.branches(ctx)...)
}

// commit looks at HEAD, and at files that are not committed.
func (p *patient) commit(ctx context.Context) Check {
	c := Check{Name: "git", Subject: p.checkout.Top()}
	head, err := p.checkout.Head(ctx)
	if errors.Is(err, git.ErrNoCommit) {
		c.Status, c.Message, c.Do = Error, "there is no commit yet", "commit the files of the components"
		return c
	}
	if err != nil {
		c.Status, c.Message = Unknown, err.Error()
		return c
	}
	at := fmt.Sprintf("commit %.8s on %s", head.Hash, head.Branch)
	if head.Branch == "" {
		at = fmt.Sprintf("commit %.8s on no branch", head.Hash)
	}
	status, err := p.checkout.Status(ctx)
	switch {
	case err != nil:
		c.Status, c.Message = Unknown, err.Error()
	case !status.Clean():
		c.Status = Warning
		c.Message = fmt.Sprintf("%s; %d files are changed and %d are not in Git", at, len(status.Modified), len(status.Untracked))
		c.Do = "commit them, or remove them: only committed files are published"
	default:
		c.Status, c.Message = OK, at
	}
	return c
}

func (p *patient) remote(ctx context.Context) Check {
	c := Check{Name: "git", Subject: "remote"}
	url, err := p.checkout.RemoteURL(ctx)
	switch {
	case errors.Is(err, git.ErrNoRemote):
		c.Status, c.Message = Warning, "there is no remote named origin: artifacts do not say where they come from, and any source is accepted"
		c.Do = "git remote add origin URL"
	case err != nil:
		c.Status, c.Message = Unknown, err.Error()
	default:
		c.Status, c.Message = OK, url
	}
	return c
}

// branches looks whether the clone knows the branches that channels follow.
func (p *patient) branches(ctx context.Context) []Check {
	seen := map[string]bool{}
	var list []Check
	for _, c := range p.set {
		for _, ch := range c.Channels.From(component.FromBranch) {
			if !seen[ch.Branch] {
				seen[ch.Branch] = true
				list = append(list, p.branch(ctx, ch))
			}
		}
	}
	return list
}

func (p *patient) branch(ctx context.Context, ch component.Channel) Check {
	c := Check{Name: "git", Subject: "branch " + ch.Branch, Status: OK, Message: "known; " + ch.Name + " follows it"}
	for _, ref := range []string{"refs/remotes/origin/", "refs/heads/"} {
		_, err := p.checkout.Resolve(ctx, ref+ch.Branch)
		if err == nil {
			return c
		}
		if !errors.Is(err, git.ErrUnknownRevision) {
			c.Status, c.Message = Unknown, err.Error()
			return c
		}
	}
	c.Status, c.Message = Warning, "this clone does not know the branch, and "+ch.Name+" follows it"
	c.Do = "git fetch origin " + ch.Branch
	return c
}
