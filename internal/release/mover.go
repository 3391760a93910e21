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
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// mover is one component's way through promote, rollback, or the end of publish.
type mover struct {
	*Service
	MoveRequest
	action    tag.Action
	component component.Component
	channel   component.Channel
	version   string
	repo      trust.Repository

	journal  *journal.Journal
	verdict  trust.Verdict
	view     tag.View
	records  journal.Tags
	versions []string // newest first
	target   tag.Target
	artifact pack.Artifact
	step     tag.Step
	signed   signedMove
	expected tag.Target // in a dry run, what the version would be; no tag points to it yet
	out      MovedComponent
}

func (m *mover) fail(err error) {
	m.out.Status, m.out.Error, m.out.err = StatusFailed, problem(err), err
	m.Log.Error("failed", "component", m.component.Name, "code", m.out.Error.Code)
}

func (m *mover) note(format string, args ...any) {
	m.out.Notes = append(m.out.Notes, fmt.Sprintf(format, args...))
}

func (m *mover) settleStatus(dryRun bool) {
	switch {
	case m.out.Status != "":
	case !m.step.Writes():
		m.out.Status = StatusUnchanged
	case dryRun:
		m.out.Status = StatusPlanned
	default:
		m.out.Status = StatusHeld
		m.note("not moved, because another component may not move")
	}
}

// prepare reads and decides; nothing is written. A move of another command that is under way is waited for, as long as the request says.
func (m *mover) prepare(ctx context.Context) {
	began := m.Now()
	m.view.Seen = map[string]time.Time{}
	err := m.look(ctx)
	for errors.Is(err, tag.ErrConflict) && m.view.MoveUnderWay() && m.Now().Sub(began) < m.Wait && ctx.Err() == nil {
		m.Log.Info("wait for another move", "component", m.component.Name, "channel", m.channel.Name)
		if pause(ctx, waitStep) != nil {
			break
		}
		err = m.look(ctx)
	}
	m.out.From, m.out.FromVersion, m.out.To, m.out.Version = m.view.Digest, m.view.Version, m.target.Digest, m.target.Version
	if m.step.Note != "" {
		m.note("%s", m.step.Note)
	}
	m.out.Held = m.step.NotMoved
	if err != nil {
		m.fail(err)
	}
}

// waitStep is how often a move of another command is looked at.
const waitStep = 2 * time.Second

// look reads the channel once and decides.
func (m *mover) look(ctx context.Context) error {
	m.step, m.verdict, m.out.Signatures, m.out.Notes, m.out.Held = tag.Step{}, trust.Verdict{}, nil, nil, ""
	if err := m.read(ctx); err != nil {
		return err
	}
	err := m.judge(ctx)
	for _, e := range m.view.Journal.Unfinished() {
		if _, seen := m.view.Seen[e.Tag]; !seen {
			m.view.Seen[e.Tag] = m.Now()
		}
	}
	return err
}

// insists reports whether the move is a rollback to a named version: no record, list or log that cannot be read keeps it from going there.
func (m *mover) insists() bool { return m.action == tag.ActionRollback && m.version != "" }

// tolerate turns what could not be read into a warning, for whoever insists.
func (m *mover) tolerate(what string, err error) error {
	if err == nil || !m.insists() || errors.Is(err, context.Canceled) {
		return err
	}
	m.note("%s could not be read, and the rollback goes on without it: %v", what, err)
	return nil
}

// read asks for the target, the channel and the tags side by side.
func (m *mover) read(ctx context.Context) error {
	m.journal = m.Gate.Journal(m.component, m.channel)
	var listed, versions error
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if m.target = m.expected; m.version == "" || m.expected.Digest != "" {
			return nil
		}
		m.artifact, _, err = readArtifact(gctx, m.repo, m.version)
		m.target = tag.Target{Version: m.version, Digest: m.artifact.Descriptor.Digest}
		return err
	})
	group.Go(func() (err error) {
		m.view.Digest, err = resolve(gctx, m.repo, m.channel.Name)
		return err
	})
	group.Go(func() error {
		m.records, listed = m.journal.Tags(gctx)
		return nil
	})
	group.Go(func() error {
		m.versions, versions = versionTags(gctx, m.repo)
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := m.tolerate("the list of tags", cmp.Or(listed, versions)); err != nil {
		return err
	}
	if m.version != "" && m.target.Digest == "" {
		return m.missing()
	}
	if m.Expect != "" && m.view.Digest != m.Expect {
		return fmt.Errorf("%w: %s points to %s", ErrExpect, m.channel.Name, orNothing(m.view.Digest))
	}
	return nil
}

// judge reads the journal and, beside it, asks the gate about the target, and decides. A key that is still being opened is
// waited for only when the first signature is checked.
func (m *mover) judge(ctx context.Context) error {
	m.view.Component, m.view.Name, m.view.Request, m.view.Now, m.view.Versions = m.component.Name, m.channel.Name, m.Request, m.Now(), m.versions
	var verified, read error
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { read = m.readJournal(gctx); return nil })
	if m.version != "" && m.expected.Digest == "" {
		group.Go(func() error { verified = m.verify(gctx); return nil })
	}
	_ = group.Wait()
	if err := m.tolerate("the journal", read); err != nil {
		return err
	}
	if m.Anchor != nil {
		if err := m.Anchor.Check(ctx, m.journal, m.view.Journal); err != nil {
			return err
		}
	}
	if m.Unrecorded {
		m.step = tag.Step{Move: m.target.Digest != m.view.Digest}
		if verified != nil {
			return verified
		}
		return m.bound(ctx)
	}
	step, done, err := m.view.Resume(m.action, m.version)
	if m.action == tag.ActionPublish && errors.Is(err, tag.ErrClosed) {
		step, err = tag.Step{NotMoved: fmt.Sprintf("%s stays where it is: %v", m.channel.Name, err)}, nil
	}
	if done || err != nil {
		m.step = step
		return err
	}
	if m.version == "" {
		return m.previous(ctx)
	}
	if err := m.rank(ctx); err != nil {
		return err
	}
	if err := m.decide(); err != nil || !m.step.Writes() {
		return m.stays(err, verified)
	}
	if verified != nil || m.expected.Digest != "" {
		return verified
	}
	return m.bound(ctx)
}

// stays is the answer where nothing is to be done. Who asks for a version that the gate refuses is told so: clusters refuse it as well.
func (m *mover) stays(err, verified error) error {
	if err == nil && m.action != tag.ActionPublish && trust.IsRefusal(verified) {
		return verified
	}
	return err
}

// decide plans the step to the named version.
func (m *mover) decide() (err error) {
	switch m.action {
	case tag.ActionPromote:
		m.step, err = m.view.Promote(m.target)
	case tag.ActionPublish:
		m.step, err = m.view.Publish(m.target)
	default:
		m.step, err = m.view.Rollback(m.target, m.Prereleases)
	}
	return err
}

// previous finds where a rollback without a version goes. What the gate refuses is passed by, and named.
func (m *mover) previous(ctx context.Context) error {
	if step, ok := m.view.Interrupted(); ok {
		m.step, m.target = step, tag.Target{Version: m.view.Version, Digest: m.view.Digest}
		return nil
	}
	list, err := m.view.Previous()
	if err != nil {
		return err
	}
	var refused []error
	for _, t := range list {
		err := m.goesTo(ctx, t)
		if err == nil {
			return nil
		}
		if !trust.IsUnsigned(err) && !errors.Is(err, registry.ErrNotFound) && !errors.Is(err, tag.ErrPrerelease) {
			return err
		}
		m.note("%s is passed by: %v", cmp.Or(t.Version, t.Digest.String()), err)
		refused = append(refused, err)
	}
	return errors.Join(append([]error{fmt.Errorf("%w: of what the journal of %s says was there before, nothing can be put there again; name a version",
		tag.ErrNoPrevious, m.channel.Name)}, refused...)...)
}

// keep puts the newest record into the anchor, where there is one and the journal is what it says.
func (m *mover) keep(ctx context.Context) {
	switch {
	case m.Anchor == nil || m.out.err != nil:
	case m.signed.move != nil && m.out.Record == m.signed.move.Tag:
		m.Anchor.KeepSigned(m.journal, *m.signed.move)
	default:
		if err := m.Anchor.Keep(ctx, m.journal, m.view.Journal); err != nil {
			m.note("the newest record of %s could not be put into the anchor: %v", m.channel.Name, err)
		}
	}
}

// goesTo plans a rollback to where the channel was, if the gate lets it.
func (m *mover) goesTo(ctx context.Context, t tag.Target) error {
	a, found, err := readArtifact(ctx, m.repo, t.Digest.String())
	if err == nil && !found {
		err = fmt.Errorf("%s@%s: %w: it was there before, but the registry has it no longer", m.component.Repository, t.Digest,
			registry.ErrNotFound)
	}
	if err != nil {
		return err
	}
	m.artifact, m.target = a, t
	if m.step, err = m.view.Rollback(t, m.Prereleases); err != nil {
		return err
	}
	if err := m.verify(ctx); err != nil {
		return err
	}
	return m.bound(ctx)
}

func resolve(ctx context.Context, repo trust.Repository, name string) (digest.Digest, error) {
	d, err := repo.Resolve(ctx, name)
	if errors.Is(err, registry.ErrNotFound) {
		return "", nil
	}
	return d, err
}

// resolveAll gives the digest of each tag, "" for those that are gone.
func resolveAll(ctx context.Context, repo trust.Repository, tags []string) ([]digest.Digest, error) {
	found := make([]digest.Digest, len(tags))
	var group errgroup.Group
	group.SetLimit(16)
	for i, name := range tags {
		group.Go(func() (err error) {
			found[i], err = resolve(ctx, repo, name)
			return err
		})
	}
	return found, group.Wait()
}

func orNothing(d digest.Digest) string {
	if d == "" {
		return "nothing"
	}
	return d.String()
}

// missing says which versions there are instead.
func (m *mover) missing() error {
	v, err := tag.ParseVersion(m.version)
	if err != nil {
		return err
	}
	return notPublished(m.component, v, m.versions)
}

// readJournal reads the newest record, and more where it does not settle what the channel points to.
func (m *mover) readJournal(ctx context.Context) (err error) {
	read, limit := m.journal.Recent, 1
	switch {
	case m.action == tag.ActionPublish:
		limit = journal.Enough // among which a gap would show
	case m.version == "":
		read, limit = m.journal.Read, journal.Enough
	}
	if m.view.Journal, err = read(ctx, &m.records, limit, m.view.Digest); err != nil {
		return err
	}
	if m.view.Before, err = m.journal.Done(ctx, m.records, m.view.Journal, m.Request, m.action, m.version); err != nil {
		return err
	}
	if m.view.Version = m.view.Journal.VersionOf(m.view.Digest); m.view.Version == "" {
		m.view.Version, err = versionOf(ctx, m.repo, m.versions, m.view.Digest)
	}
	return err
}

// versionTags lists the versions of a repository, newest first.
func versionTags(ctx context.Context, repo trust.Repository) ([]string, error) {
	tags, _, err := repo.TagsBetween(ctx, "v", "w")
	return sortTags(tags).versions, err
}

// versionOf looks for the version tag that names a digest of which the journal knows nothing. versions are newest first.
func versionOf(ctx context.Context, repo trust.Repository, versions []string, d digest.Digest) (string, error) {
	if d == "" {
		return "", nil
	}
	versions = versions[:min(len(versions), journal.Enough)]
	found, err := resolveAll(ctx, repo, versions)
	if err != nil {
		return "", err
	}
	for i, v := range versions {
		if found[i] == d {
			return v, nil
		}
	}
	return "", nil
}

// versionAt is the version that a channel points to: what its newest record says, else the highest version tag of the digest.
func versionAt(ctx context.Context, repo trust.Repository, j tag.Journal, d digest.Digest) (string, error) {
	if version := j.VersionOf(d); version != "" || d == "" {
		return version, nil
	}
	versions, err := versionTags(ctx, repo)
	if err != nil {
		return "", err
	}
	return versionOf(ctx, repo, versions, d)
}

// rank looks among the version tags above the target for the highest that points to what the channel points to, and that the gate
// accepts: then the channel is at that version, whatever its record says.
func (m *mover) rank(ctx context.Context) error {
	target, err := tag.ParseVersion(m.target.Version)
	if err != nil || m.view.Digest == "" || m.action == tag.ActionRollback {
		return nil //nolint:nilerr // a rollback that looks for its target has no version to compare with
	}
	above := tag.Above(target, m.versions)
	for batch := range slices.Chunk(above, 16) {
		found, err := resolveAll(ctx, m.repo, batch)
		if err != nil {
			return err
		}
		for i, version := range batch {
			if found[i] != m.view.Digest {
				continue
			}
			if ok, err := m.accepts(ctx, version); ok || err != nil {
				m.view.Rank = version
				return err
			}
		}
	}
	return nil
}

// accepts asks the gate whether a version tag may point to what the channel points to.
func (m *mover) accepts(ctx context.Context, version string) (bool, error) {
	a, found, err := readArtifact(ctx, m.repo, m.view.Digest.String())
	if err != nil || !found {
		return false, err
	}
	v := m.Gate.Judge(ctx, trust.Question{Component: m.component, Tags: []string{version}, Artifact: a})
	if v.Answer != trust.Accepted && !trust.IsRefusal(v.Err) {
		return false, v.Err
	}
	return v.Answer == trust.Accepted, nil
}

// verify asks the gate whether the channel may point to the target.
func (m *mover) verify(ctx context.Context) error {
	m.verdict = m.Gate.Judge(ctx, trust.Question{Component: m.component, Tags: []string{m.channel.Name}, Version: m.target.Version,
		Artifact: m.artifact,
		Lenient:  m.action == tag.ActionRollback && m.version != ""})
	m.out.Signatures = nil
	for _, s := range m.verdict.Signed {
		m.out.Signatures = append(m.out.Signatures, s.Identity)
	}
	m.out.Notes = append(m.out.Notes, m.verdict.Notes...)
	if err := m.verdict.Err; err != nil {
		return fmt.Errorf("%s@%s (%s): %w", m.component.Repository, m.target.Digest, m.target.Version, err)
	}
	return nil
}

// bound demands that something signed says which digest the version is: else whoever can write to the registry chooses it. Going
// back is possible to what a record of a move says as well.
func (m *mover) bound(ctx context.Context) error {
	if m.verdict.Bound || m.target.Version == "" {
		return nil
	}
	if (m.action == tag.ActionRollback || !m.step.Move) && m.view.Journal.Moved(m.target.Version, m.target.Digest) {
		return nil
	}
	if m.action == tag.ActionRollback && m.view.Journal.Partial {
		all, err := m.journal.Read(ctx, &m.records, journal.Enough, m.view.Digest)
		if err == nil && all.Moved(m.target.Version, m.target.Digest) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s has no release record, and no Git ref in its signature says that %s is %s: publish %s of %s again with equal content, which writes the record",
		trust.ErrUnbound, m.target.Version, m.target.Version, m.target.Digest, m.target.Version, m.component.Name)
}

// compare shows what the move would change for clusters.
func (m *mover) compare(ctx context.Context) {
	if !m.step.Move || m.view.Digest == "" {
		return
	}
	to := Target{Component: m.component.Name, Digest: m.target.Digest}
	req := DiffRequest{Component: m.component.Name, From: Target{Component: m.component.Name, Digest: m.view.Digest}, To: &to}
	for _, variants := range append([][]string{nil}, singles(m.component.Variants)...) {
		req.Variants = variants
		diff, err := m.diff(ctx, req)
		if err != nil {
			m.out.Notes = append(m.out.Notes, fmt.Sprintf("not compared: %v", err))
			continue
		}
		diff.Variant = strings.Join(variants, "")
		m.out.Changes = append(m.out.Changes, diff)
	}
}

// singles makes a list of each element: variants are compared one by one, since either side may lack one.
func singles(list []string) [][]string {
	out := make([][]string, len(list))
	for i, s := range list {
		out[i] = []string{s}
	}
	return out
}
