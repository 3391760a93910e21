package migrate

import (
	"context"

	"github.com/stratio/keos-oci/internal/cluster"
)

// Plan says what clusters follow today, what they can follow instead, and what is in the way.
func (o *Options) Plan(ctx context.Context) (*Plan, error) {
	r, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := NewPlan(ctx, r.req)
	if err != nil {
		return nil, err
	}
	return plan, plan.Err()
}

// Prepare adds the sources that clusters will follow.
func (o *Options) Prepare(ctx context.Context) (*PhaseResult, error) {
	r, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	live, err := r.openClusters(r.Check, "with --check")
	if err != nil {
		return nil, err
	}
	sources, err := r.sources(ctx)
	if err != nil {
		return nil, err
	}
	plan, changes, err := Prepare(ctx, r.req, sources)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		if err := r.requireSources(ctx, live, plan, nil); err != nil {
			return nil, err
		}
	}
	return r.finish(plan, changes, "when committed, look at each cluster: kubectl get ocirepositories -A must show all as Ready; where some "+
		"are missing, Flux built their folder before the settings came: flux reconcile kustomization NAME, for what applies them")
}

// SwitchOptions are those of the phase switch.
type SwitchOptions struct {
	Options
	Components []string // only these; all where empty
	Back       bool     // go back to Git
	Accept     bool     // although objects differ
}

// Switch lets a cluster take its files from artifacts, or go back to Git.
func (o *SwitchOptions) Switch(ctx context.Context) (*PhaseResult, error) {
	r, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	live, err := r.openClusters(!o.Back, "without --back; afterwards keos-oci migrate status looks at the cluster")
	if err != nil {
		return nil, err
	}
	const next = "when committed, look at the cluster: kubectl get kustomizations -A must show all as Ready"
	if o.Back {
		changes, behind, err := Back(ctx, r.req, o.Components)
		if err != nil {
			return nil, err
		}
		r.notes = behind
		return r.finish(&Plan{}, changes, next)
	}
	plan, changes, err := Switch(ctx, r.req, o.Components, o.Accept)
	if err != nil {
		return nil, err
	}
	if err := r.lookAtSwitch(ctx, live, plan, o.Components, len(changes) > 0); err != nil {
		return nil, err
	}
	return r.finish(plan, changes, next)
}

// Cleanup takes away what clusters needed to follow Git.
func (o *Options) Cleanup(ctx context.Context) (*PhaseResult, error) {
	r, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	plan, changes, notes, err := Cleanup(ctx, r.req)
	if err != nil {
		return nil, err
	}
	r.notes = notes
	return r.finish(plan, changes, "commit, publish the fleet if clusters follow its artifact, and push; "+
		"Flux then removes the GitRepositories")
}

// Progress says how far each Kustomization of each cluster is, in Git and in the clusters that it can look at.
func (o *Options) Progress(ctx context.Context) (*ProgressResult, error) {
	r, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	states, err := Progress(ctx, r.req)
	if err != nil {
		return nil, err
	}
	opened, err := r.Contexts.open(r.names())
	if err != nil {
		return nil, err
	}
	live, err := opened.read(ctx, cluster.Kustomization)
	if err != nil {
		return nil, err
	}
	return &ProgressResult{Kustomizations: Live(states, live), Looked: opened != nil}, nil
}
