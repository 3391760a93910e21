package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/migrate"
)

func (a *app) migrateAdoptCmd() *cobra.Command {
	var g migrateFlags
	var req migrate.AdoptRequest
	cmd := &cobra.Command{
		Use:   "adopt CLUSTER",
		Short: "Move objects to new Kustomizations; nothing is deleted or created again",
		Long: `For layouts in which the owner of objects changes, for example from one Kustomization per layer to one per app, or to those of a
ResourceSet. Write the new owners into files that the cluster does not apply yet (keos-oci generate ocirepository --dir, or generate
resourceset), and commit them. Paths of --new start at the top of the checkout.

Each run does one step, or says what it waits for. Commit and push after each step, and run the same command again:

  prune-off   prune is off on the old owners, and in the files of the new ones
  suspend     the old owners are suspended
  new-owners  the cluster applies the new owners
  remove      the old owners are removed
  prune-on    prune is on again
  done        nothing is left to do

Until the old owners are removed, the new owners must build exactly the objects of the old ones, with the same content; --accept allows
other content. A changed namespace would move data, so it is refused. Each step waits until the cluster shows the step before: prune is
off, the old owners are suspended, every object has the label of its new owner, the old owners are gone.

--back goes back step by step, as long as Git has the old owners: resume (the new owners are suspended, the old ones apply again),
withdraw (the new owners are removed), prune-back. Then all files have their old content.

The exit code is 3 if something is in the way, or if the cluster is behind Git. --check changes nothing, and exits with 0 only when all is
done. The user of the kubeconfig needs to list kustomizations and to get the objects; only their metadata is read. Secrets are not read:
the inventory of the new owner is used for them.`,
		Example: `  keos-oci migrate adopt staging --owner flux-system/apps \
      --new adopt/staging --workspace . --context staging-viewer
  keos-oci migrate adopt staging --owner flux-system/apps \
      --new adopt/staging --workspace . --context staging-viewer --dry-run
  keos-oci migrate adopt staging --owner flux-system/apps \
      --new adopt/staging --workspace . --context staging-viewer --back`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	g.bind(f)
	g.bindEdits(f)
	g.generate.signing.bindVerifier(f)
	f.StringArrayVar(&req.Owners, "owner", nil,
		"NAMESPACE/NAME of a Kustomization that gives its objects away; can be repeated (required)")
	f.StringArrayVar(&req.New, "new", nil, "file or folder of the fleet with the new owners; can be repeated (required)")
	f.BoolVar(&req.Back, "back", false, "give the objects back to the old owners")
	f.BoolVar(&req.Accept, "accept", false, "continue even if the content of objects differs")
	g.clusters.bind(f)
	_, _ = cobra.MarkFlagRequired(f, "owner"), cobra.MarkFlagRequired(f, "new")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOwners(req.Owners, g.clusters.asked()); err != nil {
			return err
		}
		var err error
		if req.Request, err = a.migration(cmd.Context(), &g, args); err != nil {
			return err
		}
		return a.adopt(cmd.Context(), &g, req, args[0])
	}
	return cmd
}

// checkOwners demands names with a namespace, and a cluster that can be asked.
func checkOwners(owners []string, asked bool) error {
	for _, owner := range owners {
		if namespace, name, ok := strings.Cut(owner, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("%w: --owner %q is not NAMESPACE/NAME", errUsage, owner)
		}
	}
	if !asked {
		return fmt.Errorf("%w: adopt must see the cluster: add --context CONTEXT, or --kubeconfig FILE", errUsage)
	}
	return nil
}

func (a *app) adopt(ctx context.Context, g *migrateFlags, req migrate.AdoptRequest, name string) error {
	opened, err := g.openClusters(req.Request, true, "")
	if err != nil {
		return err
	}
	found, changes, err := migrate.Adopt(ctx, req, opened[name])
	if err != nil {
		return err
	}
	res := &adoptResult{Adoption: *found, Files: changedFiles(changes, !g.dryRun && !g.check)}
	switch {
	case found.Err() != nil:
		return a.finish(res, found.Err())
	case g.check && len(changes) > 0:
		return a.finish(res, fmt.Errorf("%w: the step %s is to be done", migrate.ErrIncomplete, found.Step))
	case g.dryRun || g.check || len(changes) == 0:
		return a.finish(res, nil)
	}
	res.Next = nextAfter(found.Step)
	return a.finish(res, migrate.Write(req.Fleet.Dir, changes))
}

// adoptResult is what a step of adopt did.
type adoptResult struct {
	migrate.Adoption
	Files []generatedFile `json:"files"`
	Next  string          `json:"next,omitempty"`
}

// nextAfter says what to look at after a step.
func nextAfter(step string) string {
	look := map[string]string{
		migrate.StepPruneOff:  "the old Kustomizations must be Ready, with prune: false",
		migrate.StepSuspend:   "the old Kustomizations must be suspended",
		migrate.StepNewOwners: "the new Kustomizations must be Ready",
		migrate.StepRemove:    "the old Kustomizations must be gone, and all objects there",
		migrate.StepPruneOn:   "the new Kustomizations must be Ready, with prune: true",
		migrate.StepResume:    "the old Kustomizations must be Ready, and the new ones suspended",
		migrate.StepWithdraw:  "the new Kustomizations must be gone, and all objects there",
		migrate.StepPruneBack: "the old Kustomizations must be Ready, with prune: true",
	}[step]
	return "commit and push; " + look + ": flux get kustomizations -A; then run the same command again"
}

func (a *app) printAdopt(w io.Writer, r *adoptResult) {
	say(w, "step: %s\n", a.paint(bold, r.Step))
	a.printFiles(w, r.Files)
	a.printStops(w, r.Stops)
	for _, s := range r.Waits {
		say(w, "%s: %s: %s:%d: %s; %s\n", a.paint(yellow, "waits"), s.Cluster, s.File, s.Line, s.Message, s.Do)
	}
	if r.Objects > 0 {
		say(w, "%s: %d objects get other owners\n", a.paint(bold, "note"), r.Objects)
	}
	for _, n := range r.Notes {
		say(w, "%s: %s\n", a.paint(bold, "note"), n)
	}
	if r.Next != "" {
		say(w, "%s: %s\n", a.paint(bold, "next"), r.Next)
	}
}
