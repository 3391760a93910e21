package release

import (
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
	tags     []string
	target   tag.Target
	artifact pack.Artifact
	step     tag.Step
	out      MovedComponent
}

func (m *mover) fail(err error) {
	m.out.Status, m.out.Error, m.out.err = StatusFailed, problem(err), err
	m.Log.Error("failed", "component", m.component.Name, "code", m.out.Error.Code)
}

func (m *mover) settleStatus(dryRun bool) {
	switch {
	case m.out.Status != "":
	case !m.step.Acts():
		m.out.Status = StatusUnchanged
	case dryRun:
		m.out.Status = StatusPlanned
	default:
		m.out.Status = StatusHeld
		m.out.Notes = append(m.out.Notes, "not moved, because another component may not move")
	}
}

// prepare reads and decides; nothing is written.
func (m *mover) prepare(ctx context.Context) {
	err := m.read(ctx)
	if err == nil {
		err = m.judge(ctx)
	}
	m.out.From, m.out.FromVersion, m.out.To, m.out.Version = m.view.Digest, m.view.Version, m.target.Digest, m.target.Version
	if m.step.Note != "" {
		m.out.Notes = append(m.out.Notes, m.step.Note)
	}
	if err != nil {
		m.fail(err)
	}
}

// read asks for the target, the channel and the tags side by side, then for the newest record.
func (m *mover) read(ctx context.Context) error {
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if m.version == "" {
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
	group.Go(func() (err error) {
		m.tags, err = m.repo.Tags(gctx)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if m.version != "" && m.target.Digest == "" {
		return m.missing()
	}
	if m.Expect != "" && m.view.Digest != m.Expect {
		return fmt.Errorf("%w: %s names %s", ErrExpect, m.channel.Name, orNothing(m.view.Digest))
	}
	return nil
}

// judge reads the journal and, beside it, asks the gate about the target, and decides. A key that is still being opened is
// waited for only when the first signature is checked.
func (m *mover) judge(ctx context.Context) error {
	m.journal = m.Gate.Journal(m.component, m.channel)
	m.view.Name = m.channel.Name
	var verified error
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.readJournal(gctx) })
	if m.version != "" {
		group.Go(func() error { verified = m.verify(gctx); return nil })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := m.rank(ctx); err != nil {
		return err
	}
	if err := m.decide(ctx); err != nil {
		return err
	}
	if !m.step.Acts() {
		return m.alreadyThere(ctx, verified)
	}
	if m.version == "" {
		verified = m.verify(ctx)
	}
	if verified != nil {
		return verified
	}
	return m.bound(ctx)
}

// alreadyThere is the answer where nothing is to be done. Who asks for a version that the gate refuses is told so: clusters refuse
// it as well. A fault leaves the question open, and nothing depends on it.
func (m *mover) alreadyThere(ctx context.Context, verified error) error {
	switch {
	case m.version == "" || m.action == tag.ActionPublish:
		return nil
	case trust.Refuses(verified):
		return verified
	case verified != nil:
		m.out.Notes = append(m.out.Notes, fmt.Sprintf("not checked: %v", verified))
		return nil
	case m.view.Journal.Moved(m.version, m.target.Digest):
		return nil
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
	near := tag.Nearest(v, sortTags(m.tags).versions)
	if len(near) == 0 {
		return fmt.Errorf("%s:%s: %w: no version is published yet", m.component.Repository, m.version, registry.ErrNotFound)
	}
	return fmt.Errorf("%s:%s: %w: the nearest versions are %s", m.component.Repository, m.version, registry.ErrNotFound, strings.Join(near, ", "))
}

// readJournal reads the newest record, and more where it does not settle what the channel names.
func (m *mover) readJournal(ctx context.Context) (err error) {
	limit := 1
	if m.version == "" || m.action == tag.ActionPublish {
		limit = journal.Enough
	}
	for ; ; limit = journal.Enough {
		if m.view.Journal, err = m.journal.Read(ctx, m.tags, limit, m.view.Digest); err != nil {
			return err
		}
		newest, ok := m.view.Journal.Newest()
		if limit == journal.Enough || !m.view.Journal.Partial && ok || ok && newest.To == m.view.Digest {
			break
		}
	}
	if m.view.Version = m.view.Journal.VersionOf(m.view.Digest); m.view.Version == "" {
		m.view.Version, err = versionOf(ctx, m.repo, m.tags, m.view.Digest)
	}
	return err
}

// versionOf looks for the version tag that names a digest of which the journal knows nothing.
func versionOf(ctx context.Context, repo trust.Repository, tags []string, d digest.Digest) (string, error) {
	if d == "" {
		return "", nil
	}
	versions := sortTags(tags).versions
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

// rank looks among the version tags above the target for the highest that points to what the channel points to, and that the gate
// accepts: then the channel is at that version, whatever its record says.
func (m *mover) rank(ctx context.Context) error {
	target, err := tag.ParseVersion(m.target.Version)
	if err != nil || m.view.Digest == "" || m.action == tag.ActionRollback {
		return nil //nolint:nilerr // a rollback that looks for its target has no version to compare with
	}
	above := tag.Above(target, sortTags(m.tags).versions)
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
	if v.Answer != trust.Accepted && !trust.Refuses(v.Err) {
		return false, v.Err
	}
	return v.Answer == trust.Accepted, nil
}

// decide plans the step, and for a rollback without a version finds out where it goes.
func (m *mover) decide(ctx context.Context) (err error) {
	switch m.action {
	case tag.ActionPromote:
		m.step, err = m.view.Promote(m.target)
		return err
	case tag.ActionPublish:
		m.step = m.view.Publish(m.target)
		return nil
	}
	if m.version == "" {
		if m.target, err = m.view.Previous(); err != nil {
			return err
		}
		var found bool
		if m.artifact, found, err = readArtifact(ctx, m.repo, m.target.Digest.String()); err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%s@%s: %w: it was there before, but the registry has it no longer; name a version", m.component.Repository, m.target.Digest, registry.ErrNotFound)
		}
	}
	m.step = m.view.Rollback(m.target)
	return nil
}

// verify asks the gate whether the channel may point to the target.
func (m *mover) verify(ctx context.Context) error {
	m.verdict = m.Gate.Judge(ctx, trust.Question{Component: m.component, Tags: []string{m.channel.Name}, Version: m.target.Version, Artifact: m.artifact,
		Lenient: m.action == tag.ActionRollback && m.version != ""})
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
	if m.action == tag.ActionRollback && m.view.Journal.Moved(m.target.Version, m.target.Digest) {
		return nil
	}
	if m.action == tag.ActionRollback && m.view.Journal.Partial {
		all, err := m.journal.Read(ctx, m.tags, journal.Enough, m.view.Digest)
		if err == nil && all.Moved(m.target.Version, m.target.Digest) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s has no release record, and no Git ref in its signature says that %s is %s: publish %s of %s again with equal content, which writes the record",
		trust.ErrUnbound, m.target.Version, m.target.Version, m.target.Digest, m.target.Version, m.component.Name)
}

// act writes the record and then the channel.
func (m *mover) act(ctx context.Context) {
	if !m.step.Acts() {
		return
	}
	var now digest.Digest
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.record(gctx) })
	group.Go(func() (err error) {
		now, err = resolve(gctx, m.repo, m.channel.Name)
		return err
	})
	if err := group.Wait(); err != nil {
		m.fail(err)
		return
	}
	if m.step.Move {
		if err := m.point(ctx, now); err != nil {
			m.fail(err)
			return
		}
	}
	m.out.Status = StatusMoved
	if !m.step.Move {
		m.out.Status = StatusUnchanged
	}
	m.Log.Info(m.out.Status, "component", m.component.Name, "version", m.target.Version)
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

// record writes what the step says: the adoption of what another tool did, then the move itself.
func (m *mover) record(ctx context.Context) error {
	newest, _ := m.view.Journal.Newest()
	if m.step.Adopt {
		adopted, err := m.journal.Write(ctx, m.newRecord(tag.ActionAdopt, tag.Target{Version: m.view.Version, Digest: m.view.Digest}, newest))
		if err != nil {
			return err
		}
		newest, m.out.Record, m.out.Signer = adopted, adopted.Tag, adopted.Signer
	}
	if !m.step.Write {
		return nil
	}
	r := m.newRecord(m.action, m.target, newest)
	r.From, r.FromVersion = m.view.Digest, m.view.Version
	written, err := m.journal.Write(ctx, r)
	m.out.Record, m.out.Signer = written.Tag, written.Signer
	return err
}

// newRecord is a record behind previous.
func (m *mover) newRecord(action tag.Action, to tag.Target, previous tag.Entry) tag.Record {
	at := m.Now().UTC().Truncate(time.Millisecond)
	if !at.After(previous.Time) {
		at = previous.Time.Add(time.Millisecond) // another machine's clock is ahead; the order of records is that of the moves
	}
	return tag.Record{Component: m.component.Name, Channel: m.channel.Name, Action: action, Version: to.Version, To: to.Digest,
		From: previous.To, FromVersion: previous.Version, Time: at, Actor: m.Actor, RunURL: m.RunURL, Reason: m.Reason, Previous: previous.Digest}
}

// point makes the channel name the target. Registries have no compare-and-swap, so it is read right before (now) and right
// after: who was overtaken says so instead of reporting a move that does not stand.
func (m *mover) point(ctx context.Context, now digest.Digest) error {
	if now != m.view.Digest {
		return m.conflict("was moved to %s while this move was prepared", now)
	}
	if err := m.write(ctx); err != nil {
		return err
	}
	now, err := resolve(ctx, m.repo, m.channel.Name)
	if err != nil {
		return err
	}
	if now != m.target.Digest {
		return m.conflict("was moved on to %s by another run", now)
	}
	return nil
}

func (m *mover) write(ctx context.Context) error {
	pass, err := m.verdict.Pass()
	if err != nil {
		return err
	}
	return m.Gate.Write(ctx, pass, m.channel.Name)
}

func (m *mover) conflict(format string, now digest.Digest) error {
	return fmt.Errorf("%w: %s "+format+"; see keos-oci history %s", tag.ErrConflict, m.channel.Name, orNothing(now), m.component.Name)
}
