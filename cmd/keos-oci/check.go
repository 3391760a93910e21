package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) checkCmd() *cobra.Command {
	var baseline string
	cmd := &cobra.Command{
		Use:   "check [COMPONENT…]",
		Short: "Find everything that publish would refuse, without a registry",
		Long: `Packs each component, unpacks the tarball into an empty folder, builds every variant there as Flux does and demands the
same output as in the checkout. Files from outside the component, plaintext Secrets, private keys and .env files are
refused with file and line; what may surprise on a cluster is a warning.

A baseline is a file with the errors of today, which are known from then on: they become warnings, and only new ones refuse a component.
Write it with --write-baseline FILE, name it in keos-oci.yaml (baseline: FILE) and commit both.

Text output and reports sum up many findings of one rule; -o json, yaml and sarif have each of them.`,
		Example: `  keos-oci check
  keos-oci check frontend -o json
  keos-oci check -o sarif >findings.sarif                for code scanning of GitHub and other code hosts
  keos-oci check --write-baseline ci/known.yaml          accept what is there today`,
		Annotations:       map[string]string{annotationFormats: formatSARIF},
		ValidArgsFunction: a.completeComponents,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.unnamed = true
			if cmd.Flags().Changed("write-baseline") {
				return a.writeBaseline(cmd.Context(), baseline, args)
			}
			svc, err := a.service(cmd.Context(), nil)
			if err != nil {
				return err
			}
			res, err := svc.Check(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.finish(render.Check{CheckResult: res}, res.Err())
		},
	}
	cmd.Flags().StringVar(&baseline, "write-baseline", "", "write the errors of all components to this file, as known from now on")
	return cmd
}
