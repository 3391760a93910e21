package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
)

func (a *app) verifyCmd() *cobra.Command {
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "verify COMPONENT[:TAG|@DIGEST]",
		Short: "Say who signed an artifact and whether the policy accepts it",
		Long: `Checks the signatures of one artifact as a cluster would. Without flags the policy comes from signing.identity in
keos-oci.yaml; else, for repositories on GitHub, from the ref that the tag stands for: the workflows of this repository on
the branch for latest, on refs/tags/<component>/vX.Y.Z for versions. Exit code 3 means that it is not accepted.`,
		Example: `  keos-oci verify frontend
  keos-oci verify frontend:v1.2.3 --key cosign.pub
  keos-oci verify frontend:latest --certificate-identity … --certificate-oidc-issuer …`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeTargets,
	}
	signing.bindVerifier(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		target, err := release.ParseTarget(args[0])
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		svc, err := a.service(cmd.Context(), &signing)
		if err != nil {
			return err
		}
		res, err := svc.Verify(cmd.Context(), release.VerifyRequest{Target: target, Policy: signing.policy()})
		if err != nil {
			return err
		}
		return a.finish(res, res.Err())
	}
	return cmd
}
