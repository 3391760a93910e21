package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/yamledit"
)

// FleetSources makes what a cluster needs to follow the artifact of its fleet.
type FleetSources struct {
	// Source is an OCIRepository of the fleet.
	Source func(c component.Component, name, namespace, channel string) ([]byte, error)
	// Sync is what a FluxInstance needs.
	Sync func(c component.Component, channel string) (flux.Sync, error)
}

// The steps by which a cluster comes to follow the artifact of its fleet, before StepDone.
const (
	StepSource = "source" // a second source of the fleet shows that the cluster can fetch and verify it
	StepEntry  = "entry"  // the cluster's entry, and all that takes its files from the fleet, follow the artifact
)

// FleetStep is what is next for a cluster to follow the artifact of its fleet.
type FleetStep struct {
	Step      string
	Cluster   string
	Component string
	Channel   string
	Source    string // namespace/name of the second source
	Entry     string // file of the cluster's entry
	Managed   bool   // Flux itself applies that file
	WayBack   string // file with what made the cluster follow Git
	Notes     []string

	entry *applier
}

// fleetStep plans it.
type fleetStep struct {
	*FleetStep
	*landscape
	workspace *Workspace
	component component.Component
	second    name
}

// FollowFleet does the next step that lets one cluster follow the artifact of its fleet in the place of Git.
func FollowFleet(ctx context.Context, req Request, with FleetSources) (*FleetStep, *Plan, []Change, error) {
	s, plan, err := req.fleetStep(ctx)
	if err != nil {
		return nil, plan, nil, err
	}
	e := newEdits(req.Fleet)
	switch {
	case len(plan.Stops) > 0:
	case s.Step == StepSource:
		err = s.addSecond(e, with)
	default:
		if err = s.sameArtifact(ctx); err == nil && s.Step == StepEntry && len(s.stops) == 0 {
			err = s.switchEntry(e, with)
		}
	}
	plan.Stops = s.stops
	if err != nil || len(plan.Stops) > 0 {
		return s.FleetStep, plan, nil, err
	}
	changes := e.changes()
	if s.Step == StepEntry {
		s.Notes, err = req.sameAfter(ctx, s.landscape, changes)
	}
	return s.FleetStep, plan, changes, err
}

// fleetStep follows the only cluster of a request and finds out which step is next.
func (r Request) fleetStep(ctx context.Context) (*fleetStep, *Plan, error) {
	folders, err := r.folders()
	if err != nil {
		return nil, &Plan{}, err
	}
	l, err := r.Fleet.follow(ctx, folders[0], r.Workspaces, nil)
	if err != nil {
		return nil, &Plan{}, err
	}
	entry := l.appliers[0]
	s := &fleetStep{landscape: l, FleetStep: &FleetStep{Cluster: l.cluster, entry: entry, Entry: entry.File, Managed: l.entryManaged(),
		WayBack: wayBackFile(l.cluster)}}
	switch ws, _ := l.workspaceOf(l.sources[l.own]); {
	case entry.Kind == ociRepository:
		s.Step = StepDone
		s.workspace, s.component, _ = l.deliverer(l.own, l.prepared[l.own])
		s.Component, s.Channel = s.component.Name, l.prepared[l.own].Tag
	case ws == nil:
		l.stop(entry.place, "workspace", fmt.Sprintf("the fleet itself is of %s, which no --workspace has", l.sources[l.own].URL),
			"name this checkout as well: --workspace .")
	default:
		s.workspace = ws
		s.find()
	}
	return s, &Plan{Clusters: []ClusterPlan{}, Stops: l.stops}, nil
}

// find finds the fleet's component and channel, and whether the second source is there.
func (s *fleetStep) find() {
	entry, l := s.appliers[0], s.landscape
	i := slices.IndexFunc(s.workspace.Components, func(c component.Component) bool { return c.Kind == component.Fleet })
	switch branch := l.sources[l.own].Branch; {
	case i < 0:
		l.stop(entry.place, "component", "the fleet's checkout has no component of the kind fleet", "see keos-oci components")
		return
	case s.workspace.Components[i].Root != ".":
		l.stop(entry.place, "component", "the artifact of the fleet begins at "+s.workspace.Components[i].Root+", so that paths would change",
			`set root: "." for it`)
		return
	case s.workspace.Channels[branch] == "":
		l.stop(entry.place, "branch", fmt.Sprintf("no channel is known for the branch %s, which the cluster follows", branch),
			fmt.Sprintf("say which one: --channel %s=CHANNEL", branch))
		return
	default:
		s.component, s.Channel = s.workspace.Components[i], s.workspace.Channels[branch]
	}
	s.Component = s.component.Name
	s.second = name{l.own.Namespace, s.component.Name}
	if s.second == l.own {
		s.second.Name += "-artifact"
	}
	s.Source = s.second.String()
	there := l.prepared[s.second]
	if s.Step = StepSource; there == (artifact{}) {
		return
	}
	if s.Step = StepEntry; there.Tag != s.Channel {
		l.stop(there.at, "prepare", fmt.Sprintf("OCIRepository %s follows %s, and the entry is to follow %s", s.second, there.Tag, s.Channel),
			"give the same --channel as in the first step")
	}
}

// entryManaged reports whether Flux applies the file of the cluster's entry.
func (l *landscape) entryManaged() bool { return l.appliers[0].managed || l.instanceApplied }

// addSecond writes the second source into a file of the cluster that Flux applies.
func (s *fleetStep) addSecond(e *edits, with FleetSources) error {
	file := ""
	if s.Managed {
		file = s.Entry
	}
	for _, a := range s.appliers[1:] {
		if file == "" && s.isOwn(a) && a.set == "" {
			file = a.File
		}
	}
	if file == "" {
		s.stop(s.appliers[0].place, "by-hand", "Flux applies no file of "+s.folder+" to which a source could be added",
			"let the cluster apply a file of its folder")
		return nil
	}
	body, err := with.Source(s.component, s.second.Name, s.second.Namespace, s.Channel)
	if err != nil {
		return err
	}
	err = e.edit(file, func(data []byte) ([]byte, error) {
		return yamledit.AddDocument(data, marker+"source of "+s.component.Name+" in "+s.second.Namespace, body)
	})
	if err != nil {
		return err
	}
	return s.keep(e)
}

// sameArtifact checks that the artifact has what the checkout has, for each Kustomization that takes its files from the fleet.
func (s *fleetStep) sameArtifact(ctx context.Context) error {
	entry := s.appliers[0]
	if s.workspace == nil {
		s.stop(entry.place, "workspace", "the cluster follows an artifact of no --workspace", "name this checkout as well: --workspace .")
		return nil
	}
	dir, err := s.workspace.Artifact(ctx, s.component, s.Channel)
	if err != nil {
		s.stop(entry.place, "artifact", fmt.Sprintf("%s:%s cannot be used: %v", s.component.Name, s.Channel, err),
			"publish the fleet: keos-oci publish "+s.component.Name)
		return ctx.Err()
	}
	p := &planner{landscape: s.landscape}
	for _, a := range s.appliers {
		if a.Source != s.own || a.content == nil {
			continue
		}
		if !s.staysInFleet(a) {
			s.stop(a.place, "component", fmt.Sprintf("Kustomization %s applies a component and takes it from the fleet's Git repository", a.name),
				"switch it first: keos-oci migrate switch "+s.cluster)
			continue
		}
		before, err := p.objects(ctx, a.content, a)
		if err != nil {
			return err
		}
		after, err := p.objects(ctx, &content{files: &Fleet{Dir: dir}, folder: a.content.folder, remoteBases: s.workspace.RemoteBases}, a)
		if changes := differences(before, after); err != nil || len(changes) > 0 {
			s.stop(a.place, "differs", fmt.Sprintf("%s:%s differs from the checkout in what Kustomization %s applies: %s", s.component.Name,
				s.Channel, a.name, reason(err, changes)),
				"publish the commit that the cluster follows, before you push it: keos-oci publish "+s.component.Name)
		}
	}
	return ctx.Err()
}

func reason(err error, changes []string) string {
	if err != nil {
		return err.Error()
	}
	return shortList(changes)
}

// switchEntry lets the entry, and what takes its files from the fleet, follow the artifact, and keeps the entry as it was.
func (s *fleetStep) switchEntry(e *edits, with FleetSources) error {
	before, err := s.fleet.Read(s.Entry)
	if err != nil {
		return err
	}
	after, err := s.entryAfter(before, with)
	if err != nil || after == nil {
		return err
	}
	if err := s.keep(e); err != nil { // the first step did it, and somebody may have edited the entry since
		return err
	}
	if err := e.edit(s.Entry, func([]byte) ([]byte, error) { return after, nil }); err != nil {
		return err
	}
	for _, a := range s.appliers[1:] {
		if a.Source == s.own && a.Kind == gitRepository {
			if err := s.switchChild(e, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func fleetMark(a *applier) string { return marker + "fleet " + a.String() }

// switchChild lets a Kustomization take the fleet's files from the artifact.
func (s *fleetStep) switchChild(e *edits, a *applier) error {
	if s.isOwn(a) && a.set == "" {
		return e.edit(a.File, func(file []byte) ([]byte, error) {
			return yamledit.ReplaceFields(file, idOf(a), fleetMark(a), []yamledit.Field{{Path: "spec.sourceRef.kind", Value: ociRepository}})
		})
	}
	if stop := s.cannotPatch(a); stop != nil {
		s.stops = append(s.stops, *stop)
		return nil
	}
	return s.addPatch(e, a, yamledit.Patch{Mark: fleetMark(a),
		Operations: []yamledit.Operation{{Op: "replace", Path: "/spec/sourceRef/kind", Value: ociRepository}}})
}

// entryAfter is the file of the entry after the step, nil where something is in the way.
func (s *fleetStep) entryAfter(file []byte, with FleetSources) ([]byte, error) {
	if s.byInstance {
		return s.instanceAfter(file, with)
	}
	entry := s.appliers[0]
	body, err := with.Source(s.component, s.own.Name, s.own.Namespace, s.Channel)
	if err != nil {
		return nil, err
	}
	after, err := yamledit.AddDocument(file, marker+"fleet of "+s.cluster, body)
	if err != nil {
		return nil, err
	}
	return yamledit.ReplaceFields(after, idOf(entry), fleetMark(entry), []yamledit.Field{{Path: "spec.sourceRef.kind", Value: ociRepository}})
}
