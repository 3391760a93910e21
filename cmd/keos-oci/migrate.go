package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/component"
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
from moving. It changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.migratePlanCmd())
	return cmd
}

// migrateFlags are what the phases share.
type migrateFlags struct {
	workspaces []string
	channels   []string // BRANCH=CHANNEL
	signing    signFlags
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
	f.StringArrayVar(&g.workspaces, "workspace", nil, "checkout with components; may be given several times (required)")
	f.StringArrayVar(&g.channels, "channel", nil, "BRANCH=CHANNEL: what a cluster follows in the place of a branch")
	_ = cmd.MarkFlagRequired("workspace")
	g.signing.bindVerifier(f)
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
	fleet, err := a.openFleet(ctx)
	if err != nil {
		return migrate.Request{}, err
	}
	req := migrate.Request{Fleet: fleet, Clusters: clusters}
	mapped, err := pairsOf("channel", g.channels)
	if err != nil {
		return req, err
	}
	for _, dir := range g.workspaces {
		ws, err := a.migrationWorkspace(ctx, dir, &g.signing, mapped)
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

func (a *app) migrationWorkspace(ctx context.Context, dir string, signing *signFlags, mapped map[string]string) (migrate.Workspace, error) {
	svc, err := a.serviceIn(ctx, dir, false, signing)
	if err != nil {
		return migrate.Workspace{}, err
	}
	url, err := svc.Checkout.RemoteURL(ctx)
	if err != nil {
		return migrate.Workspace{}, err
	}
	temp := svc.TempDir
	unpacked := map[string]string{}
	return migrate.Workspace{
		Name: filepath.Base(svc.Checkout.Top()), URL: url, Components: svc.Workspace.Components, Channels: channelsOf(svc.Workspace.Components, mapped),
		Checkout: func(ctx context.Context, branch string) (string, error) {
			return a.branchFolder(ctx, svc.Checkout, branch)
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

// branchFolder gives a folder with the files of a branch, as the remote has it where that is known here.
func (a *app) branchFolder(ctx context.Context, checkout *git.Checkout, branch string) (string, error) {
	commit, err := checkout.Resolve(ctx, "refs/remotes/origin/"+branch)
	if err != nil {
		if commit, err = checkout.Resolve(ctx, "refs/heads/"+branch); err != nil {
			return "", err
		}
	}
	tree, err := checkout.Tree(ctx, commit)
	if err != nil {
		return "", err
	}
	a.atEnd(func() { _ = tree.Close() })
	return tree.Folder()
}

func (a *app) printPlan(w io.Writer, p *migrate.Plan) {
	fmt.Fprintln(w, "CLUSTER\tKUSTOMIZATION\tTODAY\tTOMORROW\tPATH\tOBJECTS")
	for _, c := range p.Clusters {
		for _, m := range c.Moves {
			tomorrow := "?"
			if m.Component != "" {
				tomorrow = m.Component + ":" + m.Channel
			}
			equal := map[string]string{migrate.EqualYes: "equal", migrate.EqualNo: "differ", migrate.EqualUnknown: "unknown"}[m.Equal]
			say(w, "%s\t%s\t%s@%s\t%s\t%s\t%d %s\n", c.Name, m.Kustomization, m.Source[strings.LastIndex(m.Source, "/")+1:], m.Branch, tomorrow, m.NewPath, m.Objects, equal)
		}
	}
	for _, c := range p.Clusters {
		for _, n := range c.Secrets {
			say(w, "%s: namespace %s needs the registry's login and what verifies signatures, for %s\n", c.Name, n.Namespace, strings.Join(slices.Sorted(slices.Values(n.For)), ", "))
		}
		if len(c.Waits) > 0 {
			say(w, "%s: %s: %d Kustomizations wait for another component, such as %s for %s: both were of one commit, and will be of versions of their own\n",
				a.paint(bold, "note"), c.Name, len(c.Waits), c.Waits[0].Kustomization, c.Waits[0].For)
		}
		for _, n := range c.Notes {
			say(w, "%s: %s: %s\n", a.paint(bold, "note"), c.Name, n)
		}
	}
	for _, s := range p.Stops {
		say(w, "%s: %s: %s:%d: %s [%s]; %s\n", a.paint(red, "stop"), s.Cluster, s.File, s.Line, s.Message, s.Code, s.Do)
	}
}
