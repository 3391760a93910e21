package migrate

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// target finds the component and the variant that a path means, and compares what is built.
func (p *planner) target(ctx context.Context, a *applier, s source, ws *Workspace, m *Move) error {
	m.Channel = ws.Channels[s.Branch]
	folder := repositoryPath(a.Path)
	c, ok := ws.componentAt(folder, a.Source == p.own)
	if !ok {
		p.stop(a.place, "component", fmt.Sprintf("Kustomization %s applies %s, which is in no component of %s", a.name, a.Path, ws.Name),
			"see keos-oci components, and name the component in its keos-oci.yaml")
		return nil
	}
	variant := strings.TrimPrefix(strings.TrimPrefix(folder, c.Root), "/")
	if c.Root == "." {
		variant = folder
	}
	m.Component, m.Repository, m.NewPath = c.Name, c.Repository.Name(), "./"+variant
	m.variant = p.fleet.variantText(a, c.Root, variant)
	if s.Branch == "" && !p.pinned(s, ws, c, m) {
		return nil
	}
	checkout, err := ws.Checkout(ctx, s.revision())
	if err != nil {
		p.stop(s.place, "branch", fmt.Sprintf("%s has no %s: %v", ws.Name, s.what(), err), "fetch it: git fetch --tags origin "+m.Branch)
		return ctx.Err()
	}
	if info, err := os.Stat(filepath.Join(checkout, filepath.FromSlash(folder))); err != nil || !info.IsDir() {
		p.stop(a.place, "variant", fmt.Sprintf("%s has no variant %s for Kustomization %s: it has %s", c.Name, path.Clean(variant), a.name,
			strings.Join(c.Variants, ", ")),
			"create the folder on the branch, or correct the cluster's settings")
		return nil
	}
	before := content{files: &Fleet{Dir: checkout}, folder: folder, remoteBases: ws.RemoteBases}
	return p.compare(ctx, a, ws, c, &before, m)
}

// what names what a source follows.
func (s source) what() string {
	if s.Branch != "" {
		return "branch " + s.Branch
	}
	return s.Ref
}

// pinned finds the version of the tag that a source is pinned to.
func (p *planner) pinned(s source, ws *Workspace, c component.Component, m *Move) bool {
	released, version, err := ws.ByGitTag(m.Branch)
	switch {
	case err != nil:
		p.stop(s.place, "branch", fmt.Sprintf("GitRepository %s is pinned to a tag that releases nothing: %v", s.name, err),
			"correct the component's gitTag in keos-oci.yaml")
	case released.Name != c.Name:
		p.stop(s.place, "branch", fmt.Sprintf("GitRepository %s is pinned to %s, which releases %s, and %s applies %s", s.name, m.Branch,
			released.Name, m.Kustomization, c.Name),
			"pin it by hand: keos-oci generate ocirepository --source-only --pin")
	}
	m.Version = version
	return err == nil && released.Name == c.Name
}

// compare builds what Git has and what the artifact has, as the Kustomization would.
func (p *planner) compare(ctx context.Context, a *applier, ws *Workspace, c component.Component, in *content, m *Move) error {
	before, err := p.objects(ctx, in, a)
	if err != nil {
		p.stop(a.place, "build", fmt.Sprintf("%s on %s of %s does not build: %v", a.Path, m.Branch, ws.Name, err), "see keos-oci check")
		return ctx.Err()
	}
	m.Objects = len(before)
	p.checkContent(in.files.Dir, a, c)
	dir, err := ws.Artifact(ctx, c, m.tag())
	if err != nil {
		p.stop(a.place, "artifact", fmt.Sprintf("%s:%s cannot be used: %v", c.Name, m.tag(), err), m.seed(c))
		return ctx.Err()
	}
	after, err := p.objects(ctx, &content{files: &Fleet{Dir: dir}, folder: path.Clean(m.NewPath), remoteBases: ws.RemoteBases}, a)
	if err != nil {
		p.stop(a.place, "build", fmt.Sprintf("%s of %s:%s does not build: %v", m.NewPath, c.Name, m.tag(), err), m.seed(c))
		return ctx.Err()
	}
	if m.Changes = differences(before, after); len(m.Changes) == 0 {
		m.Equal = EqualYes
		return nil
	}
	m.Equal = EqualNo
	p.stop(a.place, "differs", fmt.Sprintf("%s:%s differs from %s in %d objects: %s", c.Name, m.tag(), m.Branch, len(m.Changes),
		shortList(m.Changes)), m.seed(c))
	return nil
}

// tag is what the artifact is followed by.
func (m *Move) tag() string { return cmp.Or(m.Version, m.Channel) }

// seed is what gives an artifact the content that Git has.
func (m *Move) seed(c component.Component) string {
	if m.Version != "" {
		return fmt.Sprintf("with a key publish the tag with today's config: keos-oci publish %s --config keos-oci.yaml --commit %s --version %s; where workflows "+
			"sign, commit the release workflow on top of the tag, tag that commit as a new version, and pin this one", c.Name, m.Branch, m.Version)
	}
	return fmt.Sprintf("let %s follow the branch: commit the release workflow to %s, tag there %s, or a version that is free, and let it run; or with a key "+
		"keos-oci publish %s --commit origin/%s --version VERSION", m.Channel, m.Branch, c.GitTagOf("v1.0.0"), c.Name, m.Branch)
}

func shortList(all []string) string {
	if len(all) > 3 {
		all = append(slices.Clone(all[:3]), "…")
	}
	return strings.Join(all, ", ")
}

// objects builds a folder as a Kustomization does, and gives each object's YAML by its id.
func (p *planner) objects(ctx context.Context, c *content, a *applier) (map[string]string, error) {
	built, err := p.build(ctx, c, a, false)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, r := range built.Resources() {
		data, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		id := r.GetKind() + " " + strings.TrimPrefix(r.GetNamespace()+"/"+r.GetName(), "/")
		found[id] += string(data)
	}
	return found, nil
}

// differences lists the objects that are not the same on both sides.
func differences(before, after map[string]string) []string {
	var found []string
	for id, text := range before {
		if after[id] != text {
			found = append(found, id)
		}
	}
	for id := range after {
		if _, both := before[id]; !both {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return found
}

// checkContent stops at SOPS files in a component whose Kustomization does not have the key.
func (p *planner) checkContent(checkout string, a *applier, c component.Component) {
	if at(a.object, "spec", "decryption") != nil {
		return
	}
	if file := encryptedIn(checkout, c); file != "" {
		p.stop(a.place, "decryption", fmt.Sprintf("%s has a file that SOPS encrypted (%s), and Kustomization %s has no decryption", c.Name,
			file, a.name),
			"add spec.decryption: Flux would apply the encrypted text")
	}
}
