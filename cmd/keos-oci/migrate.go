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
		Long: `Run it in a checkout of the fleet. plan says what each cluster follows today and what it can follow instead, and what keeps it
from moving. prepare adds what clusters need to follow artifacts; nothing switches. switch lets one cluster, or one component of it,
take its files from artifacts, and back. status shows how far all of them are.

Each phase edits files of the checkout in place and keeps comments and order. Commit it as one commit: to revert the commit is the way
back. A phase that is run again changes nothing that is done already.`,
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
		"checkout with components, which may be the fleet's own; may be given several times (required)")
	f.StringArrayVar(&g.channels, "channel", nil, "BRANCH=CHANNEL: what a cluster follows in the place of a branch")
	f.StringVar(&g.fluxVersion, "flux-version", "",
		"Flux that clusters run by then, such as 2.8 (default as the FluxInstance or gotk-components.yaml says)")
	_ = cobra.MarkFlagRequired(f, "workspace")
}

func (g *migrateFlags) bindEdits(f *pflag.FlagSet) {
	f.BoolVar(&g.dryRun, "dry-run", false, "print what would change, and change nothing")
	f.BoolVar(&g.check, "check", false, "change nothing, and exit with 3 where something is left to do")
}

func (a *app) migratePlanCmd() *cobra.Command {
	var g migrateFlags
	cmd := &cobra.Command{
		Use:   "plan [CLUSTER…]",
		Short: "What clusters follow today, what they can follow instead, and what is in the way",
		Long: `Follows each cluster's entry, a FluxInstance that syncs Git or gotk-sync.yaml, through its Flux Kustomizations as Flux does: with
the variables of the cluster's settings, patches and generated kustomizations. For each Kustomization that takes its files from a
branch of one of the workspaces it names the component, the variant and the channel, and compares the objects of that branch with
those of the channel's artifact, after the artifact was verified.

A workspace belongs to a GitRepository if the last part of its Git remote is the same. The channel of a branch is the one that the
workspace's config lets follow it; others are given by --channel.

Exit code 3 means that something is in the way: each stop has its place and says what to do.`,
		Example: `  keos-oci migrate plan --workspace ../keos-apps --workspace ../keos-system-services --channel production=latest-stable
  keos-oci migrate plan staging --workspace ../apps --workspace ../infra --key cosign.pub`,
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
		Short: "Add the sources that clusters will follow; nothing switches",
		Long: `Writes the channel and who signs into the settings of each cluster, then an OCIRepository, which verifies signatures, into the file
of each Kustomization that is to move. What differs between clusters are variables of their settings; a cluster without them gets none
of these sources.

It is done when all OCIRepositories are Ready in each cluster. --check --context asks the clusters: it exits with 3 until each OCIRepository
is there, Ready, and has verified its artifact. The user of the kubeconfig needs to list ocirepositories; no Secret is read.`,
		Example: `  keos-oci migrate prepare --workspace ../keos-apps --workspace ../keos-system-services --channel production=latest-stable --pull-secret registry-login
  keos-oci migrate prepare --workspace ../apps --workspace ../infra --key cosign.pub --key-secret cosign-key --dry-run
  keos-oci migrate prepare staging --workspace ../apps --workspace ../infra --check --context staging-viewer`,
	}
	f := cmd.Flags()
	g.bind(f)
	g.bindEdits(f)
	g.generate.bindAccess(f)
	g.generate.signing.VerifyOnly = true
	f.StringVar(&g.generate.interval, "interval", "", "how often clusters look at the tag (default 5m)")
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
		Short: "Let a cluster take its files from artifacts, or go back to Git",
		Long: `Adds patches of sourceRef and path to the cluster's own files, for each Kustomization that is prepared. Names, namespaces, variables,
decryption, patches, dependsOn, intervals and health checks stay. It refuses unless all objects are the same before and after; --accept
takes differences that plan has shown. --back takes the patches away.

With --context it refuses, too, unless the OCIRepositories are Ready and verified in the cluster. After the commit, --check --context exits
with 3 until each switched Kustomization is Ready there, with its OCIRepository. The user of the kubeconfig needs to list ocirepositories
and kustomizations.`,
		Example: `  keos-oci migrate switch staging --workspace ../keos-apps --workspace ../keos-system-services
  keos-oci migrate switch staging --component frontend --workspace ../apps
  keos-oci migrate switch staging --check --context staging-viewer --workspace ../apps
  keos-oci migrate switch staging --back --workspace ../apps`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	g.bind(f)
	g.bindEdits(f)
	g.generate.signing.bindVerifier(f)
	f.StringArrayVar(&components, "component", nil, "only this component; may be given several times")
	f.BoolVar(&back, "back", false, "go back to Git")
	f.BoolVar(&accept, "accept", false, "although objects differ")
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
		Short: "How far each Kustomization of each cluster is",
		Long: `Says for each Kustomization whether it follows Git, is prepared or is switched, as the checkout has it. Kustomizations that come
from the content of components, or that take components from the fleet's own repository, are listed where --workspace names the checkout.

With --context, or --kubeconfig, it asks the cluster too: is the Kustomization Ready, with that source, and which revision was applied
last. The user of the kubeconfig needs to list kustomizations.`,
		Example: `  keos-oci migrate status
  keos-oci migrate status staging --context staging-viewer
  keos-oci migrate status --context staging=staging-viewer --context prod=prod-viewer`,
	}
	f := cmd.Flags()
	f.StringArrayVar(&g.generate.workspaces, "workspace", nil, "checkout with components; may be given several times")
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
