package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/trust"
)

func (a *app) pullCmd() *cobra.Command {
	var signing signFlags
	var req release.PullRequest
	cmd := &cobra.Command{
		Use:   "pull COMPONENT[:TAG|@DIGEST] DIR",
		Short: "Verify an artifact and unpack it into a new folder",
		Long: `Asks what "keos-oci verify" asks: may this digest have this tag? Only then it downloads the artifact, checks it against its
digests and unpacks it into DIR, which must not exist or be empty; the folder above it must exist. DIR appears whole or not
at all, and nothing is ever written outside of it. Files that Git takes for its own folder .git are refused. Without a tag
or digest the channel of the branch is meant, most often latest.

Exit code 3 means that the artifact is refused, 1 that there is no answer. Where nothing says whose signature is expected, pull
ends with 2; --insecure-skip-verify unpacks without a question.`,
		Example: `  keos-oci pull frontend /tmp/frontend                      what latest points to
  keos-oci pull frontend:v1.2.3 /tmp/frontend --key cosign.pub
  keos-oci pull frontend@sha256:… /tmp/frontend -o json`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeTargetThenFolder,
	}
	signing.bindVerifier(cmd.Flags())
	cmd.Flags().BoolVar(&req.Unverified, flagUnverified, false, "unpack without asking who signed the artifact")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Target, err = release.ParseTarget(args[0]); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		req.Dir = args[1]
		verifier := &signing
		if req.Unverified {
			verifier = nil // keys that cannot be read are no reason to stop
		}
		svc, err := a.service(cmd.Context(), verifier)
		if err != nil {
			return err
		}
		res, err := svc.Pull(cmd.Context(), req)
		if errors.Is(err, trust.ErrNoPolicy) {
			return fmt.Errorf("%w; or unpack it without verification: --%s", err, flagUnverified)
		}
		if err != nil {
			return err
		}
		return a.finish(render.Pull{PullResult: res}, nil)
	}
	return cmd
}

const flagUnverified = "insecure-skip-verify"
