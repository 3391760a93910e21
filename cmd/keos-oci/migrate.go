package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/release"
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

// migrateFlags are what the phases share.
type migrateFlags struct {
	channels []string // BRANCH=CHANNEL
	generate generateFlags
	dryRun   bool
	check    bool
	clusters contextFlags

	fluxVersion string
	services    map[string]*release.Service // by workspace
	notes       []string
}

func (g *migrateFlags) bind(f *pflag.FlagSet) {
	f.StringArrayVar(&g.generate.workspaces, "workspace", nil,
		"checkout with components, also the fleet's own; can be repeated (required)")
	f.StringArrayVar(&g.channels, "channel", nil, "BRANCH=CHANNEL: the channel that a cluster follows instead of the branch")
	f.StringVar(&g.fluxVersion, "flux-version", "",
		"version of Flux that clusters will run, such as 2.8 (default from the FluxInstance or gotk-components.yaml)")
	_ = cobra.MarkFlagRequired(f, "workspace")
}

func (g *migrateFlags) bindEdits(f *pflag.FlagSet) {
	f.BoolVar(&g.dryRun, "dry-run", false, "print what would change, and change nothing")
	f.BoolVar(&g.check, "check", false, "change nothing; exit with 3 if something is left to do")
}

func (a *app) migratePlanCmd() *cobra.Command {
	var g migrateFlags
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
	g.bind(f)
	g.generate.signing.bindVerifier(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := a.migration(cmd.Context(), &g, args)
		if err != nil {
			return err
		}
		plan, err := migrate.Make(cmd.Context(), req)
		if err != nil {
			return err
		}
		return a.finish(plan, plan.Err())
	}
	return cmd
}

func (a *app) migratePrepareCmd() *cobra.Command {
	var g migrateFlags
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
	g.bind(f)
	g.bindEdits(f)
	g.generate.bindAccess(f)
	g.generate.signing.VerifyOnly = true
	f.StringVar(&g.generate.interval, "interval", "", "how often clusters check the tag (default 5m)")
	g.clusters.bind(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := a.migration(cmd.Context(), &g, args)
		if err != nil {
			return err
		}
		live, err := g.openClusters(req, g.check, "with --check")
		if err != nil {
			return err
		}
		sources, err := a.migrationSources(cmd.Context(), &g)
		if err != nil {
			return err
		}
		plan, changes, err := migrate.Prepare(cmd.Context(), req, sources)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			if err := g.requireSources(cmd.Context(), live, plan, nil); err != nil {
				return err
			}
		}
		next := "when committed, look at each cluster: kubectl get ocirepositories -A must show all as Ready; where some are missing, " +
			"Flux built their folder before the settings came: flux reconcile kustomization NAME, for what applies them"
		return a.finishPhase(&g, req.Fleet, plan, changes, next)
	}
	return cmd
}

func (a *app) migrateSwitchCmd() *cobra.Command {
	var g migrateFlags
	var components []string
	var back, accept bool
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
	g.bind(f)
	g.bindEdits(f)
	g.generate.signing.bindVerifier(f)
	f.StringArrayVar(&components, "component", nil, "only this component; can be repeated")
	f.BoolVar(&back, "back", false, "go back to Git")
	f.BoolVar(&accept, "accept", false, "continue even if objects differ")
	g.clusters.bind(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := a.migration(cmd.Context(), &g, args)
		if err != nil {
			return err
		}
		live, err := g.openClusters(req, !back, "without --back; afterwards keos-oci migrate status looks at the cluster")
		if err != nil {
			return err
		}
		if back {
			changes, behind, err := migrate.Back(cmd.Context(), req, components)
			if err != nil {
				return err
			}
			g.notes = behind
			return a.finishPhase(&g, req.Fleet, &migrate.Plan{}, changes,
				"when committed, look at the cluster: kubectl get kustomizations -A must show all as Ready")
		}
		plan, changes, err := migrate.Switch(cmd.Context(), req, components, accept)
		if err != nil {
			return err
		}
		if err := g.lookAtSwitch(cmd.Context(), live, plan, components, len(changes) > 0); err != nil {
			return err
		}
		return a.finishPhase(&g, req.Fleet, plan, changes,
			"when committed, look at the cluster: kubectl get kustomizations -A must show all as Ready")
	}
	return cmd
}

func (a *app) migrateStatusCmd() *cobra.Command {
	var g migrateFlags
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
	f.StringArrayVar(&g.generate.workspaces, "workspace", nil, "checkout with components; can be repeated")
	g.generate.signing.bindVerifier(f)
	g.clusters.bind(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := a.migration(cmd.Context(), &g, args)
		if err != nil {
			return err
		}
		states, err := migrate.Progress(cmd.Context(), req)
		if err != nil {
			return err
		}
		res, err := g.clusters.liveProgress(cmd.Context(), req, states)
		if err != nil {
			return err
		}
		return a.finish(res, nil)
	}
	return cmd
}

// progressResult is how far a migration is.
type progressResult struct {
	Kustomizations []migrate.LiveState `json:"kustomizations"`

	looked bool // at the clusters
}
