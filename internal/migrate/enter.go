package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/manifest"
)

// entries are what may make a cluster follow the fleet, where no FluxInstance does.
type entries struct {
	sync      []*applier // of gotk-sync.yaml
	others    []*applier // that apply the cluster's folder
	sources   map[name]source
	artifacts map[name]artifact
}

// enter finds what makes the cluster follow the fleet: a FluxInstance that syncs it, else the objects of gotk-sync.yaml,
// else a Kustomization that applies the cluster's folder. The settings that are written anywhere in that folder are known
// from the start.
func (l *landscape) enter(ctx context.Context) error {
	found := entries{sources: map[name]source{}, artifacts: map[name]artifact{}}
	for _, file := range l.fleet.below(l.folder) {
		if !manifest.IsYAML(file) {
			continue
		}
		data, err := l.fleet.Read(file)
		if err != nil {
			return err
		}
		docs, _ := manifest.Parse(manifest.UTF8(data)) // what is no YAML is for check to say
		l.lookAtFlux(data, docs)
		for _, doc := range docs {
			at := place{File: file, Line: doc.Line}
			l.setting(doc, at)
			if isKind(doc, "FluxInstance", "fluxcd.controlplane.io/") {
				l.enterInstance(ctx, doc, at)
				continue
			}
			found.add(doc, at, l.folder)
		}
	}
	if !l.byInstance {
		l.enterBy(found)
	}
	if len(l.appliers) == 0 {
		return fmt.Errorf("%w: %s has neither a FluxInstance that syncs the fleet, nor a gotk-sync.yaml, nor a Kustomization that applies the folder",
			ErrNoEntry, l.folder)
	}
	return nil
}

// add remembers a document of a cluster's folder.
func (f *entries) add(doc *yaml.Node, at place, folder string) {
	switch {
	case isKind(doc, gitRepository, sourceGroup):
		s := sourceOf(objectOf(doc), at)
		f.sources[s.name] = s
	case isKind(doc, ociRepository, sourceGroup):
		object := objectOf(doc)
		f.artifacts[nameOf(object)] = artifactOf(object, at)
	case isKind(doc, "Kustomization", kustomizeGroup) && path.Base(at.File) == syncFile:
		f.sync = append(f.sync, applierOf(objectOf(doc), at, nil))
	case isKind(doc, "Kustomization", kustomizeGroup) && appliesFolder(doc, folder):
		f.others = append(f.others, applierOf(objectOf(doc), at, nil))
	}
}

// enterBy takes the Kustomizations of gotk-sync.yaml, else the first other one, for the entry.
func (l *landscape) enterBy(found entries) {
	by := found.sync
	if len(by) == 0 && len(found.others) > 0 {
		by = found.others[:1]
	}
	for _, a := range by {
		l.own = a.Source
		if s, ok := found.sources[a.Source]; ok {
			l.sources[s.name] = s
		}
		if from, ok := found.artifacts[a.Source]; ok {
			l.prepared[a.Source] = from
		}
	}
	l.appliers = append(l.appliers, by...)
}

const syncFile = "gotk-sync.yaml"

// appliesFolder reports whether a Kustomization applies a cluster's folder.
func appliesFolder(doc *yaml.Node, folder string) bool {
	applied := repositoryPath(manifest.Text(manifest.At(doc, "spec", "path")))
	kind := manifest.Text(manifest.At(doc, "spec", "sourceRef", "kind"))
	return applied != "." && within(applied, folder) && (kind == gitRepository || kind == ociRepository)
}

// setting remembers a ConfigMap.
func (l *landscape) setting(doc *yaml.Node, at place) {
	if manifest.Text(manifest.Field(doc, "kind")) != "ConfigMap" {
		return
	}
	values := map[string]string{}
	for _, entry := range manifest.Pairs(manifest.Field(doc, "data")) {
		values[entry.Key.Value] = manifest.Text(entry.Value)
	}
	n := name{cmp.Or(manifest.Text(manifest.At(doc, "metadata", "namespace")), fluxNamespace),
		manifest.Text(manifest.At(doc, "metadata", "name"))}
	l.settings[n], l.written[n] = values, at
}

// enterInstance is for a FluxInstance, of whose sync Flux Operator makes a source and a Kustomization.
func (l *landscape) enterInstance(ctx context.Context, doc *yaml.Node, at place) {
	sync := manifest.At(doc, "spec", "sync")
	kind := manifest.Text(manifest.Field(sync, "kind"))
	if kind != gitRepository && kind != ociRepository {
		return
	}
	own := name{fluxNamespace, cmp.Or(manifest.Text(manifest.Field(sync, "name")), fluxNamespace)}
	url, ref := manifest.Text(manifest.Field(sync, "url")), manifest.Text(manifest.Field(sync, "ref"))
	if l.own = own; kind == gitRepository {
		l.sources[own] = source{name: own, place: at, URL: url, Branch: strings.TrimPrefix(ref, "refs/heads/"),
			Login: manifest.Text(manifest.Field(sync, "pullSecret"))}
	} else {
		l.prepared[own] = artifact{url, ref, at}
	}
	object := map[string]any{"apiVersion": kustomizeGroup + "v1", "kind": "Kustomization", "metadata": map[string]any{"name": own.Name,
		"namespace": own.Namespace},
		"spec": map[string]any{"path": manifest.Text(manifest.Field(sync, "path")), "sourceRef": map[string]any{"kind": kind, "name": own.Name}}}
	object, err := patched(ctx, object, manifest.At(doc, "spec", "kustomize", "patches"))
	if err != nil {
		l.stop(at, "build", fmt.Sprintf("the patches of FluxInstance %s cannot be applied: %v", own.Name, err), "correct spec.kustomize.patches")
		return
	}
	l.byInstance = true
	l.appliers = append(l.appliers, applierOf(object, at, nil))
}

// patched is an object after patches, as Flux Operator applies those of a FluxInstance.
func patched(ctx context.Context, object map[string]any, patches *yaml.Node) (map[string]any, error) {
	if patches == nil {
		return object, nil
	}
	dir, err := os.MkdirTemp("", "keos-oci-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var all []any
	err = patches.Decode(&all)
	for file, content := range map[string]any{"object.yaml": object,
		"kustomization.yaml": map[string]any{"resources": []string{"object.yaml"}, "patches": all}} {
		data, fault := yaml.Marshal(content)
		err = errors.Join(err, fault, os.WriteFile(filepath.Join(dir, file), data, 0o600))
	}
	if err != nil {
		return nil, err
	}
	built, err := kustomize.Build(ctx, dir, ".", kustomize.Options{})
	if err != nil {
		return nil, err
	}
	if built.Size() != 1 {
		return nil, fmt.Errorf("they make %d objects of one", built.Size())
	}
	return built.Resources()[0].Map()
}
