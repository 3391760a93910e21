package main

import (
	"cmp"
	"errors"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
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
		Short: "Publish the components that changed, sign them and move the tags that follow",
		Long: `On a branch, each component whose content changed becomes a signed artifact with the tag <branch>-<commit>; the channels
that follow the branch, such as latest, move to it after it is signed. On a Git tag such as frontend/v1.2.3 (or
with --version) the version tag is given to the digest that has this content already, which the release identity signs as
well; only content that no branch published is built anew. Then latest-stable follows, unless the channel says promote:
manual, the version is a pre-release or older than the channel's, or it was rolled back.

A tag, --version and --commit name a commit. Its files are published as Git stores them, whatever is checked out. Changes that are not
committed count only where HEAD is published: they get the tag <branch>-<commit>-dirty-<hash>, and move no channel without --allow-dirty.

Every component passes the gate of "keos-oci check" first. A run that was killed is completed by running it again.`,
		Example: `  keos-oci publish                                          every changed component of the current branch
  keos-oci publish frontend backend --dry-run               what would happen to two of them
  keos-oci publish --ref refs/tags/frontend/v1.2.3          a release; in GitHub Actions the ref is found by itself
  keos-oci publish --ref refs/heads/main --commit 1a2b3c4d  a commit of main, whatever is checked out
  keos-oci publish --changed-since HEAD~1                   only what the last commit changed, for large repositories
  keos-oci publish --key cosign.key                         with a key pair instead of keyless
  keos-oci publish -o json                                  the result for scripts`,
		ValidArgsFunction: a.completeComponents,
	}
	f := cmd.Flags()
	f.StringVar(&ref, "ref", "",
		"Git reference that is published: what a tag points to, or HEAD as a branch (default GITHUB_REF, else the checked-out branch)")
	f.StringVar(&want.Commit, "commit", "", "publish this commit of the branch, whatever is checked out; with --version, give it the version")
	f.StringVar(&version, "version", "", "publish the named components under this version, as their Git tag would")
	f.StringVar(&req.Since, "changed-since", "",
		"publish only components with files that changed since this Git revision; others cost no request")
	f.BoolVar(&req.DryRun, "dry-run", false, "print the plan and stop")
	f.BoolVar(&req.Resign, "resign", false,
		"sign unchanged artifacts as well, where this identity has not; their content is read and compared first")
	f.BoolVar(&req.AllowOlder, "allow-older", false, "let a channel go back to an older commit")
	f.BoolVar(&req.AllowDirty, "allow-dirty", false, "let a channel follow to changes that are not committed")
	f.BoolVar(&req.NoPromote, "no-promote", false, "publish a version without moving the channels that follow versions")
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
		req.Actor, req.RunURL = a.whoRuns()
		req.Request = requestOf(req.Request, req.RunURL)
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
