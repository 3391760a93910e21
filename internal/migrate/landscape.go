// Package migrate moves clusters that follow Git branches to artifacts. It follows a cluster as Flux does, through the fleet's checkout,
// says what it would follow instead, and changes the checkout. It writes to no registry and to no cluster.
package migrate

import (
	"context"
	"fmt"
	"maps"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
	"github.com/stratio/keos-oci/internal/resourceset"
)

// landscape is what Git says to one cluster.
type landscape struct {
	cluster  string
	folder   string // in the fleet's checkout
	fleet    *Fleet
	own      name // the source of the fleet itself
	sources  map[name]source
	prepared map[name]artifact
	appliers []*applier
	settings map[name]map[string]string // ConfigMaps
	written  map[name]place             // those of them that the cluster's own folder has
	built    map[string]int             // how many objects of a kind came by
	stops    []Stop
	uses     []use // of GitRepositories, by other objects than Kustomizations

	byInstance      bool // the entry is a FluxInstance
	instanceApplied bool // which Flux itself applies

	providers  map[name]resourceset.Provider
	version    fluxVersion
	lockedDown bool                // no reference may lead to another namespace
	outdated   map[string][]string // objects of API versions that a newer Flux does not serve
	byHand     []string            // what no phase can do

	workspaces []Workspace
	known      map[name]*content // what Kustomizations apply, where that is not to be found out
}

// follow reads a cluster: its entry, then each Kustomization whose files are here: in the fleet, in one of the workspaces, or known.
func (f *Fleet) follow(ctx context.Context, cluster string, workspaces []Workspace, known map[name]*content) (*landscape, error) {
	l := &landscape{cluster: path.Base(cluster), folder: cluster, fleet: f, workspaces: workspaces, known: known, sources: map[name]source{},
		prepared: map[name]artifact{}, settings: map[name]map[string]string{}, written: map[name]place{}, built: map[string]int{}, providers: map[name]resourceset.Provider{},
		outdated: map[string][]string{}}
	if err := l.enter(ctx); err != nil {
		return nil, err
	}
	if f.FluxVersion != "" {
		l.version = parseFlux(f.FluxVersion)
	}
	for next := 0; next < len(l.appliers); next++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a := l.appliers[next]
		if a.content = l.contentOf(ctx, a); a.content != nil {
			l.apply(ctx, a)
		}
	}
	return l, nil
}

func objectOf(doc *yaml.Node) map[string]any {
	var object map[string]any
	_ = doc.Decode(&object) // what cannot be decoded has no fields
	return object
}

func isKind(doc *yaml.Node, kind, group string) bool {
	return manifest.Text(manifest.Field(doc, "kind")) == kind && strings.HasPrefix(manifest.Text(manifest.Field(doc, "apiVersion")), group)
}

const fluxNamespace = "flux-system"

const (
	sourceGroup    = "source.toolkit.fluxcd.io/"
	kustomizeGroup = "kustomize.toolkit.fluxcd.io/"
)

// apply builds the folder of a Kustomization and takes in its objects.
func (l *landscape) apply(ctx context.Context, a *applier) {
	c, folder := a.content, a.content.folder
	if !c.files.hasFolder(folder) {
		if c.repo == "" {
			l.stop(a.place, "path", fmt.Sprintf("Kustomization %s applies %s, which the fleet does not have", a.name, a.Path),
				"create the folder, or correct spec.path")
		}
		return
	}
	if c.repo == a.Repo && within(folder, a.File) && a.Parent != nil && !c.files.hasKustomization(folder, a.File) {
		l.stop(a.place, "self", fmt.Sprintf("Kustomization %s is inside the folder it applies, %s", a.name, a.Path),
			"add a kustomization.yaml to the folder, or move this file out of it")
	}
	built, err := l.build(ctx, c, a, true)
	if err != nil {
		if c.repo == "" && !c.component {
			l.stop(a.place, "build", fmt.Sprintf("%s, which Kustomization %s applies, does not build: %v", folder, a.name, err),
				"see keos-oci check")
		}
		return // plan compares what components build, and says why it cannot
	}
	var sets []applied
	for _, r := range built.Resources() {
		from := a.content.placeOf(r)
		if r.SetOrigin(nil) != nil || r.ClearTransformations() != nil {
			continue
		}
		object, err := r.Map()
		if err != nil {
			continue
		}
		if l.take(a, applied{object, from}, ""); r.GetKind() == "ResourceSet" {
			sets = append(sets, applied{object, from})
		}
	}
	for _, set := range sets {
		l.takeSet(a, set)
	}
}

// applied is an object that a Kustomization applies, and where it is written.
type applied struct {
	object map[string]any
	from   place
}

// build builds a folder as a Kustomization does, with its patches and variables.
func (l *landscape) build(ctx context.Context, c *content, a *applier, origins bool) (resmap.ResMap, error) {
	built, err := kustomize.Build(ctx, c.files.Dir, c.folder, kustomize.Options{Kustomization: a.object, Origins: origins,
		RemoteBases: c.remoteBases})
	if err != nil {
		return nil, err
	}
	if a.values, err = l.valuesOf(a); err != nil {
		return nil, err
	}
	return built, kustomize.Substitute(ctx, built, a.values)
}

// take remembers what matters of an object, which a ResourceSet may make.
func (l *landscape) take(by *applier, o applied, set string) {
	version, kind := text(o.object, "apiVersion"), text(o.object, "kind")
	group, _, _ := strings.Cut(version, "/")
	l.built[kind]++
	l.checkVersion(o, version, kind)
	switch group += "/"; {
	case kind == gitRepository && group == sourceGroup:
		s := sourceOf(o.object, o.from)
		l.sources[s.name] = s
	case kind == ociRepository && group == sourceGroup && texts(o.object, "metadata", "annotations")[kustomizeGroup+"reconcile"] == "disabled":
		// Flux does not apply it: the cluster's settings have no channel yet.
	case kind == ociRepository && group == sourceGroup:
		l.prepared[nameOf(o.object)] = artifactOf(o.object, o.from)
	case kind == "Kustomization" && group == kustomizeGroup:
		a := applierOf(o.object, o.from, by)
		a.set = set
		l.takeApplier(a)
	case kind == "ConfigMap":
		l.takeSettings(o.object, o.from)
	case kind == "ResourceSetInputProvider":
		l.takeProvider(o.object)
	case kind == "FluxInstance":
		l.instanceApplied = true
	default:
		l.takeUse(o, kind)
	}
	l.checkReference(o, kind)
}

// takeSettings remembers a ConfigMap. What applications bring along does not replace what the fleet has.
func (l *landscape) takeSettings(object map[string]any, from place) {
	n, data := nameOf(object), texts(object, "data")
	if len(data) > 0 && (from.Repo == "" || l.settings[n] == nil) {
		l.settings[n] = data
	}
}

// takeApplier remembers a Kustomization. One that is known is applied twice; the entry may be among what it applies itself, and then
// follows its file.
func (l *landscape) takeApplier(a *applier) {
	for _, known := range l.appliers {
		if known.name == a.name {
			known.managed = true
			return
		}
	}
	a.managed = true
	l.appliers = append(l.appliers, a)
}

// valuesOf are the variables of a Kustomization: of ConfigMaps, then those that it has itself. A ConfigMap that is not in Git in this
// namespace is taken from another one, because operators copy them.
func (l *landscape) valuesOf(a *applier) (map[string]string, error) {
	values := map[string]string{}
	for _, from := range list(a.object, "spec", "postBuild", "substituteFrom") {
		ref, _ := from.(map[string]any)
		if text(ref, "kind") != "ConfigMap" {
			continue // the values of Secrets are not in Git
		}
		data := l.settingsOf(name{a.Namespace, text(ref, "name")})
		if data == nil && ref["optional"] != true {
			return nil, fmt.Errorf("the ConfigMap %s of postBuild.substituteFrom is not in Git", text(ref, "name"))
		}
		maps.Copy(values, data)
	}
	maps.Copy(values, texts(a.object, "spec", "postBuild", "substitute"))
	return values, nil
}

func (l *landscape) settingsOf(n name) map[string]string {
	for _, namespace := range []string{n.Namespace, fluxNamespace} {
		if data := l.settings[name{namespace, n.Name}]; data != nil {
			return data
		}
	}
	for _, known := range sorted(l.settings) {
		if known.Name == n.Name {
			return l.settings[known]
		}
	}
	return nil
}

func (l *landscape) stop(at place, code, message, do string) {
	l.stops = append(l.stops, l.stopAt(at, code, message, do))
}

func (l *landscape) stopAt(at place, code, message, do string) Stop {
	return Stop{Cluster: l.cluster, Code: code, File: at.where(), Line: at.Line, Message: message, Do: do}
}
