package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/migrate"
)

func (a *app) migrateCleanupCmd() *cobra.Command {
	var o migrate.Options
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "cleanup [CLUSTER…]",
		Short: "Remove what clusters needed to follow Git",
		Long: `Use cleanup when no cluster takes a component from Git any more. The patches of switch move into the files of the
Kustomizations. The
comments for switch --back and fleet --back are removed. A GitRepository is removed only if nothing refers to it: image automation keeps
its own, with the variable of its branch. That variable is removed from the settings of clusters that no longer use it. cleanup lists
workflows that merge branches.

Clusters that you do not list are left out: their folders stay, but what they share with others changes. To go back, revert the commit;
there is no other way.`,
		Example: `  keos-oci migrate cleanup --workspace ../apps --workspace .
  keos-oci migrate cleanup staging prod-eu --workspace ../apps --dry-run`,
	}
	f := cmd.Flags()
	bindMigration(f, &o)
	bindEdits(f, &o)
	signing.bindVerifier(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.migration(&o, &signing, args)
		return a.finishPhase(o.Cleanup(cmd.Context()))
	}
	return cmd
}
