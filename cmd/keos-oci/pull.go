package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
)

func (a *app) pullCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pull COMPONENT[:TAG|@DIGEST] DIR",
		Short: "Unpack an artifact into a new folder",
		Long: `Downloads one artifact, checks it against its digests and unpacks it into DIR, which must not exist or be empty; the folder
above it must exist. DIR appears whole or not at all, and nothing is ever written outside of it. Without a tag or digest
the channel of the branch is meant, most often latest.

The signature is not checked: "keos-oci verify" does that.`,
		Example: `  keos-oci pull frontend /tmp/frontend                      what latest names
  keos-oci pull frontend:v1.2.3 /tmp/frontend
  keos-oci pull frontend@sha256:… /tmp/frontend -o json`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeTargetThenFolder,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		target, err := release.ParseTarget(args[0])
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		svc, err := a.service(cmd.Context(), nil)
		if err != nil {
			return err
		}
		res, err := svc.Pull(cmd.Context(), release.PullRequest{Target: target, Dir: args[1]})
		if err != nil {
			return err
		}
		return a.finish(res, nil)
	}
	return cmd
}

func (a *app) printPull(w io.Writer, r *release.PullResult) {
	which := r.Reference[strings.LastIndex(r.Reference, "/")+1:]
	which = r.Name + which[strings.IndexAny(which, ":@"):]
	fmt.Fprintf(w, "pulled  %s  %s  %d files into %s  (signature not checked: keos-oci verify %s)\n",
		r.Reference, short(r.Digest.String()), r.Files, printable(r.Dir), which)
}
