package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/flux"
)

func (a *app) generatePairsCmd() *cobra.Command {
	var g generateFlags
	var p flux.Pairs
	var into string
	var substitute []string
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
	g.bindTenants(cmd.Flags())
	g.output.bind(cmd.Flags(), "folder for <component>.yaml")
	f := cmd.Flags()
	f.StringVar(&p.Channel, "channel", "", "channel to follow (required)")
	f.StringVar(&p.Environment, "environment", "", "variant to apply; for a fleet: the cluster or its folder (required without --source-only)")
	f.BoolVar(&p.SourceOnly, "source-only", false, "write only OCIRepositories")
	f.StringVar(&p.Namespace, "namespace", "flux-system", "namespace of the Flux objects")
	f.StringVar(&p.TargetNamespace, "target-namespace", "", "namespace for objects without a namespace")
	f.StringVar(&p.KustomizeAs, "kustomize-as", "", "ServiceAccount that applies the content")
	f.StringVar(&p.SubstituteFrom, "substitute-from", "", "ConfigMap with the values of the content's ${VARIABLES}")
	f.StringArrayVar(&substitute, "substitute", nil, "KEY=VALUE: the value of a ${KEY} in the content")
	f.StringArrayVar(&g.health, "health-check", nil,
		"COMPONENT=APIVERSION/KIND/NAMESPACE/NAME: this object decides whether the component is ready, instead of all its objects")
	f.BoolVar(&p.Redirect, "redirect-sources", false,
		"Kustomizations in the content use the OCIRepository as their source instead of their Git repository")
	f.StringVar(&into, "into", "", "edit the OCIRepositories in this file instead of writing new objects")
	_ = cmd.MarkFlagRequired("channel")
	cmd.MarkFlagsOneRequired("environment", "source-only")
	for _, name := range []string{"target-namespace", "kustomize-as", "substitute-from", "substitute", "health-check",
		"redirect-sources", "into", "component-depends-on", "no-substitute"} {
		cmd.MarkFlagsMutuallyExclusive("source-only", name)
	}
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		follow, err := a.follow(cmd.Context(), &g, args, component.Infra, component.App, component.Fleet)
		if err != nil {
			return err
		}
		if len(follow) == 0 {
			return fmt.Errorf("%w: no component of the kind infra, app or fleet", component.ErrNoComponents)
		}
		p.Follow, p.Access, p.Trust, p.Interval = follow, g.access, g.trust, g.interval
		if p.Substitute, err = settings("substitute", substitute); err != nil {
			return err
		}
		if p.Decryption, err = g.key(); err != nil {
			return err
		}
		if into != "" {
			return a.repin(p, into, g.output)
		}
		if p.Values, err = findValues(g.output.dir, p.SubstituteFrom, p.Namespace); err != nil {
			return err
		}
		files, err := p.Files()
		if err != nil {
			return err
		}
		g.output.notes = append(g.output.notes, p.Notes()...)
		return a.finishFiles(g.output, files, nil)
	}
	return cmd
}

// repin changes where the OCIRepositories in a file point.
func (a *app) repin(p flux.Pairs, file string, o outputFlags) error {
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	after, changed, err := p.Repin(file, before)
	if err != nil {
		return err
	}
	o.dir, o.edits = filepath.Dir(file), true
	return a.finishFiles(o, []flux.File{{Path: filepath.Base(file), Content: fileset.Edit(before, after)}}, &flux.Change{Updated: changed})
}
