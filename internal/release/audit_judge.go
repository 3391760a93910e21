package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

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
		a.find(code(v.Err), ch.Name, at.Descriptor.Digest, "clusters refuse it: roll back, or publish again", "%v", v.Err)
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
			"unfinished move to %s", waiting.Version)
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
		a.find(code(err), version, v.digest, "find out who wrote the tag; clusters refuse it", "%v", err)
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
