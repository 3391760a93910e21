package migrate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
)

// fleetSources writes the least of a fleet's source, and a FluxInstance's change with a login.
func fleetSources() FleetSources {
	return FleetSources{
		Source: func(c component.Component, name, namespace, channel string) ([]byte, error) {
			return fmt.Appendf(nil, sourceText, name, namespace, "enabled", c.Repository, channel), nil
		},
		Sync: func(c component.Component, channel string) (flux.Sync, error) {
			return flux.Sync{URL: "oci://" + c.Repository.String(), Ref: channel, PullSecret: "registry",
				Patch: "- op: add\n  path: /spec/verify\n  value: {provider: cosign}\n"}, nil
		},
	}
}

// withFleet adds the fleet's own checkout to the workspaces of a request, for one cluster. Its artifact has what the checkout has.
func withFleet(t *testing.T, req Request, landscape, cluster string) Request {
	t.Helper()
	return withFleetAt(t, req, remoteOf(landscape, "fleet"), cluster)
}

func withFleetAt(t *testing.T, req Request, url, cluster string) Request {
	t.Helper()
	ws := workspaceOf(t, req.Fleet.Dir, url, map[string]string{"main": "latest"})
	published := copyOf(t, req.Fleet.Dir)
	ws.Artifact = func(context.Context, component.Component, string) (string, error) { return published, nil }
	req.Fleet, req.Clusters = fleetOf(t, req.Fleet.Dir), []string{cluster}
	for i := range req.Workspaces {
		if req.Workspaces[i].URL == ws.URL { // one repository has both
			components := req.Workspaces[i].Artifact
			req.Workspaces[i].Artifact = func(ctx context.Context, c component.Component, tag string) (string, error) {
				if c.Kind == component.Fleet {
					return published, nil
				}
				return components(ctx, c, tag)
			}
			return req
		}
	}
	req.Workspaces = append(req.Workspaces, ws)
	return req
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "published")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// step does one step of the fleet's own move, in a fleet as it is on disk.
func step(t *testing.T, req Request, landscape, want string) {
	t.Helper()
	req = withFleet(t, req, landscape, req.Clusters[0])
	s, plan, changes, err := FollowFleet(t.Context(), req, fleetSources())
	do(t, req.Fleet, plan, changes, err)
	if s.Step != want {
		t.Fatalf("the step was %s, want %s", s.Step, want)
	}
}

// TestFollowFleet: after components, the fleet itself: a second source, then the entry and what takes its files from the fleet. Back gives
// the same bytes. Nothing but sources changes, and nothing of another cluster.
func TestFollowFleet(t *testing.T) {
	for landscape, clusters := range map[string][2]string{"d1": {"staging", "prod-eu"}, "keos": {"dev1", "pro1"}, "whole": {"test", "demo"},
		"layers": {"production", "staging"}} {
		t.Run(landscape, func(t *testing.T) {
			var req Request
			if _, ok := singles()[landscape]; ok {
				req = singleRequest(t, landscape)
			} else {
				req = request(t, landscape, nil)
			}
			req.Clusters = clusters[:1]
			plan, changes, err := Prepare(t.Context(), req, sources())
			do(t, req.Fleet, plan, changes, err)
			plan, changes, err = Switch(t.Context(), req, nil, false)
			do(t, req.Fleet, plan, changes, err)
			before, _ := says(t, req.Fleet, clusters[0])
			other, _ := says(t, req.Fleet, clusters[1])
			step(t, req, landscape, StepSource)
			start := contents(t, fleetOf(t, req.Fleet.Dir))
			step(t, req, landscape, StepEntry)
			step(t, req, landscape, StepDone)
			moved := fleetOf(t, req.Fleet.Dir)
			after, _ := says(t, moved, clusters[0])
			for n, object := range after {
				a := applierOf(object.(map[string]any), place{}, nil)
				if strings.HasPrefix(n, "flux-system/flux-system") && a.Kind != ociRepository {
					t.Errorf("the entry follows %s", a.Kind)
				}
				if a.Kind == gitRepository {
					t.Errorf("%s still follows Git", n)
				}
				if !reflect.DeepEqual(withoutSource(object.(map[string]any)), withoutSource(before[n].(map[string]any))) {
					t.Errorf("%s has more changes than its source", n)
				}
			}
			if now, _ := says(t, moved, clusters[1]); !reflect.DeepEqual(now, other) {
				t.Errorf("%s changed", clusters[1])
			}
			back := withFleet(t, req, landscape, clusters[0])
			_, plan, changes, err = BackFleet(t.Context(), back)
			do(t, back.Fleet, plan, changes, err)
			if !reflect.DeepEqual(contents(t, fleetOf(t, req.Fleet.Dir)), start) {
				t.Error("back does not give the bytes from before")
			}
		})
	}
}

// TestFleetWaitsForItsArtifact: the entry does not follow an artifact that lacks what Git has.
func TestFleetWaitsForItsArtifact(t *testing.T) {
	req := request(t, "d1", nil)
	req.Clusters = []string{"staging"}
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	old := withFleet(t, req, "d1", "staging")
	step(t, req, "d1", StepSource)
	old.Fleet = fleetOf(t, req.Fleet.Dir)
	_, plan, changes, err = FollowFleet(t.Context(), old, fleetSources())
	if err != nil || len(changes) > 0 || len(plan.Stops) == 0 || plan.Stops[0].Code != "differs" {
		t.Errorf("%v, %d changes, %+v", err, len(changes), plan.Stops)
	}
}

// TestInstanceFollowsFleet: a FluxInstance gets kind, address, channel, login and a patch with the signature that it demands, and keeps its
// comments. Where image automation needs the GitRepository that goes, it stops.
func TestInstanceFollowsFleet(t *testing.T) {
	req := request(t, "d1", nil)
	dir := req.Fleet.Dir
	replaceIn(t, dir, "clusters/staging/flux-system/kustomization.yaml", "  - gotk-sync.yaml\n", "  - flux-instance.yaml\n")
	if err := os.Remove(filepath.Join(dir, "clusters/staging/flux-system/gotk-sync.yaml")); err != nil {
		t.Fatal(err)
	}
	add(t, dir, "clusters/staging/flux-system/flux-instance.yaml", `apiVersion: fluxcd.controlplane.io/v1
kind: FluxInstance
metadata:
  name: flux
  namespace: flux-system
spec:
  distribution: # what is installed
    version: 2.8.x
  components:
    - source-controller
    - kustomize-controller
  sync:
    kind: GitRepository
    url: `+remoteOf("d1", "fleet")+`
    ref: refs/heads/main
    path: clusters/staging
    pullSecret: git-login
  kustomize:
    patches:
      - target: {kind: Kustomization}
        patch: |
          - op: add
            path: /spec/postBuild
            value: {substituteFrom: [{kind: ConfigMap, name: flux-runtime-info}]}
`)
	req.Fleet, req.Clusters = fleetOf(t, dir), []string{"staging"}
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	plan, changes, err = Switch(t.Context(), req, nil, false)
	do(t, req.Fleet, plan, changes, err)
	step(t, req, "d1", StepSource)
	start := contents(t, fleetOf(t, dir))
	step(t, req, "d1", StepEntry)
	step(t, req, "d1", StepDone)
	data, err := os.ReadFile(filepath.Join(dir, "clusters/staging/flux-system/flux-instance.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"# what is installed", "    - source-controller\n", "    kind: OCIRepository\n", "    ref: latest\n",
		"    pullSecret: registry\n",
		"            path: /spec/postBuild\n", "      - target:\n          kind: OCIRepository\n          name: flux-system\n        patch: |\n          - op: add\n            path: /spec/verify\n"} {
		if !strings.Contains(string(data), part) {
			t.Errorf("no %q in\n%s", part, data)
		}
	}
	replaceIn(t, dir, "clusters/staging/flux-system/flux-instance.yaml", "2.8.x", "2.9.x")
	back := withFleet(t, req, "d1", "staging")
	_, plan, changes, err = BackFleet(t.Context(), back)
	if err != nil || len(changes) > 0 || len(plan.Stops) != 1 || plan.Stops[0].Code != "way-back" {
		t.Errorf("an edited instance: %v, %d changes, %+v", err, len(changes), plan.Stops)
	}
	replaceIn(t, dir, "clusters/staging/flux-system/flux-instance.yaml", "2.9.x", "2.8.x")
	_, plan, changes, err = BackFleet(t.Context(), back)
	do(t, back.Fleet, plan, changes, err)
	if !reflect.DeepEqual(contents(t, fleetOf(t, dir)), start) {
		t.Error("back does not give the bytes from before")
	}
	add(t, dir, "clusters/staging/more.yaml",
		"apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: more, namespace: flux-system}\n"+
			"spec: {interval: 10m, sourceRef: {kind: GitRepository, name: flux-system}}\n")
	late := withFleet(t, req, "d1", "staging")
	_, plan, changes, err = FollowFleet(t.Context(), late, fleetSources())
	if err != nil || len(changes) > 0 || len(plan.Stops) != 1 || plan.Stops[0].Code != "image-automation" ||
		plan.Stops[0].File != "clusters/staging/more.yaml" {
		t.Errorf("%v, %d changes, %+v", err, len(changes), plan.Stops)
	}
}

// TestBackKeepsEdits: what people changed in the entry since the cluster follows the artifact stays when it goes back. The entry's file may
// have any name.
func TestBackKeepsEdits(t *testing.T) {
	req := request(t, "d1", nil)
	const folder = "clusters/staging/flux-system/"
	replaceIn(t, req.Fleet.Dir, folder+"kustomization.yaml", syncFile, "entry.yaml")
	if err := os.Rename(filepath.Join(req.Fleet.Dir, folder, syncFile), filepath.Join(req.Fleet.Dir, folder, "entry.yaml")); err != nil {
		t.Fatal(err)
	}
	req.Clusters = []string{"staging"}
	plan, changes, err := Prepare(t.Context(), withFleet(t, req, "d1", "staging"), sources())
	do(t, req.Fleet, plan, changes, err)
	for _, want := range []string{StepSource, StepEntry, StepDone} {
		step(t, req, "d1", want)
	}
	before := contents(t, fleetOf(t, req.Fleet.Dir))[folder+"entry.yaml"]
	replaceIn(t, req.Fleet.Dir, folder+"entry.yaml", "retryInterval: 2m", "retryInterval: 3m")
	back := withFleet(t, req, "d1", "staging")
	_, plan, changes, err = BackFleet(t.Context(), back)
	do(t, back.Fleet, plan, changes, err)
	after := contents(t, fleetOf(t, req.Fleet.Dir))[folder+"entry.yaml"]
	if !strings.Contains(before, "fleet of staging") || strings.Contains(after, "fleet of staging") ||
		!strings.Contains(after, "retryInterval: 3m") ||
		strings.Contains(after, "    kind: OCIRepository") {
		t.Errorf("%s", after)
	}
}
