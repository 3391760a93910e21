package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// move is what is asked of one channel: of promote, of rollback, of cancel, or of the end of publish. It never changes. Its methods are
// the phases of a move, and each takes what the phase before returned: look -> observe -> decide -> sign -> act.
type move struct {
	MoveRequest
	gate      *trust.Gate
	log       *slog.Logger
	now       func() time.Time
	finishing func(context.Context) (end func()) // as in Service
	action    tag.Action
	component component.Component
	channel   component.Channel
	version   *semver.Version // to go to; nil for a rollback that looks for it, and for cancel
	expected  tag.Target      // in a dry run of publish, what the version would be; no tag points to it yet
	repo      trust.Repository
	journal   *journal.Journal
}

// newMove is a move of a channel of c.
func (s *Service) newMove(action tag.Action, req MoveRequest, c component.Component, ch component.Channel, version *semver.Version) *move {
	return &move{MoveRequest: req, gate: s.Gate, log: s.Log, now: s.Now, finishing: s.finishing, action: action, component: c, channel: ch,
		version: version, repo: s.Open(c.Repository), journal: s.Gate.Journal(c, ch)}
}

// named is the requested version, "" for none.
func (m *move) named() string {
	if m.version == nil {
		return ""
	}
	return tag.Version(m.version)
}

// insists reports whether the move is a rollback to a named version: no record, list or log that cannot be read keeps it from going there.
func (m *move) insists() bool { return m.action == tag.ActionRollback && m.version != nil }

// notes are for people.
type notes []string

func (n *notes) add(format string, args ...any) { *n = append(*n, fmt.Sprintf(format, args...)) }

// tolerate turns what could not be read into a note, for a rollback that insists.
func (m *move) tolerate(n *notes, what string, err error) error {
	if err == nil || !m.insists() || errors.Is(err, context.Canceled) {
		return err
	}
	n.add("%s could not be read, and the rollback goes on without it: %v", what, err)
	return nil
}

// aim is where a channel is to go. The artifact was read from the registry, and nobody has judged it.
type aim struct {
	tag.Target
	artifact pack.Artifact
}

// looked is what the registry answers about a channel before its journal is read.
type looked struct {
	notes
	digest   digest.Digest // what the channel points to, "" when it does not exist
	asked    aim           // the requested version
	records  journal.Tags
	versions []string // newest first
}

// look reads the channel, the requested version and the tags side by side.
func (m *move) look(ctx context.Context) (looked, error) {
	var l looked
	var listed, versions error
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		l.asked, err = m.readAsked(gctx)
		return err
	})
	group.Go(func() (err error) {
		l.digest, err = resolve(gctx, m.repo, m.channel.Name)
		return err
	})
	group.Go(func() error {
		l.records, listed = m.journal.Tags(gctx)
		return nil
	})
	group.Go(func() error {
		l.versions, versions = versionTags(gctx, m.repo)
		return nil
	})
	if err := group.Wait(); err != nil {
		return l, err
	}
	if err := m.tolerate(&l.notes, "the list of tags", cmp.Or(listed, versions)); err != nil {
		return l, err
	}
	if m.version != nil && l.asked.Digest == "" {
		return l, notPublished(m.component, m.version, l.versions)
	}
	if m.Expect != "" && l.digest != m.Expect {
		return l, fmt.Errorf("%w: %s points to %s", ErrExpect, m.channel.Name, orNothing(l.digest))
	}
	return l, nil
}

// readAsked reads the requested version.
func (m *move) readAsked(ctx context.Context) (aim, error) {
	if m.version == nil || m.expected.Digest != "" {
		return aim{Target: m.expected}, nil
	}
	a, _, err := readArtifact(ctx, m.repo, m.named())
	return aim{tag.Target{Version: m.named(), Digest: a.Descriptor.Digest}, a}, err
}

// observed is the channel with its journal, and the gate's verdict about the requested version.
type observed struct {
	looked
	view    tag.View
	verdict judged // zero where no version is requested
}

// observe reads the journal and, beside it, asks the gate about the version. A key that is still being opened is waited for only when the
// first signature is checked.
func (m *move) observe(ctx context.Context, l looked, seen map[string]time.Time) (observed, error) {
	o := observed{looked: l, view: m.viewOf(l)}
	o.view.Seen = seen
	var read error
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { read = m.readJournal(gctx, &o.view, &o.records, l.versions); return nil })
	if m.version != nil && m.expected.Digest == "" {
		group.Go(func() error { o.verdict = m.judge(gctx, l.asked); return nil })
	}
	_ = group.Wait()
	o.notes = append(o.notes, o.verdict.Notes...)
	if err := m.tolerate(&o.notes, "the journal", read); err != nil {
		return o, err
	}
	if m.Anchor != nil {
		if err := m.Anchor.Check(ctx, m.journal, o.view.Journal); err != nil {
			return o, err
		}
	}
	return o, nil
}

// viewOf is the channel without its journal.
func (m *move) viewOf(l looked) tag.View {
	return tag.View{Component: m.component.Name, Name: m.channel.Name, Digest: l.digest, Versions: l.versions, Request: m.Request,
		Now: m.now()}
}

// readJournal reads the newest record into the view, and more records where it does not settle what the channel points to.
func (m *move) readJournal(ctx context.Context, v *tag.View, records *journal.Tags, versions []string) (err error) {
	read, limit := m.journal.Recent, 1
	switch {
	case m.action == tag.ActionPublish:
		limit = journal.Enough // among which a gap would show
	case m.version == nil:
		read, limit = m.journal.Read, journal.Enough
	}
	if v.Journal, err = read(ctx, records, limit, v.Digest); err != nil {
		return err
	}
	if v.Before, err = m.journal.Done(ctx, *records, v.Journal, m.Request, m.action, m.named()); err != nil {
		return err
	}
	if v.Version = v.Journal.VersionOf(v.Digest); v.Version == "" {
		v.Version, err = versionOf(ctx, m.repo, versions, v.Digest)
	}
	return err
}

// resolve is the digest that a tag points to, "" for a tag that does not exist.
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

// versionTags lists the versions of a repository, newest first.
func versionTags(ctx context.Context, repo trust.Repository) ([]string, error) {
	tags, _, err := repo.TagsBetween(ctx, "v", "w")
	return sortTags(tags).versions, err
}

// versionOf looks for the version tag of a digest that the journal does not know. versions are newest first.
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
