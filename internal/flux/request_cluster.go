package flux

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/fileset"
)

// ClusterRequest asks for all that a new cluster needs in the fleet.
type ClusterRequest struct {
	Request
	Cluster  Cluster
	Settings []string // KEY=VALUE
	FleetPin string
}

// ClusterTypes are the values of Distribution.Type.
func ClusterTypes() []string { return []string{"kubernetes", "openshift", "aws", "azure", "gcp"} }

// ClusterSizes are the values of Distribution.Size.
func ClusterSizes() []string { return []string{"small", "medium", "large"} }

// Generate writes the files of the cluster.
func (r ClusterRequest) Generate(ctx context.Context) (*fileset.Result, error) {
	if err := r.complete(ctx); err != nil {
		return nil, err
	}
	files, err := r.Cluster.Files()
	if err != nil {
		return nil, err
	}
	clusters, err := clustersIn(cmp.Or(r.Output.Dir, r.Directory))
	if err != nil {
		return nil, err
	}
	if err := r.Cluster.checkNew(clusters); err != nil {
		return nil, err
	}
	r.Output.MustBeNew = true
	if err := checkTenants(&r.Output, r.Cluster.TenantsFolder); err != nil {
		return nil, err
	}
	r.Output.Note(r.Cluster.Notes()...)
	for _, s := range r.Cluster.Secrets() {
		r.Output.Note(fmt.Sprintf("the cluster needs the Secret %s in flux-system: %s", s.Key, s.Value))
	}
	return r.Output.Put(files, fileset.Entries{})
}

// complete adds to the cluster what the fleet and the workspaces say.
func (r *ClusterRequest) complete(ctx context.Context) (err error) {
	c := &r.Cluster
	if err := oneOf("cluster-type", c.Flux.Type, ClusterTypes()); err != nil {
		return err
	}
	if err := oneOf("cluster-size", c.Flux.Size, ClusterSizes()); err != nil {
		return err
	}
	ws, err := r.Open(ctx, r.Directory, OpenOptions{NewFleet: true})
	if err != nil {
		return err
	}
	if c.Fleet, err = r.fleet(ctx, ws); err != nil {
		return err
	}
	if c.Encrypted, err = encryptedFor(ws, *c); err != nil {
		return err
	}
	if r.FleetPin != "" {
		if err = c.Fleet.PinTo(r.FleetPin); err != nil {
			return err
		}
		if err = r.checkPin(ctx, ws, c.Fleet); err != nil {
			return err
		}
	}
	c.Access, c.Trust = r.Access, r.Trust
	if c.Decryption, err = r.decryptionSecret(); err != nil {
		return err
	}
	if err = r.components(ctx); err != nil {
		return err
	}
	c.Settings, err = parseSettings("set", r.Settings)
	return err
}

// components adds the components that the cluster will run, and their pins.
func (r *ClusterRequest) components(ctx context.Context) (err error) {
	c := &r.Cluster
	if len(r.Workspaces) == 0 {
		if len(r.Pins) > 0 {
			return fmt.Errorf("%w: --pin needs --workspace: which component that is says its checkout", exit.ErrUsage)
		}
		return nil
	}
	inner := r.Request // which has the defaults of the fleet, and gets those of the workspaces
	if c.Components, err = inner.follow(ctx, OpenOptions{Plain: true}, nil, component.Infra, component.App); err != nil {
		return err
	}
	r.Output.Notes = inner.Output.Notes
	for _, f := range c.Components {
		if !f.Pin.IsZero() && !f.Pin.None {
			c.Pins = append(c.Pins, ComponentPin{Component: f.Component, Policies: f.Policies, Pin: f.Pin})
		}
	}
	return nil
}

func oneOf(flag, value string, known []string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%w: --%s %s is none of %s", exit.ErrUsage, flag, value, strings.Join(known, ", "))
}

// fleet is the fleet of the workspace, be it one that has no cluster yet.
func (r *ClusterRequest) fleet(ctx context.Context, ws Workspace) (Followed, error) {
	loaded := ws.Loaded()
	r.defaults(loaded)
	var found []component.Component
	for _, c := range loaded.Components {
		if c.Kind == component.Fleet {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return Followed{}, fmt.Errorf("%w: the workspace has %d fleets among its components (%s): "+
			"name one under components in %s, with kind: fleet",
			component.ErrNoComponents, len(found), strings.Join(loaded.Components.Names(), ", "), component.ConfigFile)
	}
	return r.of(ctx, ws, found[0])
}

// encryptedFor finds out what of the fleet has to be decrypted on a cluster.
func encryptedFor(ws Workspace, c Cluster) (Encrypted, error) {
	own, err := ws.EncryptedIn("clusters/" + c.Name)
	if err != nil {
		return Encrypted{}, err
	}
	tenants, err := ws.EncryptedIn(cmp.Or(c.TenantsFolder, TenantsFolder))
	return Encrypted{Cluster: own, Tenants: tenants}, err
}
