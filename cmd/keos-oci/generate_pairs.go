package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/flux"
)

func (a *app) generatePairsCmd() *cobra.Command {
	var r flux.PairsRequest
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "ocirepository [COMPONENT…]",
		Short: "Write OCIRepository and Kustomization pairs, without Flux Operator",
		Long: `For each component: an OCIRepository that follows a channel and verifies its signatures, and a Kustomization that
applies the variant of
the environment, or one Kustomization for each phase. For a fleet, the Kustomization applies the folder of the cluster of --environment.
${VARIABLES} in the content are not replaced, unless --substitute-from gives the ConfigMap with their values, or --substitute the values.

With --source-only, no Kustomization is written: the cluster has one that takes its files from another source.

With --into, only two things change in the OCIRepositories of a file: what they point to, and what they verify. So one --pin moves one
cluster to another version, and back.`,
		Example: `  keos-oci generate ocirepository frontend --channel latest-stable \
      --environment production
  keos-oci generate ocirepository infrastructure --channel latest-stable \
      --environment infrastructure --pin infrastructure=v0.2.0 \
      --into clusters/demo/infrastructure.yaml
  keos-oci generate ocirepository --channel latest --environment staging \
      --dir clusters/staging
  keos-oci -C fleet generate ocirepository --channel latest-stable \
      --environment prod-eu --substitute-from settings
  keos-oci generate ocirepository frontend --channel latest --source-only`,
		ValidArgsFunction: a.completeComponents,
	}
	bindTenants(cmd.Flags(), &r.Request, &signing)
	bindOutput(cmd.Flags(), &r.Output, "folder for <component>.yaml")
	f, p := cmd.Flags(), &r.Pairs
	f.StringVar(&p.Channel, "channel", "", "channel to follow (required)")
	f.StringVar(&p.Environment, "environment", "", "variant to apply; for a fleet: the cluster or its folder (required without --source-only)")
	f.BoolVar(&p.SourceOnly, "source-only", false, "write only OCIRepositories")
	f.StringVar(&p.Namespace, "namespace", "flux-system", "namespace of the Flux objects")
	f.StringVar(&p.TargetNamespace, "target-namespace", "", "namespace for objects without a namespace")
	f.StringVar(&p.KustomizeAs, "kustomize-as", "", "ServiceAccount that applies the content")
	f.StringVar(&p.SubstituteFrom, "substitute-from", "", "ConfigMap with the values of the content's ${VARIABLES}")
	f.StringArrayVar(&r.Values, "substitute", nil, "KEY=VALUE: the value of a ${KEY} in the content")
	f.StringArrayVar(&r.Health, "health-check", nil,
		"COMPONENT=APIVERSION/KIND/NAMESPACE/NAME: this object decides whether the component is ready, instead of all its objects")
	f.BoolVar(&p.Redirect, "redirect-sources", false,
		"Kustomizations in the content use the OCIRepository as their source instead of their Git repository")
	f.StringVar(&r.Into, "into", "", "edit the OCIRepositories in this file instead of writing new objects")
	_ = cmd.MarkFlagRequired("channel")
	cmd.MarkFlagsOneRequired("environment", "source-only")
	for _, name := range []string{"target-namespace", "kustomize-as", "substitute-from", "substitute", "health-check",
		"redirect-sources", "into", "component-depends-on", "no-substitute"} {
		cmd.MarkFlagsMutuallyExclusive("source-only", name)
	}
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Names = args
		return a.generate(cmd.Context(), &r, &r.Request, &signing)
	}
	return cmd
}
