package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) componentsCmd() *cobra.Command {
	var since, explain string
	var shards int
	cmd := &cobra.Command{
		Use:   "components",
		Short: "List what this checkout would publish",
		Long: `Lists the components of the checkout with their kind, folder, repository and variants. --explain prints for each file of
a component why
it is in the artifact or not. -o matrix prints a matrix for jobs of GitHub Actions.`,
		Example: `  keos-oci components
  keos-oci components --changed-since origin/main
  keos-oci components --explain frontend
  keos-oci components -o matrix --shards 4 >>"$GITHUB_OUTPUT"`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{annotationFormats: formatMatrix},
	}
	cmd.Flags().StringVar(&since, "changed-since", "", "list only components with files that changed since this Git revision")
	cmd.Flags().IntVar(&shards, "shards", 0, "with -o matrix: the largest number of jobs; each gets several components")
	cmd.Flags().StringVar(&explain, "explain", "", "print for each file of this component why it is in the artifact or not")
	cmd.MarkFlagsMutuallyExclusive("explain", "changed-since")
	cmd.MarkFlagsMutuallyExclusive("explain", "shards")
	_ = cmd.RegisterFlagCompletionFunc("explain", a.completeComponents)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if explain != "" && a.global.output == formatMatrix {
			return fmt.Errorf("%w: --explain prints text, json or yaml", errUsage)
		}
		a.unnamed = a.global.output != formatMatrix // whose jobs ask the registry
		svc, err := a.service(cmd.Context(), nil)
		if err != nil {
			return err
		}
		if explain != "" {
			res, err := svc.Explain(cmd.Context(), explain)
			if err != nil {
				return err
			}
			return a.print(render.Explain{ExplainResult: res})
		}
		set := svc.Workspace.Components
		if since != "" {
			files, err := svc.Checkout.ChangedSince(cmd.Context(), since)
			if err != nil {
				return err
			}
			if set, err = svc.ChangedIn(cmd.Context(), set, files); err != nil {
				return err
			}
		}
		if a.global.output == formatMatrix {
			return render.Line(a.out, release.NewMatrix(set, shards))
		}
		return a.print(render.Components{List: svc.Workspace.List(set)})
	}
	return cmd
}
