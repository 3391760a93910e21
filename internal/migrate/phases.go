package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	// Shared is the OCIRepository of a component in a namespace, in a file that several clusters apply: what differs between them are
	// variables of their settings.
	Shared func(c component.Component, namespace string) ([]byte, error)
	// Own is the one in a file of one cluster. It follows a channel, or is pinned to a version.
	Own func(c component.Component, namespace, channelOrVersion string) ([]byte, error)
	// Settings are those of a cluster that follows a channel with these components.
	Settings func(channel string, components []string) ([]flux.Setting, error)
}

// Prepare adds to each cluster's settings the channel and who signs, and an OCIRepository beside each Kustomization that is to move.
// Nothing switches.
func Prepare(ctx context.Context, req Request, with Sources) (*Plan, []Change, error) {
	plan, err := NewPlan(ctx, req)
	if err != nil || len(plan.Stops) > 0 {
		return plan, nil, err
	}
	e, done := newEdits(req.Fleet), map[string]string{} // tags by source
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
	changes := e.changes()
	if len(plan.Stops) > 0 || len(changes) == 0 {
		return plan, changes, nil
	}
	return plan, changes, req.checkPrepared(ctx, plan, changes)
}

// checkPrepared checks that each cluster can still be followed. It stops at each source that a cluster gets with a file
// that it shares, has no use for, and could not fetch: it would never be Ready, and nor would what waits for all that its
// parent applies.
func (r Request) checkPrepared(ctx context.Context, plan *Plan, changes []Change) error {
	copied, remove, err := r.Fleet.copyWith(changes)
	if err != nil {
		return err
	}
	defer remove()
	for i := range plan.Clusters {
		c := &plan.Clusters[i]
		after, err := copied.follow(ctx, c.landscape.folder, nil, nil)
		if err != nil {
			return err
		}
		if len(after.stops) > 0 {
			return fmt.Errorf("%w: after the change: %s", ErrStops, after.stops[0].Message)
		}
		for _, n := range sorted(after.prepared) {
			from := after.prepared[n]
			if c.needs(n) || c.landscape.prepared[n] != (artifact{}) {
				continue
			}
			ws, comp, ok := c.landscape.deliverer(n, from)
			if !ok {
				continue
			}
			if _, err := ws.Artifact(ctx, comp, from.Tag); err != nil {
				plan.Stops = append(plan.Stops, after.stopAt(from.at, "unused",
					fmt.Sprintf("%s gets OCIRepository %s with a file that it shares, has no Kustomization for it, and could not fetch %s:%s: %v",
						c.Name, n, comp.Name, from.Tag, err),
					"release "+comp.Name+", or let the patch that deletes its Kustomization in this cluster delete the OCIRepository as well"))
			}
		}
	}
	return nil
}

// needs reports whether a move of the cluster follows a source.
func (c *ClusterPlan) needs(n name) bool {
	return slices.ContainsFunc(c.Moves, func(m Move) bool { return m.applier.Namespace == n.Namespace && m.Component == n.Name })
}

// isOwn reports whether a Kustomization is written in the folder of its cluster, so that no other cluster applies its file.
func (l *landscape) isOwn(a *applier) bool { return a.here() && within(l.folder, a.File) }

// addSettings writes the channel and the signer into the ConfigMaps from which the parents of what moves take their variables. Files of
// the cluster itself need none.
func (c *ClusterPlan) addSettings(e *edits, with Sources) error {
	var shared []Move
	var components []string
	for _, m := range c.Moves {
		if m.Version != "" || c.landscape.isOwn(c.landscape.beside(m.applier)) {
			continue
		}
		if len(shared) > 0 && m.Channel != shared[0].Channel {
			c.landscape.stop(m.applier.place, "channel", fmt.Sprintf("%s follows %s, and others of the cluster follow %s", m.Kustomization,
				m.Channel, shared[0].Channel),
				"let a cluster follow one channel: --channel BRANCH=CHANNEL")
			return nil
		}
		shared = append(shared, m)
		if !slices.Contains(components, m.Component) {
			components = append(components, m.Component)
		}
	}
	if len(shared) == 0 {
		return nil
	}
	settings, err := with.Settings(shared[0].Channel, components)
	if err != nil {
		return err
	}
	for _, n := range c.landscape.settingsOfParents(shared) {
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
		n, ok := l.writtenSettings(l.beside(m.applier).Parent)
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

// beside is the Kustomization in whose file the source of another one is written: that one itself, else, where its file is not in the
// fleet, the next one above it in the same namespace. It is itself where there is none.
func (l *landscape) beside(a *applier) *applier {
	for by := a; by != nil && by.Namespace == a.Namespace; by = by.Parent {
		if by.here() {
			return by
		}
	}
	return a
}

// addSource writes the OCIRepository of a component into the file of its Kustomization, so that both come and go together. One serves all
// Kustomizations of a component in a namespace.
func (c *ClusterPlan) addSource(req Request, e *edits, with Sources, m Move, done map[string]string) error {
	a, l := c.landscape.beside(m.applier), c.landscape
	comp, ok := find(req.Workspaces, m)
	key := a.Namespace + "/" + m.Component
	if l.isOwn(a) {
		key = l.folder + ":" + key // another cluster has a file of its own
	}
	if !ok {
		return nil
	}
	if done[key] != "" {
		if l.isOwn(a) && done[key] != m.tag() {
			l.stop(m.applier.place, "pin", fmt.Sprintf("%s takes %s of %s, and others beside it %s", m.Kustomization, m.tag(), m.Component,
				done[key]),
				"let them take the same, or pin them by hand: keos-oci generate ocirepository --source-only --pin")
		}
		return nil
	}
	done[key] = m.tag()
	there := l.prepared[name{a.Namespace, m.Component}]
	if there.Tag == m.tag() || there != (artifact{}) && !l.isOwn(a) {
		return nil // another tag of a shared file is in the settings
	}
	mark := marker + "source of " + m.Component + " in " + a.Namespace
	if there != (artifact{}) { // Git's pin moved since
		ours := false
		err := e.edit(a.File, func(file []byte) ([]byte, error) {
			after, err := yamledit.RemoveDocument(file, mark)
			ours = len(after) != len(file)
			return after, err
		})
		if err != nil {
			return err
		}
		if !ours {
			l.stop(there.at, "prepare", fmt.Sprintf("OCIRepository %s of %s follows %s, is not by migrate, and %s is to follow %s", m.Component,
				a.Namespace,
				there.Tag, m.Kustomization, m.tag()), "let it follow that, or give it another name")
			return nil
		}
	}
	body, err := c.source(req, with, m, a, comp)
	if err != nil || body == nil {
		return err
	}
	return e.edit(a.File, func(file []byte) ([]byte, error) { return yamledit.AddDocument(file, mark, body) })
}

// source is the OCIRepository for a Kustomization, nil where something is in the way.
func (c *ClusterPlan) source(req Request, with Sources, m Move, beside *applier, comp component.Component) ([]byte, error) {
	l, namespace := c.landscape, req.Fleet.namespaceText(beside)
	switch {
	case !beside.here():
		l.stop(beside.place, "generated", fmt.Sprintf("Kustomization %s is generated, so that nothing can be written beside it", beside.name),
			"write its OCIRepository by hand: keos-oci generate ocirepository --source-only")
		return nil, nil
	case l.isOwn(beside):
		return with.Own(comp, namespace, m.tag())
	case m.Version != "":
		l.stop(beside.place, "pin", fmt.Sprintf("Kustomization %s is pinned to %s in a file that is not in %s", beside.name, m.Version, l.folder),
			"pin its OCIRepository by hand: keos-oci generate ocirepository --source-only --pin")
		return nil, nil
	}
	return with.Shared(comp, namespace)
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
