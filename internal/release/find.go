package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// reusable is an artifact of the repository that has the content of the component.
type reusable struct {
	staged
	tag string // under which it was found
}

// recorded is what the version's release record says it is: a run that was killed wrote the record, and not the tag. ok is false where
// there is no record.
func (j *job) recorded(ctx context.Context, n *notes, version string, c checked) (_ reusable, ok bool, err error) {
	d, err := j.gate.Released(ctx, j.component, version)
	if err != nil || d == "" {
		return reusable{}, false, err
	}
	a, found, err := readArtifact(ctx, j.repo, d.String())
	if err != nil {
		return reusable{}, false, err
	}
	if found && a.ContentDigest() == j.tree.ContentDigest {
		if r, ok, err := j.usable(ctx, n, a, c, version); ok || err != nil {
			return reusable{staged: r.staged}, ok, err
		}
	}
	return reusable{}, false, fmt.Errorf("%s:%s is %w: %s says that it is %s, and this commit has other content, "+
		"or that artifact is gone; publish under a new version",
		j.component.Repository, version, tag.ErrImmutable, tag.ReleaseTag(version), d)
}

// usable lets an artifact with this content through if the gate accepts it for the tag, or if it is what this repository
// published, byte for byte. Its layer is read and hashed first.
func (j *job) usable(ctx context.Context, n *notes, a pack.Artifact, c checked, name string) (_ reusable, ok bool, err error) {
	v := j.gate.Judge(ctx, j.question(a, name))
	switch {
	case v.Answer == trust.Accepted:
	case j.run.DryRun && errors.Is(v.Err, trust.ErrNoPolicy):
		n.add("%s has this content; it is unknown whether its signature is accepted: %v", name, v.Err)
		return reusable{staged{artifact: a}, name}, true, nil
	case !trust.IsUnsigned(v.Err):
		return reusable{}, false, v.Err
	default:
		built, ok := j.rebuilt(ctx, a, c)
		if !ok {
			n.add("%s has this content under %s, and is refused: %v", a.Descriptor.Digest, name, v.Err)
			return reusable{}, false, nil
		}
		return reusable{j.stage(built, c), name}, true, nil
	}
	if err := j.contentOf(ctx, a); err != nil {
		if trust.IsRefusal(err) || errors.Is(err, pack.ErrLayer) || errors.Is(err, registry.ErrNotFound) {
			n.add("%s (%s) is not reused: %v", a.Descriptor.Digest, name, err)
			return reusable{}, false, nil
		}
		return reusable{}, false, err
	}
	pass, err := v.Pass()
	return reusable{staged{artifact: a, pass: pass}, name}, err == nil, err
}

// sameBases refuses a version whose files a branch published with other remote bases. They moved since, and production would
// get what staging never ran.
func (j *job) sameBases(looked []candidate) error {
	for _, c := range looked {
		if len(j.remote) > 0 && c.Unrendered() == j.unrendered {
			return fmt.Errorf("%s:%s is %w: it has the same files, but their remote bases have changed since: %s; name commits in their URLs, or make "+
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

// branchTag is the channel whose clusters run what a branch publishes.
func (j *job) branchTag() string {
	if list := j.component.Channels.From(component.FromBranch); len(list) > 0 {
		return list[0].Name
	}
	return "latest"
}

// find looks for the content under the tags that branches leave: the channel, this commit's, and that of the last commit
// that touched the component; then under the newest versions. Only what the gate accepts for the branch is taken.
func (j *job) find(ctx context.Context, n *notes, c checked) (_ reusable, ok bool, err error) {
	tags, err := j.candidates(ctx)
	if err != nil {
		return reusable{}, false, err
	}
	var looked []candidate
	r, ok, err := j.findAmong(ctx, n, tags, &looked, c)
	if err != nil || ok {
		return r, ok, err
	}
	if err := j.sameBases(looked); err != nil {
		return reusable{}, false, err
	}
	versions, err := versionTags(ctx, j.repo)
	if err != nil {
		return reusable{}, false, err
	}
	return j.findAmong(ctx, n, versions[:min(len(versions), maxVersions)], &looked, c)
}

// candidate is an artifact that may hold a version's content.
type candidate struct {
	tag string
	pack.Artifact
}

// maxVersions is how many versions find reads.
const maxVersions = 10

// findAmong looks at what tags point to, each artifact once, and adds it to those that it looked at.
func (j *job) findAmong(ctx context.Context, n *notes, tags []string, looked *[]candidate, c checked) (_ reusable, ok bool, err error) {
	for _, name := range tags {
		a, found, err := readArtifact(ctx, j.repo, name)
		if err != nil {
			return reusable{}, false, err
		}
		if !found || a.Dirty() || slices.ContainsFunc(*looked, func(c candidate) bool { return c.Descriptor.Digest == a.Descriptor.Digest }) {
			continue
		}
		*looked = append(*looked, candidate{name, a})
		if a.ContentDigest() != j.tree.ContentDigest {
			continue
		}
		r, ok, err := j.usable(ctx, n, a, c, j.branchTag())
		if ok || err != nil {
			r.tag = name
			return r, ok, err
		}
	}
	return reusable{}, false, nil
}

func (j *job) candidates(ctx context.Context) ([]string, error) {
	last, err := j.service.Checkout.LastCommit(ctx, j.run.commit.Hash, j.paths()...)
	if err != nil && !errors.Is(err, git.ErrShallow) && !errors.Is(err, git.ErrNoCommit) {
		return nil, err
	}
	var list []string
	for _, c := range j.component.Channels.From(component.FromBranch) {
		list = append(list, c.Name, tag.Commit(c.Branch, j.run.commit.Hash))
		if last.Hash != "" && last.Hash != j.run.commit.Hash {
			list = append(list, tag.Commit(c.Branch, last.Hash))
		}
	}
	return list, nil
}
