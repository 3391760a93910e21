package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/yamledit"
)

// ErrIncomplete says that a phase has not been done, or not wholly.
var ErrIncomplete = errors.New("is not complete")

// marker is how what a phase adds begins, in comments.
const marker = "keos-oci migrate: "

// Sources makes what the fleet needs to follow artifacts.
type Sources struct {
	// Source is the OCIRepository of a component in a namespace.
	Source func(c component.Component, namespace string) ([]byte, error)
	// Settings are those of a cluster that follows a channel with these components.
	Settings func(channel string, components []string) ([]flux.Setting, error)
}

// Prepare adds to each cluster's settings the channel and who signs, and an OCIRepository beside each Kustomization that is to move.
// Nothing switches.
func Prepare(ctx context.Context, req Request, with Sources) (*Plan, []Change, error) {
	plan, err := Make(ctx, req)
	if err != nil || len(plan.Stops) > 0 {
		return plan, nil, err
	}
	e, done := newEdits(req.Fleet), map[string]bool{}
	for i := range plan.Clusters {
		c := &plan.Clusters[i]
		if err := c.addSettings(e, with); err != nil {
			return plan, nil, err
		}
		for _, m := range c.Moves {
			if err := c.addSource(req, e, with, m, done); err != nil {
				return plan, nil, err
			}
		}
		plan.Stops = append(plan.Stops, c.landscape.stops...)
	}
	return plan, e.changes(), nil
}

// addSettings writes the channel and the signer into the ConfigMaps from which the parents of what moves take their variables.
func (c *ClusterPlan) addSettings(e *edits, with Sources) error {
	channel, components := "", []string{}
	for _, m := range c.Moves {
		if channel != "" && m.Channel != channel {
			c.landscape.stop(m.applier.place, "channel", fmt.Sprintf("%s follows %s, and others of the cluster follow %s", m.Kustomization, m.Channel, channel),
				"let a cluster follow one channel: --channel BRANCH=CHANNEL")
			return nil
		}
		channel = m.Channel
		if !slices.Contains(components, m.Component) {
			components = append(components, m.Component)
		}
	}
	if channel == "" {
		return nil
	}
	settings, err := with.Settings(channel, components)
	if err != nil {
		return err
	}
	for _, n := range c.landscape.settingsOfParents(c.Moves) {
		at := c.landscape.written[n]
		id := yamledit.ID{Kind: "ConfigMap", Namespace: n.Namespace, Name: n.Name}
		for _, s := range settings {
			set := func(file []byte) ([]byte, error) {
				return yamledit.AddSetting(file, id, yamledit.Setting{Key: s.Key, Value: s.Value})
			}
			if err := e.edit(at.File, set); err != nil {
				return err
			}
		}
	}
	return nil
}

// settingsOfParents are the ConfigMaps of the cluster's own folder from which the parents of what moves take their variables. It stops at a
// parent without any: a source there could not differ between clusters.
func (l *landscape) settingsOfParents(moves []Move) []name {
	var found []name
	for _, m := range moves {
		n, ok := l.writtenSettings(m.applier.Parent)
		if !ok {
			l.stop(m.applier.place, "settings", fmt.Sprintf("what applies %s takes no variables from a ConfigMap of %s", m.Kustomization, l.folder),
				"give it postBuild.substituteFrom with the cluster's settings")
			continue
		}
		if !slices.Contains(found, n) {
			found = append(found, n)
		}
	}
	return found
}

func (l *landscape) writtenSettings(a *applier) (name, bool) {
	if a == nil {
		return name{}, false
	}
	for _, from := range list(a.object, "spec", "postBuild", "substituteFrom") {
		ref, _ := from.(map[string]any)
		for _, namespace := range []string{a.Namespace, fluxNamespace} {
			n := name{namespace, text(ref, "name")}
			if _, ok := l.written[n]; ok && text(ref, "kind") == "ConfigMap" {
				return n, true
			}
		}
	}
	return name{}, false
}

// addSource writes the OCIRepository of a component into the file of its Kustomization, so that both come and go together. One serves all
// Kustomizations of a component in a namespace.
func (c *ClusterPlan) addSource(req Request, e *edits, with Sources, m Move, done map[string]bool) error {
	a := m.applier
	comp, ok := find(req.Workspaces, m)
	key := a.Namespace + "/" + m.Component
	if !ok || done[key] || c.landscape.prepared[name{a.Namespace, m.Component}] != "" {
		done[key] = true
		return nil
	}
	done[key] = true
	if a.Line == 0 {
		c.landscape.stop(a.place, "generated", fmt.Sprintf("Kustomization %s is generated, so that nothing can be written beside it", a.name), "write its OCIRepository by hand: keos-oci generate ocirepository --source-only")
		return nil
	}
	body, err := with.Source(comp, req.Fleet.namespaceText(a))
	if err != nil {
		return err
	}
	return e.edit(a.File, func(file []byte) ([]byte, error) {
		return yamledit.AddDocument(file, marker+"source of "+m.Component+" in "+a.Namespace, body)
	})
}

func find(workspaces []Workspace, m Move) (component.Component, bool) {
	for _, ws := range workspaces {
		if c, err := ws.Components.Find(m.Component); err == nil && c.Repository.Name() == m.Repository {
			return c, true
		}
	}
	return component.Component{}, false
}

// namespaceText is the namespace of a Kustomization as its file writes it, else the one that it gets.
func (f *Fleet) namespaceText(a *applier) string {
	if doc := f.document(a.place); doc != nil {
		if written := manifest.Text(manifest.At(doc, "metadata", "namespace")); written != "" {
			return written
		}
	}
	return a.Namespace
}

// Switch lets Kustomizations of one cluster take their files from artifacts, by patches in that cluster's own files. It stops unless all
// objects are the same before and after; accept takes differences of the content, which the plan shows.
func Switch(ctx context.Context, req Request, components []string, accept bool) (*Plan, []Change, error) {
	plan, err := Make(ctx, req)
	if err != nil {
		return plan, nil, err
	}
	if accept {
		plan.Stops = slices.DeleteFunc(plan.Stops, func(s Stop) bool { return s.Code == "differs" })
	}
	if len(plan.Stops) > 0 {
		return plan, nil, nil
	}
	c := &plan.Clusters[0]
	e, before := newEdits(req.Fleet), len(c.landscape.stops)
	for _, m := range c.Moves {
		if len(components) > 0 && !slices.Contains(components, m.Component) {
			continue
		}
		if err := c.addPatch(e, m); err != nil {
			return plan, nil, err
		}
	}
	plan.Stops = append(plan.Stops, c.landscape.stops[before:]...)
	changes := e.changes()
	if len(plan.Stops) > 0 || len(changes) == 0 {
		return plan, changes, nil
	}
	return plan, changes, req.Fleet.sameAfter(ctx, c.landscape, changes)
}

// addPatch lets one Kustomization take its files from its OCIRepository.
func (c *ClusterPlan) addPatch(e *edits, m Move) error {
	a, l := m.applier, c.landscape
	switch by := a.Parent; {
	case l.prepared[name{a.Namespace, m.Component}] == "":
		l.stop(a.place, "prepare", fmt.Sprintf("%s has no OCIRepository %s beside it", m.Kustomization, m.Component), "run keos-oci migrate prepare, commit, and wait until it is Ready")
	case by == nil || !within(l.folder, by.File):
		l.stop(a.place, "shared", fmt.Sprintf("what applies %s is not written in %s, so that a patch there would move other clusters as well", m.Kustomization, l.folder), "patch it by hand")
	case !by.managed:
		l.stop(by.place, "by-hand", fmt.Sprintf("Kustomization %s, which applies %s, is itself applied by hand", by.name, m.Kustomization), "let the cluster apply this file, or patch it by hand and apply it")
	default:
		patch := yamledit.Patch{Mark: marker + "switch " + m.Kustomization, Target: yamledit.Target{Kind: "Kustomization", Name: a.Name, Namespace: l.namespaceIfNeeded(a)}, Operations: []yamledit.Operation{
			{Op: "replace", Path: "/spec/sourceRef", Value: map[string]any{"kind": "OCIRepository", "name": m.Component}},
			{Op: operationFor(a), Path: "/spec/path", Value: m.variant},
		}}
		return e.edit(by.File, func(file []byte) ([]byte, error) { return yamledit.AddPatch(file, idOf(by), patch) })
	}
	return nil
}

func operationFor(a *applier) string {
	if a.Path == "" {
		return "add"
	}
	return "replace"
}

func idOf(a *applier) yamledit.ID {
	return yamledit.ID{Group: strings.TrimSuffix(kustomizeGroup, "/"), Kind: "Kustomization", Namespace: a.Namespace, Name: a.Name}
}

// namespaceIfNeeded is the namespace by which a patch finds a Kustomization, where another one beside it has the same name.
func (l *landscape) namespaceIfNeeded(a *applier) string {
	if slices.ContainsFunc(l.appliers, func(o *applier) bool { return o != a && o.Parent == a.Parent && o.Name == a.Name }) {
		return a.Namespace
	}
	return ""
}

// Back takes the patches of a switch away, and says where the branch has other objects than what the cluster runs until then.
func Back(ctx context.Context, req Request, components []string) (changes []Change, behind []string, err error) {
	folders, err := req.folders()
	if err != nil {
		return nil, nil, err
	}
	l, err := req.Fleet.follow(ctx, folders[0])
	if err != nil {
		return nil, nil, err
	}
	e, went := newEdits(req.Fleet), map[string]bool{}
	for _, a := range l.appliers {
		by := a.Parent
		if by == nil || !within(l.folder, by.File) || len(components) > 0 && !slices.Contains(components, a.Source.Name) {
			continue
		}
		went[a.String()] = true
		remove := func(file []byte) ([]byte, error) {
			return yamledit.RemovePatch(file, idOf(by), marker+"switch "+a.String())
		}
		if err := e.edit(by.File, remove); err != nil {
			return nil, nil, err
		}
	}
	if changes = e.changes(); len(changes) == 0 {
		return changes, nil, nil
	}
	behind, err = req.behind(ctx, changes, went)
	return changes, behind, err
}

// behind lists the Kustomizations whose branch has other objects than their channel, after changes.
func (r Request) behind(ctx context.Context, changes []Change, of map[string]bool) ([]string, error) {
	copied, remove, err := r.Fleet.copyWith(changes)
	if err != nil {
		return nil, err
	}
	defer remove()
	r.Fleet = copied
	plan, err := Make(ctx, r)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, m := range plan.Clusters[0].Moves {
		if of[m.Kustomization] && m.Equal != EqualYes {
			list = append(list, fmt.Sprintf("%s: the branch %s has other objects than %s:%s, which runs until then: %s", m.Kustomization, m.Branch, m.Component, m.Channel, shortList(m.Changes)))
		}
	}
	return list, nil
}

// sameAfter demands that changes alter nothing in a cluster but where its Kustomizations take their files from.
func (f *Fleet) sameAfter(ctx context.Context, before *landscape, changes []Change) error {
	copied, remove, err := f.copyWith(changes)
	if err != nil {
		return err
	}
	defer remove()
	after, err := copied.follow(ctx, before.folder)
	if err != nil {
		return err
	}
	if len(after.stops) > 0 {
		return fmt.Errorf("%w: after the change: %s", ErrStops, after.stops[0].Message)
	}
	if !maps.EqualFunc(before.settings, after.settings, maps.Equal) || len(before.appliers) != len(after.appliers) || !maps.Equal(before.built, after.built) {
		return fmt.Errorf("%w: the change would alter more of %s than where Kustomizations take their files from", ErrStops, before.cluster)
	}
	for i, a := range before.appliers {
		if b := after.appliers[i]; a.name != b.name || !reflect.DeepEqual(withoutSource(a.object), withoutSource(b.object)) || !keepsPatches(a, b) {
			return fmt.Errorf("%w: the change would alter more of Kustomization %s than where it takes its files from", ErrStops, a.name)
		}
	}
	return nil
}

// withoutSource is a Kustomization without what a switch changes.
func withoutSource(object map[string]any) map[string]any {
	out := maps.Clone(object)
	spec, _ := object["spec"].(map[string]any)
	spec = maps.Clone(spec)
	delete(spec, "sourceRef")
	delete(spec, "path")
	delete(spec, "patches")
	out["spec"] = spec
	return out
}

// keepsPatches reports whether patches were added, or taken away, at the end only.
func keepsPatches(before, after *applier) bool {
	a, b := list(before.object, "spec", "patches"), list(after.object, "spec", "patches")
	n := min(len(a), len(b))
	return n == 0 || reflect.DeepEqual(a[:n], b[:n])
}

// The states of a Kustomization on its way.
const (
	StateGit      = "git"
	StatePrepared = "prepared"
	StateSwitched = "switched"
)

// State is how far a Kustomization of a cluster is.
type State struct {
	Cluster       string `json:"cluster"`
	Kustomization string `json:"kustomization"`
	Source        string `json:"source"`
	State         string `json:"state"`
}

// Progress says how far the Kustomizations of clusters are, those that take their files from the fleet itself left out.
func Progress(ctx context.Context, req Request) ([]State, error) {
	folders, err := req.folders()
	if err != nil {
		return nil, err
	}
	states := []State{}
	for _, folder := range folders {
		l, err := req.Fleet.follow(ctx, folder)
		if err != nil {
			return nil, err
		}
		for _, a := range l.appliers {
			if a.Source == l.own {
				continue
			}
			s := State{l.cluster, a.String(), a.Kind + " " + a.Source.String(), StateGit}
			switch {
			case a.Kind == "OCIRepository":
				s.State = StateSwitched
			case l.isPrepared(a):
				s.State = StatePrepared
			}
			states = append(states, s)
		}
	}
	return states, nil
}

// isPrepared reports whether the file of a Kustomization has a source that prepare wrote, and the cluster gets sources in its namespace:
// clusters share the file.
func (l *landscape) isPrepared(a *applier) bool {
	if !slices.ContainsFunc(slices.Collect(maps.Keys(l.prepared)), func(n name) bool { return n.Namespace == a.Namespace }) {
		return false
	}
	data, err := l.fleet.Read(a.File)
	return err == nil && strings.Contains(string(data), "# "+marker+"source of ")
}
