package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
)

func (a *app) rollbackCmd() *cobra.Command {
	cmd := a.moveCmd("rollback", func(ctx context.Context, svc *release.Service, req release.MoveRequest) (*release.MoveResult, error) {
		return svc.Rollback(ctx, req)
	})
	cmd.Use = "rollback COMPONENT [VERSION]"
	cmd.Short = "Move latest-stable back to what it was before, or to a version"
	cmd.Long = `Without a version, the channel goes back to what the journal says it was before. A second rollback goes one step
further back. With a
version, the channel goes to that version. rollback verifies the signature of the target first. publish does not move the channel to the
left or skipped versions again; promote can.

With a version, an unreadable record, list or log does not stop the rollback. While signing is down, --unrecorded moves the channel
without a record. The next move records it.`
	cmd.Example = `  keos-oci rollback frontend --reason "500s since 02:50"
  keos-oci rollback frontend v1.2.2
  keos-oci rollback frontend --dry-run
  keos-oci rollback frontend v1.2.2 --unrecorded   # while signing is down`
	return cmd
}
