package render

import (
	"fmt"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/terminal"
	"github.com/stratio/keos-oci/internal/trust"
)

// Verify is the answer of `keos-oci verify`.
type Verify struct {
	*release.VerifyResult
	Explains bool `json:"-"` // the text has each rule with its answer
	textAlone
}

// Text implements Result.
func (r Verify) Text(p *terminal.Page) {
	p.Say("%s  %s  %s\n", p.Paint(answerColour(r.Answer), string(r.Answer)), r.Reference, short(r.Digest.String()))
	if r.Version != "" {
		p.Say("version  %s\n", r.Version)
	}
	p.Say("expected  %s\n", r.Policy)
	for _, s := range r.Signatures {
		p.Say("signed by  %s\n", s.String())
	}
	notes(p, "", r.Notes)
	if !r.Explains {
		return
	}
	var rows []terminal.Row
	for _, rule := range r.Rules {
		rows = append(rows, terminal.Row{rule.Name, p.Paint(answerColour(rule.Answer), string(rule.Answer)), p.Paragraph(rule.Detail)})
	}
	fmt.Fprintln(p.W)
	p.Table([]terminal.Column{{Head: "RULE"}, {Head: "ANSWER"}, {Head: "WHY"}}, rows)
}

func answerColour(a trust.Answer) terminal.Colour {
	return map[trust.Answer]terminal.Colour{trust.Accepted: terminal.Green, trust.Refused: terminal.Red, trust.CannotTell: terminal.Yellow}[a]
}

// Brief implements Result.
func (r Verify) Brief() any { return r }
