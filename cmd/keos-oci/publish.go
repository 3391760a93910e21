package main

import (
	"cmp"
	"errors"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/setup"
	"github.com/stratio/keos-oci/internal/tag"
)

func (a *app) publishCmd() *cobra.Command {
	var req release.PublishRequest
	var want release.SourceRequest
	var ref, version string
	var anchor anchorFlag
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "publish [COMPONENT…]",
		Short: "Publish and sign the components that changed, then move their channels",
		Long: `On a branch, each component with changed content becomes a signed artifact with the tag <branch>-<commit>. Channels that follow the
branch, such as latest, move to the artifact after it is signed.

On a Git tag such as frontend/v1.2.3, or with --version, publish gives the version tag to the artifact that already has this content, and
signs it with the identity of the release. It builds content only when no branch published it before. Then latest-stable moves, unless
the channel has "promote: manual", the version is a pre-release or older than the channel, or somebody rolled the version back.

A Git tag, --version and --commit select a commit. publish reads its files as Git stores them; the checked-out files do not matter.
Uncommitted changes are published only from HEAD. They get the tag <branch>-<commit>-dirty-<hash>, and no channel moves without
--allow-dirty.

Every component must pass "keos-oci check" first. If a run was killed, run it again: it completes the work.`,
		Example: `  keos-oci publish                            # what changed on this branch
  keos-oci publish frontend backend --dry-run # what would happen to these two
  keos-oci publish --ref refs/tags/frontend/v1.2.3
  keos-oci publish --ref refs/heads/main --commit 1a2b3c4d
  keos-oci publish --changed-since HEAD~1     # quick in large repositories
  keos-oci publish --key cosign.key           # sign with a key pair
  keos-oci publish -o json                    # for scripts`,
		ValidArgsFunction: a.completeComponents,
	}
	f := cmd.Flags()
	f.StringVar(&ref, "ref", "",
		"Git reference to publish: a Git tag, or HEAD as this branch (default GITHUB_REF, else the checked-out branch)")
	f.StringVar(&want.Commit, "commit", "",
		"publish this commit of the branch instead of the checked-out files; with --version, this commit gets the version")
	f.StringVar(&version, "version", "", "publish the given components under this version, as their Git tag would")
	f.StringVar(&req.Since, "changed-since", "",
		"publish only components with files that changed since this Git revision; the others need no request")
	f.BoolVar(&req.DryRun, "dry-run", false, "print the plan and stop")
	f.BoolVar(&req.Resign, "resign", false,
		"also sign unchanged artifacts that this identity did not sign yet; their content is read and compared first")
	f.BoolVar(&req.AllowOlder, "allow-older", false, "allow a channel to go back to an older commit")
	f.BoolVar(&req.AllowDirty, "allow-dirty", false, "allow a channel to move to uncommitted changes")
	f.BoolVar(&req.NoPromote, "no-promote", false, "do not move the channels that follow versions")
	bindRequest(f, &req.Request, &req.Wait)
	anchor.bind(f)
	signing.bindMover(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		req.Names = args
		if version != "" {
			if req.Version, err = tag.ParseVersion(version); err != nil {
				return err
			}
		}
		if ref = cmp.Or(ref, a.getenv("GITHUB_REF")); ref != "" && (version == "" || cmd.Flags().Changed("ref")) {
			if want.Ref, err = release.ParseRef(ref); err != nil {
				return err
			}
		}
		if req.Anchor, err = anchor.open(); err != nil {
			return err
		}
		req.Actor, req.RunURL = setup.WhoRuns(a.getenv)
		req.Request = setup.RequestOf(req.Request, req.RunURL)
		svc, err := a.opened(a.opener().Publish(cmd.Context(), want, &req, signing.settings()))
		if err != nil {
			return err
		}
		req.Sizes = a.reports()
		res, err := svc.Publish(cmd.Context(), req)
		if err != nil {
			return err
		}
		return errors.Join(a.finish(render.Publish{PublishResult: res}, res.Err()), anchor.save(false))
	}
	return cmd
}
