package flux

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stratio/keos-oci/internal/fileset"
)

// PoliciesRequest asks for the admission policy that keeps tenants to known sources.
type PoliciesRequest struct {
	Request
	Sources       []string // beginnings of URLs; the registries of the workspaces where empty
	TenantsFolder string
}

// Generate writes the policy.
func (r PoliciesRequest) Generate(ctx context.Context) (*fileset.Result, error) {
	if len(r.Sources) == 0 {
		var err error
		if r.Sources, err = r.registries(ctx); err != nil {
			return nil, err
		}
	}
	file, err := Allowlist{Sources: r.Sources, Folder: r.TenantsFolder}.File()
	if err != nil {
		return nil, err
	}
	return r.Output.Put([]fileset.File{file}, fileset.Entries{})
}

// registries is where the workspaces' components are, as beginnings of URLs.
func (r *PoliciesRequest) registries(ctx context.Context) ([]string, error) {
	var sources []string
	for _, dir := range r.dirs() {
		ws, err := r.Open(ctx, dir, OpenOptions{NewFleet: true})
		if err != nil {
			return nil, fmt.Errorf("workspace %s: %w", dir, err)
		}
		source := "oci://" + cmp.Or(ws.Loaded().Config.Generate.ClusterRegistry, ws.Loaded().Registry) + "/"
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources, nil
}
