package release

import "github.com/stratio/keos-oci/internal/component"

// ComponentsResult is the components of a checkout. Registry is "" where it is not known.
type ComponentsResult struct {
	Registry   string            `json:"registry"`
	Components []ListedComponent `json:"components"`
}

// ListedComponent is what is known of a component without a registry.
type ListedComponent struct {
	Name       string         `json:"name"`
	Kind       component.Kind `json:"kind"`
	Dir        string         `json:"dir"`
	Root       string         `json:"root"`
	Paths      []string       `json:"paths"`
	Repository string         `json:"repository"`
	Variants   []string       `json:"variants"`
	Phases     []string       `json:"phases"`
	GitTag     string         `json:"gitTag"`
}

// NewComponents lists components of a workspace. It leaves their repositories out where it is not known where they are.
func NewComponents(w *component.Workspace, set component.Set) *ComponentsResult {
	res := &ComponentsResult{Components: make([]ListedComponent, len(set))}
	for i, c := range set {
		res.Components[i] = ListedComponent{c.Name, c.Kind, c.Dir, c.Root, c.Paths, c.Repository.String(), orEmpty(c.Variants), orEmpty(c.Phases),
			c.GitTag}
		if !w.Named() {
			res.Components[i].Repository = ""
		}
	}
	if w.Named() {
		res.Registry = w.Registry
	}
	return res
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Matrix is the jobs of a workflow of GitHub: one for each component, or one for each shard of them.
type Matrix struct {
	Include []map[string]any `json:"include"`
}

// NewMatrix makes a job for each component, or, with shards, at most so many jobs.
func NewMatrix(set component.Set, shards int) *Matrix {
	m := &Matrix{Include: []map[string]any{}}
	if shards > 0 {
		for i, shard := range set.Shards(shards) {
			m.Include = append(m.Include, map[string]any{"shard": i, "components": shard.Names()})
		}
		return m
	}
	for _, c := range set {
		m.Include = append(m.Include, map[string]any{"component": c.Name, "kind": c.Kind, "dir": c.Dir, "repository": c.Repository.String()})
	}
	return m
}
