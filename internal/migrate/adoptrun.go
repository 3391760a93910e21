package migrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/exit"
)

// AdoptOptions are those of adopt.
type AdoptOptions struct {
	Options
	Adopt AdoptRequest
}

// Run does the next step of adopt for the only cluster of the options.
func (o *AdoptOptions) Run(ctx context.Context) (*AdoptResult, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	opened, err := r.openClusters(true, "")
	if err != nil {
		return nil, err
	}
	req := o.Adopt
	req.Request = r.req
	found, changes, err := Adopt(ctx, req, opened[r.Clusters[0]])
	if err != nil {
		return nil, err
	}
	res := &AdoptResult{Adoption: *found, Files: changedFiles(changes, !r.DryRun && !r.Check)}
	switch {
	case found.Err() != nil:
		return res, found.Err()
	case r.Check && len(changes) > 0:
		return res, fmt.Errorf("%w: the step %s is to be done", ErrIncomplete, found.Step)
	case r.DryRun || r.Check || len(changes) == 0:
		return res, nil
	}
	res.Next = nextAfter(found.Step)
	return res, Write(req.Fleet.Dir, changes)
}

// validate demands owners with a namespace, and a cluster that can be asked.
func (o *AdoptOptions) validate() error {
	for _, owner := range o.Adopt.Owners {
		if namespace, name, ok := strings.Cut(owner, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("%w: --owner %q is not NAMESPACE/NAME", exit.ErrUsage, owner)
		}
	}
	if !o.Contexts.Asked() {
		return fmt.Errorf("%w: adopt must see the cluster: add --context CONTEXT, or --kubeconfig FILE", exit.ErrUsage)
	}
	return nil
}

// nextAfter says what to look at after a step.
func nextAfter(step string) string {
	look := map[string]string{
		StepPruneOff:  "the old Kustomizations must be Ready, with prune: false",
		StepSuspend:   "the old Kustomizations must be suspended",
		StepNewOwners: "the new Kustomizations must be Ready",
		StepRemove:    "the old Kustomizations must be gone, and all objects there",
		StepPruneOn:   "the new Kustomizations must be Ready, with prune: true",
		StepResume:    "the old Kustomizations must be Ready, and the new ones suspended",
		StepWithdraw:  "the new Kustomizations must be gone, and all objects there",
		StepPruneBack: "the old Kustomizations must be Ready, with prune: true",
	}[step]
	return "commit and push; " + look + ": flux get kustomizations -A; then run the same command again"
}
