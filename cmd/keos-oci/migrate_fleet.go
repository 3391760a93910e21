package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/migrate"
)

func (a *app) migrateFleetCmd() *cobra.Command {
	var o migrate.FleetOptions
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "fleet CLUSTER",
		Short: "Move a cluster to the artifact of the fleet, or back to Git",
		Long: `This is the last step of a cluster: the fleet comes from the registry. A revert of the commit alone cannot undo it,
because a cluster that
cannot pull no longer reads Git. So there are two steps, and each run does the next one.

First, fleet adds a second OCIRepository of the fleet, to see that the cluster can fetch and verify it. Then the FluxInstance or
gotk-sync.yaml, and all Kustomizations with files from the fleet, follow the artifact. Paths and names stay. The objects that made the
cluster follow Git are kept in way-back/CLUSTER.yaml.

The second step needs --context to check the second source; --accept continues without that check. Publish the commit before you push it:
an older artifact would lead the cluster back to Git. Run the command again to see whether the artifact has the commit.`,
		Example: `  keos-oci migrate fleet staging --workspace . --key cosign.pub \
      --key-secret cosign-key
  keos-oci migrate fleet staging --workspace . --context staging-viewer
  keos-oci migrate fleet staging --workspace . --back`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	bindMigration(f, &o.Options)
	bindEdits(f, &o.Options)
	bindContexts(f, &o.Contexts)
	bindAccess(f, &o.Flux, &signing)
	signing.VerifyOnly = true
	f.StringVar(&o.Flux.Interval, "interval", "", "how often the cluster checks the tag (default 5m)")
	f.BoolVar(&o.Back, "back", false, "follow Git again")
	f.BoolVar(&o.Accept, "accept", false, "continue even if nobody checked the second source")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.migration(&o.Options, &signing, args)
		return a.finishPhase(o.Run(cmd.Context()))
	}
	return cmd
}
