package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) historyCmd() *cobra.Command {
	var signing signFlags
	var channel string
	var limit int
	cmd := &cobra.Command{
		Use:   "history COMPONENT",
		Short: "Show the journal of a channel: each move, when, by whom and why",
		Long:  `Shows the newest records of the journal of a channel. Each record is verified. Forged and unreadable records are reported.`,
		Example: `  keos-oci history frontend
  keos-oci history frontend --limit 100 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeComponents,
	}
	cmd.Flags().StringVar(&channel, "channel", "", "channel (default the first one that follows versions)")
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	cmd.Flags().IntVar(&limit, "limit", 20, "how many records to read, newest first")
	signing.bindVerifier(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 1 {
			return fmt.Errorf("%w: --limit %d: at least 1", errUsage, limit)
		}
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
		if err != nil {
			return err
		}
		res, err := svc.History(cmd.Context(), names[0], channel, limit)
		if err != nil {
			return err
		}
		return errors.Join(res.Err(), a.print(render.History{HistoryResult: res}))
	}
	return cmd
}
