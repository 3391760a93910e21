package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/manifest"
)

// ErrNoOwner says that an owner of a request is neither in Git nor in the files of the new owners.
var ErrNoOwner = errors.New("no such owner")

// The steps by which objects get new owners, in their order, and those of the way back.
const (
	StepPruneOff  = "prune-off"  // nothing prunes, neither the old owners nor the new ones
	StepSuspend   = "suspend"    // the old owners apply nothing any more
	StepNewOwners = "new-owners" // the new owners apply the objects
	StepRemove    = "remove"     // the old owners go
	StepPruneOn   = "prune-on"   // the new owners prune
	StepResume    = "resume"     // back: the old owners apply again, and the new ones do not
	StepWithdraw  = "withdraw"   // back: the new owners go
	StepPruneBack = "prune-back" // back: the old owners prune again
	StepDone      = "done"
)

// AdoptRequest says which Kustomizations of one cluster give their objects to which others.
type AdoptRequest struct {
	Request
	Owners []string // the old ones, namespace/name
	New    []string // files and folders of the fleet with the new ones
	Back   bool     // give the objects back
	Accept bool     // although the content of objects differs
}

// Asked is a cluster that can be asked. An error is never a cluster that has nothing.
type Asked interface {
	// Flux reads the objects of these kinds, or of all kinds of Flux.
	Flux(ctx context.Context, kinds ...string) (*cluster.State, error)
	// Labels reads the labels of objects. Objects that do not exist are left out.
	Labels(ctx context.Context, ids []cluster.ID) (map[cluster.ID]map[string]string, error)
}

// Adoption is what a run found. Step is what it does now, or waits for.
type Adoption struct {
	Step    string `json:"step"`
	Objects int    `json:"objects"` // that get other owners, where Git has the old ones
	// Stops are what keeps the objects from getting new owners.
	Stops []Stop `json:"stops"`
	// Waits are what the cluster does not show yet. Code is waiting.
	Waits []Stop   `json:"waits"`
	Notes []string `json:"notes,omitempty"`
}

// Err is ErrStops where something is in the way, and ErrIncomplete where the cluster is not as far as Git.
func (a *Adoption) Err() error {
	switch {
	case len(a.Stops) > 0:
		return fmt.Errorf("%w: %d stops", ErrStops, len(a.Stops))
	case len(a.Waits) > 0:
		return fmt.Errorf("%w: the step %s waits for the cluster", ErrIncomplete, a.Step)
	}
	return nil
}

// adopter is one run: what Git says about the old and the new owners.
type adopter struct {
	AdoptRequest
	*landscape
	out    *Adoption
	old    []*applier // those that Git has
	left   []*applier // those that are written still, and that Git does not apply any more
	parent *applier   // will apply the new owners: what applies the old ones, if no other cluster has its folder, else the entry
	fresh  []*applier // the new owners
	direct []applied  // what else the files of the new owners have
	sets   []name     // ResourceSets that make new owners
	listed bool       // the cluster applies the new owners
	live   *view
}

// Adopt finds out from Git and from the cluster which step is next, and gives the changes of this one step. There are none while the
// cluster does not show the step before.
func Adopt(ctx context.Context, req AdoptRequest, asked Asked) (*Adoption, []Change, error) {
	a, err := req.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(a.old) == len(a.Owners) && !req.Back { // nothing of the new owners may keep objects from going back
		if err := a.compare(ctx); err != nil {
			return nil, nil, err
		}
	}
	a.out.Step = a.next()
	if len(a.out.Stops) > 0 {
		return a.out, nil, nil
	}
	if a.live, err = a.ask(ctx, asked); err != nil {
		return nil, nil, err
	}
	if err := a.wait(ctx); err != nil || a.out.Err() != nil || a.out.Step == StepDone {
		return a.out, nil, err
	}
	e := newEdits(req.Fleet)
	if err := a.edit(e); err != nil || len(a.out.Stops) > 0 {
		return a.out, nil, err
	}
	changes := e.changes()
	return a.out, changes, a.verify(ctx, changes)
}

// open follows the cluster, and reads the files of the new owners.
func (r AdoptRequest) open(ctx context.Context) (*adopter, error) {
	folders, err := r.folders()
	if err != nil {
		return nil, err
	}
	l, err := r.Fleet.follow(ctx, folders[0], r.Workspaces, nil)
	if err != nil {
		return nil, err
	}
	a := &adopter{AdoptRequest: r, landscape: l, out: &Adoption{Stops: slices.Clip(l.stops), Waits: []Stop{}}}
	if a.out.Stops == nil {
		a.out.Stops = []Stop{}
	}
	l.stops = nil
	a.parent = l.appliers[0]
	for _, text := range r.Owners {
		if o := l.find(ownerOf(text)); o != nil {
			a.old = append(a.old, o)
		} else if o := a.leftover(ownerOf(text)); o != nil {
			a.left = append(a.left, o)
		}
	}
	if len(a.old) > 0 && a.appliesOwn(a.old[0].Parent) {
		a.parent = a.old[0].Parent
	}
	if err := a.readNew(ctx); err != nil {
		return nil, err
	}
	if len(a.old) < len(r.Owners) && !a.listed {
		return nil, a.unknownOwner()
	}
	if !r.Back {
		a.checkOwners()
	}
	return a, nil
}

// appliesOwn reports whether a Kustomization applies a folder of this cluster, so that what is listed there does not reach others.
func (l *landscape) appliesOwn(by *applier) bool {
	return by != nil && by.content != nil && by.content.files == l.fleet && within(l.folder, by.content.folder)
}

func (a *adopter) unknownOwner() error {
	for _, text := range a.Owners {
		if a.find(ownerOf(text)) == nil {
			return fmt.Errorf("%w: no Kustomization %s is applied by %s", ErrNoOwner, text, a.folder)
		}
	}
	return nil
}

// ownerOf reads namespace/name.
func ownerOf(text string) name {
	namespace, own := path.Split(text)
	return name{path.Clean(namespace), own}
}

// leftover is an old owner that a run which ended early took out of what the cluster applies, and not out of its file; nil for none.
func (a *adopter) leftover(n name) *applier {
	for _, file := range a.fleet.below(a.folder) {
		data, err := a.fleet.Read(file)
		if err != nil || !manifest.IsYAML(file) || !hasComment(data, marker+"adopt suspend "+n.String()) {
			continue
		}
		docs, _ := manifest.Parse(data)
		for _, doc := range docs {
			if o := applierOf(objectOf(doc), place{File: file, Line: doc.Line}, nil); o.name == n && isKind(doc, "Kustomization", kustomizeGroup) {
				return o
			}
		}
	}
	return nil
}

// find is the Kustomization of a name, nil where Git has none.
func (l *landscape) find(n name) *applier {
	if i := slices.IndexFunc(l.appliers, func(a *applier) bool { return a.name == n }); i >= 0 {
		return l.appliers[i]
	}
	return nil
}

// next is the first step that Git does not have wholly.
func (a *adopter) next() string {
	if a.Back {
		return a.nextBack()
	}
	fresh := a.marks()
	switch {
	case len(a.left) > 0 || len(a.old) > 0 && len(a.old) < len(a.Owners):
		return StepRemove
	case len(a.old) == 0 && fresh.prune:
		return StepPruneOn
	case len(a.old) == 0:
		return StepDone
	case slices.ContainsFunc(slices.Concat(a.old, a.fresh), prunes):
		return StepPruneOff
	case !all(a.old, isSuspended):
		return StepSuspend
	case !a.listed || fresh.suspended:
		return StepNewOwners
	}
	return StepRemove
}

func (a *adopter) nextBack() string {
	fresh := a.marks()
	switch {
	case len(a.old) < len(a.Owners):
		a.refuse(a.parent.place, "removed", "old owners are removed, so that nothing can have the objects back",
			"revert the commit that removed them (git revert), push it, and run --back again")
		return StepRemove
	case slices.ContainsFunc(a.old, isSuspended), a.listed && !all(a.fresh, isSuspended):
		return StepResume
	case a.listed:
		return StepWithdraw
	case fresh.prune || fresh.suspended || slices.ContainsFunc(a.old, a.hasPruneMark):
		return StepPruneBack
	}
	return StepDone
}

func prunes(a *applier) bool { return at(a.object, "spec", "prune") == true }

func isSuspended(a *applier) bool { return at(a.object, "spec", "suspend") == true }

func all(list []*applier, is func(*applier) bool) bool {
	return !slices.ContainsFunc(list, func(a *applier) bool { return !is(a) })
}

// verify checks that changes do the step, that they alter nothing else of the cluster, and nothing of other clusters.
func (a *adopter) verify(ctx context.Context, changes []Change) error {
	copied, remove, err := a.Fleet.copyWith(changes)
	if err != nil {
		return err
	}
	defer remove()
	then := a.AdoptRequest
	then.Fleet = copied
	after, err := then.open(ctx)
	if err != nil {
		return fmt.Errorf("after the change: %w", err)
	}
	if len(after.out.Stops) > 0 {
		return fmt.Errorf("%w: after the change: %s", ErrStops, after.out.Stops[0].Message)
	}
	if step := after.next(); step == a.out.Step {
		return fmt.Errorf("%w: the step %s would not be done by the change", ErrStops, step)
	}
	if err := a.keeps(after); err != nil {
		return err
	}
	notes, err := a.othersSame(ctx, copied, a.folder)
	a.out.Notes = append(a.out.Notes, notes...)
	return err
}

// keeps checks that Kustomizations that are neither old nor new owners stay as they are, and settings too.
func (a *adopter) keeps(after *adopter) error {
	before, now := a.others(), after.others()
	if !a.keepsSettings(after.landscape) || len(before) != len(now) {
		return fmt.Errorf("%w: the change would alter more of %s than the owners", ErrStops, a.cluster)
	}
	for i, o := range before {
		if o.name != now[i].name || !reflect.DeepEqual(a.withoutPatches(o), a.withoutPatches(now[i])) {
			return fmt.Errorf("%w: the change would alter Kustomization %s of %s", ErrStops, o.name, a.cluster)
		}
	}
	return nil
}

// keepsSettings reports whether all ConfigMaps are as before. The new owners may bring others.
func (l *landscape) keepsSettings(after *landscape) bool {
	for n, values := range l.settings {
		if !maps.Equal(values, after.settings[n]) {
			return false
		}
	}
	return true
}

// withoutPatches is a Kustomization without the patches of old owners.
func (a *adopter) withoutPatches(o *applier) map[string]any {
	out, spec := maps.Clone(o.object), maps.Clone(specOf(o))
	patches := slices.DeleteFunc(slices.Clone(list(o.object, "spec", "patches")), func(p any) bool {
		patch, _ := p.(map[string]any)
		target := texts(patch, "target")
		return target["kind"] == "Kustomization" &&
			slices.ContainsFunc(a.Owners, func(owner string) bool { return ownerOf(owner).Name == target["name"] })
	})
	delete(spec, "patches")
	if len(patches) > 0 {
		spec["patches"] = patches
	}
	out["spec"] = spec
	return out
}

// others are the Kustomizations that Git has beside the old and the new owners, by name.
func (a *adopter) others() []*applier {
	others := slices.DeleteFunc(slices.Clone(a.appliers),
		func(o *applier) bool { return slices.Contains(a.old, o) || slices.Contains(a.fresh, o) })
	slices.SortFunc(others, func(x, y *applier) int { return compareNames(x.name, y.name) })
	return others
}
