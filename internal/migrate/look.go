package migrate

import (
	"context"
	"fmt"
	"path"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/exit"
)

// names are the clusters that a request is about.
func (r *run) names() []string {
	if len(r.Clusters) > 0 {
		return r.Clusters
	}
	var names []string
	for _, folder := range r.req.Fleet.Clusters() {
		names = append(names, path.Base(folder))
	}
	return names
}

// openClusters opens the clusters that a phase looks at, before anything is planned. Unless a phase can look, the flags are refused.
func (r *run) openClusters(can bool, where string) (liveClusters, error) {
	if r.Contexts.Asked() && !can {
		return nil, fmt.Errorf("%w: --kubeconfig and --context go %s", exit.ErrUsage, where)
	}
	opened, err := r.Contexts.open(r.names())
	if err != nil || opened == nil {
		return nil, err
	}
	return opened, opened.all(r.names())
}

// requireSources adds a stop for each OCIRepository that is not ready where it is needed.
func (r *run) requireSources(ctx context.Context, l liveClusters, plan *Plan, components []string) error {
	return r.require(ctx, l, plan, cluster.OCIRepository, func(name string, state *cluster.State) string {
		ready, needed := plan.RequireSources(name, state, components)
		return fmt.Sprintf("%s: OCIRepositories that are Ready and verified in the cluster: %d of %d", name, ready, needed)
	})
}

// lookAtSwitch looks, before a switch, at the sources that are to be followed. When nothing is left to switch, --check looks at what was
// switched.
func (r *run) lookAtSwitch(ctx context.Context, l liveClusters, plan *Plan, components []string, changes bool) error {
	switch {
	case changes:
		return r.requireSources(ctx, l, plan, components)
	case r.Check:
		return r.requireSwitched(ctx, l, plan, components)
	}
	return nil
}

// requireSwitched adds a stop for each Kustomization that does not follow its artifact in the cluster.
func (r *run) requireSwitched(ctx context.Context, l liveClusters, plan *Plan, components []string) error {
	return r.require(ctx, l, plan, cluster.Kustomization, func(name string, state *cluster.State) string {
		ready, switched := plan.RequireSwitched(name, state, components)
		return fmt.Sprintf("%s: switched Kustomizations that are Ready in the cluster: %d of %d", name, ready, switched)
	})
}

// require asks the clusters of a plan without stops, and notes what was looked at.
func (r *run) require(
	ctx context.Context, l liveClusters, plan *Plan, kind string, look func(string, *cluster.State) string,
) error {
	if l == nil || len(plan.Stops) > 0 {
		return nil
	}
	states, err := l.read(ctx, kind)
	if err != nil {
		return err
	}
	for _, c := range plan.Clusters {
		r.notes = append(r.notes, look(c.Name, states[c.Name]))
	}
	return nil
}

// lookAtFleet looks at what the step needs: the second source, and in the end the entry.
func lookAtFleet(ctx context.Context, live liveClusters, step *FleetStep, plan *Plan, accept bool) error {
	switch {
	case len(plan.Stops) > 0 || step.Step == StepSource:
		return nil
	case live == nil && step.Step == StepEntry && !accept:
		return fmt.Errorf("%w: nobody looked whether OCIRepository %s is Ready: give --context, or --accept when you have looked", exit.ErrUsage,
			step.Source)
	case live == nil:
		return nil
	}
	states, err := live.read(ctx, cluster.OCIRepository, cluster.Kustomization)
	if err != nil {
		return err
	}
	if step.Step == StepEntry {
		plan.RequireSecond(step, states[step.Cluster])
		return nil
	}
	plan.RequireEntry(step, states[step.Cluster])
	return nil
}
