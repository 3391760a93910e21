package migrate

import (
	"cmp"
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
	Dir        string // top of the checkout
	URL        string // of its Git remote
	Components component.Set
	Channels   map[string]string // by branch
	// RemoteBases says that kustomizations may name URLs.
	RemoteBases bool
	// ByGitTag gives the component that a Git tag releases, and its version.
	ByGitTag func(tag string) (component.Component, string, error)
	// Checkout gives the folder with the files of a branch, or of refs/tags/… .
	Checkout func(ctx context.Context, revision string) (folder string, err error)
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
	// ByHand is what no phase does: what a ResourceSet makes is changed in its template.
	ByHand []string `json:"byHand,omitempty"`

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
	Branch        string `json:"branch"` // or tag
	Path          string `json:"path"`
	Component     string `json:"component"`
	Repository    string `json:"repository"`
	Channel       string `json:"channel,omitempty"`
	Version       string `json:"version,omitempty"` // in the place of a channel, where Git is pinned to a tag
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

	component string // that it is about alone, "" for the cluster
}

// Err is ErrStops where something keeps a cluster from moving.
func (p *Plan) Err() error {
	if len(p.Stops) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d stops", ErrStops, len(p.Stops))
}

// NewPlan plans the clusters of a fleet, one after the other.
func NewPlan(ctx context.Context, req Request) (*Plan, error) {
	folders, err := req.folders()
	if err != nil {
		return nil, err
	}
	plan := &Plan{Clusters: []ClusterPlan{}, Stops: []Stop{}}
	for _, folder := range folders {
		l, err := req.Fleet.follow(ctx, folder, req.Workspaces, nil)
		if err != nil {
			return nil, err
		}
		p := &planner{landscape: l}
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
	out ClusterPlan
}

func (p *planner) plan(ctx context.Context) error {
	entry := p.appliers[0]
	p.out = ClusterPlan{Name: p.cluster, Entry: fmt.Sprintf("%s:%d", entry.File, entry.Line), Moves: []Move{}, Secrets: []Needed{},
		Waits: []Wait{}, landscape: p.landscape}
	moved := map[name]string{} // components by Kustomization
	for _, a := range p.appliers {
		if p.staysInFleet(a) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		stops := len(p.stops)
		m, ok, err := p.move(ctx, a)
		if err != nil {
			return err
		}
		for i := range p.stops[stops:] {
			p.stops[stops+i].component = m.Component
		}
		switch {
		case ok && a.set != "":
			p.leaveToPerson(a, m, stops)
		case ok:
			moved[a.name] = m.Component
			p.out.Moves = append(p.out.Moves, m)
			p.need(a)
		}
	}
	p.checkFlux()
	p.noteDependencies(moved)
	p.noteOthers()
	return nil
}

// leaveToPerson says what is to be changed in the template of a ResourceSet. What is in the way of that keeps nothing else from moving.
func (p *planner) leaveToPerson(a *applier, m Move, stops int) {
	text := fmt.Sprintf("%s is made by ResourceSet %s (%s:%d): ", a.name, a.set, a.where(), a.Line)
	if len(p.stops) > stops {
		for _, s := range p.stops[stops:] {
			p.byHand = append(p.byHand, text+s.Message)
		}
		p.stops = p.stops[:stops]
		return
	}
	p.need(a)
	p.byHand = append(p.byHand, text+fmt.Sprintf("add the OCIRepository %s:%s to its template, and let sourceRef name it and path be %s",
		m.Component, m.tag(), m.NewPath))
}

// staysInFleet reports whether a Kustomization applies the fleet's own files: those that no component of a workspace has.
func (l *landscape) staysInFleet(a *applier) bool {
	return a.Source == l.own && (a.Kind == ociRepository || a.Parent == nil || a.content == nil || !a.content.component)
}

// move plans one Kustomization. It is false for one that is to stay.
func (p *planner) move(ctx context.Context, a *applier) (Move, bool, error) {
	if a.Kind != gitRepository {
		if a.Kind != ociRepository {
			p.note("%s takes its files from %s %s and stays", a.name, a.Kind, a.Source)
		}
		return Move{}, false, nil
	}
	m := Move{applier: a, Kustomization: a.String(), File: a.where(), Line: a.Line, Source: gitRepository + " " + a.Source.String(),
		Path: a.Path, Equal: EqualUnknown}
	s, known := p.sources[a.Source]
	if !known {
		p.stop(a.place, "source", fmt.Sprintf("Kustomization %s takes its files from GitRepository %s, which is not in Git", a.name, a.Source),
			"add the GitRepository, or correct spec.sourceRef")
		return m, true, nil
	}
	m.Branch = cmp.Or(s.Branch, strings.TrimPrefix(s.Ref, "tag "))
	ws, several := p.workspaceOf(s)
	switch {
	case several:
		p.stop(s.place, "workspace", fmt.Sprintf("GitRepository %s is of %s, and several workspaces have a repository of that name", s.name,
			s.URL),
			"give the workspace that is meant a Git remote with this address")
	case ws == nil:
		p.stop(s.place, "workspace", fmt.Sprintf("GitRepository %s is of %s, which no --workspace has", s.name, s.URL),
			"name its checkout: --workspace DIR")
	case s.revision() == "" && s.Ref != "":
		p.stop(s.place, "branch", fmt.Sprintf("GitRepository %s follows %s, which is neither a branch nor a tag", s.name, s.Ref),
			"publish that commit as a version, and pin it by hand: keos-oci generate ocirepository --source-only --pin")
	case s.revision() == "":
		p.stop(s.place, "branch", fmt.Sprintf("GitRepository %s follows the branch %s, which has no value in this cluster", s.name, s.Branch),
			"give the variable a value in the cluster's settings")
	case s.Branch != "" && ws.Channels[s.Branch] == "":
		p.stop(s.place, "branch", fmt.Sprintf("no channel is known for the branch %s, which GitRepository %s follows", s.Branch, s.name),
			fmt.Sprintf("say which one: --channel %s=CHANNEL", s.Branch))
	default:
		return m, true, p.target(ctx, a, s, ws, &m)
	}
	return m, true, nil
}

// workspaceOf finds the checkout of a repository: by its address, else by the last part of it, since the rest may be another protocol or a
// mirror. It says when several could be meant.
func (l *landscape) workspaceOf(s source) (found *Workspace, several bool) {
	for i := range l.workspaces {
		ws := &l.workspaces[i]
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
	p.out.ByHand = append(p.out.ByHand, p.byHand...)
	if n := p.built["ImageUpdateAutomation"]; n > 0 {
		p.note("%d ImageUpdateAutomation: it goes on committing to Git, and keeps its GitRepository", n)
	}
	if len(p.branches()) > 0 {
		p.note("merge nothing into the branches %s until the cluster is switched", strings.Join(p.branches(), ", "))
	}
}

func (p *planner) branches() []string {
	var all []string
	for _, m := range p.out.Moves {
		if m.Branch != "" && m.Version == "" && !slices.Contains(all, m.Branch) {
			all = append(all, m.Branch)
		}
	}
	return all
}
