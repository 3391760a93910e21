package migrate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// ErrStops says that something keeps a landscape from moving.
var ErrStops = errors.New("cannot be moved")

// Workspace is a checkout whose components clusters follow by a branch today.
type Workspace struct {
	Name       string
	URL        string // of its Git remote
	Components component.Set
	Channels   map[string]string // by branch
	// Checkout gives the folder with the files of a branch.
	Checkout func(ctx context.Context, branch string) (folder string, err error)
	// Artifact gives the folder with what a channel points to, after it was verified.
	Artifact func(ctx context.Context, c component.Component, channel string) (folder string, err error)
}

// Request says what is to be planned.
type Request struct {
	Fleet      *Fleet
	Workspaces []Workspace
	Clusters   []string // names; all where empty
}

// Plan is what clusters follow today and what they can follow instead.
type Plan struct {
	Clusters []ClusterPlan `json:"clusters"`
	Stops    []Stop        `json:"stops"`
}

// ClusterPlan is the plan of one cluster.
type ClusterPlan struct {
	Name    string   `json:"name"`
	Entry   string   `json:"entry"` // file:line
	Moves   []Move   `json:"moves"`
	Secrets []Needed `json:"secrets"`
	Waits   []Wait   `json:"waits"`
	Notes   []string `json:"notes,omitempty"`

	landscape *landscape
}

// Wait is a Kustomization that waits for another component. Both were of one commit, and will be of versions of their own.
type Wait struct {
	Kustomization string `json:"kustomization"`
	For           string `json:"for"`
}

// Move is one Kustomization that takes its files from an artifact in the place of a branch.
type Move struct {
	Kustomization string `json:"kustomization"` // namespace/name
	File          string `json:"file"`
	Line          int    `json:"line"`
	Source        string `json:"source"` // kind, namespace/name
	Branch        string `json:"branch"`
	Path          string `json:"path"`
	Component     string `json:"component"`
	Repository    string `json:"repository"`
	Channel       string `json:"channel"`
	NewPath       string `json:"newPath"`
	// Equal says whether the objects are the same: yes, no, or unknown where a stop keeps them from being compared.
	Equal   string   `json:"equal"`
	Objects int      `json:"objects"`
	Changes []string `json:"changes,omitempty"` // objects that differ

	applier *applier
	variant string // with variables as the file has them
}

// The answers to whether objects are equal.
const (
	EqualYes     = "yes"
	EqualNo      = "no"
	EqualUnknown = "unknown"
)

// Needed is a Secret that clusters need in a namespace before they can follow artifacts there.
type Needed struct {
	Namespace string   `json:"namespace"`
	For       []string `json:"for"` // Kustomizations
}

// Stop is what keeps a cluster from moving, at the place to edit, with what to do.
type Stop struct {
	Cluster string `json:"cluster"`
	Code    string `json:"code"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
	Do      string `json:"do"`
}

// Err is ErrStops where something keeps a cluster from moving.
func (p *Plan) Err() error {
	if len(p.Stops) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d stops", ErrStops, len(p.Stops))
}

// Make plans the clusters of a fleet, one after the other.
func Make(ctx context.Context, req Request) (*Plan, error) {
	folders, err := req.folders()
	if err != nil {
		return nil, err
	}
	plan := &Plan{Clusters: []ClusterPlan{}, Stops: []Stop{}}
	for _, folder := range folders {
		l, err := req.Fleet.follow(ctx, folder)
		if err != nil {
			return nil, err
		}
		p := &planner{landscape: l, workspaces: req.Workspaces}
		if err := p.plan(ctx); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", l.cluster, err)
		}
		plan.Clusters = append(plan.Clusters, p.out)
		plan.Stops = append(plan.Stops, l.stops...)
	}
	return plan, nil
}

// folders are those of the clusters that were asked for.
func (r Request) folders() ([]string, error) {
	all := r.Fleet.Clusters()
	if len(r.Clusters) == 0 {
		if len(all) == 0 {
			return nil, fmt.Errorf("%w: no folder of clusters/ has a FluxInstance or a gotk-sync.yaml", ErrNoEntry)
		}
		return all, nil
	}
	var folders []string
	for _, c := range r.Clusters {
		folder := path.Join("clusters", c)
		if !slices.Contains(all, folder) {
			return nil, fmt.Errorf("%w: %s has neither a FluxInstance nor a gotk-sync.yaml", ErrNoEntry, folder)
		}
		folders = append(folders, folder)
	}
	return folders, nil
}

// planner plans one cluster.
type planner struct {
	*landscape
	workspaces []Workspace
	out        ClusterPlan
}

func (p *planner) plan(ctx context.Context) error {
	entry := p.appliers[0]
	p.out = ClusterPlan{Name: p.cluster, Entry: fmt.Sprintf("%s:%d", entry.File, entry.Line), Moves: []Move{}, Secrets: []Needed{}, Waits: []Wait{}, landscape: p.landscape}
	moved := map[name]string{} // components by Kustomization
	for _, a := range p.appliers {
		if a.Source == p.own {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m, ok, err := p.move(ctx, a)
		if err != nil {
			return err
		}
		if ok {
			moved[a.name] = m.Component
			p.out.Moves = append(p.out.Moves, m)
			p.need(a)
		}
	}
	p.noteDependencies(moved)
	p.noteOthers()
	return nil
}

// move plans one Kustomization. It is false for one that is to stay.
func (p *planner) move(ctx context.Context, a *applier) (Move, bool, error) {
	if a.Kind != "GitRepository" {
		if a.Kind != "OCIRepository" {
			p.note("%s takes its files from %s %s and stays", a.name, a.Kind, a.Source)
		}
		return Move{}, false, nil
	}
	m := Move{applier: a, Kustomization: a.String(), File: a.File, Line: a.Line, Source: "GitRepository " + a.Source.String(), Path: a.Path, Equal: EqualUnknown}
	s, known := p.sources[a.Source]
	if !known {
		p.stop(a.place, "source", fmt.Sprintf("Kustomization %s takes its files from GitRepository %s, which is not in Git", a.name, a.Source), "add the GitRepository, or correct spec.sourceRef")
		return m, true, nil
	}
	m.Branch = s.Branch
	ws, several := p.workspaceOf(s)
	switch {
	case several:
		p.stop(s.place, "workspace", fmt.Sprintf("GitRepository %s is of %s, and several workspaces have a repository of that name", s.name, s.URL),
			"give the workspace that is meant a Git remote with this address")
	case ws == nil:
		p.stop(s.place, "workspace", fmt.Sprintf("GitRepository %s is of %s, which no --workspace has", s.name, s.URL), "name its checkout: --workspace DIR")
	case s.Branch == "":
		p.stop(s.place, "branch", fmt.Sprintf("GitRepository %s follows %s and no branch", s.name, s.Ref), "pin the version of the artifact by hand: keos-oci generate ocirepository --pin")
	case strings.Contains(s.Branch, "${"):
		p.stop(s.place, "branch", fmt.Sprintf("GitRepository %s follows the branch %s, which has no value in this cluster", s.name, s.Branch), "give the variable a value in the cluster's settings")
	case ws.Channels[s.Branch] == "":
		p.stop(s.place, "branch", fmt.Sprintf("no channel is known for the branch %s, which GitRepository %s follows", s.Branch, s.name), fmt.Sprintf("say which one: --channel %s=CHANNEL", s.Branch))
	default:
		return m, true, p.target(ctx, a, ws, &m)
	}
	return m, true, nil
}

// workspaceOf finds the checkout of a repository: by its address, else by the last part of it, since the rest may be another protocol or a
// mirror. It says when several could be meant.
func (p *planner) workspaceOf(s source) (found *Workspace, several bool) {
	for i := range p.workspaces {
		ws := &p.workspaces[i]
		switch {
		case ws.URL == s.URL:
			return ws, false
		case lastOf(ws.URL) == lastOf(s.URL):
			found, several = ws, found != nil
		}
	}
	return found, several
}

func lastOf(address string) string {
	return strings.ToLower(strings.TrimSuffix(path.Base(strings.TrimRight(address, "/")), ".git"))
}

// target finds the component and the variant that a path means, and compares what is built.
func (p *planner) target(ctx context.Context, a *applier, ws *Workspace, m *Move) error {
	m.Channel = ws.Channels[m.Branch]
	folder := repositoryPath(a.Path)
	i := slices.IndexFunc(ws.Components, func(c component.Component) bool {
		return within(c.Root, folder) && slices.ContainsFunc(c.Paths, func(q string) bool { return within(q, folder) || within(folder, q) })
	})
	if i < 0 {
		p.stop(a.place, "component", fmt.Sprintf("Kustomization %s applies %s, which is in no component of %s", a.name, a.Path, ws.Name),
			"see keos-oci components, and name the component in its keos-oci.yaml")
		return nil
	}
	c := ws.Components[i]
	variant := strings.TrimPrefix(strings.TrimPrefix(folder, c.Root), "/")
	if c.Root == "." {
		variant = folder
	}
	m.Component, m.Repository, m.NewPath = c.Name, c.Repository.Name(), "./"+variant
	m.variant = p.fleet.variantText(a, c.Root, variant)
	if !slices.Contains(c.Variants, path.Clean(variant)) {
		p.stop(a.place, "variant", fmt.Sprintf("%s has no variant %s for Kustomization %s: it has %s", c.Name, path.Clean(variant), a.name, strings.Join(c.Variants, ", ")),
			"create the folder on the branch, or correct the cluster's settings")
		return nil
	}
	return p.compare(ctx, a, ws, c, m)
}

// compare builds what the branch has and what the channel has, as the Kustomization would.
func (p *planner) compare(ctx context.Context, a *applier, ws *Workspace, c component.Component, m *Move) error {
	checkout, err := ws.Checkout(ctx, m.Branch)
	if err != nil {
		p.stop(a.place, "branch", fmt.Sprintf("%s has no branch %s: %v", ws.Name, m.Branch, err), "fetch it: git fetch origin "+m.Branch)
		return ctx.Err()
	}
	before, err := p.objects(ctx, checkout, repositoryPath(a.Path), a)
	if err != nil {
		p.stop(a.place, "build", fmt.Sprintf("%s on the branch %s of %s does not build: %v", a.Path, m.Branch, ws.Name, err), "see keos-oci check")
		return ctx.Err()
	}
	m.Objects = len(before)
	p.checkContent(checkout, a, c)
	dir, err := ws.Artifact(ctx, c, m.Channel)
	if err != nil {
		p.stop(a.place, "artifact", fmt.Sprintf("%s:%s cannot be used: %v", c.Name, m.Channel, err), seed(c, m.Branch, m.Channel))
		return ctx.Err()
	}
	after, err := p.objects(ctx, dir, path.Clean(m.NewPath), a)
	if err != nil {
		p.stop(a.place, "build", fmt.Sprintf("%s of %s:%s does not build: %v", m.NewPath, c.Name, m.Channel, err), seed(c, m.Branch, m.Channel))
		return ctx.Err()
	}
	if m.Changes = differences(before, after); len(m.Changes) == 0 {
		m.Equal = EqualYes
		return nil
	}
	m.Equal = EqualNo
	p.stop(a.place, "differs", fmt.Sprintf("%s:%s differs from the branch %s in %d objects: %s", c.Name, m.Channel, m.Branch, len(m.Changes), shortList(m.Changes)),
		seed(c, m.Branch, m.Channel))
	return nil
}

// seed is what makes a channel equal to a branch.
func seed(c component.Component, branch, channel string) string {
	return fmt.Sprintf("let %s follow the branch: commit the release workflow to %s, tag there %s and let it run, or with a key keos-oci publish %s --commit origin/%s --version VERSION",
		channel, branch, c.GitTagOf("v1.0.0"), c.Name, branch)
}

func shortList(all []string) string {
	if len(all) > 3 {
		all = append(slices.Clone(all[:3]), "…")
	}
	return strings.Join(all, ", ")
}

// objects builds a folder as a Kustomization does, and gives each object's YAML by its id.
func (p *planner) objects(ctx context.Context, root, folder string, a *applier) (map[string]string, error) {
	built, err := p.build(ctx, root, folder, a, false)
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

// need notes that a namespace needs the Secrets of artifacts.
func (p *planner) need(a *applier) {
	i := slices.IndexFunc(p.out.Secrets, func(n Needed) bool { return n.Namespace == a.Namespace })
	if i < 0 {
		p.out.Secrets = append(p.out.Secrets, Needed{Namespace: a.Namespace})
		i = len(p.out.Secrets) - 1
	}
	p.out.Secrets[i].For = append(p.out.Secrets[i].For, a.Name)
}

func (p *planner) note(format string, args ...any) {
	p.out.Notes = append(p.out.Notes, fmt.Sprintf(format, args...))
}

// noteDependencies lists what waits for another component.
func (p *planner) noteDependencies(moved map[name]string) {
	for _, a := range p.appliers {
		for _, d := range list(a.object, "spec", "dependsOn") {
			ref, _ := d.(map[string]any)
			other := name{text(ref, "namespace"), text(ref, "name")}
			if other.Namespace == "" {
				other.Namespace = a.Namespace
			}
			if from, to := moved[a.name], moved[other]; from != "" && to != "" && from != to {
				p.out.Waits = append(p.out.Waits, Wait{a.String(), other.String()})
			}
		}
	}
}

// noteOthers lists what the plan does not follow.
func (p *planner) noteOthers() {
	for _, kind := range []string{"ResourceSet", "ImageUpdateAutomation"} {
		if n := p.built[kind]; n > 0 {
			p.note("%d %s: not followed, look whether it needs Git", n, kind)
		}
	}
	if len(p.out.Moves) > 0 {
		p.note("merge nothing into the branches %s until the cluster is switched", strings.Join(p.branches(), ", "))
	}
}

func (p *planner) branches() []string {
	var all []string
	for _, m := range p.out.Moves {
		if m.Branch != "" && !slices.Contains(all, m.Branch) {
			all = append(all, m.Branch)
		}
	}
	return all
}

// checkContent stops at SOPS files in a component whose Kustomization does not have the key.
func (p *planner) checkContent(checkout string, a *applier, c component.Component) {
	if at(a.object, "spec", "decryption") != nil {
		return
	}
	if file := encryptedIn(checkout, c); file != "" {
		p.stop(a.place, "decryption", fmt.Sprintf("%s has a file that SOPS encrypted (%s), and Kustomization %s has no decryption", c.Name, file, a.name),
			"add spec.decryption: Flux would apply the encrypted text")
	}
}
