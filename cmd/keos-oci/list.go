package main

import "github.com/spf13/cobra"

func (a *app) listCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list COMPONENT",
		Short: "List the published versions and other tags of a component",
		Example: `  keos-oci list frontend
  keos-oci list frontend -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeComponents,
		RunE: func(cmd *cobra.Command, args []string) error {
			svc, err := a.service(cmd.Context(), nil)
			if err != nil {
				return err
			}
			res, err := svc.List(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(res)
		},
	}
}
