package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/setup"
)

func (a *app) cancelCmd() *cobra.Command {
	var req release.MoveRequest
	var now bool
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "cancel COMPONENT…",
		Short: "Close moves that were never finished",
		Long: `A command that was killed may leave an unfinished move in the journal. Run the same command again to complete the move,
or close it with
cancel: a signed record says that the move is over. A move that may still be running is closed only with --now.`,
		Example: `  keos-oci cancel frontend
  keos-oci cancel frontend --now --reason "the job hangs"`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeComponents,
	}
	f := cmd.Flags()
	f.StringVar(&req.Channel, "channel", "", "channel (default the first one that follows versions)")
	f.StringVar(&req.Reason, "reason", "", "reason; it goes into the journal")
	f.BoolVar(&now, "now", false, "also close moves that may still be running")
	f.BoolVar(&req.DryRun, "dry-run", false, "print the plan and stop")
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	signing.bindMover(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Actor, req.RunURL = setup.WhoRuns(a.getenv)
		req.Request = setup.RequestOf("", "")
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
		if err != nil {
			return err
		}
		for _, name := range names {
			req.Items = append(req.Items, release.MoveItem{Component: name})
		}
		res, err := svc.Cancel(cmd.Context(), req, now)
		if err != nil {
			return err
		}
		return a.finish(render.Move{MoveResult: res}, res.Err())
	}
	return cmd
}
