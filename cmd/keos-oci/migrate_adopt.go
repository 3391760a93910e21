package main

import (
	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) migrateAdoptCmd() *cobra.Command {
	var o migrate.AdoptOptions
	var signing signFlags
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
	bindMigration(f, &o.Options)
	bindEdits(f, &o.Options)
	signing.bindVerifier(f)
	f.StringArrayVar(&o.Adopt.Owners, "owner", nil,
		"NAMESPACE/NAME of a Kustomization that gives its objects away; can be repeated (required)")
	f.StringArrayVar(&o.Adopt.New, "new", nil, "file or folder of the fleet with the new owners; can be repeated (required)")
	f.BoolVar(&o.Adopt.Back, "back", false, "give the objects back to the old owners")
	f.BoolVar(&o.Adopt.Accept, "accept", false, "continue even if the content of objects differs")
	bindContexts(f, &o.Contexts)
	_, _ = cobra.MarkFlagRequired(f, "owner"), cobra.MarkFlagRequired(f, "new")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.migration(&o.Options, &signing, args)
		res, err := o.Run(cmd.Context())
		if res == nil {
			return err
		}
		return a.finish(render.Adoption{AdoptResult: res}, err)
	}
	return cmd
}
