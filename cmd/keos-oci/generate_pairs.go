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
		Short: "OCIRepository and Kustomization pairs, for clusters without Flux Operator",
		Long: `For each component an OCIRepository that follows a channel and verifies its signatures, and a Kustomization that applies the
environment's variant, or one for each phase. Of a fleet it applies the folder of one cluster, which --environment names. The
content's ${VARIABLES} are left alone unless --substitute-from names the ConfigMap that they come from, or --substitute gives
their values.

With --source-only there is no Kustomization: a cluster has one already, which takes its files from elsewhere.

With --into, only where the OCIRepositories in a file point and what they verify is changed: moving one cluster to another
version, and back, is one --pin.`,
		Example: `  keos-oci generate ocirepository frontend --channel latest-stable --environment production
  keos-oci generate ocirepository infrastructure --channel latest-stable --environment infrastructure \
      --pin infrastructure=v0.2.0 --into clusters/demo/infrastructure.yaml
  keos-oci generate ocirepository --channel latest --environment staging --dir clusters/staging
  keos-oci -C fleet generate ocirepository --channel latest-stable --environment prod-eu --substitute-from settings
  keos-oci generate ocirepository frontend --channel latest --source-only`,
		ValidArgsFunction: a.completeComponents,
	}
	g.bindTenants(cmd.Flags())
	g.output.bind(cmd.Flags(), "folder in which <component>.yaml is written")
	f := cmd.Flags()
	f.StringVar(&p.Channel, "channel", "", "channel to follow (required)")
	f.StringVar(&p.Environment, "environment", "", "variant to apply; of a fleet the cluster or its folder (required without --source-only)")
	f.BoolVar(&p.SourceOnly, "source-only", false, "write OCIRepositories alone")
	f.StringVar(&p.Namespace, "namespace", "flux-system", "namespace of the Flux objects")
	f.StringVar(&p.TargetNamespace, "target-namespace", "", "namespace of what is delivered, where the content does not say")
	f.StringVar(&p.KustomizeAs, "kustomize-as", "", "ServiceAccount that applies the content")
	f.StringVar(&p.SubstituteFrom, "substitute-from", "", "ConfigMap with the values of the content's ${VARIABLES}")
	f.StringArrayVar(&substitute, "substitute", nil, "KEY=VALUE: the value of a ${KEY} in the content")
	f.StringArrayVar(&g.health, "health-check", nil,
		"COMPONENT=APIVERSION/KIND/NAMESPACE/NAME: an object that decides whether it is ready, in place of all that it delivers")
	f.BoolVar(&p.Redirect, "redirect-sources", false,
		"let Kustomizations within the content take the OCIRepository for their source, in place of the Git repository that they name")
	f.StringVar(&into, "into", "", "file whose OCIRepositories are changed, instead of writing whole objects")
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
