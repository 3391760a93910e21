package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// channels says what clusters would refuse: what each channel points to, and the gate's answer.
func (p *patient) channels(ctx context.Context) []Check {
	if len(p.set) == 0 || p.failed != nil {
		return nil
	}
	if state := p.host(); state.err != nil {
		return []Check{{"channel", state.probe.Host, Unknown, "not tested: the registry does not answer", "see the check of the registry"}}
	}
	res, err := p.Status(ctx, p.set.Names())
	if err != nil {
		return []Check{{"channel", "", Unknown, err.Error(), "run it again"}}
	}
	var list []Check
	for _, c := range res.Components {
		for _, ch := range c.Channels {
			list = append(list, channel(c, ch))
		}
	}
	return together(list)
}

func channel(c release.ComponentStatus, ch release.ChannelStatus) Check {
	out := Check{Name: "channel", Subject: c.Name + " " + ch.Name, Status: OK, Message: "clusters accept what it points to"}
	switch {
	case ch.Odd():
		out.Status, out.Message = Error, strings.Join(ch.State, ", ")
		if len(ch.Notes) > 0 {
			out.Message += ": " + ch.Notes[0]
		}
		out.Do = fmt.Sprintf("keos-oci history %s --channel %s", c.Name, ch.Name)
		if ch.Verdict == trust.Refused {
			out.Do = fmt.Sprintf("clusters keep what they run; publish again, or roll back. Look: keos-oci verify %s:%s --explain", c.Name, ch.Name)
		}
	case ch.Unknown, ch.Verdict == trust.CannotTell, ch.Standing == tag.CannotCheck:
		out.Status, out.Message, out.Do = Unknown, "it is unknown what clusters make of it", "see the checks above"
		if len(ch.Notes) > 0 {
			out.Message = ch.Notes[0]
		} else if c.Error != nil {
			out.Message = c.Error.Message
		}
	case ch.Digest == "":
		out.Message = "points to nothing yet"
	}
	return out
}

// content counts what publish would refuse.
func (p *patient) content(ctx context.Context) []Check {
	if len(p.set) == 0 || p.FS == nil {
		return nil
	}
	res, err := p.Check(ctx, p.set.Names())
	if err != nil {
		return []Check{{"content", "", Unknown, err.Error(), "keos-oci check"}}
	}
	c := Check{Name: "content", Subject: enumerate(p.set.Names()), Status: OK}
	findings := 0
	for _, of := range res.Components {
		findings += len(of.Findings)
	}
	sum := res.Summary
	c.Message = fmt.Sprintf("%d passed, %d refused, %d failed; findings: %d", sum.Passed, sum.Refused, sum.Failed, findings)
	switch {
	case res.Summary.Refused > 0 || errors.Is(res.Err(), component.ErrConfig):
		c.Status, c.Do = Error, "see what is refused: keos-oci check"
	case res.Summary.Failed > 0:
		c.Status, c.Do = Unknown, "see why it failed: keos-oci check"
	}
	return []Check{c}
}
