package migrate

import (
	"context"
	"fmt"
)

// FleetOptions are those of the step in which the fleet itself comes from the registry.
type FleetOptions struct {
	Options
	Back   bool // follow Git again
	Accept bool // although nobody looks at the second source
}

// Run does the next step for the only cluster of the options.
func (o *FleetOptions) Run(ctx context.Context) (*PhaseResult, error) {
	r, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	live, err := r.openClusters(!o.Back, "without --back")
	if err != nil {
		return nil, err
	}
	if o.Back {
		step, plan, changes, err := BackFleet(ctx, r.req)
		if err != nil {
			return nil, err
		}
		return r.finish(plan, changes, step.nextBack())
	}
	sources, err := r.fleetSources(ctx)
	if err != nil {
		return nil, err
	}
	step, plan, changes, err := FollowFleet(ctx, r.req, sources)
	if err != nil {
		return nil, err
	}
	r.notes = step.Notes
	if err := lookAtFleet(ctx, live, step, plan, o.Accept); err != nil {
		return nil, err
	}
	return r.finish(plan, changes, step.next())
}

// next says what to do after the step.
func (s *FleetStep) next() string {
	if s.Step == StepSource {
		return fmt.Sprintf("commit and push it, and make the Secrets that it refers to in its namespace; "+
			"when OCIRepository %s is Ready in the cluster, run this again", s.Source)
	}
	text := fmt.Sprintf("commit it, publish that commit (keos-oci publish %s) and run this again: it says whether %s:%s has it. "+
		"Only then push the branch",
		s.Component, s.Component, s.Channel)
	if !s.Managed {
		text += ", and apply the entry: kubectl apply -f " + s.Entry
	}
	return text + fmt.Sprintf(". The way back, should the cluster not be able to fetch: revert the commit, push the branch, "+
		"then kubectl apply -f %s", s.WayBack)
}

// nextBack says what to do after the cluster follows Git again.
func (s *FleetStep) nextBack() string {
	return "commit and push it. While the cluster can fetch the artifact it sees the commit when that is published; else apply the entry: " +
		"kubectl apply -f " + s.Entry
}
