package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) migrateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Move clusters that follow Git branches to artifacts",
		Long: `Run migrate in a checkout of the fleet. plan shows what each cluster follows today, what it can follow instead, and what
stops it. prepare
adds what clusters need to follow artifacts; nothing switches yet. switch moves one cluster, or one component of it, to artifacts, and back.
status shows the progress of all clusters.

Each phase edits files of the checkout in place and keeps comments and order. Commit each phase as one commit; to go back, revert it. A
phase that runs again does not repeat what is done.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.migratePlanCmd(), a.migratePrepareCmd(), a.migrateSwitchCmd(), a.migrateAdoptCmd(), a.migrateFleetCmd(),
		a.migrateCleanupCmd(), a.migrateStatusCmd())
	for _, phase := range cmd.Commands() {
		phase.ValidArgsFunction = a.completeClusters
	}
	return cmd
}

// bindMigration is for what all phases share.
func bindMigration(f *pflag.FlagSet, o *migrate.Options) {
	f.StringArrayVar(&o.Flux.Workspaces, "workspace", nil,
		"checkout with components, also the fleet's own; can be repeated (required)")
	f.StringArrayVar(&o.Channels, "channel", nil, "BRANCH=CHANNEL: the channel that a cluster follows instead of the branch")
	f.StringVar(&o.FluxVersion, "flux-version", "",
		"version of Flux that clusters will run, such as 2.8 (default from the FluxInstance or gotk-components.yaml)")
	_ = cobra.MarkFlagRequired(f, "workspace")
}

// bindEdits is for phases that change files.
func bindEdits(f *pflag.FlagSet, o *migrate.Options) {
	f.BoolVar(&o.DryRun, "dry-run", false, "print what would change, and change nothing")
	f.BoolVar(&o.Check, "check", false, "change nothing; exit with 3 if something is left to do")
}

// bindContexts is for what looks at clusters.
func bindContexts(f *pflag.FlagSet, c *migrate.Contexts) {
	f.StringVar(&c.Kubeconfig, "kubeconfig", "",
		"kubeconfig file to reach the cluster (default the same as kubectl)")
	f.StringArrayVar(&c.Contexts, "context", nil,
		"[CLUSTER=]CONTEXT: context of the kubeconfig to reach the cluster; can be repeated with CLUSTER=")
}

// migration adds to the options of a phase what the arguments, the global flags and those of signing say.
func (a *app) migration(o *migrate.Options, signing *signFlags, clusters []string) {
	o.Clusters, o.AtEnd = clusters, a.process.AtEnd
	o.Flux.Directory, o.Flux.OneWorkspace = a.global.directory, a.global.registry != "" || a.global.config != ""
	o.Flux.Key, o.Flux.Asked = signing.Key, signing.Expected
	o.Open = func(ctx context.Context, dir string) (migrate.Checkout, error) {
		session, err := a.opener().Service(ctx, dir, false, signing.settings())
		if err != nil {
			return nil, err
		}
		o.Flux.Key = signing.Key // where the config has it, too
		return a.opened(session, nil)
	}
}

// finishPhase prints what a phase did.
func (a *app) finishPhase(res *migrate.PhaseResult, err error) error {
	if res == nil {
		return err
	}
	return a.finish(render.MigrationPhase{PhaseResult: res}, err)
}

func (a *app) migratePlanCmd() *cobra.Command {
	var o migrate.Options
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "plan [CLUSTER…]",
		Short: "Show what clusters follow today, what they can follow, and what stops them",
		Long: `Starts at the entry of each cluster: a FluxInstance that syncs Git, or gotk-sync.yaml. From there plan follows the Flux
Kustomizations as
Flux does, with the variables, patches and generated kustomizations of the cluster. For each Kustomization that takes its files from a
branch of a workspace, plan shows the component, the variant and the channel. It verifies the artifact of the channel and compares its
objects with those of the branch.

A workspace belongs to a GitRepository if the last part of its Git remote is the same. The channel of a branch is the one that follows the
branch in the config of the workspace; --channel gives others.

The exit code is 3 if something is in the way. Each stop has its place and says what to do.`,
		Example: `  keos-oci migrate plan --workspace ../keos-apps \
      --workspace ../keos-system-services --channel production=latest-stable
  keos-oci migrate plan staging --workspace ../apps --key cosign.pub`,
	}
	f := cmd.Flags()
	bindMigration(f, &o)
	signing.bindVerifier(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.migration(&o, &signing, args)
		plan, err := o.Plan(cmd.Context())
		if plan == nil {
			return err
		}
		return a.finish(render.MigrationPlan{Plan: plan}, err)
	}
	return cmd
}

func (a *app) migratePrepareCmd() *cobra.Command {
	var o migrate.Options
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "prepare [CLUSTER…]",
		Short: "Add the sources that clusters will follow; nothing switches yet",
		Long: `Writes the channel and the signer into the settings of each cluster. Then prepare adds an OCIRepository, which verifies
signatures, to the
file of each Kustomization that will move. What differs between clusters is a variable in their settings. A cluster without these
variables gets none of the sources.

prepare is complete when all OCIRepositories are Ready in each cluster. --check --context asks the clusters: the exit code is 3 until each
OCIRepository exists, is Ready and has verified its artifact. The user of the kubeconfig needs to list ocirepositories. No Secret is
read.`,
		Example: `  keos-oci migrate prepare --workspace ../keos-apps \
      --channel production=latest-stable --pull-secret registry-login
  keos-oci migrate prepare --workspace ../apps --workspace ../infra \
      --key cosign.pub --key-secret cosign-key --dry-run
  keos-oci migrate prepare staging --workspace ../apps --check \
      --context staging-viewer`,
	}
	f := cmd.Flags()
	bindMigration(f, &o)
	bindEdits(f, &o)
	bindAccess(f, &o.Flux, &signing)
	signing.VerifyOnly = true
	f.StringVar(&o.Flux.Interval, "interval", "", "how often clusters check the tag (default 5m)")
	bindContexts(f, &o.Contexts)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.migration(&o, &signing, args)
		return a.finishPhase(o.Prepare(cmd.Context()))
	}
	return cmd
}

func (a *app) migrateSwitchCmd() *cobra.Command {
	var o migrate.SwitchOptions
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "switch CLUSTER",
		Short: "Move a cluster from Git to artifacts, or back to Git",
		Long: `Adds patches of sourceRef and path to the files of the cluster, for each prepared Kustomization. Names, namespaces,
variables, decryption,
patches, dependsOn, intervals and health checks stay. switch refuses if an object differs before and after; --accept allows the
differences that plan showed. --back removes the patches.

With --context, switch also refuses unless the OCIRepositories are Ready and verified in the cluster. After the commit, --check --context
exits with 3 until each switched Kustomization is Ready there with its OCIRepository. The user of the kubeconfig needs to list
ocirepositories and kustomizations.`,
		Example: `  keos-oci migrate switch staging --workspace ../apps --workspace ../infra
  keos-oci migrate switch staging --component frontend --workspace ../apps
  keos-oci migrate switch staging --check --context staging-viewer \
      --workspace ../apps
  keos-oci migrate switch staging --back --workspace ../apps`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	bindMigration(f, &o.Options)
	bindEdits(f, &o.Options)
	signing.bindVerifier(f)
	f.StringArrayVar(&o.Components, "component", nil, "only this component; can be repeated")
	f.BoolVar(&o.Back, "back", false, "go back to Git")
	f.BoolVar(&o.Accept, "accept", false, "continue even if objects differ")
	bindContexts(f, &o.Contexts)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.migration(&o.Options, &signing, args)
		return a.finishPhase(o.Switch(cmd.Context()))
	}
	return cmd
}

func (a *app) migrateStatusCmd() *cobra.Command {
	var o migrate.Options
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "status [CLUSTER…]",
		Short: "Show how far each Kustomization of each cluster is",
		Long: `Shows for each Kustomization whether it follows Git, is prepared or is switched in the checkout. With --workspace,
status also shows
Kustomizations from the content of components, and those that take components from the repository of the fleet.

With --context or --kubeconfig, status also asks the cluster: is the Kustomization Ready with that source, and which revision was applied
last? The user of the kubeconfig needs to list kustomizations.`,
		Example: `  keos-oci migrate status
  keos-oci migrate status staging --context staging-viewer
  keos-oci migrate status --context staging=viewer --context prod=prod-viewer`,
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Flux.Workspaces, "workspace", nil, "checkout with components; can be repeated")
	signing.bindVerifier(f)
	bindContexts(f, &o.Contexts)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.migration(&o, &signing, args)
		res, err := o.Progress(cmd.Context())
		if err != nil {
			return err
		}
		return a.finish(render.MigrationProgress{ProgressResult: res}, nil)
	}
	return cmd
}
