package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/release"
)

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
