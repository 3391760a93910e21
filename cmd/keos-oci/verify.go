package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) verifyCmd() *cobra.Command {
	var signing signFlags
	var explains bool
	cmd := &cobra.Command{
		Use:   "verify COMPONENT[:TAG|@DIGEST] [TAG]",
		Short: "Check who signed an artifact and whether it may have its tag",
		Long: `Applies the rules that publish, promote and rollback apply before they write a tag. The digest must be a Flux artifact
of this component,
from this Git repository, signed as the policy of the tag demands. No release record may give the version to another digest.

Without flags the policy comes from signing.identity in keos-oci.yaml. On GitHub, a repository without that setting has a default: the
workflows of this repository, on the branch for latest, and on refs/tags/<component>/vX.Y.Z for versions. A channel that points to a
version must also meet the policy of the version.

The exit code is 3 if the artifact is refused. It is 1 if there is no answer because the registry or Sigstore cannot be reached or a key is
missing.`,
		Example: `  keos-oci verify frontend
  keos-oci verify frontend v1.2.3
  keos-oci verify frontend:v1.2.3 --key cosign.pub
  keos-oci verify frontend:latest-stable --explain   # each rule, its answer
  keos-oci verify frontend:latest --certificate-identity ci@example.com \
      --certificate-oidc-issuer https://accounts.google.com`,
		Args:              oneTarget(0),
		ValidArgsFunction: a.completeTargetThenTag,
	}
	signing.bindVerifier(cmd.Flags())
	cmd.Flags().BoolVar(&explains, "explain", false, "print each rule with its answer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		svc, names, err := a.serviceFor(cmd.Context(), &signing, joinTarget(args))
		if err != nil {
			return err
		}
		target, err := release.ParseTarget(names[0])
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		res, err := svc.Verify(cmd.Context(), release.VerifyRequest{Target: target})
		if err != nil {
			return err
		}
		return a.finish(render.Verify{VerifyResult: res, Explains: explains}, res.Err())
	}
	return cmd
}
