package doctor

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/registry"
)

// atOnce is how many repositories are asked at the same time.
const atOnce = 8

// rights looks whether the login may read each repository, and write to it.
func (p *patient) rights(ctx context.Context) []Check {
	if len(p.set) == 0 {
		return nil
	}
	if state := p.host(); state.err != nil {
		return []Check{{"rights", state.probe.Host, Unknown, "not tested: the registry does not answer", "see the check above"}}
	}
	pull, push := make([]Check, len(p.set)), make([]Check, len(p.set))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, c := range p.set {
		group.Go(func() error {
			pull[i] = p.pull(ctx, c)
			if !p.ReadOnly {
				push[i] = p.push(ctx, c)
			}
			return nil
		})
	}
	_ = group.Wait()
	if p.ReadOnly {
		return together(pull)
	}
	return append(together(pull), together(push)...)
}

func (p *patient) pull(ctx context.Context, of component.Component) Check {
	c := Check{Name: "pull", Subject: of.Name, Status: OK, Message: "the login may read"}
	_, err := p.Client.Open(of.Repository).Resolve(ctx, of.Channels[0].Name)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return refused(c, "read from", err)
	}
	return c
}

// push begins an upload and cancels it.
func (p *patient) push(ctx context.Context, of component.Component) Check {
	c := Check{Name: "push", Subject: of.Name, Status: OK}
	canceled, err := p.Client.Open(of.Repository).MayPush(ctx)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		c.Status, c.Message = Error, "the repository does not exist, and the registry does not make it when something is pushed"
		c.Do = "create the repository, or give the login the right to"
	case errors.Is(err, registry.ErrReadOnly):
		c.Status, c.Message, c.Do = Error, "the registry takes no uploads: it is a read-only mirror", "publish to its origin"
	case err != nil:
		return refused(c, "write to", err)
	case canceled:
		c.Message = "the login may write (an upload was begun and canceled)"
	default:
		c.Message = "the login may write (an upload was begun; the registry does not cancel uploads, and ends the empty one by itself)"
	}
	return c
}

// refused says which right is missing, or that it is unknown.
func refused(c Check, what string, err error) Check {
	var login *registry.LoginError
	switch {
	case errors.Is(err, registry.ErrForbidden):
		c.Status, c.Message = Error, "the login is accepted, but may not "+what+" this repository (403)"
		c.Do = "give it the right; on GitHub: permissions: {packages: write}, and access of this repository to the package"
	case errors.As(err, &login):
		c.Status, c.Message, c.Do = Error, "the registry refuses to let this login "+what+" this repository (401)", login.Do
	default:
		c.Status, c.Message, c.Do = Unknown, err.Error(), "run it again"
	}
	return c
}
