package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) diffCmd() *cobra.Command {
	var req release.DiffRequest
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "diff COMPONENT FROM [TO]",
		Short: "Compare two artifacts, or an artifact and the checkout",
		Long: `FROM and TO are tags or digests (sha256:…) of the component. Without TO the artifact is compared with the checkout: with
what publish would pack, which is the files that Git tracks, as they are now.

With --variant the objects that the variant renders are compared in the place of the files, as a cluster would see the
change. Values of Secrets are never shown: equal marks stand for equal values, within one run only. The files themselves
are shown as they are.

Signatures are not checked, and a warning says so: "keos-oci verify" asks who signed.`,
		Example: `  keos-oci diff frontend latest-stable latest                what a promotion would bring
  keos-oci diff frontend latest                              what publish would bring
  keos-oci diff frontend v1.2.3 v1.3.0 --variant production  in the words of the cluster
  keos-oci diff frontend latest --exit-code -o json          for scripts: 3 when they differ`,
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: a.completeThenTags,
	}
	cmd.Flags().StringArrayVar(&req.Variants, "variant", nil, "compare the objects that the variant `NAME` renders; may be repeated")
	cmd.Flags().BoolVar(&req.MayMiss, "allow-missing", false,
		"take a FROM that does not exist for an empty one, as before the first publication")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 3 when they differ")
	_ = cmd.RegisterFlagCompletionFunc("variant", a.completeVariants)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		svc, names, err := a.serviceFor(cmd.Context(), nil, args[0])
		if err != nil {
			return err
		}
		args[0] = names[0]
		if err := parseSides(&req, args); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if len(args) == 2 && svc.Checkout == nil {
			return fmt.Errorf("%w: without a checkout, name two tags or digests", errUsage)
		}
		svc.Log.Warn("signatures are not checked: keos-oci verify does that")
		res, err := svc.Diff(cmd.Context(), req)
		if err != nil {
			return err
		}
		var differs error
		if exitCode {
			differs = res.Err()
		}
		return a.finish(render.Diff{DiffResult: res}, differs)
	}
	return cmd
}

func parseSides(req *release.DiffRequest, args []string) (err error) {
	req.Component = args[0]
	if req.From, err = release.ParseTargetOf(args[0], args[1]); err != nil || len(args) < 3 {
		return err
	}
	to, err := release.ParseTargetOf(args[0], args[2])
	req.To = &to
	return err
}
