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

// enter finds what makes the cluster follow the fleet: a FluxInstance that syncs it, the objects of gotk-sync.yaml, or a Kustomization
// that applies the cluster's folder. The settings that are written anywhere in that folder are known from the start.
func (l *landscape) enter(ctx context.Context) error {
	var others []*applier
	sources := map[name]source{}
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
			switch {
			case isKind(doc, "FluxInstance", "fluxcd.controlplane.io/"):
				l.enterInstance(ctx, doc, at)
			case path.Base(file) == syncFile:
				l.enterSync(doc, at)
			case isKind(doc, gitRepository, sourceGroup):
				s := sourceOf(objectOf(doc), at)
				sources[s.name] = s
			case isKind(doc, "Kustomization", kustomizeGroup) && appliesFolder(doc, l.folder):
				others = append(others, applierOf(objectOf(doc), at, nil))
			}
		}
	}
	if len(l.appliers) == 0 && len(others) > 0 {
		l.enterBy(others[0], sources)
	}
	if len(l.appliers) == 0 {
		return fmt.Errorf("%w: %s has neither a FluxInstance that syncs a Git repository, nor a gotk-sync.yaml, nor a Kustomization that applies the folder",
			ErrNoEntry, l.folder)
	}
	return nil
}

const syncFile = "gotk-sync.yaml"

// appliesFolder reports whether a Kustomization applies a cluster's folder.
func appliesFolder(doc *yaml.Node, folder string) bool {
	applied := repositoryPath(manifest.Text(manifest.At(doc, "spec", "path")))
	return applied != "." && within(applied, folder) && manifest.Text(manifest.At(doc, "spec", "sourceRef", "kind")) == gitRepository
}

// enterBy is for a Kustomization that applies the cluster's folder, and that people apply by hand.
func (l *landscape) enterBy(a *applier, sources map[name]source) {
	l.own = a.Source
	if s, ok := sources[a.Source]; ok {
		l.sources[s.name] = s
	}
	l.appliers = append(l.appliers, a)
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

// enterSync is for gotk-sync.yaml, which people apply by hand.
func (l *landscape) enterSync(doc *yaml.Node, at place) {
	switch {
	case isKind(doc, gitRepository, sourceGroup):
		s := sourceOf(objectOf(doc), at)
		l.sources[s.name] = s
	case isKind(doc, ociRepository, sourceGroup):
		l.prepared[nameOf(objectOf(doc))] = artifactOf(objectOf(doc), at)
	case isKind(doc, "Kustomization", kustomizeGroup):
		l.enterBy(applierOf(objectOf(doc), at, nil), nil)
	}
}
