package main

import (
	"context"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/scaffold"
)

func (a *app) initCmd() *cobra.Command {
	var req scaffold.Request
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Look at a checkout and propose the files to publish it",
		Long: `Prints which components the checkout has and which rule found each of them. Where these rules do not fit the layout,
init proposes a
keos-oci.yaml. If a layout can be read in several ways, init shows all of them: choose one with --layout. Nothing is written from a guess.

For <layer>/<environment>/<app>, init proposes one component per layer, or one per app with --by app. --workflows adds the workflows that
check, publish, release, promote and roll back.

Nothing is written without --write. Workflows that nobody edited are replaced. A file that a person wrote or edited is replaced only with
--overwrite.`,
		Example: `  keos-oci init                    # what is here, and what is missing
  keos-oci init --write
  keos-oci init --layout split     # if several layouts are possible
  keos-oci init --by app           # each app of a layer is a component
  keos-oci init --workflows github --action-ref v1.0.0@1a2b3c4d --write
  keos-oci init --workflows gitlab --write`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar((*string)(&req.Layout), "layout", "", "how to read the checkout: "+enumerate(scaffold.Layouts())+" (default: found by itself)")
	f.StringVar((*string)(&req.By), "by", "", "what is one component in <layer>/<environment>/<app>: "+
		enumerate(scaffold.Groupings())+" (default layer)")
	f.StringVar(&req.Workflows, "workflows", "", "also propose the workflows of "+enumerate(scaffold.Systems()))
	f.StringVar(&req.Branch, "branch", "", "branch that the channel latest follows (default main, or master if there is no main)")
	f.StringVar(&req.ActionRef, "action-ref", "",
		"commit of stratio/keos-oci for GitHub's workflows, as COMMIT or VERSION@COMMIT (default the commit of this program)")
	f.BoolVar(&req.Write, "write", false, "write the files")
	f.BoolVar(&req.Replace, "overwrite", false, "with --write: also replace files that a person wrote or edited")
	_ = cmd.RegisterFlagCompletionFunc("workflows", cobra.FixedCompletions(scaffold.Systems(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(scaffold.Groupings(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("layout", cobra.FixedCompletions(scaffold.Layouts(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.propose(cmd.Context(), req) }
	return cmd
}

func (a *app) propose(ctx context.Context, req scaffold.Request) error {
	if a.global.config != "" {
		return fmt.Errorf("%w: init is about %s at the top of the checkout, and --config names another file", errUsage, component.ConfigFile)
	}
	checkout, err := git.Open(ctx, a.global.directory)
	if err != nil {
		return err
	}
	if req.Branch == "" {
		req.Branch = checkout.MainBranch(ctx)
	}
	if isRelease(version()) {
		req.Release, req.BuiltFrom = version(), builtFrom(buildResult())
	}
	tree, err := checkout.WorkTree(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	options, err := a.opener().Options(ctx, checkout, tree)
	if err != nil {
		return err
	}
	res, err := scaffold.Init(options, req)
	if res == nil {
		return err
	}
	return a.finish(render.Init{Result: res}, err)
}

// builtFrom is the commit of the release that this binary is, "" where the build does not say: a module from the proxy
// knows its version alone, and what was built between releases may be of a commit that nobody else has.
func builtFrom(b *render.Version) string {
	if b.Modified || !isRelease(b.Version) {
		return ""
	}
	return b.Commit
}

// isRelease reports whether version is a release, and not a build between two releases.
func isRelease(version string) bool {
	return regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`).MatchString(version)
}
