package flux

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/fileset"
)

// TenantsRequest is what the requests for a ResourceSet, and for its inputs, have in common.
type TenantsRequest struct {
	Request
	Environment string // or the ${VARIABLE} of a cluster's settings that chooses it
	Signer      Signer
	Names       []string // of components; all where empty
}

// tenants is what was asked for, for components of one kind.
func (r *TenantsRequest) tenants(kind component.Kind, follow []Followed) (Tenants, error) {
	if !slices.Contains([]Signer{SignerAuto, SignerCluster, SignerComponent}, r.Signer) {
		return Tenants{}, fmt.Errorf("%w: --signer %s is neither cluster nor component", exit.ErrUsage, r.Signer)
	}
	key, err := r.decryptionSecret()
	return Tenants{Kind: kind, Components: follow, Environment: r.Environment, Interval: r.Interval, Access: r.Access, Trust: r.Trust,
		Signer: r.Signer, Decryption: key}, err
}

func (r *TenantsRequest) selects() string {
	if r.Environment == "" {
		return "${ENVIRONMENT}"
	}
	return r.Environment
}

// ParseKind reads the kind of the components of a ResourceSet.
func ParseKind(text string) (component.Kind, error) {
	switch text {
	case "infra":
		return component.Infra, nil
	case "apps", "app":
		return component.App, nil
	}
	return "", fmt.Errorf("%w: %q: want infra or apps", exit.ErrUsage, text)
}

// ResourceSetRequest asks for the ResourceSet that delivers all components of a kind.
type ResourceSetRequest struct {
	TenantsRequest
	Kind          string   // infra or apps
	After         []string // what must be ready before, or none; as in D2 where empty
	ClusterPins   bool
	TenantsFolder string
	Providers     bool
}

// Generate writes the ResourceSet.
func (r ResourceSetRequest) Generate(ctx context.Context) (*fileset.Result, error) {
	kind, err := ParseKind(r.Kind)
	if err != nil {
		return nil, err
	}
	follow, err := r.follow(ctx, OpenOptions{}, r.Names, kind)
	if err != nil {
		return nil, err
	}
	tenants, err := r.tenants(kind, follow)
	if err != nil {
		return nil, err
	}
	tenants.DependsOn, tenants.ClusterPins, tenants.Providers = after(kind, r.After), r.ClusterPins, r.Providers
	tenants.Folder = r.TenantsFolder
	clusters, err := clustersIn(r.Output.Dir)
	if err != nil {
		return nil, err
	}
	if err := selectedBy(follow, r.selects(), clusters); err != nil {
		return nil, err
	}
	r.Output.Note(tenants.Notes(clusters)...)
	file, err := tenants.File()
	if err != nil {
		return nil, err
	}
	if err := checkTenants(&r.Output, r.TenantsFolder); err != nil {
		return nil, err
	}
	return r.Output.Put([]fileset.File{file}, fileset.Entries{})
}

// after is what tenants of a kind wait for: in D2, policies come before infra and infra before apps.
func after(kind component.Kind, asked []string) []string {
	switch {
	case len(asked) == 1 && asked[0] == "none":
		return nil
	case len(asked) > 0:
		return asked
	case kind == component.Infra:
		return []string{"resourceset/policies"}
	}
	return []string{"resourceset/infra"}
}

// InputsRequest asks for the inputs of a ResourceSet.
type InputsRequest struct {
	TenantsRequest
	Into  string // file with the ResourceSet that is changed; the inputs are printed where it is empty
	Kind  string // infra or apps; the only one there is where it is empty
	Prune bool   // remove the inputs of components that are in none of the workspaces
}

// Generate prints the inputs, or brings those of a file up to date.
func (r InputsRequest) Generate(ctx context.Context) (*fileset.Result, error) {
	if r.Into == "" && (r.Prune || r.Output.Check) {
		return nil, fmt.Errorf("%w: --prune and --check go with --into FILE", exit.ErrUsage)
	}
	if r.Prune && len(r.Names) > 0 {
		return nil, fmt.Errorf("%w: --prune compares with all components: name none", exit.ErrUsage)
	}
	edit, err := r.edit(ctx)
	if err != nil {
		return nil, err
	}
	if r.Into == "" {
		if err := selectedBy(edit.Components, r.selects(), nil); err != nil {
			return nil, err
		}
		list, err := edit.inputList()
		if err != nil {
			return nil, err
		}
		return r.Output.Put([]fileset.File{{Content: list}}, fileset.Entries{})
	}
	edit.File, edit.Prune = r.Into, r.Prune
	return edit.put(r.Output)
}

// edit is the requested edit of components of one kind.
func (r *InputsRequest) edit(ctx context.Context) (Edit, error) {
	kinds := []component.Kind{component.Infra, component.App}
	if r.Kind != "" {
		kind, err := ParseKind(r.Kind)
		if err != nil {
			return Edit{}, err
		}
		kinds = []component.Kind{kind}
	}
	follow, err := r.follow(ctx, OpenOptions{}, r.Names, kinds...)
	if err != nil {
		return Edit{}, err
	}
	if len(follow) == 0 {
		return Edit{}, fmt.Errorf("%w: no component of the kind %s", component.ErrNoComponents, enumerateKinds(kinds))
	}
	of := follow[0].Component.Kind
	for _, f := range follow {
		if f.Component.Kind != of {
			return Edit{}, fmt.Errorf("%w: there are infra components and apps, which have ResourceSets of their own: choose with --kind",
				exit.ErrUsage)
		}
	}
	tenants, err := r.tenants(of, follow)
	return Edit{Tenants: tenants}, err
}

// put changes the file, after all that may be wrong was looked at.
func (e Edit) put(output fileset.Request) (*fileset.Result, error) {
	before, err := os.ReadFile(e.File)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", exit.ErrUsage, err)
	}
	change, err := e.Apply(before)
	if err != nil {
		return nil, err
	}
	clusters, err := clustersIn(filepath.Dir(filepath.Dir(e.File))) // of FLEET/tenants/apps.yaml
	if err != nil && len(change.Environments) > 0 {
		return nil, err
	}
	for _, environment := range change.Environments {
		if err := selectedBy(e.Components, environment, clusters); err != nil {
			return nil, err
		}
	}
	return output.PutEdit(e.File, before, change.Content, change.Entries)
}
