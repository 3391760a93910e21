package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/migrate"
)

func (a *app) migrateFleetCmd() *cobra.Command {
	var g migrateFlags
	var back, accept bool
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
	g.bind(f)
	g.bindEdits(f)
	g.clusters.bind(f)
	g.generate.bindAccess(f)
	g.generate.signing.VerifyOnly = true
	f.StringVar(&g.generate.interval, "interval", "", "how often the cluster checks the tag (default 5m)")
	f.BoolVar(&back, "back", false, "follow Git again")
	f.BoolVar(&accept, "accept", false, "continue even if nobody checked the second source")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		req, err := a.migration(ctx, &g, args)
		if err != nil {
			return err
		}
		live, err := g.openClusters(req, !back, "without --back")
		if err != nil {
			return err
		}
		if back {
			step, plan, changes, err := migrate.BackFleet(ctx, req)
			if err != nil {
				return err
			}
			return a.finishPhase(&g, req.Fleet, plan, changes, nextBack(step))
		}
		sources, err := fleetSources(ctx, &g)
		if err != nil {
			return err
		}
		step, plan, changes, err := migrate.FollowFleet(ctx, req, sources)
		if err != nil {
			return err
		}
		g.notes = step.Notes
		if err := lookAtFleet(ctx, live, step, plan, accept); err != nil {
			return err
		}
		return a.finishPhase(&g, req.Fleet, plan, changes, nextOfFleet(step))
	}
	return cmd
}

// lookAtFleet looks at what the step needs: the second source, and in the end the entry.
func lookAtFleet(ctx context.Context, live liveClusters, step *migrate.FleetStep, plan *migrate.Plan, accept bool) error {
	switch {
	case len(plan.Stops) > 0 || step.Step == migrate.StepSource:
		return nil
	case live == nil && step.Step == migrate.StepEntry && !accept:
		return fmt.Errorf("%w: nobody looked whether OCIRepository %s is Ready: give --context, or --accept when you have looked", errUsage,
			step.Source)
	case live == nil:
		return nil
	}
	states, err := live.read(ctx, cluster.OCIRepository, cluster.Kustomization)
	if err != nil {
		return err
	}
	if step.Step == migrate.StepEntry {
		plan.RequireSecond(step, states[step.Cluster])
		return nil
	}
	plan.RequireEntry(step, states[step.Cluster])
	return nil
}

func nextOfFleet(s *migrate.FleetStep) string {
	if s.Step == migrate.StepSource {
		return fmt.Sprintf("commit and push it, and make the Secrets that it refers to in its namespace; "+
			"when OCIRepository %s is Ready in the cluster, run this again", s.Source)
	}
	text := fmt.Sprintf("commit it, publish that commit (keos-oci publish %s) and run this again: it says whether %s:%s has it. Only then push the branch",
		s.Component, s.Component, s.Channel)
	if !s.Managed {
		text += ", and apply the entry: kubectl apply -f " + s.Entry
	}
	return text + fmt.Sprintf(". The way back, should the cluster not be able to fetch: revert the commit, push the branch, "+
		"then kubectl apply -f %s", s.WayBack)
}

func nextBack(s *migrate.FleetStep) string {
	return fmt.Sprintf("commit and push it. While the cluster can fetch the artifact it sees the commit when that is published; else apply the entry: kubectl apply -f %s", s.Entry)
}

// fleetSources makes sources for the component of the kind fleet.
func fleetSources(ctx context.Context, g *migrateFlags) (migrate.FleetSources, error) {
	shared, err := sharedSources(ctx, g)
	if err != nil {
		return migrate.FleetSources{}, err
	}
	pinned := func(c component.Component, channel string) (flux.Follow, error) {
		f, err := followOf(shared, c)
		if err == nil {
			err = f.PinTo(channel)
		}
		return f, err
	}
	return migrate.FleetSources{
		Source: func(c component.Component, name, namespace, channel string) ([]byte, error) {
			f, err := pinned(c, channel)
			if err != nil {
				return nil, err
			}
			return shared.OwnAs(f, name, namespace)
		},
		Sync: func(c component.Component, channel string) (flux.Sync, error) {
			f, err := pinned(c, channel)
			if err != nil {
				return flux.Sync{}, err
			}
			return shared.Sync(f, channel)
		},
	}, nil
}
