package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// AuditRequest says what is looked at.
type AuditRequest struct {
	Components []string        // all for none
	Anchor     *journal.Anchor // what journals are compared with; nil for nothing
	Rekor      *sign.Log       // is asked for what movers signed and is not here; nil for none
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
	Unknown  int `json:"unknown"` // what could not be told
}

// AuditedComponent is one component's part. Unknown is what could not be told, with the cause.
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

// Err is ErrOdd for each component with findings, and what could not be told of each; nil when all is as it should be.
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

// unknown notes what could not be told.
func (a *audit) unknown(name string, err error) {
	a.out.Unknown = append(a.out.Unknown, AuditFinding{Code: Code(err), Tag: name, Message: err.Error(), Do: "look again when that works"})
	a.out.failed = append(a.out.failed, fmt.Errorf("%s: %w: %v", name, errCannotTell, err)) //nolint:errorlint // as in judge of status
}

// channel judges what a channel points to and, where it has one, its journal.
func (a *audit) channel(ctx context.Context, ch component.Channel) {
	at, found, err := readArtifact(ctx, a.repo, ch.Name)
	if err != nil {
		a.unknown(ch.Name, err)
		return
	}
	version := ""
	if ch.Journal {
		version = a.journal(ctx, ch, at.Descriptor.Digest)
	}
	if !found {
		return
	}
	a.out.Channels++
	v := a.Gate.Judge(ctx, trust.Question{Component: a.component, Tags: []string{ch.Name}, Version: version, Artifact: at,
		All: a.Rekor != nil})
	switch v.Answer {
	case trust.Refused:
		a.find(Code(v.Err), ch.Name, at.Descriptor.Digest, "clusters refuse it: roll back, or publish again", "%v", v.Err)
	case trust.CannotTell:
		a.unknown(ch.Name, v.Err)
	}
}

// journal judges the records of a channel, and answers with the version that they say the channel points to.
func (a *audit) journal(ctx context.Context, ch component.Channel, points digest.Digest) string {
	l, tags := a.Gate.Journal(a.component, ch), journal.TagsOf(a.tags, "")
	j, err := l.Read(ctx, &tags, len(a.tags)+1, points)
	if err != nil {
		a.unknown(ch.Name, err)
		return ""
	}
	a.records(ch, j)
	a.chain(ch, j)
	if a.Anchor != nil {
		a.anchor(ctx, l, ch, j)
	}
	return j.VersionOf(points)
}

// anchor compares a journal with what the anchor has of it.
func (a *audit) anchor(ctx context.Context, l *journal.Journal, ch component.Channel, j tag.Journal) {
	err := a.Anchor.Check(ctx, l, j)
	switch {
	case errors.Is(err, journal.ErrAnchor):
		a.find("bad-anchor", ch.Name, j.Current, "take the file from where it is kept, or write a new one", "%v", err)
	case errors.Is(err, journal.ErrCut):
		a.find("cut-off", ch.Name, j.Current, "find out who deleted records, and move the channel to the version that it should have", "%v", err)
	case err == nil && a.KeepHeads:
		err = a.Anchor.Keep(ctx, l, j)
		fallthrough
	case err != nil:
		if err != nil {
			a.unknown(ch.Name, err)
		}
	}
}

// records looks at each record by itself.
func (a *audit) records(ch component.Channel, j tag.Journal) {
	for _, e := range slices.Backward(j.Entries) {
		switch {
		case e.Unchecked:
			a.unknown(e.Tag, e.Err)
		case e.Err != nil:
			a.find("invalid-record", e.Tag, e.Digest, "it has no effect: find out who wrote it, and delete the tag", "%v", e.Err)
		default:
			a.out.Records++
			if e.Version != "" && e.Moves() && e.Action != tag.ActionAdopt {
				a.moved[e.Version] = e
			}
		}
	}
	standing, waiting := j.Agreement()
	switch {
	case standing == tag.Outside:
		a.find("moved-outside", ch.Name, j.Current, "promote or roll back to the version that it should have",
			"%s points to %s, and its newest record says otherwise", ch.Name, orNothing(j.Current))
	case standing == tag.Pending:
		a.find("pending", waiting.Tag, waiting.Digest, "repeat its command, or say keos-oci cancel "+a.component.Name,
			"a move to %s was begun and not finished", waiting.Version)
	case standing == tag.Unrecorded && j.Current != "":
		a.find("unrecorded", ch.Name, j.Current, "promote the version that it has, which puts it on record",
			"%s points to %s, and no record says why", ch.Name, j.Current)
	}
}

// chain looks at how records follow one another.
func (a *audit) chain(ch component.Channel, j tag.Journal) {
	for _, finding := range j.Findings() {
		code, message, _ := strings.Cut(finding, ": ")
		a.find(code, ch.Name, "", "find out who deleted or wrote records; a promotion or a rollback to a version goes on from here", "%s", message)
	}
	for _, pair := range j.SameNumber() {
		a.find("number-twice", pair[0].Tag, pair[0].Digest, "find out which of the two clusters followed", "%s and %s are both number %d",
			pair[1].Tag, pair[0].Tag, pair[0].Sequence)
	}
}

// versions judges each version, side by side.
func (a *audit) versions(ctx context.Context) {
	versions := sortTags(a.tags).versions
	a.out.Versions, a.digests = len(versions), map[string]digest.Digest{}
	judged := make([]judgedVersion, len(versions))
	var group errgroup.Group
	group.SetLimit(16)
	for i, version := range versions {
		group.Go(func() error { judged[i] = a.judgeVersion(ctx, version); return nil })
	}
	_ = group.Wait()
	for i, v := range judged {
		a.tell(versions[i], v)
	}
}

// judgedVersion is what is known of a version.
type judgedVersion struct {
	digest   digest.Digest
	verdict  trust.Verdict
	released digest.Digest // by its record, "" where no valid one is
	err      error
}

func (a *audit) judgeVersion(ctx context.Context, version string) (out judgedVersion) {
	at, found, err := readArtifact(ctx, a.repo, version)
	if err == nil && !found {
		err = fmt.Errorf("%s: %w", version, registry.ErrNotFound)
	}
	if err != nil {
		return judgedVersion{err: err}
	}
	out.digest = at.Descriptor.Digest
	out.verdict = a.Gate.Judge(ctx, trust.Question{Component: a.component, Tags: []string{version}, Artifact: at, All: a.Rekor != nil})
	if slices.Contains(a.tags, tag.ReleaseTag(version)) {
		out.released, out.err = a.Gate.Released(ctx, a.component, version)
	}
	return out
}

// tell notes what is odd about a version.
func (a *audit) tell(version string, v judgedVersion) {
	a.digests[version] = v.digest
	if v.released != "" {
		a.out.Records++
	}
	m, moved := a.moved[version]
	switch err := v.verdict.Err; {
	case v.err != nil:
		a.unknown(version, v.err)
	case errors.Is(err, sign.ErrUnsigned) && (v.released == v.digest || moved && m.To == v.digest):
		a.find("signature-gone", version, v.digest, "publish the version again with equal content, which signs it",
			"it was signed when it was released, and no signature is left")
	case v.verdict.Answer == trust.Refused:
		a.find(Code(err), version, v.digest, "find out who wrote the tag; clusters refuse it", "%v", err)
	case v.verdict.Answer == trust.CannotTell:
		a.unknown(version, err)
	case moved && m.To != v.digest && m.Action != tag.ActionRollback:
		a.find("changed", version, v.digest, "point the tag to what was released", "record %s says that it was %s", m.Tag, m.To)
	case !v.verdict.Bound:
		a.find("no-record", version, v.digest, "publish the version again with equal content, which writes the record",
			"nothing signed says which digest it is")
	}
}

// deleted finds versions of which records are left.
func (a *audit) deleted(ctx context.Context) {
	var gone []string
	for _, t := range a.tags {
		if version, is := strings.CutPrefix(t, tag.ReleaseTag("")); is && tag.IsReleaseTag(t) && a.digests[version] == "" {
			gone = append(gone, version)
		}
	}
	for version := range a.moved {
		if a.digests[version] == "" && !slices.Contains(gone, version) {
			gone = append(gone, version)
		}
	}
	slices.Sort(gone)
	for _, version := range gone {
		d := a.moved[version].To
		if slices.Contains(a.tags, tag.ReleaseTag(version)) {
			released, err := a.Gate.Released(ctx, a.component, version)
			if err != nil {
				a.unknown(tag.ReleaseTag(version), err)
			}
			d = cmp.Or(released, d)
		}
		if d == "" {
			a.find("invalid-record", tag.ReleaseTag(version), "", "it has no effect: find out who wrote it, and delete the tag",
				"it states no release that counts, and there is no version %s", version)
			continue
		}
		a.find("deleted-version", version, d, "copy the version back, or delete its release record if that was on purpose",
			"it was released as %s, and its tag is gone", d)
	}
}
