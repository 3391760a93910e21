package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// publishVersion gives the run's version to the digest that holds its content: one that the repository has already, so
// that what staging ran is what production gets, or a new one. The release identity adds its signature to it.
func (j *job) publishVersion(ctx context.Context) error {
	if err := j.giveVersion(ctx); err != nil {
		return err
	}
	return j.promoteVersion(ctx)
}

// promoteVersion moves the channels that follow versions by themselves. What their rules refuse is a note and no error:
// the version is published.
func (j *job) promoteVersion(ctx context.Context) error {
	for _, ch := range j.component.Channels.From(component.FromVersion) {
		if ch.Promote != component.PromoteAuto || j.run.NoPromote {
			continue
		}
		if j.run.DryRun {
			j.out.Notes = append(j.out.Notes, ch.Name+" would follow, if its rules let it")
			continue
		}
		quiet := *j.Service
		quiet.Log = slog.New(slog.DiscardHandler) // the component is told once, at the end of publish
		m := &mover{Service: &quiet, MoveRequest: MoveRequest{Actor: j.run.Actor, RunURL: j.run.RunURL, Policy: j.run.Policy}, action: tag.ActionPublish,
			component: j.component, channel: ch, version: j.out.Version, repo: j.repo, out: MovedComponent{Name: j.component.Name}}
		if m.prepare(ctx); m.out.err == nil {
			m.act(ctx)
		}
		j.out.Notes = append(j.out.Notes, m.out.Notes...)
		if m.out.err != nil {
			return fmt.Errorf("%s is published, but %s did not follow: %w", j.out.Version, ch.Name, m.out.err)
		}
		if m.out.Status == StatusMoved {
			j.out.Status = StatusPublished
			j.out.Tags = append(j.out.Tags, tag.Move{Tag: ch.Name, From: m.view.Digest, To: m.target.Digest})
		}
	}
	return nil
}

func (j *job) giveVersion(ctx context.Context) error {
	version := tag.Version(j.run.Version)
	j.out.Version = version
	layer, err := j.pass(ctx)
	if err != nil {
		return err
	}
	existing, found, err := j.artifact(ctx, version)
	if err != nil {
		return err
	}
	if found {
		return j.publishedVersion(ctx, existing, layer)
	}
	a, reused, err := j.find(ctx, layer)
	if err != nil {
		return err
	}
	upload := &layer
	if reused != "" {
		j.out.Reused, upload = reused, nil
	} else {
		j.out.Notes = append(j.out.Notes, "no channel ran this content before: it is in none of the tags that a branch left")
		if a, err = j.newArtifact(layer); err != nil {
			return err
		}
	}
	j.out.Digest = a.Descriptor.Digest
	plan := func(ctx context.Context) (tag.Plan, error) { return tag.State{}.Fix(version, a.Descriptor.Digest) }
	if j.run.DryRun {
		return j.dryRun(ctx, plan)
	}
	return j.release(ctx, a, upload, reused != "", plan, j.versionPolicy())
}

// sameBases refuses a version whose files a branch published with other remote bases. They moved since, and production would
// get what staging never ran.
func (j *job) sameBases(looked []candidate) error {
	for _, c := range looked {
		if len(j.remote) > 0 && c.Unrendered() == j.unrendered {
			return fmt.Errorf("%s:%s is %w: it holds the same files with what their remote bases were then: %s; name commits in their URLs, or make "+
				"a new commit, publish the branch and tag that", j.component.Repository, c.tag, tag.ErrImmutable, j.movedBases(c.Artifact))
		}
	}
	return nil
}

// movedBases names those that a has otherwise.
func (j *job) movedBases(a pack.Artifact) string {
	was := map[string]digest.Digest{}
	for _, base := range a.RemoteBases() {
		was[base.URL] = base.Digest
	}
	var moved []string
	for _, base := range j.remote {
		if was[base.URL] != base.Digest {
			moved = append(moved, fmt.Sprintf("%s:%d names %s", base.File, base.Line, base.URL))
		}
	}
	return strings.Join(moved, ", ")
}

// publishedVersion is a version that exists: the same content is a run repeated, which may lack its signature; other
// content is refused, because versions never change.
func (j *job) publishedVersion(ctx context.Context, existing pack.Artifact, layer pack.Layer) error {
	j.out.Digest = existing.Descriptor.Digest
	same, err := j.same(ctx, existing, layer)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("%s:%s is %w: it names %s with other content; publish this content under a new version",
			j.component.Repository, j.out.Version, tag.ErrImmutable, existing.Descriptor.Digest)
	}
	j.out.Status = StatusUnchanged
	if j.run.DryRun {
		return nil
	}
	added, err := j.addSignature(ctx, existing, j.versionPolicy())
	if added {
		j.out.Notes = append(j.out.Notes, "the version lacked this run's signature, which was added")
	}
	return err
}

// versionPolicy is whose signature clusters expect on the channel that follows versions.
func (j *job) versionPolicy() sign.Policy {
	if list := j.component.Channels.From(component.FromVersion); len(list) > 0 {
		return configuredPolicy(list[0].Identity)
	}
	return sign.Policy{}
}

// find looks for the content under the tags that branches leave: the channel, this commit's, and that of the last commit
// that touched the component; then under the newest versions.
func (j *job) find(ctx context.Context, layer pack.Layer) (pack.Artifact, string, error) {
	tags, err := j.candidates(ctx)
	if err != nil {
		return pack.Artifact{}, "", err
	}
	var looked []candidate
	a, name, err := j.findAmong(ctx, tags, &looked, layer)
	if err != nil || name != "" {
		return a, name, err
	}
	if err := j.sameBases(looked); err != nil {
		return pack.Artifact{}, "", err
	}
	list, err := listTags(ctx, j.repo)
	if err != nil {
		return pack.Artifact{}, "", err
	}
	return j.findAmong(ctx, list.versions[:min(len(list.versions), maxVersions)], &looked, layer)
}

// candidate is an artifact that may hold a version's content.
type candidate struct {
	tag string
	pack.Artifact
}

// maxVersions is how many versions find reads.
const maxVersions = 10

// findAmong compares what tags name, each artifact once, and adds it to those that it looked at.
func (j *job) findAmong(ctx context.Context, tags []string, looked *[]candidate, layer pack.Layer) (pack.Artifact, string, error) {
	for _, name := range tags {
		a, found, err := j.artifact(ctx, name)
		if err != nil {
			return pack.Artifact{}, "", err
		}
		if !found || a.Dirty() || slices.ContainsFunc(*looked, func(c candidate) bool { return c.Descriptor.Digest == a.Descriptor.Digest }) {
			continue
		}
		*looked = append(*looked, candidate{name, a})
		same, err := j.same(ctx, a, layer)
		if err != nil {
			return pack.Artifact{}, "", err
		}
		if same {
			return a, name, nil
		}
	}
	return pack.Artifact{}, "", nil
}

func (j *job) candidates(ctx context.Context) ([]string, error) {
	last, err := j.Checkout.LastCommit(ctx, j.run.head.Hash, j.paths()...)
	if err != nil && !errors.Is(err, git.ErrShallow) && !errors.Is(err, git.ErrNoCommit) {
		return nil, err
	}
	var list []string
	for _, c := range j.component.Channels.From(component.FromBranch) {
		list = append(list, c.Name, tag.Commit(c.Branch, j.run.head.Hash))
		if last.Hash != "" && last.Hash != j.run.head.Hash {
			list = append(list, tag.Commit(c.Branch, last.Hash))
		}
	}
	return list, nil
}

// same says whether a holds exactly the run's content. The annotation is only a claim, and the release identity is about
// to vouch for the digest: unless the layer is ours byte for byte, it is downloaded and hashed.
func (j *job) same(ctx context.Context, a pack.Artifact, layer pack.Layer) (bool, error) {
	desc, ok := a.Layer()
	if !ok || a.ContentDigest() != j.tree.ContentDigest {
		return false, nil
	}
	if desc.Digest == layer.Digest {
		return true, nil
	}
	raw, err := j.repo.Blob(ctx, desc, maxLayer)
	if errors.Is(err, registry.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	got, err := pack.Digest(bytes.NewReader(raw), pack.Limits{Bytes: j.tree.Size*2 + 1<<20})
	if err != nil && !errors.Is(err, pack.ErrLayer) {
		return false, err
	}
	return got == j.tree.ContentDigest, nil
}

// maxLayer bounds a compressed layer that is read to be compared.
const maxLayer = 128 << 20
