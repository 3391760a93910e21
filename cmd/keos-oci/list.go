package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) listCmd() *cobra.Command {
	var req release.ListRequest
	cmd := &cobra.Command{
		Use:   "list COMPONENT",
		Short: "List the published versions and other tags of a component",
		Long:  "Lists the versions, newest first, and then the other tags. Tags that only carry signatures and records are left out.",
		Example: `  keos-oci list frontend
  keos-oci list frontend --limit 5
  keos-oci list frontend -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeComponents,
	}
	cmd.Flags().IntVar(&req.Limit, "limit", 0, "how many versions to list, newest first; 0 lists all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if req.Limit < 0 {
			return fmt.Errorf("%w: --limit %d: at least 0", errUsage, req.Limit)
		}
		svc, names, err := a.serviceFor(cmd.Context(), nil, args...)
		if err != nil {
			return err
		}
		req.Component = names[0]
		res, err := svc.List(cmd.Context(), req)
		if err != nil {
			return err
		}
		return a.print(render.List{ListResult: res})
	}
	return cmd
}
