package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// job is one component of a run. It never changes. Its methods are the phases of publish, and each takes what the phase before returned:
// pass -> reuse or build -> stage -> upload -> admit -> write the tags. What the result says of the component goes from phase to phase as
// a value, and comes back with an error, too.
type job struct {
	contents
	service *Service
	gate    *trust.Gate
	run     *publication
	tree    *pack.Tree
	repo    trust.Repository
	dirty   bool // what is published is not what the commit has
}

// publishOne publishes c, and reports what it did.
func (s *Service) publishOne(ctx context.Context, run *publication, c component.Component) PublishedComponent {
	out := PublishedComponent{Name: c.Name, Kind: c.Kind, Repository: c.Repository.String(), Tags: []tag.Move{}, Signatures: []sign.Identity{}}
	err := ctx.Err()
	if err == nil {
		out, err = s.publishInto(ctx, run, c, out)
	}
	if err != nil {
		out.Status, out.Error, out.err = StatusFailed, problem(err), err
		s.Log.Error("failed", "component", c.Name, "code", out.Error.Code)
		return out
	}
	s.Log.Debug(out.Status, "component", c.Name, "digest", out.Digest) // the result has it
	return out
}

func (s *Service) publishInto(ctx context.Context, run *publication, c component.Component, out PublishedComponent) (PublishedComponent,
	error) {
	all, tree, err := s.read(ctx, c)
	if err != nil {
		return out, err
	}
	out.ContentDigest, out.RemoteBases = tree.ContentDigest, all.remote
	for _, base := range all.remote {
		out.Notes = append(out.Notes, base.String())
	}
	j := &job{contents: all, service: s, gate: s.Gate, run: run, tree: tree, repo: s.Open(c.Repository),
		dirty: all.dirty(run.changes) || run.configured(s.Workspace, c)}
	if j.dirty {
		out.Notes = append(out.Notes, j.dirtyNote())
		s.Log.Warn("dirty work tree", "component", c.Name)
	}
	if run.Version != nil {
		return j.publishVersion(ctx, out)
	}
	return j.publishBranch(ctx, out)
}

// configured reports whether a config file that is not committed makes another artifact of c than the committed one.
func (p *publication) configured(w *component.Workspace, c component.Component) bool {
	if p.committed == nil {
		return false
	}
	was, err := p.committed.Components.Find(c.Name)
	return err != nil || !was.PacksAs(c) || !p.committed.Config.Artifact.PacksAs(w.Config.Artifact)
}

func (j *job) dirtyNote() string {
	note := "files differ from the commit (dirty work tree): the artifact says so in " + pack.AnnotationDirty
	if names := j.follows().names(); len(names) > 0 && !j.run.AllowDirty {
		note += fmt.Sprintf("; %s does not move: commit the change, or say --allow-dirty", strings.Join(names, ", "))
	}
	return note
}

// readArtifact reads what a tag or digest names, false when there is none.
func readArtifact(ctx context.Context, repo trust.Repository, ref string) (pack.Artifact, bool, error) {
	_, raw, err := repo.Manifest(ctx, ref)
	if errors.Is(err, registry.ErrNotFound) {
		return pack.Artifact{}, false, nil
	}
	if err != nil {
		return pack.Artifact{}, false, err
	}
	a, err := pack.ParseArtifact(raw)
	return a, err == nil, err
}

// checked is a component as bytes that the gate of check let through. Only pass makes one.
type checked struct{ layer pack.Layer }

// pass compresses the component and checks the result. Warnings come with an error, too.
func (j *job) pass(ctx context.Context) (checked, []finding.Finding, error) {
	if !j.run.DryRun {
		j.gate.Warm()
	}
	layer, err := j.tree.Compress(ctx)
	if err != nil {
		return checked{}, nil, err
	}
	warnings, err := j.service.gate(ctx, packed{j.contents, j.tree, layer}, j.run.changes, j.run.known)
	return checked{layer}, warnings, err
}

// newArtifact describes the component as this commit has it.
func (j *job) newArtifact(c checked) (pack.Built, error) {
	ref := j.run.ref.short()
	if j.run.Version != nil {
		ref = j.component.GitTagOf(tag.Version(j.run.Version)) // one --version may be given to several components
	}
	return j.build(c, ref, j.run.commit, j.dirty)
}

func (j *job) build(c checked, ref string, commit git.Commit, dirty bool) (pack.Built, error) {
	var remote []pack.RemoteBase
	for _, base := range j.remote {
		remote = append(remote, pack.RemoteBase{URL: base.URL, File: strings.TrimPrefix(base.Path, j.component.Root+"/"), Digest: base.Digest})
	}
	return pack.NewArtifact(j.tree, c.layer, pack.Metadata{
		Component: j.component.Name, Source: j.run.source, Created: commit.Time,
		Revision: ref + "@sha1:" + commit.Hash, Dirty: dirty,
		RemoteBases: remote, Unrendered: j.unrendered,
	})
}

// rebuilt makes an artifact of the registry again, byte for byte, where the checkout can tell what it was: of a commit that led
// here, on a branch that a channel follows or under this run's own ref, with the content that the component still has. Then it
// does not matter what happened to its signature.
func (j *job) rebuilt(ctx context.Context, a pack.Artifact, c checked) (pack.Built, bool) {
	ref, hash, ok := strings.Cut(a.Revision(), "@sha1:")
	if !ok || j.dirty || !j.mayHaveBuilt(ref) {
		return pack.Built{}, false
	}
	commit, err := j.service.Checkout.Resolve(ctx, hash)
	if err != nil || commit.Hash != hash {
		return pack.Built{}, false
	}
	last, err := j.service.Checkout.LastCommit(ctx, j.run.commit.Hash, j.paths()...)
	if err != nil {
		return pack.Built{}, false // a shallow clone cannot tell
	}
	for _, pair := range [][2]string{{hash, j.run.commit.Hash}, {last.Hash, hash}} {
		if led, err := j.service.Checkout.IsAncestor(ctx, pair[0], pair[1]); err != nil || !led {
			return pack.Built{}, false
		}
	}
	b, err := j.build(c, ref, commit, false)
	return b, err == nil && b.Artifact().Descriptor.Digest == a.Descriptor.Digest
}

func (j *job) mayHaveBuilt(ref string) bool {
	if ref == j.run.ref.short() || j.run.Version != nil && ref == j.component.GitTagOf(tag.Version(j.run.Version)) {
		return true
	}
	return slices.ContainsFunc(j.component.Channels.From(component.FromBranch), func(c component.Channel) bool { return c.Branch == ref })
}

// question asks whether an artifact may have tags of this run.
func (j *job) question(a pack.Artifact, tags ...string) trust.Question {
	return trust.Question{Component: j.component, Tags: tags, Artifact: a}
}
