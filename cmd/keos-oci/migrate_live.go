package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/migrate"
)

// clusterNames are the clusters that a request is about.
func clusterNames(req migrate.Request) []string {
	if len(req.Clusters) > 0 {
		return req.Clusters
	}
	var names []string
	for _, folder := range req.Fleet.Clusters() {
		names = append(names, path.Base(folder))
	}
	return names
}

// openClusters opens the clusters that a phase looks at, before anything is planned. Unless a phase can look, the flags are refused.
func (g *migrateFlags) openClusters(req migrate.Request, can bool, where string) (liveClusters, error) {
	if g.clusters.asked() && !can {
		return nil, fmt.Errorf("%w: --kubeconfig and --context go %s", errUsage, where)
	}
	opened, err := g.clusters.open(clusterNames(req))
	if err != nil || opened == nil {
		return nil, err
	}
	return opened, opened.all(clusterNames(req))
}

// requireSources adds a stop for each OCIRepository that is not ready where it is needed.
func (g *migrateFlags) requireSources(ctx context.Context, l liveClusters, plan *migrate.Plan, components []string) error {
	return g.require(ctx, l, plan, cluster.OCIRepository, func(name string, state *cluster.State) string {
		ready, needed := plan.RequireSources(name, state, components)
		return fmt.Sprintf("%s: OCIRepositories that are Ready and verified in the cluster: %d of %d", name, ready, needed)
	})
}

// lookAtSwitch looks, before a switch, at the sources that are to be followed. When nothing is left to switch, --check looks at what was
// switched.
func (g *migrateFlags) lookAtSwitch(ctx context.Context, l liveClusters, plan *migrate.Plan, components []string, changes bool) error {
	switch {
	case changes:
		return g.requireSources(ctx, l, plan, components)
	case g.check:
		return g.requireSwitched(ctx, l, plan, components)
	}
	return nil
}

// requireSwitched adds a stop for each Kustomization that does not follow its artifact in the cluster.
func (g *migrateFlags) requireSwitched(ctx context.Context, l liveClusters, plan *migrate.Plan, components []string) error {
	return g.require(ctx, l, plan, cluster.Kustomization, func(name string, state *cluster.State) string {
		ready, switched := plan.RequireSwitched(name, state, components)
		return fmt.Sprintf("%s: switched Kustomizations that are Ready in the cluster: %d of %d", name, ready, switched)
	})
}

// require asks the clusters of a plan without stops, and notes what was looked at.
func (g *migrateFlags) require(
	ctx context.Context, l liveClusters, plan *migrate.Plan, kind string, look func(string, *cluster.State) string,
) error {
	if l == nil || len(plan.Stops) > 0 {
		return nil
	}
	states, err := l.read(ctx, kind)
	if err != nil {
		return err
	}
	for _, c := range plan.Clusters {
		g.notes = append(g.notes, look(c.Name, states[c.Name]))
	}
	return nil
}

// liveProgress adds to the states of Git what the clusters say.
func (c *contextFlags) liveProgress(ctx context.Context, req migrate.Request, states []migrate.State) (*progressResult, error) {
	opened, err := c.open(clusterNames(req))
	if err != nil {
		return nil, err
	}
	live, err := opened.read(ctx, cluster.Kustomization)
	if err != nil {
		return nil, err
	}
	return &progressResult{Kustomizations: migrate.Live(states, live), looked: opened != nil}, nil
}

func (a *app) printProgress(w io.Writer, r *progressResult) {
	if !r.looked {
		fmt.Fprintln(w, "CLUSTER\tKUSTOMIZATION\tSTATE\tSOURCE")
		for _, s := range r.Kustomizations {
			say(w, "%s\t%s\t%s\t%s\n", s.Cluster, s.Kustomization, s.State.State, s.Source)
		}
		return
	}
	fmt.Fprintln(w, "CLUSTER\tKUSTOMIZATION\tSTATE\tSOURCE\tREADY\tREVISION\tMESSAGE")
	for _, s := range r.Kustomizations {
		colour, message := yellow, s.Message
		switch s.Ready {
		case migrate.ReadyYes:
			colour, message = green, ""
		case migrate.ReadyNo:
			colour = red
		}
		say(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Cluster, s.Kustomization, s.State.State, s.Source,
			a.paint(colour, cmp.Or(s.Ready, "-")), shortApplied(s.Revision), message)
	}
}

// shortApplied is a revision of Flux, tag@digest, as people compare it.
func shortApplied(revision string) string {
	if tag, digest, ok := strings.Cut(revision, "@"); ok {
		return tag + "@" + short(digest)
	}
	return cmp.Or(revision, "-")
}
