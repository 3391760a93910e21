package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
)

// running are the clusters of the landscapes that somebody runs: one on the branch main, and one on production.
var running = map[string][]string{"keos": {"dev1", "pro1"}, "d1": {"staging", "prod-eu"}}

// branches gives a folder with the files of each branch of a checkout.
func branches(t *testing.T, landscape, name string, edit func(root string)) map[string]string {
	t.Helper()
	root := checkout(t, folderOf(t, landscape, name), map[string]func(string){"production": edit})
	folders := map[string]string{"main": root, "production": filepath.Join(t.TempDir(), "production")}
	runGit(t, root, "worktree", "add", "-q", folders["production"], "production")
	return folders
}

// request is for a landscape whose channels have what the branches have.
func request(t *testing.T, landscape string, edit func(root string)) Request {
	t.Helper()
	fleet := checkout(t, folderOf(t, landscape, "fleet"), nil)
	req := Request{Fleet: fleetOf(t, fleet), Clusters: running[landscape]}
	for _, name := range landscapes[landscape][1:] {
		folders := branches(t, landscape, name, edit)
		ws := workspaceOf(t, folders["main"], remoteOf(landscape, name), map[string]string{"main": "latest", "production": "latest-stable"})
		ws.Checkout = func(_ context.Context, branch string) (string, error) {
			if folders[branch] == "" {
				return "", errors.New("no such branch")
			}
			return folders[branch], nil
		}
		ws.Artifact = func(_ context.Context, c component.Component, channel string) (string, error) {
			branch := map[string]string{"latest": "main", "latest-stable": "production"}[channel]
			return filepath.Join(folders[branch], filepath.FromSlash(c.Root)), nil
		}
		req.Workspaces = append(req.Workspaces, ws)
	}
	return req
}

const sourceText = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata:\n  name: %s\n  namespace: %s\n" +
	"  annotations:\n    kustomize.toolkit.fluxcd.io/reconcile: %s\nspec:\n  interval: 5m\n  url: oci://%s\n  ref:\n    tag: %s\n"

// sources writes the least of an OCIRepository, with the variable that real ones have.
func sources() Sources {
	return Sources{
		Shared: func(c component.Component, namespace string) ([]byte, error) {
			return fmt.Appendf(nil, sourceText, c.Name, namespace, "${ARTIFACT_TAG:=disabled}", c.Repository, "${ARTIFACT_TAG:=unset}"), nil
		},
		Own: func(c component.Component, namespace, tag string) ([]byte, error) {
			return fmt.Appendf(nil, sourceText, c.Name, namespace, "enabled", c.Repository, tag), nil
		},
		Settings: func(channel string, _ []string) ([]flux.Setting, error) {
			return []flux.Setting{{Key: "ARTIFACT_TAG", Value: channel}}, nil
		},
	}
}

// says is what Git says to a cluster: its Kustomizations, and the tags of its artifacts.
func says(t *testing.T, f *Fleet, cluster string) (map[string]any, map[name]string) {
	t.Helper()
	l, err := f.follow(t.Context(), "clusters/"+cluster, nil, nil)
	if err != nil || len(l.stops) > 0 {
		t.Fatal(err, l.stops)
	}
	all := map[string]any{}
	for _, a := range l.appliers {
		all[a.String()] = a.object
	}
	tags := map[name]string{}
	for n, from := range l.prepared {
		tags[n] = from.Tag
	}
	return all, tags
}

func contents(t *testing.T, f *Fleet) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range f.Files {
		data, err := os.ReadFile(filepath.Join(f.Dir, file))
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(data)
	}
	return all
}

// do writes what a phase changes, and fails where it stops.
func do(t *testing.T, f *Fleet, plan *Plan, changes []Change, err error) {
	t.Helper()
	if err == nil {
		err = plan.Err()
	}
	if err == nil {
		err = Write(f.Dir, changes)
	}
	if err != nil {
		t.Fatalf("%v: %+v", err, plan)
	}
}
