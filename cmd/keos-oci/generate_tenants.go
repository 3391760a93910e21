package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/flux"
)

// bindSets is for ResourceSets and their inputs.
func bindSets(f *pflag.FlagSet, r *flux.TenantsRequest, signing *signFlags) {
	bindTenants(f, &r.Request, signing)
	f.StringVar(&r.Environment, "environment", "",
		"environment, or the ${VARIABLE} of a cluster's settings with the environment (default ${ENVIRONMENT})")
	f.StringVar((*string)(&r.Signer), "signer", "",
		"where the signer is written: cluster (once in the settings of the cluster, as in D2) or component (in the inputs, for each component and "+
			"channel); default cluster for workflows of one GitHub repository, else component")
}

func (a *app) generateResourceSetCmd() *cobra.Command {
	var r flux.ResourceSetRequest
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "resourceset infra|apps [COMPONENT…]",
		Short: "Write the ResourceSet that delivers all infra components or all apps",
		Long: `The ResourceSet has the shape of the D2 reference architecture. Each component gets a namespace with the settings of the
cluster, the
login for the registry, a ServiceAccount with its rights, an OCIRepository, and one Kustomization for each phase. infra waits for the
ResourceSet policies, and apps wait for infra; --depends-on changes this.

Generated clusters apply everything in tenants/. If --dir has other files there, nothing is written (exit code 3).`,
		Example: `  keos-oci generate resourceset infra
  keos-oci -C apps generate resourceset apps --dir fleet
  keos-oci generate resourceset apps --workspace shop --workspace billing \
      --signer component --dir fleet
  keos-oci generate resourceset apps --dir fleet --check`,
		Args: cobra.MinimumNArgs(1),
	}
	bindSets(cmd.Flags(), &r.TenantsRequest, &signing)
	bindOutput(cmd.Flags(), &r.Output, "top folder of the fleet's checkout, for tenants/<name>.yaml")
	f := cmd.Flags()
	f.StringArrayVar(&r.After, "depends-on", nil, "resourceset/NAME or kustomization/NAMESPACE/NAME that must be ready first, or none")
	f.BoolVar(&r.ClusterPins, "cluster-pins", false, "allow the settings of a cluster to pin components (see generate cluster --pin)")
	bindTenantsFolder(f, &r.TenantsFolder)
	f.BoolVar(&r.Providers, "providers", false, "use a ResourceSetInputProvider for each component to look up tags, and follow digests")
	cmd.ValidArgsFunction = a.completeTenants
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Kind, r.Names = args[0], args[1:]
		return a.generate(cmd.Context(), &r, &r.Request, &signing)
	}
	return cmd
}

func (a *app) generateInputsCmd() *cobra.Command {
	var r flux.InputsRequest
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "inputs [COMPONENT…]",
		Short: "Add components to the inputs of a ResourceSet",
		Long: `This is how a component gets into a fleet. inputs prints the inputs of the components, or adds the missing ones to the
file of --into.
Only lines of inputs change: comments, order and quoting stay. A new input has the keys and values of its neighbours. Existing inputs stay,
except for a --pin and for keys that the resources need and the input lacks. A second run changes nothing.`,
		Example: `  keos-oci generate inputs
  keos-oci generate inputs checkout --into fleet/tenants/apps.yaml
  keos-oci generate inputs --into fleet/tenants/apps.yaml --check
  keos-oci generate inputs frontend --pin frontend=v1.2.3 \
      --into fleet/tenants/apps.yaml`,
		ValidArgsFunction: a.completeComponents,
	}
	bindSets(cmd.Flags(), &r.TenantsRequest, &signing)
	f := cmd.Flags()
	f.StringVar(&r.Into, "into", "", "file with the ResourceSet to edit")
	f.StringVar(&r.Kind, "kind", "", "kind of the components: infra or apps (default the only kind of the workspaces)")
	f.BoolVar(&r.Prune, "prune", false, "remove inputs of components that no workspace has")
	f.BoolVar(&r.Output.Check, "check", false, "change nothing; exit with 3 if the file would change")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Names = args
		return a.generate(cmd.Context(), &r, &r.Request, &signing)
	}
	return cmd
}

func (a *app) generatePoliciesCmd() *cobra.Command {
	var r flux.PoliciesRequest
	cmd := &cobra.Command{
		Use:   "policies",
		Short: "Write the admission policy that limits tenants to known sources",
		Long: `A ValidatingAdmissionPolicy for the namespaces of apps. It denies Flux sources with a URL that does not begin with an
allowed one. By
default the registries of the workspaces are allowed.`,
		Example: `  keos-oci generate policies --dir .
  keos-oci generate policies --allow-source oci://ghcr.io/stratio/ \
      --allow-source oci://ghcr.io/stefanprodan/charts/`,
		Args: cobra.NoArgs,
	}
	bindOutput(cmd.Flags(), &r.Output, "top folder of the fleet's checkout, for tenants/policies.yaml")
	bindTenantsFolder(cmd.Flags(), &r.TenantsFolder)
	cmd.Flags().StringArrayVar(&r.Workspaces, "workspace", nil, "checkout whose registry is allowed; can be repeated (default -C)")
	cmd.Flags().StringArrayVar(&r.Sources, "allow-source", nil,
		"beginning of allowed URLs, with a slash at the end, instead of the registries of the workspaces")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.generate(cmd.Context(), &r, &r.Request, &signFlags{})
	}
	return cmd
}
