package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/trust"
)

// policy says who may sign what each channel points to and who may move it, and whether this run may.
func (p *patient) policy(ctx context.Context) []Check {
	if p.failed != nil {
		return nil
	}
	var list []Check
	for _, c := range p.set {
		for _, ch := range c.Channels {
			list = append(list, p.signers(c, ch))
			if ch.From == component.FromVersion {
				list = append(list, p.movers(c, ch))
			}
		}
	}
	return append(together(list), p.thisRun(ctx)...)
}

func (p *patient) signers(c component.Component, ch component.Channel) Check {
	accepted, err := p.Gate.Artifacts(c, ch.Name, "")
	return policyCheck("signer", c, ch, accepted, err)
}

func (p *patient) movers(c component.Component, ch component.Channel) Check {
	accepted, err := p.Gate.Movers(c, ch)
	return policyCheck("mover", c, ch, accepted, err)
}

func policyCheck(kind string, c component.Component, ch component.Channel, accepted sign.Policies, err error) Check {
	out := Check{Name: kind, Subject: c.Name + " " + ch.Name, Status: OK, Message: "accepted: " + accepted.String()}
	if err != nil {
		out.Status, out.Message, out.Do = Error, err.Error(), "set signing.identity or signing.key in keos-oci.yaml, or use --key"
		if !errors.Is(err, trust.ErrNoPolicy) {
			out.Status, out.Do = Unknown, "see the check of the key"
		}
	}
	return out
}

// thisRun asks the gate whether this run's own signature counts on each channel. That some run may not move a channel is as it should
// be, so it is a warning.
func (p *patient) thisRun(ctx context.Context) []Check {
	if p.Signer == nil || p.ReadOnly {
		return nil
	}
	c := Check{Name: "this run", Subject: "identity"}
	if why := p.nobody(); why != "" {
		c.Status, c.Message = OK, "not tested: "+why
		return []Check{c}
	}
	who, err := p.Signer.Identity(ctx)
	if err != nil {
		c.Status, c.Message, c.Do = Unknown, err.Error(), "see the checks of the key, of the token and of Sigstore"
		return []Check{c}
	}
	c.Status, c.Message = OK, who.String()
	var list []Check
	for _, of := range p.set {
		for _, ch := range of.Channels {
			list = append(list, p.mayMove(ctx, who, of, ch))
		}
	}
	return append([]Check{c}, together(list)...)
}

// nobody says why this run has no identity that could be judged.
func (p *patient) nobody() string {
	if p.Signer.HasKey() {
		if !p.Password {
			return "the password of the key is not set"
		}
		return ""
	}
	if !p.keyless() {
		return "no channel accepts a certificate, and this run has no private key (--key)"
	}
	if _, err := p.Signer.TokenSource(); err != nil {
		return "there is no identity token"
	}
	return ""
}

func (p *patient) mayMove(ctx context.Context, who sign.Signed, c component.Component, ch component.Channel) Check {
	out := Check{Name: "this run", Subject: c.Name + " " + ch.Name, Status: OK, Message: "may move it"}
	var err error
	if ch.From == component.FromVersion {
		var movers sign.Policies
		if movers, err = p.Gate.Movers(c, ch); err == nil {
			err = movers.ForNewSignatures().Judge(who)
		}
	} else {
		_, err = p.Gate.MaySign(ctx, c, []string{ch.Name}, "")
	}
	if err != nil {
		out.Status, out.Message = Warning, fmt.Sprintf("may not move it: %v", err)
		out.Do = "nothing, if another run or person moves this channel; else add the identity in keos-oci.yaml"
	}
	return out
}
