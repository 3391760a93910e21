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
		Use:   "pull COMPONENT[:TAG|@DIGEST] [TAG] DIR",
		Short: "Verify an artifact and unpack it into a new folder",
		Long: `Verifies the artifact as "keos-oci verify" does. Then pull downloads it, checks it against its digests and unpacks it
into DIR. DIR must
not exist or be empty, and the folder above it must exist. DIR appears complete or not at all. Nothing is written outside of DIR. Files
in a folder .git are refused. Without a tag or digest, pull takes the channel of the branch, most often latest.

The exit code is 3 if the artifact is refused, and 1 if there is no answer. It is 2 if nothing says whose signature is expected;
--insecure-skip-verify unpacks without verification.`,
		Example: `  keos-oci pull frontend /tmp/frontend             # what latest points to
  keos-oci pull frontend v1.2.3 /tmp/frontend --key cosign.pub
  keos-oci pull frontend@sha256:… /tmp/frontend -o json`,
		Args:              oneTarget(1),
		ValidArgsFunction: a.completeTargetThenFolder,
	}
	signing.bindVerifier(cmd.Flags())
	cmd.Flags().BoolVar(&req.Unverified, flagUnverified, false, "unpack without verifying who signed the artifact")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Target, err = release.ParseTarget(joinTarget(args[:len(args)-1])); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		req.Dir = args[len(args)-1]
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
