package main

import "github.com/spf13/cobra"

func (a *app) checkCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check [COMPONENT…]",
		Short: "Find everything that publish would refuse, without a registry",
		Long: `Packs each component, unpacks the tarball into an empty folder, builds every variant there as Flux does and demands the
same output as in the checkout. Files from outside the component, plaintext Secrets, private keys and .env files are
refused with file and line; what may surprise on a cluster is a warning.`,
		Example: `  keos-oci check
  keos-oci check frontend -o json`,
		ValidArgsFunction: a.completeComponents,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.unnamed = true
			svc, err := a.service(cmd.Context(), nil)
			if err != nil {
				return err
			}
			res, err := svc.Check(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.finish(res, res.Err())
		},
	}
}
