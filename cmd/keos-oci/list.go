package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) listCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list COMPONENT",
		Short: "List the published versions and other tags of a component",
		Long:  "Lists the versions, newest first, and then the other tags. Tags that only carry signatures and records are left out.",
		Example: `  keos-oci list frontend
  keos-oci list frontend -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeComponents,
		RunE: func(cmd *cobra.Command, args []string) error {
			svc, names, err := a.serviceFor(cmd.Context(), nil, args...)
			if err != nil {
				return err
			}
			res, err := svc.List(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			return a.print(render.List{ListResult: res})
		},
	}
}
