package render

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/stratio/keos-oci/internal/doctor"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/terminal"
)

// Doctor is the answer of `keos-oci doctor`.
type Doctor struct{ *doctor.Result }

// Text implements Result. No text is shortened, however narrow the terminal is: what is wrong has to be read whole.
func (r Doctor) Text(p *terminal.Page) {
	name := 0
	for _, c := range r.Checks {
		name = max(name, utf8.RuneCountInString(c.Name))
	}
	for _, c := range r.Checks {
		status := p.Paint(doctorColour(c.Status), string(c.Status))
		text := c.Message
		if c.Subject != "" {
			text = c.Subject + ": " + text
		}
		p.Say("%s%s  %s%s  %s\n", status, blanks(len(doctor.Warning)-len(c.Status)), c.Name, blanks(name-utf8.RuneCountInString(c.Name)),
			p.Paragraph(text))
		if c.Do != "" && c.Status != doctor.OK {
			p.Say("%s  do: %s\n", blanks(len(doctor.Warning)+2+name), p.Paragraph(c.Do))
		}
	}
	p.Say("%s\n", r.summary())
}

func doctorColour(status doctor.Status) terminal.Colour {
	switch status {
	case doctor.OK:
		return terminal.Green
	case doctor.Error:
		return terminal.Red
	}
	return terminal.Yellow
}

func blanks(n int) terminal.Shown { return terminal.Shown(strings.Repeat(" ", max(n, 0))) }

func (r Doctor) summary() string {
	s := r.Summary
	return fmt.Sprintf("%d ok, %d warnings, %d errors, %d unknown", s.OK, s.Warnings, s.Errors, s.Unknown)
}

// Markdown implements Result. Checks that are fine are only counted.
func (r Doctor) Markdown() string {
	title := "### keos-oci doctor\n\n" + r.summary() + "\n\n"
	if len(r.Checks) == r.Summary.OK {
		return title
	}
	var t table
	t.row("check", "subject", "status", "what", "what to do")
	for _, c := range r.Checks {
		if c.Status != doctor.OK {
			t.row(escape(c.Name), escape(cmp.Or(c.Subject, "-")), escape(string(c.Status)), escape(c.Message), escape(c.Do))
		}
	}
	return title + t.String() + "\n"
}

// Annotations implements Result.
func (Doctor) Annotations() []finding.Finding { return nil }

// Outputs implements Result.
func (Doctor) Outputs() *Outputs { return nil }

// Brief implements Result.
func (r Doctor) Brief() any { return r }
