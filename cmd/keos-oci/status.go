package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) statusCmd() *cobra.Command {
	var signing signFlags
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "status [COMPONENT…]",
		Short: "Show what each channel points to, since when and by whom",
		Long: `Shows for each component and channel: version, digest, age, who moved it and whether the journal agrees. An unfinished
move is "pending".
A move that another tool made is "moved outside". A missing record is a gap in the journal. If something cannot be read or checked, status
shows ? and exits with 1.`,
		Example: `  keos-oci status
  keos-oci status --exit-code   # exits with 3 if somebody should look
  keos-oci status frontend -o json`,
		ValidArgsFunction: a.completeComponents,
	}
	signing.bindVerifier(cmd.Flags())
	cmd.Flags().BoolVar(&exitCode, "exit-code", false,
		"exit with 3 if a channel is moved outside, pending or without a valid signature, or if its journal has invalid records or a gap")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
		if err != nil {
			return err
		}
		res, err := svc.Status(cmd.Context(), names)
		if err != nil {
			return err
		}
		failed := res.Err()
		if exitCode {
			failed = res.Odd()
		}
		return a.finish(render.Status{StatusResult: res}, failed)
	}
	return cmd
}
