package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/release"
)

// clusterFlags are those of a new cluster.
type clusterFlags struct {
	generateFlags
	cluster  flux.Cluster
	settings []string
	fleetPin string
}

func (a *app) generateClusterCmd() *cobra.Command {
	var c clusterFlags
	cmd := &cobra.Command{
		Use:   "cluster NAME",
		Short: "Write everything that a new cluster needs in the fleet",
		Long: `Writes clusters/<name>: the FluxInstance that follows the fleet on a channel and verifies its signature, Flux Operator
with its values, the
settings of the cluster, and the tenants. Run it in the checkout of the fleet. --workspace gives the checkouts with the components of the
cluster; keos-oci checks that they have the environment. stderr lists the Secrets that the cluster needs first.

The cluster applies everything in tenants/. If --dir has files there that generate did not write, nothing is written (exit code 3). Move
these files, or choose another folder with --tenants-folder.`,
		Example: `  keos-oci generate cluster prod-eu --environment production \
      --channel latest-stable --domain prodeu.example.com --dir .
  keos-oci generate cluster staging --environment staging --channel latest \
      --domain preview.example.com --dir .
  keos-oci generate cluster edge --environment production \
      --channel latest-stable --domain edge.example.com \
      --set CONTAINER_REGISTRY_URL=registry.example.com:11443 \
      --workspace ../apps --pin frontend=v1.2.3`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.bind(cmd)
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.cluster.Name = args[0]
		if err := a.cluster(cmd.Context(), &c); err != nil {
			return err
		}
		files, err := c.cluster.Files()
		if err != nil {
			return err
		}
		if err := a.checkNew(&c); err != nil {
			return err
		}
		if err := c.output.checkTenants(c.cluster.TenantsFolder); err != nil {
			return err
		}
		c.output.notes = append(c.output.notes, c.cluster.Notes()...)
		for _, s := range c.cluster.Secrets() {
			c.output.notes = append(c.output.notes, fmt.Sprintf("the cluster needs the Secret %s in flux-system: %s", s.Key, s.Value))
		}
		return a.finishFiles(c.output, files, nil)
	}
	return cmd
}

func (c *clusterFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	c.bindAccess(f)
	c.output.bind(f, "top folder of the fleet's checkout, for clusters/<name>")
	f.StringArrayVar(&c.workspaces, "workspace", nil, "checkout with components of the cluster; can be repeated")
	f.StringVar(&c.cluster.Environment, "environment", "", "environment of the cluster: the variant of each component (required)")
	f.StringVar(&c.cluster.Channel, "channel", "", "channel that the cluster follows (required)")
	f.StringVar(&c.cluster.Domain, "domain", "", "CLUSTER_DOMAIN in the settings of the cluster (required)")
	bindTenantsFolder(f, &c.cluster.TenantsFolder)
	f.StringVar(&c.cluster.DisplayName, "cluster-name", "", "CLUSTER_NAME in the settings of the cluster (default NAME)")
	f.StringArrayVar(&c.settings, "set", nil, "KEY=VALUE: adds a setting to flux-runtime-info; components use it as ${KEY}")
	f.StringArrayVar(&c.pins, "pin", nil, "COMPONENT=PIN: pin a component of --workspace; needs ResourceSets that were generated with --cluster-pins")
	f.StringVar(&c.fleetPin, "pin-fleet", "", "pin the fleet to a version or a digest")
	f.StringVar(&c.cluster.Workflow, "signer-workflow", "",
		"regular expression for the workflow that signs components, without .yaml (default any)")
	f.StringVar(&c.cluster.GitRef, "signer-ref", "", "regular expression for the Git reference of that workflow (default that of the channel)")
	d := &c.cluster.Flux
	f.StringVar(&d.Version, "flux-version", "", `version of Flux to install (default "2.x")`)
	f.StringVar(&d.Registry, "flux-registry", "", `registry with the images of Flux (default "ghcr.io/fluxcd")`)
	f.StringVar(&d.Artifact, "flux-artifact", "", "oci:// address of the manifests of Flux Operator (default ControlPlane's)")
	f.StringVar(&d.PullSecret, "flux-pull-secret", "", "Secret in flux-system with the login for the images of Flux")
	f.StringVar(&d.Chart, "operator-chart", "", "oci:// address of the chart of Flux Operator (default ControlPlane's)")
	f.StringVar(&d.ChartSecret, "operator-chart-secret", "", "Secret in flux-system with the login for the chart")
	f.StringSliceVar(&d.Components, "flux-components", nil, "controllers of Flux to install (default those of D2)")
	f.StringVar(&d.Type, "cluster-type", "", "kubernetes, openshift, aws, azure or gcp (default kubernetes)")
	f.StringVar(&d.Size, "cluster-size", "", "small, medium or large (default medium)")
	f.StringVar(&d.InternalDomain, "internal-domain", "", `domain of the cluster's Services (default "cluster.local")`)
	putUnder(f, headingFlux, "flux-version", "flux-registry", "flux-artifact", "flux-pull-secret", "operator-chart", "operator-chart-secret",
		"flux-components", "cluster-type", "cluster-size", "internal-domain")
	for _, name := range []string{"environment", "channel", "domain"} {
		_ = cmd.MarkFlagRequired(name)
	}
	for name, values := range map[string][]string{"cluster-type": {"kubernetes", "openshift", "aws", "azure", "gcp"},
		"cluster-size": {"small", "medium", "large"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// cluster completes the cluster that the flags describe with what the fleet and the workspaces say.
func (a *app) cluster(ctx context.Context, c *clusterFlags) (err error) {
	if err := oneOf("cluster-type", c.cluster.Flux.Type, "kubernetes", "openshift", "aws", "azure", "gcp"); err != nil {
		return err
	}
	if err := oneOf("cluster-size", c.cluster.Flux.Size, "small", "medium", "large"); err != nil {
		return err
	}
	fleet, svc, err := a.fleet(ctx, &c.generateFlags)
	if err != nil {
		return err
	}
	c.cluster.Fleet = fleet
	if c.cluster.Encrypted, err = encrypted(svc, c.cluster.Name, c.cluster.TenantsFolder); err != nil {
		return err
	}
	if c.fleetPin != "" {
		if err = c.cluster.Fleet.PinTo(c.fleetPin); err != nil {
			return err
		}
		if err = c.checkPin(ctx, svc, c.cluster.Fleet); err != nil {
			return err
		}
	}
	c.cluster.Access, c.cluster.Trust = c.access, c.trust
	if c.cluster.Decryption, err = c.key(); err != nil {
		return err
	}
	if len(c.workspaces) > 0 {
		global := a.global
		a.global.registry, a.global.config = "", "" // which speak of the fleet
		defer func() { a.global = global }()
		inner := c.generateFlags // whose defaults are the fleet's already
		if c.cluster.Follow, err = a.follow(ctx, &inner, nil, component.Infra, component.App); err != nil {
			return err
		}
		c.output.notes = inner.output.notes
	} else if len(c.pins) > 0 {
		return fmt.Errorf("%w: --pin needs --workspace: which component that is says its checkout", errUsage)
	}
	for _, f := range c.cluster.Follow {
		if !f.Pin.IsZero() && !f.Pin.None {
			c.cluster.Pins = append(c.cluster.Pins, flux.ComponentPin{Component: f.Component, Policies: f.Policies, Pin: f.Pin})
		}
	}
	c.cluster.Settings, err = settings("set", c.settings)
	return err
}

func oneOf(flag, value string, known ...string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%w: --%s %s is none of %s", errUsage, flag, value, strings.Join(known, ", "))
}

// fleet is the fleet of the workspace, be it one that has no cluster yet.
func (a *app) fleet(ctx context.Context, g *generateFlags) (flux.Follow, *release.Service, error) {
	svc, err := a.serviceIn(ctx, a.global.directory, true, nil)
	if err != nil {
		return flux.Follow{}, nil, err
	}
	g.defaults(svc.Workspace)
	var found []component.Component
	for _, c := range svc.Workspace.Components {
		if c.Kind == component.Fleet {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return flux.Follow{}, nil,
			fmt.Errorf("%w: the workspace has %d fleets among its components (%s): name one under components in %s, with kind: fleet",
				component.ErrNoComponents, len(found), strings.Join(svc.Workspace.Components.Names(), ", "), component.ConfigFile)
	}
	f, err := g.one(ctx, svc, found[0])
	return f, svc, err
}

// encrypted finds out what of the fleet has to be decrypted on a cluster.
func encrypted(svc *release.Service, cluster, tenantsFolder string) (flux.Encrypted, error) {
	own, err := svc.EncryptedIn("clusters/" + cluster)
	if err != nil {
		return flux.Encrypted{}, err
	}
	tenants, err := svc.EncryptedIn(cmp.Or(tenantsFolder, flux.TenantsFolder))
	return flux.Encrypted{Cluster: own, Tenants: tenants}, err
}

// checkNew demands that the name is free, unless the files are only compared or may be written over.
func (a *app) checkNew(c *clusterFlags) error {
	dir := c.output.dir
	if dir == "" {
		dir = a.global.directory
	}
	known, err := knownClusters(dir)
	if err != nil {
		return err
	}
	if err := c.cluster.CheckNew(known); err != nil {
		return err
	}
	c.output.mustBeNew = true
	return nil
}
