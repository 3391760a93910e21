package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
)

func (a *app) promoteCmd() *cobra.Command {
	cmd := a.moveCmd("promote", func(ctx context.Context, svc *release.Service, req release.MoveRequest) (*release.MoveResult, error) {
		return svc.Promote(ctx, req)
	})
	cmd.Use = "promote COMPONENT VERSION"
	cmd.Short = "Move latest-stable to a published version"
	cmd.Long = `Verifies the signature of the version against the policy of the channel, records the move in the journal and moves
the channel. promote
refuses a version that is older than the channel's: use rollback for that.

--from-file reads a file with one "COMPONENT VERSION" per line. All components are read, decided and verified before the first one moves.`
	cmd.Example = `  keos-oci promote frontend v1.2.3
  keos-oci promote frontend:v1.2.3 --dry-run
  keos-oci promote --from-file train.txt --reason "release 42"
  keos-oci promote frontend v1.2.3 --expect sha256:…   # unless it moved`
	return cmd
}
