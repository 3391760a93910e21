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
		Use:   "verify COMPONENT[:TAG|@DIGEST]",
		Short: "Say who signed an artifact and whether it may have its tag",
		Long: `Asks the same question that publish, promote and rollback ask before they write: may this digest have this tag? It must be a
Flux artifact of this component, from this Git repository, signed as the tag's policy says; and no release record may say
that the version is another digest. Without flags the policy comes from signing.identity in keos-oci.yaml; else, for
repositories on GitHub, from the ref that the tag stands for: the workflows of this repository on the branch for latest, on
refs/tags/<component>/vX.Y.Z for versions. A channel that points to a version must meet the version's policy as well.

Exit code 3 means that it is refused, 1 that there is no answer: the registry or Sigstore is out of reach, or a key is missing.`,
		Example: `  keos-oci verify frontend
  keos-oci verify frontend:v1.2.3 --key cosign.pub
  keos-oci verify frontend:latest-stable --explain                      each rule and its answer
  keos-oci verify frontend:latest --certificate-identity … --certificate-oidc-issuer …`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeTargets,
	}
	signing.bindVerifier(cmd.Flags())
	cmd.Flags().BoolVar(&explains, "explain", false, "print each rule with its answer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
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
