package migrate

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// Options are what all phases are asked for: the clusters, the workspaces with their components, and how to look at clusters.
type Options struct {
	Flux        flux.Request // the workspaces, and how clusters reach and verify their artifacts; Directory is in the checkout of the fleet
	Clusters    []string     // names; all where empty
	Channels    []string     // BRANCH=CHANNEL: what a cluster follows in the place of a branch
	FluxVersion string       // that clusters run by then; what the files say where it is empty
	DryRun      bool         // say what would change, and change nothing
	Check       bool         // change nothing; an ErrIncomplete where something is left to do
	Contexts    Contexts

	Open  func(ctx context.Context, dir string) (Checkout, error) // opens the checkout of a workspace
	AtEnd func(func())                                            // keeps what is called when the run ends
}

// Checkout is a workspace whose artifacts can be unpacked.
type Checkout interface {
	flux.Workspace
	// Git is the checkout itself.
	Git() *git.Checkout
	// Unpack verifies what a tag of a component points to, and returns a new folder with its files.
	Unpack(ctx context.Context, component, tag string) (folder string, err error)
}

// run is a phase whose fleet and workspaces are open.
type run struct {
	*Options
	req       Request
	checkouts []flux.Workspace
	notes     []string
}

// open opens the fleet and the workspaces.
func (o *Options) open(ctx context.Context) (*run, error) {
	if err := o.Flux.CheckWorkspaces(); err != nil {
		return nil, err
	}
	fleet, err := OpenFleet(ctx, o.Flux.Directory, o.AtEnd)
	if err != nil {
		return nil, err
	}
	fleet.FluxVersion = o.FluxVersion
	r := &run{Options: o, req: Request{Fleet: fleet, Clusters: o.Clusters}}
	mapped, err := pairsOf("channel", o.Channels)
	if err != nil {
		return nil, err
	}
	for _, dir := range o.Flux.Workspaces {
		if err := r.openWorkspace(ctx, dir, mapped); err != nil {
			return nil, fmt.Errorf("workspace %s: %w", dir, err)
		}
	}
	return r, nil
}

// OpenFleet opens the checkout with the clusters as it is on disk, since its files are what is changed. atEnd keeps what is called when
// the fleet is not used any more.
func OpenFleet(ctx context.Context, dir string, atEnd func(func())) (*Fleet, error) {
	checkout, err := git.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	tree, err := checkout.WorkTree(ctx)
	if err != nil {
		return nil, err
	}
	atEnd(func() { _ = tree.Close() })
	fleet := &Fleet{Dir: checkout.Top(), Read: kustomize.InFolder(tree)}
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
		key, value, err := flux.KeyValue(flag, text)
		if err != nil {
			return nil, err
		}
		found[key] = value
	}
	return found, nil
}

// openWorkspace adds the workspace that a folder is in. Branches are mapped to channels.
func (r *run) openWorkspace(ctx context.Context, dir string, mapped map[string]string) error {
	opened, err := r.Open(ctx, dir)
	if err != nil {
		return err
	}
	checkout, loaded := opened.Git(), opened.Loaded()
	url, err := checkout.RemoteURL(ctx)
	if err != nil {
		return err
	}
	r.checkouts = append(r.checkouts, opened)
	r.req.Workspaces = append(r.req.Workspaces, Workspace{
		Name: filepath.Base(checkout.Top()), Dir: checkout.Top(), URL: url, Components: loaded.Components,
		Channels:    channelsOf(loaded.Components, mapped),
		RemoteBases: loaded.Config.Artifact.RemoteBases == component.RemoteBasesAllow, ByGitTag: loaded.ByGitTag,
		Checkout: once(func(ctx context.Context, revision string) (string, error) { return r.folderAt(ctx, checkout, revision) }),
		Artifact: unpacking(opened),
	})
	return nil
}

// once remembers the folder of each key.
func once(folderOf func(ctx context.Context, key string) (string, error)) func(context.Context, string) (string, error) {
	known := map[string]string{}
	return func(ctx context.Context, key string) (string, error) {
		if known[key] != "" {
			return known[key], nil
		}
		folder, err := folderOf(ctx, key)
		if err != nil {
			return "", err
		}
		known[key] = folder
		return folder, nil
	}
}

// unpacking unpacks each artifact once.
func unpacking(c Checkout) func(context.Context, component.Component, string) (string, error) {
	unpack := once(func(ctx context.Context, key string) (string, error) {
		name, tag, _ := strings.Cut(key, ":")
		return c.Unpack(ctx, name, tag)
	})
	return func(ctx context.Context, c component.Component, channel string) (string, error) {
		return unpack(ctx, c.Name+":"+channel)
	}
}

// channelsOf gives the channel of each branch: as the options say, else as the config lets channels follow branches.
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
func (o *Options) folderAt(ctx context.Context, checkout *git.Checkout, revision string) (string, error) {
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
	o.AtEnd(func() { _ = tree.Close() })
	return tree.Folder()
}
