package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/terminal"
)

// MigrationPlan is the answer of `keos-oci migrate plan`.
type MigrationPlan struct {
	*migrate.Plan
	textAlone
}

// Text implements Result.
func (r MigrationPlan) Text(p *terminal.Page) {
	columns := []terminal.Column{{Head: "CLUSTER"}, {Head: "KUSTOMIZATION"}, {Head: "TODAY", Drop: dropDetail}, {Head: "TOMORROW"},
		{Head: "PATH", Cut: true}, {Head: "OBJECTS"}}
	var rows []terminal.Row
	for _, c := range r.Clusters {
		for _, m := range c.Moves {
			rows = append(rows, terminal.Row{c.Name, m.Kustomization, m.Source[strings.LastIndex(m.Source, "/")+1:] + "@" + m.Branch,
				tomorrow(m), m.NewPath, fmt.Sprintf("%d %s", m.Objects, equality(m))})
		}
	}
	p.Table(columns, rows)
	for _, c := range r.Clusters {
		remarksOf(p, c)
	}
	stops(p, r.Stops)
}

func tomorrow(m migrate.Move) string {
	if m.Component == "" {
		return "?"
	}
	return m.Component + ":" + cmp.Or(m.Version, m.Channel)
}

func equality(m migrate.Move) string {
	return map[string]string{migrate.EqualYes: "equal", migrate.EqualNo: "differ", migrate.EqualUnknown: "unknown"}[m.Equal]
}

// remarksOf prints what is to be known of a cluster before it moves.
func remarksOf(p *terminal.Page, c migrate.ClusterPlan) {
	for _, n := range c.Secrets {
		p.Say("%s: namespace %s needs the registry's login and what verifies signatures, for %s\n", c.Name, n.Namespace,
			strings.Join(slices.Sorted(slices.Values(n.For)), ", "))
	}
	if len(c.Waits) > 0 {
		p.Say("%s: %s: %d Kustomizations wait for another component, such as %s for %s: both were of one commit, and will be of versions of "+
			"their own\n", p.Paint(terminal.Bold, "note"), c.Name, len(c.Waits), c.Waits[0].Kustomization, c.Waits[0].For)
	}
	notes(p, c.Name, slices.Concat(c.Notes, c.ByHand))
}

func stops(p *terminal.Page, list []migrate.Stop) {
	for _, s := range list {
		p.Say("%s: %s: %s:%d: %s [%s]; %s\n", p.Paint(terminal.Red, "stop"), s.Cluster, s.File, s.Line, s.Message, s.Code, s.Do)
	}
}

// Brief implements Result.
func (r MigrationPlan) Brief() any { return r }

// MigrationPhase is the answer of the phases of `keos-oci migrate` that change files.
type MigrationPhase struct {
	*migrate.PhaseResult
	textAlone
}

// Text implements Result.
func (r MigrationPhase) Text(p *terminal.Page) {
	files(p, r.Files)
	stops(p, r.Stops)
	notes(p, "", r.Notes)
	if len(r.Files)+len(r.Stops) == 0 {
		fmt.Fprintln(p.W, "nothing to do")
	}
	next(p, r.Next)
}

func next(p *terminal.Page, text string) {
	if text != "" {
		p.Say("%s: %s\n", p.Paint(terminal.Bold, "next"), text)
	}
}

// Brief implements Result.
func (r MigrationPhase) Brief() any { return r }

// Adoption is the answer of `keos-oci migrate adopt`.
type Adoption struct {
	*migrate.AdoptResult
	textAlone
}

// Text implements Result.
func (r Adoption) Text(p *terminal.Page) {
	p.Say("step: %s\n", p.Paint(terminal.Bold, r.Step))
	files(p, r.Files)
	stops(p, r.Stops)
	for _, s := range r.Waits {
		p.Say("%s: %s: %s:%d: %s; %s\n", p.Paint(terminal.Yellow, "waits"), s.Cluster, s.File, s.Line, s.Message, s.Do)
	}
	if r.Objects > 0 {
		notes(p, "", []string{fmt.Sprintf("%d objects get other owners", r.Objects)})
	}
	notes(p, "", r.Notes)
	next(p, r.Next)
}

// Brief implements Result.
func (r Adoption) Brief() any { return r }

// MigrationProgress is the answer of `keos-oci migrate status`.
type MigrationProgress struct {
	*migrate.ProgressResult
	textAlone
}

// Text implements Result.
func (r MigrationProgress) Text(p *terminal.Page) {
	columns := []terminal.Column{{Head: "CLUSTER"}, {Head: "KUSTOMIZATION"}, {Head: "STATE"}, {Head: "SOURCE", Drop: dropRepository}}
	if r.Looked {
		columns = append(columns, terminal.Column{Head: "READY"}, terminal.Column{Head: "REVISION", Drop: dropDigest},
			terminal.Column{Head: "MESSAGE", Cut: true})
	}
	var rows []terminal.Row
	for _, s := range r.Kustomizations {
		row := terminal.Row{s.Cluster, s.Kustomization, s.State.State, s.Source}
		if r.Looked {
			row = append(row, live(p, s)...)
		}
		rows = append(rows, row)
	}
	p.Table(columns, rows)
}

// live is what a cluster says of a Kustomization: whether it is ready, the revision and a message.
func live(p *terminal.Page, s migrate.LiveState) []any {
	colour, message := terminal.Yellow, s.Message
	switch s.Ready {
	case migrate.ReadyYes:
		colour, message = terminal.Green, ""
	case migrate.ReadyNo:
		colour = terminal.Red
	}
	return []any{p.Paint(colour, cmp.Or(s.Ready, "-")), shortApplied(s.Revision), message}
}

// shortApplied is a revision of Flux, tag@digest, as people compare it.
func shortApplied(revision string) string {
	if tag, digest, ok := strings.Cut(revision, "@"); ok {
		return tag + "@" + short(digest)
	}
	return cmp.Or(revision, "-")
}

// Brief implements Result.
func (r MigrationProgress) Brief() any { return r }
