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
		Long: `Packs each component and unpacks it into an empty folder. Then check builds every variant there as Flux does, and
compares the output
with that of the checkout. Files from outside the component, plaintext Secrets, private keys and .env files are errors: check prints the
file and the line. What may surprise you on a cluster is a warning.

A baseline is a file with the errors of today. Known errors become warnings, and only new errors refuse a component. Write the file with
--write-baseline FILE, add "baseline: FILE" to keos-oci.yaml and commit both.

Text output and reports sum up many findings of one rule. The formats json, yaml and sarif have each finding.`,
		Example: `  keos-oci check
  keos-oci check frontend -o json
  keos-oci check -o sarif >findings.sarif         # for code scanning
  keos-oci check --write-baseline ci/known.yaml   # accept the errors of today`,
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
	cmd.Flags().StringVar(&baseline, "write-baseline", "", "write the errors of all components to this file; they are known from now on")
	return cmd
}
