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
		Long: `FROM and TO are tags or digests (sha256:…) of the component. Without TO, the artifact is compared with what publish
would pack now: the
files that Git tracks, as they are in the checkout.

With --variant, diff compares the objects that the variant renders, as a cluster would see the change. Values of Secrets are never shown:
equal marks stand for equal values within one run. Files are shown as they are.

diff does not check signatures and says so in a warning. Use "keos-oci verify" for that.`,
		Example: `  keos-oci diff frontend latest-stable latest   # what promote would bring
  keos-oci diff frontend latest                 # what publish would bring
  keos-oci diff frontend:v1.2.3 v1.3.0 --variant production
  keos-oci diff frontend latest --exit-code -o json   # 3 if they differ`,
		Args:              splitFirst(cobra.RangeArgs(2, 3)),
		ValidArgsFunction: a.completeThenTags,
	}
	cmd.Flags().StringArrayVar(&req.Variants, "variant", nil, "compare the objects that the variant `NAME` renders; can be repeated")
	cmd.Flags().BoolVar(&req.MayMiss, "allow-missing", false,
		"treat a missing FROM as empty, as before the first publish")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 3 if they differ")
	_ = cmd.RegisterFlagCompletionFunc("variant", a.completeVariants)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		args = splitTarget(args)
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
