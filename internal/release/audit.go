package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// AuditRequest says what is looked at.
type AuditRequest struct {
	Components []string        // all for none
	Anchor     *journal.Anchor // what journals are compared with; nil for nothing
	Rekor      *sign.Log       // to find what movers signed and is not here; nil for none
	KeepHeads  bool            // put the newest records into the anchor, but of journals that lack what it has
}

// AuditResult is what was found in all components.
type AuditResult struct {
	Registry   string             `json:"registry"`
	Components []AuditedComponent `json:"components"`
	Summary    AuditSummary       `json:"summary"`
	Notes      []string           `json:"notes,omitempty"`
}

// AuditSummary counts what was judged, and what came of it.
type AuditSummary struct {
	Versions int `json:"versions"`
	Records  int `json:"records"`
	Channels int `json:"channels"`
	Findings int `json:"findings"`
	Unknown  int `json:"unknown"` // what is unknown
}

// AuditedComponent is one component's part. Unknown is what could not be checked, with the cause.
type AuditedComponent struct {
	Name       string         `json:"name"`
	Repository string         `json:"repository"`
	Versions   int            `json:"versions"`
	Records    int            `json:"records"` // of releases and of moves
	Channels   int            `json:"channels"`
	Findings   []AuditFinding `json:"findings"`
	Unknown    []AuditFinding `json:"unknown,omitempty"`

	failed     []error
	unsearched bool // the log cannot be searched
}

// AuditFinding is something that somebody should look at. Code is one of a small, stable set of words.
type AuditFinding struct {
	Code    string        `json:"code"`
	Tag     string        `json:"tag,omitempty"`
	Digest  digest.Digest `json:"digest,omitempty"`
	Message string        `json:"message"`
	Do      string        `json:"do"`
}

// Err is ErrOdd for each component with findings, and what could not be checked of each; nil when all is as it should be.
func (r *AuditResult) Err() error {
	var failures Failures
	for _, c := range r.Components {
		for _, err := range c.failed {
			failures = append(failures, fmt.Errorf("%s: %w", c.Name, err))
		}
		if n := len(c.Findings); n > 0 {
			failures = append(failures, fmt.Errorf("%s is %w: %d findings", c.Name, ErrOdd, n))
		}
	}
	return failures.orNil()
}

// Audit has the gate judge every version, release record, channel and record of a move.
func (s *Service) Audit(ctx context.Context, req AuditRequest) (*AuditResult, error) {
	set, err := s.Workspace.Components.Select(req.Components...)
	if err != nil {
		return nil, err
	}
	if req.Rekor != nil {
		s.Gate.Verifier.Remember()
	}
	res := &AuditResult{Registry: s.Workspace.Registry, Components: make([]AuditedComponent, len(set))}
	s.each(ctx, set, func(ctx context.Context, i int, c component.Component) {
		a := &audit{Service: s, AuditRequest: req, component: c, repo: s.Open(c.Repository), out: &res.Components[i]}
		*a.out = AuditedComponent{Name: c.Name, Repository: c.Repository.String(), Findings: []AuditFinding{}}
		a.run(ctx)
	})
	if slices.ContainsFunc(res.Components, func(c AuditedComponent) bool { return c.unsearched }) {
		res.Notes = append(res.Notes, sign.ErrNoIndex.Error()+": whether it knows of records that are not here was not looked at")
	}
	for _, c := range res.Components {
		res.Summary.Versions += c.Versions
		res.Summary.Records += c.Records
		res.Summary.Channels += c.Channels
		res.Summary.Findings += len(c.Findings)
		res.Summary.Unknown += len(c.Unknown)
	}
	return res, nil
}

// audit is one component's way through Audit.
type audit struct {
	*Service
	AuditRequest
	component component.Component
	repo      trust.Repository
	tags      []string
	digests   map[string]digest.Digest // of the versions
	moved     map[string]tag.Entry     // the newest move to each version
	out       *AuditedComponent
}

func (a *audit) run(ctx context.Context) {
	var err error
	if a.tags, err = a.repo.Tags(ctx); err != nil {
		a.unknown("list", err)
		return
	}
	a.moved = map[string]tag.Entry{}
	for _, ch := range a.component.Channels {
		a.channel(ctx, ch)
	}
	a.versions(ctx)
	a.deleted(ctx)
	if a.Rekor != nil {
		a.search(ctx)
	}
}

// search asks the log what movers signed about the versions, and looks whether it is here.
func (a *audit) search(ctx context.Context) {
	digests := map[digest.Digest]bool{}
	for _, d := range a.digests {
		digests[d] = true
	}
	for _, m := range a.moved {
		digests[m.To] = true
	}
	delete(digests, "")
	for d := range digests {
		entries, err := a.Rekor.About(ctx, d)
		if errors.Is(err, sign.ErrNoIndex) {
			a.out.unsearched = true
			return
		}
		if err != nil {
			a.unknown(d.String(), err)
			return
		}
		for _, e := range entries {
			if !a.Gate.Verifier.Saw(e.Payload) && a.moves(e.Signed) {
				a.find("not-here", "", d,
					"find out whether somebody deleted a record or a signature; a command that was killed before it wrote them leaves such an entry, too",
					"%s signed something about it on %s, log entry %s, that is neither a signature nor a record here", e.Signed, e.Time.Format(time.RFC3339), e.ID)
			}
		}
	}
}

// moves reports whether somebody may, or might, move a channel of the component.
func (a *audit) moves(who sign.Signed) bool {
	return slices.ContainsFunc(a.component.Channels.From(component.FromVersion), func(ch component.Channel) bool {
		movers, err := a.Gate.Movers(a.component, ch)
		return err == nil && movers.Judge(who) == nil
	})
}

func (a *audit) find(code, name string, d digest.Digest, do, format string, args ...any) {
	a.out.Findings = append(a.out.Findings, AuditFinding{Code: code, Tag: name, Digest: d, Message: fmt.Sprintf(format, args...), Do: do})
}

// unknown notes what could not be checked.
func (a *audit) unknown(name string, err error) {
	a.out.Unknown = append(a.out.Unknown, AuditFinding{Code: code(err), Tag: name, Message: err.Error(), Do: "look again when that works"})
	a.out.failed = append(a.out.failed, fmt.Errorf("%s: %w: %v", name, errCannotTell, err)) //nolint:errorlint // as in judge of status
}
