package render

import (
	"strings"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/terminal"
)

// How little a column matters on a narrow terminal: digests go first, then repositories, then times and people.
const (
	dropDetail = iota + 1
	dropWho
	dropRepository
	dropDigest
)

// short is a digest as people compare it.
func short(digest string) string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return "-"
	}
	return algorithm + ":" + hex[:min(12, len(hex))]
}

// severityColour is the colour of a severity.
func severityColour(severity finding.Severity) terminal.Colour {
	switch severity {
	case finding.Error:
		return terminal.Red
	case finding.Note:
		return terminal.Bold
	}
	return terminal.Yellow
}

// findings prints the findings of a component, many of one rule summed up.
func findings(p *terminal.Page, list []finding.Finding) {
	for _, line := range finding.Summarise(list) {
		p.Remark(severityColour(line.Severity), string(line.Severity), line.Text)
	}
}

// notes prints what is worth knowing of a component, or, with an empty name, of all of them.
func notes(p *terminal.Page, name string, list []string) {
	remark(p, terminal.Bold, "note", name, list)
}

func warnings(p *terminal.Page, name string, list []string) {
	remark(p, terminal.Yellow, "warning", name, list)
}

func remark(p *terminal.Page, colour terminal.Colour, word, name string, list []string) {
	if name != "" {
		name += ": "
	}
	for _, text := range list {
		p.Remark(colour, word, name+text)
	}
}
