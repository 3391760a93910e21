package release

import "github.com/stratio/keos-oci/internal/component"

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
