package migrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/yamledit"
)

// cleaner takes away what clusters needed to follow Git.
type cleaner struct {
	req   Request
	all   []*landscape
	e     *edits
	plan  *Plan
	notes []string
	gone  map[string]bool // variables that leave the settings
}

// Cleanup takes away what the clusters of a request no longer need, when none of them takes a component from Git: patches move into the
// files, sources of Git that nothing refers to go, and with them the variables of branches. Clusters that are not named count as not
// running. The notes say what is left to do elsewhere.
func Cleanup(ctx context.Context, req Request) (*Plan, []Change, []string, error) {
	c := &cleaner{req: req, e: newEdits(req.Fleet), plan: &Plan{Clusters: []ClusterPlan{}, Stops: []Stop{}}, gone: map[string]bool{}}
	if err := c.follow(ctx); err != nil || len(c.plan.Stops) > 0 {
		return c.plan, nil, nil, err
	}
	for _, do := range []func() error{c.mergePatches, c.removeSecondSources, c.removeSources, c.removeVariables, c.removeMarks, c.noteMerges} {
		if err := do(); err != nil {
			return c.plan, nil, nil, err
		}
	}
	changes := c.e.changes()
	if len(changes) == 0 {
		return c.plan, changes, c.notes, nil
	}
	return c.plan, changes, c.notes, c.same(ctx, changes)
}

// follow reads the clusters, and stops at each component that still comes from Git.
func (c *cleaner) follow(ctx context.Context) error {
	folders, err := c.req.folders()
	if err != nil {
		return err
	}
	for _, folder := range folders {
		l, err := c.req.Fleet.follow(ctx, folder, c.req.Workspaces, nil)
		if err != nil {
			return err
		}
		for _, a := range l.appliers {
			if a.Kind == gitRepository && !l.staysInFleet(a) && a.set == "" {
				l.stop(a.place, "git", fmt.Sprintf("Kustomization %s of %s still takes its files from Git", a.name, l.cluster),
					"switch it first: keos-oci migrate switch "+l.cluster+"; or name the clusters that run")
			}
		}
		c.all = append(c.all, l)
		c.plan.Stops = append(c.plan.Stops, l.stops...)
	}
	return nil
}

// mergePatches moves what switch and fleet wrote as patches into the files of the Kustomizations.
func (c *cleaner) mergePatches() error {
	for _, l := range c.all {
		for _, a := range l.appliers {
			if a.Parent == nil || !a.here() || l.isOwn(a) || !l.isOwn(a.Parent) {
				continue
			}
			for _, mark := range []string{switchMark(a), fleetMark(a)} {
				if err := c.mergePatch(l, a, mark); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *cleaner) mergePatch(l *landscape, a *applier, mark string) error {
	data, err := c.e.now(a.Parent.File)
	if err != nil {
		return err
	}
	marks, err := yamledit.Marks(data, idOf(a.Parent), mark)
	switch {
	case errors.Is(err, yamledit.ErrMissing):
		return nil // Flux Operator makes the parent
	case err != nil:
		return fmt.Errorf("%s: %w", a.Parent.File, err)
	case !slices.Contains(marks, mark):
		return nil
	}
	fields := map[string]string{"spec.sourceRef.kind": ociRepository}
	if mark == switchMark(a) {
		_, component, ok := l.deliverer(a.Source, l.prepared[a.Source])
		if !ok {
			c.notes = append(c.notes, fmt.Sprintf("%s: the patch of %s stays, since no --workspace has %s", l.cluster, a.name, a.Source.Name))
			return nil
		}
		fields["spec.sourceRef.name"], fields["spec.path"] = a.Source.Name, l.fleet.variantText(a, component.Root, a.Path)
		if manifest.At(l.fleet.document(a.place), "spec", "sourceRef", "namespace") != nil {
			fields["spec.sourceRef.namespace"] = l.fleet.namespaceText(a)
		}
	}
	err = c.e.edit(a.File, func(file []byte) ([]byte, error) { return setFields(file, idOf(a), fields) })
	if err != nil {
		return err
	}
	return l.removePatch(c.e, a, mark)
}

// setFields changes fields of an object. A path that another cluster's run has changed already is as it should be.
func setFields(file []byte, id yamledit.ID, fields map[string]string) (after []byte, err error) {
	after = file
	for _, key := range []string{"spec.sourceRef.kind", "spec.sourceRef.name", "spec.sourceRef.namespace", "spec.path"} {
		if fields[key] == "" {
			continue
		}
		if after, err = yamledit.SetField(after, id, strings.Split(key, "."), fields[key]); err != nil {
			return nil, err
		}
	}
	return after, nil
}

// removeSecondSources takes away the sources that showed that the clusters can fetch the fleet, and the way back to Git.
func (c *cleaner) removeSecondSources() error {
	for _, l := range c.all {
		if l.appliers[0].Kind != ociRepository {
			continue
		}
		_, fleet, ok := l.deliverer(l.own, l.prepared[l.own])
		if !ok {
			continue
		}
		mark := marker + "source of " + fleet.Name + " in " + l.own.Namespace
		for _, file := range l.fleet.below(l.folder) {
			data, err := c.e.now(file)
			if err != nil {
				return err
			}
			if !strings.Contains(string(data), "# "+mark) {
				continue
			}
			if err := c.e.edit(file, func(data []byte) ([]byte, error) { return yamledit.RemoveDocument(data, mark) }); err != nil {
				return err
			}
		}
		if err := c.drop(wayBackFile(l.cluster)); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a file that is there.
func (c *cleaner) drop(file string) error {
	if !slices.Contains(c.req.Fleet.Files, file) {
		return nil
	}
	return c.e.put(file, nil)
}

// removeSources removes each GitRepository of the fleet's files that no cluster refers to.
func (c *cleaner) removeSources() error {
	for _, l := range c.all {
		for _, n := range sorted(l.sources) {
			s := l.sources[n]
			if !s.here() {
				continue
			}
			if used, here := c.isUsed(s), l.needs(s.name); used {
				if !here {
					c.notes = append(c.notes, fmt.Sprintf("%s: GitRepository %s stays (%s:%d), since another cluster that shares the file needs it",
						l.cluster, s.name, s.File, s.Line))
				}
				continue
			}
			if err := c.removeSource(l, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// isUsed reports whether any of the clusters that apply a source's file needs it.
func (c *cleaner) isUsed(s source) bool {
	return slices.ContainsFunc(c.all, func(l *landscape) bool { return l.sources[s.name].place == s.place && l.needs(s.name) })
}

// needs reports whether something of a cluster takes its files from a GitRepository.
func (l *landscape) needs(n name) bool {
	return slices.ContainsFunc(l.appliers, func(a *applier) bool { return a.Kind == gitRepository && a.Source == n }) ||
		slices.ContainsFunc(l.uses, func(u use) bool { return u.source == n })
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)`)

func (c *cleaner) removeSource(l *landscape, s source) error {
	data, err := c.e.now(s.File)
	if err != nil {
		return err
	}
	id := yamledit.ID{Group: strings.TrimSuffix(sourceGroup, "/"), Kind: gitRepository, Namespace: s.Namespace, Name: s.Name}
	after, err := yamledit.RemoveObject(data, id)
	if errors.Is(err, yamledit.ErrMissing) {
		return nil // another cluster's turn removed it
	}
	if err != nil {
		return err
	}
	for _, found := range variable.FindAllStringSubmatch(removed(string(data), string(after)), -1) {
		c.gone[found[1]] = true
	}
	if s.name == l.own && !l.entryManaged() {
		c.notes = append(c.notes, fmt.Sprintf("%s: Flux does not apply %s: kubectl delete gitrepository %s -n %s", l.cluster, s.File, s.Name,
			s.Namespace))
	}
	if docs, err := manifest.Parse(after); err == nil && len(docs) > 0 {
		return c.e.put(s.File, after)
	}
	if err := c.e.put(s.File, nil); err != nil {
		return err
	}
	return c.unlist(s.File)
}

// removed is what of a text the other one lacks, line by line.
func removed(before, after string) string {
	left := map[string]int{}
	for line := range strings.Lines(after) {
		left[line]++
	}
	var b strings.Builder
	for line := range strings.Lines(before) {
		if left[line]--; left[line] < 0 {
			b.WriteString(line)
		}
	}
	return b.String()
}

// unlist takes a file that goes out of the kustomization beside it.
func (c *cleaner) unlist(file string) error {
	for _, name := range kustomize.FileNames() {
		beside := path.Join(path.Dir(file), name)
		if !slices.Contains(c.req.Fleet.Files, beside) {
			continue
		}
		return c.e.edit(beside, func(data []byte) ([]byte, error) {
			after, err := yamledit.RemoveResource(data, path.Base(file))
			if err == nil && string(after) == string(data) {
				after, err = yamledit.RemoveResource(data, "./"+path.Base(file))
			}
			return after, err
		})
	}
	return nil
}

// removeVariables takes variables of removed sources out of the settings of each cluster that uses them nowhere else.
func (c *cleaner) removeVariables() error {
	for _, l := range c.all {
		for _, n := range sorted(l.written) {
			at := l.written[n]
			for _, key := range slices.Sorted(maps.Keys(c.gone)) {
				if _, has := l.settings[n][key]; !has || c.uses(l, at.File, key) {
					continue
				}
				id := yamledit.ID{Kind: "ConfigMap", Namespace: n.Namespace, Name: n.Name}
				remove := func(data []byte) ([]byte, error) {
					return yamledit.RemoveSetting(data, id, yamledit.Setting{Key: key, Replace: true})
				}
				if err := c.e.edit(at.File, remove); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// uses reports whether a file that a cluster may apply has a variable: one of the fleet that is not of another cluster, or of a component.
func (c *cleaner) uses(l *landscape, settings, key string) bool {
	has := func(data []byte) bool { return strings.Contains(string(data), "${"+key) }
	for _, file := range l.fleet.Files {
		if file == settings || within("clusters", file) && !within(l.folder, file) || within("way-back", file) || !manifest.IsYAML(file) {
			continue
		}
		if data, err := c.e.now(file); err != nil || has(data) {
			return true
		}
	}
	for _, a := range l.appliers {
		if a.content == nil || a.content.repo == "" {
			continue
		}
		for _, file := range a.content.files.Files {
			if data, err := a.content.files.Read(file); err != nil || has(data) {
				return true
			}
		}
	}
	return false
}

// removeMarks removes the comments of phases: there is no way back any more.
func (c *cleaner) removeMarks() error {
	for _, file := range c.req.Fleet.Files {
		if !manifest.IsYAML(file) || within("clusters", file) && !slices.ContainsFunc(c.all,
			func(l *landscape) bool { return within(l.folder, file) }) {
			continue
		}
		data, err := c.e.now(file)
		if err != nil {
			return err
		}
		if !strings.Contains(string(data), "# "+marker) {
			continue
		}
		if err := c.e.edit(file, func(data []byte) ([]byte, error) { return yamledit.RemoveComments(data, marker) }); err != nil {
			return err
		}
	}
	return nil
}
