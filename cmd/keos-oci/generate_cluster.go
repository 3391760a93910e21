package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/flux"
)

func (a *app) generateClusterCmd() *cobra.Command {
	var r flux.ClusterRequest
	var signing signFlags
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
	bindCluster(cmd, &r, &signing)
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Cluster.Name = args[0]
		return a.generate(cmd.Context(), &r, &r.Request, &signing)
	}
	return cmd
}

func bindCluster(cmd *cobra.Command, r *flux.ClusterRequest, signing *signFlags) {
	f, c, d := cmd.Flags(), &r.Cluster, &r.Cluster.Flux
	bindAccess(f, &r.Request, signing)
	bindOutput(f, &r.Output, "top folder of the fleet's checkout, for clusters/<name>")
	f.StringArrayVar(&r.Workspaces, "workspace", nil, "checkout with components of the cluster; can be repeated")
	f.StringVar(&c.Environment, "environment", "", "environment of the cluster: the variant of each component (required)")
	f.StringVar(&c.Channel, "channel", "", "channel that the cluster follows (required)")
	f.StringVar(&c.Domain, "domain", "", "CLUSTER_DOMAIN in the settings of the cluster (required)")
	bindTenantsFolder(f, &c.TenantsFolder)
	f.StringVar(&c.DisplayName, "cluster-name", "", "CLUSTER_NAME in the settings of the cluster (default NAME)")
	f.StringArrayVar(&r.Settings, "set", nil, "KEY=VALUE: adds a setting to flux-runtime-info; components use it as ${KEY}")
	f.StringArrayVar(&r.Pins, "pin", nil,
		"COMPONENT=PIN: pin a component of --workspace; needs ResourceSets that were generated with --cluster-pins")
	f.StringVar(&r.FleetPin, "pin-fleet", "", "pin the fleet to a version or a digest")
	f.StringVar(&c.Workflow, "signer-workflow", "",
		"regular expression for the workflow that signs components, without .yaml (default any)")
	f.StringVar(&c.GitRef, "signer-ref", "", "regular expression for the Git reference of that workflow (default that of the channel)")
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
	for name, values := range map[string][]string{"cluster-type": flux.ClusterTypes(), "cluster-size": flux.ClusterSizes()} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}
