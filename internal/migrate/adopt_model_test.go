package migrate

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/component"
)

// model is a cluster that follows a fleet as Flux does, as far as owners and pruning go.
type model struct {
	t         *testing.T
	dir       string
	workspace Workspace
	objects   map[cluster.Ref]cluster.Object   // Kustomizations
	labels    map[cluster.ID]map[string]string // of all other objects
	created   map[cluster.ID]int               // how often
	deleted   []cluster.ID
	behind    bool // it has not seen the last commit when the way back begins
}

// adoptable is the landscape adopt, in which a cluster runs what Git has, with the request that moves it.
func adoptable(t *testing.T, name string, edit func(root string)) (AdoptRequest, *model) {
	t.Helper()
	root := checkout(t, folderOf(t, "adopt", "fleet"), nil)
	if edit != nil {
		edit(root)
		commitAll(t, root, "main")
	}
	content := checkout(t, folderOf(t, "adopt", "fleet"), nil) // what is published
	ws := workspaceOf(t, content, remoteOf("adopt", "fleet"), map[string]string{"main": "latest"})
	ws.Artifact = func(_ context.Context, c component.Component, _ string) (string, error) {
		return filepath.Join(content, filepath.FromSlash(c.Root)), nil
	}
	m := &model{t: t, dir: root, workspace: ws, objects: map[cluster.Ref]cluster.Object{},
		labels: map[cluster.ID]map[string]string{}, created: map[cluster.ID]int{}}
	req := AdoptRequest{Request: Request{Workspaces: []Workspace{ws}, Clusters: []string{name}},
		Owners: []string{"flux-system/apps"}, New: []string{"adopt/" + name}}
	m.sync(name)
	return req, m
}

// Flux gives the Kustomizations.
func (m *model) Flux(context.Context, ...string) (*cluster.State, error) {
	return &cluster.State{Objects: slices.Collect(maps.Values(m.objects))}, nil
}

// Labels gives labels of objects. It refuses those of Secrets.
func (m *model) Labels(_ context.Context, ids []cluster.ID) (map[cluster.ID]map[string]string, error) {
	found := map[cluster.ID]map[string]string{}
	for _, id := range ids {
		if id.Kind == "Secret" {
			m.t.Errorf("labels of %s are asked for", id)
		}
		if labels, ok := m.labels[id]; ok {
			found[id] = labels
		}
	}
	return found, nil
}

// sync lets the cluster see what the checkout has: the entry's objects first, then what goes, then what all Kustomizations apply.
func (m *model) sync(name string) {
	m.t.Helper()
	l, err := fleetOf(m.t, m.dir).follow(m.t.Context(), "clusters/"+name, []Workspace{m.workspace}, nil)
	if err != nil || len(l.stops) > 0 {
		m.t.Fatal(err, l.stops)
	}
	for _, a := range l.appliers {
		o := m.objects[kustomizationRef(a.name)]
		o.Ref, o.Prune, o.Suspended = kustomizationRef(a.name), prunes(a), isSuspended(a)
		o.Current = !o.Suspended
		o.Ready = cluster.Condition{Status: "True", Current: !o.Suspended}
		m.objects[o.Ref] = o
	}
	for ref, o := range m.objects {
		if l.find(nameOfRef(ref)) != nil {
			continue
		}
		if delete(m.objects, ref); o.Prune && !o.Suspended {
			m.prune(o, nil)
		}
	}
	for _, a := range l.appliers {
		m.reconcile(l, a)
	}
}

func nameOfRef(ref cluster.Ref) name { return name{ref.Namespace, ref.Name} }

// reconcile applies what a Kustomization builds, and prunes what it does not build any more.
func (m *model) reconcile(l *landscape, a *applier) {
	m.t.Helper()
	o := m.objects[kustomizationRef(a.name)]
	if o.Suspended || a.content == nil {
		return
	}
	built, err := l.build(m.t.Context(), a.content, a, true)
	if err != nil {
		m.t.Fatal(err)
	}
	some, err := ownedBy(a, built)
	if err != nil {
		m.t.Fatal(err)
	}
	before := o.Inventory
	o.Inventory = nil
	for _, s := range some {
		if m.labels[s.id] == nil && s.id.Namespace != fluxNamespace {
			m.created[s.id]++
		}
		m.labels[s.id] = map[string]string{kustomizeGroup + "name": a.Name, kustomizeGroup + "namespace": a.Namespace}
		o.Inventory = append(o.Inventory, s.id)
	}
	if m.objects[o.Ref] = o; o.Prune {
		stale := o
		stale.Inventory = before
		m.prune(stale, o.Inventory)
	}
}

// prune deletes objects that have the labels of a Kustomization, but those that are kept.
func (m *model) prune(o cluster.Object, keep []cluster.ID) {
	for _, id := range o.Inventory {
		if id.Namespace == fluxNamespace || slices.Contains(keep, id) {
			continue
		}
		if slices.Contains(cluster.Owners(m.labels[id]), o.Ref) {
			delete(m.labels, id)
			m.deleted = append(m.deleted, id)
		}
	}
}

// step runs adopt once and writes what it changes.
func (m *model) step(req AdoptRequest) (*Adoption, []Change) {
	m.t.Helper()
	found, changes := m.look(req)
	if err := Write(m.dir, changes); err != nil {
		m.t.Fatal(err)
	}
	return found, changes
}

// look runs adopt once and writes nothing.
func (m *model) look(req AdoptRequest) (*Adoption, []Change) {
	m.t.Helper()
	req.Fleet = fleetOf(m.t, m.dir)
	found, changes, err := Adopt(m.t.Context(), req, m)
	if err != nil {
		m.t.Fatal(err)
	}
	return found, changes
}

// owners counts the objects of the apps by owner.
func (m *model) owners() map[string]int {
	found := map[string]int{}
	for id, labels := range m.labels {
		if id.Namespace == "web" || id.Name == "redis" && id.Namespace != fluxNamespace {
			found[labels[kustomizeGroup+"name"]]++
		}
	}
	return found
}

// safe checks that no object was ever deleted or created anew.
func (m *model) safe(when string) {
	m.t.Helper()
	if len(m.deleted) > 0 {
		m.t.Errorf("%s: deleted: %v", when, m.deleted)
	}
	for id, n := range m.created {
		if n > 1 {
			m.t.Errorf("%s: %s was created %d times", when, id, n)
		}
	}
}

var errClosed = errors.New("cannot be asked")

// closed is a cluster that gives no answer.
type closed struct{}

func (closed) Flux(context.Context, ...string) (*cluster.State, error) { return nil, errClosed }

func (closed) Labels(context.Context, []cluster.ID) (map[cluster.ID]map[string]string, error) {
	return nil, errClosed
}
