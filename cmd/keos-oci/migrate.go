package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
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

// migration opens the fleet and the workspaces.
func (a *app) migration(ctx context.Context, g *migrateFlags, clusters []string) (migrate.Request, error) {
	if n := len(g.generate.workspaces); n > 1 && (a.global.registry != "" || a.global.config != "") {
		return migrate.Request{}, fmt.Errorf("%w: --registry and --config speak of one workspace, and --workspace names %d", errUsage, n)
	}
	fleet, err := a.openFleet(ctx)
	if err != nil {
		return migrate.Request{}, err
	}
	fleet.FluxVersion = g.fluxVersion
	req := migrate.Request{Fleet: fleet, Clusters: clusters}
	mapped, err := pairsOf("channel", g.channels)
	if err != nil {
		return req, err
	}
	for _, dir := range g.generate.workspaces {
		ws, err := a.migrationWorkspace(ctx, dir, g, mapped)
		if err != nil {
			return req, fmt.Errorf("workspace %s: %w", dir, err)
		}
		req.Workspaces = append(req.Workspaces, ws)
	}
	return req, nil
}

// openFleet opens the checkout with the clusters as it is on disk, since its files are what is changed.
func (a *app) openFleet(ctx context.Context) (*migrate.Fleet, error) {
	checkout, err := git.Open(ctx, a.global.directory)
	if err != nil {
		return nil, err
	}
	tree, err := checkout.WorkTree(ctx)
	if err != nil {
		return nil, err
	}
	a.atEnd(func() { _ = tree.Close() })
	fleet := &migrate.Fleet{Dir: checkout.Top(), Read: kustomize.InFolder(tree)}
	for _, f := range tree.Files {
		if f.Mode == git.Regular || f.Mode == git.Executable {
			fleet.Files = append(fleet.Files, f.Path)
		}
	}
	return fleet, nil
}

func pairsOf(flag string, texts []string) (map[string]string, error) {
	found := map[string]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" || value == "" {
			return nil, fmt.Errorf("%w: --%s %q is not KEY=VALUE", errUsage, flag, text)
		}
		found[key] = value
	}
	return found, nil
}

func (a *app) migrationWorkspace(ctx context.Context, dir string, g *migrateFlags, mapped map[string]string) (migrate.Workspace, error) {
	svc, err := a.serviceIn(ctx, dir, false, &g.generate.signing)
	if err != nil {
		return migrate.Workspace{}, err
	}
	if g.services == nil {
		g.services = map[string]*release.Service{}
	}
	g.services[dir] = svc
	url, err := svc.Checkout.RemoteURL(ctx)
	if err != nil {
		return migrate.Workspace{}, err
	}
	temp := svc.TempDir
	unpacked, checkouts := map[string]string{}, map[string]string{}
	return migrate.Workspace{
		Name: filepath.Base(svc.Checkout.Top()), Dir: svc.Checkout.Top(), URL: url, Components: svc.Workspace.Components, Channels: channelsOf(svc.Workspace.Components, mapped),
		RemoteBases: svc.Workspace.Config.Artifact.RemoteBases == component.RemoteBasesAllow, ByGitTag: svc.Workspace.ByGitTag,
		Checkout: func(ctx context.Context, revision string) (string, error) {
			if checkouts[revision] == "" {
				folder, err := a.folderAt(ctx, svc.Checkout, revision)
				if err != nil {
					return "", err
				}
				checkouts[revision] = folder
			}
			return checkouts[revision], nil
		},
		Artifact: func(ctx context.Context, c component.Component, channel string) (string, error) {
			key := c.Name + ":" + channel
			if unpacked[key] != "" {
				return unpacked[key], nil
			}
			into, err := os.MkdirTemp(temp, "artifact-")
			if err != nil {
				return "", err
			}
			if _, err := svc.Pull(ctx, release.PullRequest{Target: release.Target{Component: c.Name, Tag: channel}, Dir: into}); err != nil {
				return "", err
			}
			unpacked[key] = into
			return into, nil
		},
	}, nil
}

// channelsOf gives the channel of each branch: as the command line says, else as the config lets channels follow branches.
func channelsOf(set component.Set, mapped map[string]string) map[string]string {
	channels := map[string]string{}
	for _, c := range set {
		for _, channel := range c.Channels {
			if channel.From == component.FromBranch {
				channels[channel.Branch] = channel.Name
			}
		}
	}
	for branch, channel := range mapped {
		channels[branch] = channel
	}
	return channels
}

// folderAt gives a folder with the files of a branch, as the remote has it where that is known here, or of refs/tags/… .
func (a *app) folderAt(ctx context.Context, checkout *git.Checkout, revision string) (string, error) {
	names := []string{"refs/remotes/origin/" + revision, "refs/heads/" + revision}
	if strings.HasPrefix(revision, "refs/") {
		names = []string{revision}
	}
	var commit git.Commit
	var err error
	for _, name := range names {
		if commit, err = checkout.Resolve(ctx, name); err == nil {
			break
		}
	}
	if err != nil {
		return "", err
	}
	tree, err := checkout.Tree(ctx, commit)
	if err != nil {
		return "", err
	}
	a.atEnd(func() { _ = tree.Close() })
	return tree.Folder()
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
	g.generate.signing.verifies = true
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

// phaseResult is what a phase of a migration did. Status of a file is updated, or differs where nothing was written.
type phaseResult struct {
	Files []generatedFile `json:"files"`
	Stops []migrate.Stop  `json:"stops"`
	Notes []string        `json:"notes,omitempty"`
	Next  string          `json:"next,omitempty"`
}

// finishPhase writes the changes of a phase, or says what they are.
func (a *app) finishPhase(g *migrateFlags, fleet *migrate.Fleet, plan *migrate.Plan, changes []migrate.Change, next string) error {
	res := &phaseResult{Files: []generatedFile{}, Stops: append([]migrate.Stop{}, plan.Stops...), Notes: g.notes}
	for _, c := range plan.Clusters {
		res.Notes = append(res.Notes, c.ByHand...)
	}
	status := fileUpdated
	if g.dryRun || g.check || len(plan.Stops) > 0 {
		status = fileDiffers
	}
	for _, c := range changes {
		_, hunks, _ := bytes.Cut(diff.Diff(c.File, c.Before, c.File+" (after)", c.After), []byte("\n"))
		res.Files = append(res.Files, generatedFile{Path: c.File, Status: status, Diff: string(hunks)})
	}
	switch {
	case len(plan.Stops) > 0:
		return a.finish(res, plan.Err())
	case g.check && len(changes) > 0:
		return a.finish(res, fmt.Errorf("%w: %d files are to be changed", migrate.ErrIncomplete, len(changes)))
	case g.dryRun || g.check:
		return a.finish(res, nil)
	}
	if len(changes) > 0 {
		res.Next = next
	}
	return a.finish(res, migrate.Write(fleet.Dir, changes))
}

// migrationSources makes sources for the components of all workspaces.
func (a *app) migrationSources(ctx context.Context, g *migrateFlags) (migrate.Sources, error) {
	shared, err := sharedSources(ctx, g)
	if err != nil {
		return migrate.Sources{}, err
	}
	return migrate.Sources{
		Shared: func(c component.Component, namespace string) ([]byte, error) {
			f, err := followOf(shared, c)
			if err != nil {
				return nil, err
			}
			return shared.Source(f, namespace)
		},
		Own: func(c component.Component, namespace, channelOrVersion string) ([]byte, error) {
			f, err := followOf(shared, c)
			if err == nil {
				err = f.PinTo(channelOrVersion)
			}
			if err != nil {
				return nil, err
			}
			return shared.Own(f, namespace)
		},
		Settings: func(channel string, components []string) ([]flux.Setting, error) {
			of := shared
			of.Follow = slices.DeleteFunc(slices.Clone(shared.Follow), func(f flux.Follow) bool {
				return !slices.Contains(components, f.Component.Name)
			})
			return of.Settings(channel)
		},
	}, nil
}

func followOf(shared flux.Shared, c component.Component) (flux.Follow, error) {
	for _, f := range shared.Follow {
		if f.Component.Repository == c.Repository {
			return f, nil
		}
	}
	return flux.Follow{}, fmt.Errorf("%w %s", component.ErrUnknown, c.Name)
}

// sharedSources is how clusters reach and verify the components of all workspaces.
func sharedSources(ctx context.Context, g *migrateFlags) (flux.Shared, error) {
	shared := flux.Shared{}
	for _, dir := range g.generate.workspaces {
		svc := g.services[dir]
		g.generate.defaults(svc.Workspace)
		for _, c := range svc.Workspace.Components {
			f, err := g.generate.one(ctx, svc, c)
			if err != nil {
				return shared, err
			}
			shared.Follow = append(shared.Follow, f)
		}
	}
	shared.Access, shared.Trust, shared.Interval = g.generate.access, g.generate.trust, g.generate.interval
	return shared, nil
}

func (a *app) printPhase(w io.Writer, r *phaseResult) {
	for _, f := range r.Files {
		say(w, "%s  %s\n", f.Status, f.Path)
		p := diffPrinter{app: a}
		p.hunks(f.Diff)
		fmt.Fprint(w, p.out.String())
	}
	a.printStops(w, r.Stops)
	for _, n := range r.Notes {
		say(w, "%s: %s\n", a.paint(bold, "note"), n)
	}
	if len(r.Files)+len(r.Stops) == 0 {
		fmt.Fprintln(w, "nothing to do")
	}
	if r.Next != "" {
		say(w, "%s: %s\n", a.paint(bold, "next"), r.Next)
	}
}

func (a *app) printStops(w io.Writer, stops []migrate.Stop) {
	for _, s := range stops {
		say(w, "%s: %s: %s:%d: %s [%s]; %s\n", a.paint(red, "stop"), s.Cluster, s.File, s.Line, s.Message, s.Code, s.Do)
	}
}

func (a *app) printPlan(w io.Writer, p *migrate.Plan) {
	fmt.Fprintln(w, "CLUSTER\tKUSTOMIZATION\tTODAY\tTOMORROW\tPATH\tOBJECTS")
	for _, c := range p.Clusters {
		for _, m := range c.Moves {
			tomorrow := "?"
			if m.Component != "" {
				tomorrow = m.Component + ":" + cmp.Or(m.Version, m.Channel)
			}
			equal := map[string]string{migrate.EqualYes: "equal", migrate.EqualNo: "differ", migrate.EqualUnknown: "unknown"}[m.Equal]
			say(w, "%s\t%s\t%s@%s\t%s\t%s\t%d %s\n", c.Name, m.Kustomization, m.Source[strings.LastIndex(m.Source, "/")+1:], m.Branch, tomorrow,
				m.NewPath, m.Objects, equal)
		}
	}
	for _, c := range p.Clusters {
		for _, n := range c.Secrets {
			say(w, "%s: namespace %s needs the registry's login and what verifies signatures, for %s\n", c.Name, n.Namespace,
				strings.Join(slices.Sorted(slices.Values(n.For)), ", "))
		}
		if len(c.Waits) > 0 {
			say(w, "%s: %s: %d Kustomizations wait for another component, such as %s for %s: both were of one commit, and will be of versions of their own\n",
				a.paint(bold, "note"), c.Name, len(c.Waits), c.Waits[0].Kustomization, c.Waits[0].For)
		}
		for _, n := range append(slices.Clone(c.Notes), c.ByHand...) {
			say(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, n)
		}
	}
	a.printStops(w, p.Stops)
}
