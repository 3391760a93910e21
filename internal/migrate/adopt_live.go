package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/cluster"
)

// codeWaiting is of what a cluster does not show yet.
const codeWaiting = "waiting"

// view is what the cluster shows.
type view struct {
	asked Asked
	state *cluster.State
}

// ask reads the Kustomizations of the cluster, and the ResourceSets where one makes new owners.
func (a *adopter) ask(ctx context.Context, asked Asked) (*view, error) {
	kinds := []string{cluster.Kustomization}
	if len(a.sets) > 0 {
		kinds = append(kinds, cluster.ResourceSet)
	}
	state, err := asked.Flux(ctx, kinds...)
	return &view{asked, state}, err
}

// wait adds what the cluster must show before the step is done.
func (a *adopter) wait(ctx context.Context) error {
	switch a.out.Step {
	case StepPruneOff:
		a.waitOld(ready)
	case StepSuspend:
		a.waitOld(ready, prunesNot)
	case StepNewOwners:
		a.waitOld(suspended, prunesNot)
	case StepRemove:
		a.waitOld(suspended, prunesNot)
		a.waitFresh(ready, prunesNot)
		if err := a.waitBuilt(ctx); err != nil {
			return err
		}
		return a.waitOwned(ctx, a.inventory(a.oldRefs()), a.takersInCluster())
	case StepPruneOn, StepDone:
		if !a.Back {
			return a.waitEnd(ctx)
		}
		a.waitOld(ready, prunesAgain)
		a.waitGone()
	case StepWithdraw, StepPruneBack:
		return a.waitBack(ctx)
	}
	return nil
}

// waitEnd is for the end of the way: the old owners are gone, and all objects are there.
func (a *adopter) waitEnd(ctx context.Context) error {
	for _, text := range a.Owners {
		n := ownerOf(text)
		if _, found := a.live.state.Find(kustomizationRef(n)); found {
			a.waitFor(a.parent, fmt.Sprintf("Kustomization %s is in the cluster", n),
				"push the commit that removed it, then "+reconcile(a.parent)+" --with-source")
		}
	}
	if a.out.Step == StepPruneOn {
		a.waitFresh(ready, prunesNot)
	} else {
		a.waitFresh(ready, prunesAgain)
	}
	if err := a.waitBuilt(ctx); err != nil {
		return err
	}
	return a.waitOwned(ctx, a.inventory(a.freshRefs()), a.takersInCluster())
}

// waitBuilt checks that the new owners have applied all that they build.
func (a *adopter) waitBuilt(ctx context.Context) error {
	objects, err := a.objectsOf(ctx, a.fresh)
	if err != nil {
		return err
	}
	applied := a.inventory(a.freshRefs())
	for _, o := range objects {
		same := func(id cluster.ID) bool {
			if o.id.Namespace == "" {
				id.Namespace = ""
			}
			return id == o.id
		}
		if !slices.ContainsFunc(applied, same) {
			a.waitFor(o.by, fmt.Sprintf("%s has not applied %s", o.by.name, o), reconcile(o.by)+" --with-source")
		}
	}
	return nil
}

// waitBack is for the way back: the new owners apply nothing, and the old ones have all objects.
func (a *adopter) waitBack(ctx context.Context) error {
	a.waitOld(ready)
	if a.out.Step == StepPruneBack {
		a.waitGone()
	} else {
		a.waitFresh(goneOrSuspended)
		a.checkSets()
		a.noteOrphans()
	}
	return a.waitOwned(ctx, a.inventory(a.oldRefs()), a.oldRefs())
}

// noteOrphans notes what the new owners alone have applied: it stays when they go.
func (a *adopter) noteOrphans() {
	var left []string
	for _, id := range a.inventory(a.freshRefs()) {
		if _, back := a.holder(id, a.oldRefs()); !back {
			left = append(left, shortID(id))
		}
	}
	if len(left) > 0 {
		slices.Sort(left)
		a.out.Notes = append(a.out.Notes, fmt.Sprintf("%d objects that the new owners alone have applied stay, and nobody prunes them: %s",
			len(left), shortList(left)))
	}
}

// checkSets stops at objects that a ResourceSet would take away with itself.
func (a *adopter) checkSets() {
	for _, n := range a.sets {
		o, _ := a.live.state.Find(cluster.Ref{Kind: cluster.ResourceSet, Namespace: n.Namespace, Name: n.Name})
		for _, id := range o.Inventory {
			if slices.Contains(a.inventory(a.oldRefs()), id) {
				a.refuse(a.fresh[0].place, "resourceset",
					fmt.Sprintf("ResourceSet %s has applied %s %s too, and would delete it when it goes", n, id.Kind, id.Name),
					"give the object in the ResourceSet the annotation fluxcd.controlplane.io/prune: disabled, and remove the ResourceSet by hand")
			}
		}
	}
}

// waitGone checks that the cluster has none of the new owners.
func (a *adopter) waitGone() {
	for _, o := range a.fresh {
		if _, found := a.live.state.Find(kustomizationRef(o.name)); found {
			a.waitFor(o, fmt.Sprintf("Kustomization %s is in the cluster", o.name),
				"push the commit that took it out, then "+reconcile(a.parent)+" --with-source")
		}
	}
}

// condition says what a Kustomization of the cluster lacks, "" for nothing.
type condition func(o cluster.Object, found bool, git *applier) string

func ready(o cluster.Object, found bool, _ *applier) string {
	if !found {
		return "it is not in the cluster"
	}
	is, message := objectReady(o)
	if is == ReadyYes {
		return ""
	}
	return "it is not ready: " + message
}

func prunesNot(o cluster.Object, _ bool, _ *applier) string {
	if o.Prune {
		return "it has prune: true in the cluster"
	}
	return ""
}

func prunesAgain(o cluster.Object, _ bool, git *applier) string {
	if !o.Prune && prunes(git) {
		return "it has prune: false in the cluster"
	}
	return ""
}

func suspended(o cluster.Object, found bool, _ *applier) string {
	switch {
	case !found:
		return "it is not in the cluster"
	case !o.Suspended:
		return "it is not suspended in the cluster"
	}
	return ""
}

func goneOrSuspended(o cluster.Object, found bool, git *applier) string {
	if !found {
		return ""
	}
	return suspended(o, found, git)
}

func (a *adopter) waitOld(conditions ...condition) { a.waitAll(a.old, conditions) }

func (a *adopter) waitFresh(conditions ...condition) { a.waitAll(a.fresh, conditions) }

// waitAll adds the first thing that each Kustomization lacks.
func (a *adopter) waitAll(appliers []*applier, conditions []condition) {
	for _, git := range appliers {
		o, found := a.live.state.Find(kustomizationRef(git.name))
		for _, is := range conditions {
			fault := is(o, found, git)
			if fault == "" {
				continue
			}
			do := "push the commit, then " + reconcile(a.parent) + " --with-source"
			if found && o.Ready.Status == "False" {
				do = "correct what the message says, then " + reconcile(git)
			}
			a.waitFor(git, fmt.Sprintf("Kustomization %s: %s", git.name, fault), do)
			break
		}
	}
}

// waitOwned checks that objects have the labels of their owner: the one of these that has them in its inventory. Labels of Secrets are not
// read, because that is the right to read Secrets; for them the inventory counts.
func (a *adopter) waitOwned(ctx context.Context, ids []cluster.ID, owners []cluster.Ref) error {
	var asked []cluster.ID
	holders := map[cluster.ID]cluster.Ref{}
	lacks := map[cluster.Ref][]string{}
	for _, id := range ids {
		holder, ok := a.holder(id, owners)
		if !ok {
			lacks[cluster.Ref{}] = append(lacks[cluster.Ref{}], shortID(id))
			continue
		}
		if holders[id] = holder; id.Kind != "Secret" || id.Group != "" {
			asked = append(asked, id)
		}
	}
	labels, err := a.live.asked.Labels(ctx, asked)
	if err != nil {
		return err
	}
	for _, id := range asked {
		if found, there := labels[id]; !there {
			lacks[holders[id]] = append(lacks[holders[id]], shortID(id)+" (not in the cluster)")
		} else if !slices.Contains(cluster.Owners(found), holders[id]) {
			lacks[holders[id]] = append(lacks[holders[id]], shortID(id))
		}
	}
	a.waitLabels(lacks)
	return nil
}

// waitLabels says which objects do not have their owner's label.
func (a *adopter) waitLabels(lacks map[cluster.Ref][]string) {
	for _, o := range slices.Concat(a.fresh, a.old, []*applier{a.parent}) {
		ref := kustomizationRef(o.name)
		if objects := lacks[ref]; len(objects) > 0 {
			slices.Sort(objects)
			a.waitFor(o, fmt.Sprintf("%d objects do not have the label of %s: %s", len(objects), o.name, shortList(objects)), reconcile(o))
		}
		delete(lacks, ref)
	}
	for ref, objects := range lacks {
		slices.Sort(objects)
		message := fmt.Sprintf("%d objects are in the inventory of none of the owners that should have them: %s", len(objects),
			shortList(objects))
		if ref.Name != "" {
			message = fmt.Sprintf("%d objects do not have the label of %s: %s", len(objects), ref, shortList(objects))
		}
		a.waitFor(a.fresh[0], message, "let Flux reconcile the owners: flux get kustomizations -A")
	}
}

// holder is the owner that has an object in its inventory.
func (a *adopter) holder(id cluster.ID, owners []cluster.Ref) (cluster.Ref, bool) {
	for _, ref := range owners {
		if o, _ := a.live.state.Find(ref); slices.Contains(o.Inventory, id) {
			return ref, true
		}
	}
	return cluster.Ref{}, false
}

// takersInCluster are all that may own an object at the end: the new owners, and what applies their files.
func (a *adopter) takersInCluster() []cluster.Ref {
	refs := a.freshRefs()
	for _, n := range a.sets {
		refs = append(refs, cluster.Ref{Kind: cluster.ResourceSet, Namespace: n.Namespace, Name: n.Name})
	}
	return append(refs, kustomizationRef(a.parent.name))
}

func (a *adopter) freshRefs() []cluster.Ref {
	var refs []cluster.Ref
	for _, o := range a.fresh {
		refs = append(refs, kustomizationRef(o.name))
	}
	return refs
}

func (a *adopter) oldRefs() []cluster.Ref {
	var refs []cluster.Ref
	for _, text := range a.Owners {
		refs = append(refs, kustomizationRef(ownerOf(text)))
	}
	return refs
}

// inventory is what Kustomizations have applied in the cluster.
func (a *adopter) inventory(of []cluster.Ref) []cluster.ID {
	var ids []cluster.ID
	for _, ref := range of {
		o, _ := a.live.state.Find(ref)
		ids = append(ids, o.Inventory...)
	}
	return ids
}

func kustomizationRef(n name) cluster.Ref {
	return cluster.Ref{Kind: cluster.Kustomization, Namespace: n.Namespace, Name: n.Name}
}

func shortID(id cluster.ID) string {
	return id.Kind + " " + strings.TrimPrefix(id.Namespace+"/"+id.Name, "/")
}

// waitFor adds what the cluster does not show yet, at the place of a Kustomization.
func (a *adopter) waitFor(o *applier, message, do string) {
	a.out.Waits = append(a.out.Waits, a.stopAt(o.place, codeWaiting, message, do))
}
