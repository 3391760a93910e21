package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/migrate"
)

func (a *app) migrateCleanupCmd() *cobra.Command {
	var g migrateFlags
	cmd := &cobra.Command{
		Use:   "cleanup [CLUSTER…]",
		Short: "Take away what clusters needed to follow Git",
		Long: `When no cluster takes a component from Git any more: the patches of switch move into the files of the Kustomizations, and the
comments by which switch --back and fleet --back work go. A GitRepository goes only if nothing refers to it: image automation keeps its
own, with the variable of its branch. That variable leaves the settings of clusters that no longer use it. Workflows that merge branches
are named.

Clusters that are not named count as not running: their folders stay as they are, and what they share with others changes. There is no
way back but to revert the commit.`,
		Example: `  keos-oci migrate cleanup --workspace ../apps --workspace ../infra --workspace .
  keos-oci migrate cleanup staging prod-eu --workspace ../apps --workspace ../infra --dry-run`,
	}
	f := cmd.Flags()
	g.bind(f)
	g.bindEdits(f)
	g.generate.signing.bindVerifier(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := a.migration(cmd.Context(), &g, args)
		if err != nil {
			return err
		}
		plan, changes, notes, err := migrate.Cleanup(cmd.Context(), req)
		if err != nil {
			return err
		}
		g.notes = notes
		return a.finishPhase(&g, req.Fleet, plan, changes,
			"commit, publish the fleet if clusters follow its artifact, and push; Flux then removes the GitRepositories")
	}
	return cmd
}
