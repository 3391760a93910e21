package migrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
)

// single is a landscape whose one repository has the clusters and all that they apply.
type single struct {
	clusters [2]string
	moves    map[string]string // of the first cluster: Kustomization and what it follows then
	lines    int               // how many lines of files of the first cluster switch changes or adds
}

func singles() map[string]single {
	return map[string]single{
		"layers": {[2]string{"staging", "production"}, map[string]string{"flux-system/infra": "infra:latest ./staging",
			"flux-system/system": "system:latest ./staging",
			"flux-system/apps":   "apps:latest ./staging"}, 11},
		"whole": {[2]string{"demo", "test"}, map[string]string{"flux-system/infrastructure": "infrastructure:v0.1.0 ./infrastructure",
			"flux-system/ingress": "infrastructure:v0.1.0 ./infrastructure/ingress", "flux-system/monitoring": "infrastructure:v0.1.0 ./infrastructure/monitoring"}, 13},
	}
}

// singleRequest is for a landscape with one repository. Its tag v0.1.0 has other content than its branch main.
func singleRequest(t *testing.T, landscape string) Request {
	t.Helper()
	root := checkout(t, folderOf(t, landscape, "fleet"), nil)
	folders := map[string]string{"main": root, "refs/tags/v0.1.0": checkout(t, folderOf(t, landscape, "fleet"), nil),
		"refs/tags/v0.2.0": checkout(t, folderOf(t, landscape, "fleet"), nil)}
	if landscape == "whole" {
		replaceIn(t, folders["refs/tags/v0.1.0"], "infrastructure/ingress/ingress.yaml", "version: two", "version: one")
	}
	ws := workspaceOf(t, root, remoteOf(landscape, "fleet"), map[string]string{"main": "latest"})
	ws.Checkout = func(_ context.Context, revision string) (string, error) {
		if folders[revision] == "" {
			return "", errors.New("no such revision " + revision)
		}
		return folders[revision], nil
	}
	ws.Artifact = func(_ context.Context, c component.Component, tag string) (string, error) {
		revision := map[string]string{"latest": "main", "v0.1.0": "refs/tags/v0.1.0", "v0.2.0": "refs/tags/v0.2.0"}[tag]
		return filepath.Join(folders[revision], filepath.FromSlash(c.Root)), nil
	}
	return Request{Fleet: fleetOf(t, root), Workspaces: []Workspace{ws}}
}

// TestSingleRepository moves landscapes whose Kustomizations are written in each cluster's own folder: by layer, and one folder that is
// pinned as a whole and brings Kustomizations along. Only sourceRef and path change, and the pin stays one line.
func TestSingleRepository(t *testing.T) {
	for landscape, want := range singles() {
		t.Run(landscape, func(t *testing.T) {
			req := singleRequest(t, landscape)
			first, second := want.clusters[0], want.clusters[1]
			untouched := contents(t, req.Fleet)
			before, _ := says(t, req.Fleet, first)
			other, _ := says(t, req.Fleet, second)
			req.Clusters = []string{first}
			plan, changes, err := Prepare(t.Context(), req, sources())
			do(t, req.Fleet, plan, changes, err)
			moves := map[string]string{}
			for _, m := range plan.Clusters[0].Moves {
				moves[m.Kustomization] = m.Component + ":" + m.tag() + " " + m.NewPath
				if m.Equal != EqualYes || m.Objects == 0 {
					t.Errorf("%s: %d objects, equal: %s, %v", m.Kustomization, m.Objects, m.Equal, m.Changes)
				}
			}
			if !reflect.DeepEqual(moves, want.moves) {
				t.Errorf("%v, want %v", moves, want.moves)
			}
			prepared := contents(t, req.Fleet)
			plan, changes, err = Switch(t.Context(), req, nil, false)
			do(t, req.Fleet, plan, changes, err)
			if n := addedLines(changes); n != want.lines {
				t.Errorf("switch adds %d lines, want %d", n, want.lines)
			}
			for file, text := range contents(t, req.Fleet) {
				if text != untouched[file] && !strings.HasPrefix(file, "clusters/"+first+"/") {
					t.Errorf("%s is changed", file)
				}
			}
			if after, _ := says(t, req.Fleet, second); !reflect.DeepEqual(after, other) {
				t.Errorf("the switch of %s changes %s", first, second)
			}
			switchedWholly(t, req, first, plan)
			after, _ := says(t, req.Fleet, first)
			for n, object := range before {
				if !reflect.DeepEqual(withoutSource(object.(map[string]any)), withoutSource(after[n].(map[string]any))) {
					t.Errorf("%s: decryption, variables, health checks or others are not the same: %v", n, after[n])
				}
			}
			if _, again, err := Switch(t.Context(), req, nil, false); err != nil || len(again) > 0 {
				t.Errorf("switch again: %v, %d files", err, len(again))
			}
			changes, behind, err := Back(t.Context(), req, nil)
			if len(behind) > 0 {
				t.Errorf("%q", behind)
			}
			do(t, req.Fleet, &Plan{}, changes, err)
			if !reflect.DeepEqual(contents(t, req.Fleet), prepared) {
				t.Error("back does not give the bytes from before the switch")
			}
		})
	}
}

// addedLines counts the lines that are not the same before and after.
func addedLines(changes []Change) (n int) {
	for _, c := range changes {
		before := map[string]int{}
		for line := range strings.Lines(string(c.Before)) {
			before[line]++
		}
		for line := range strings.Lines(string(c.After)) {
			if before[line]--; before[line] < 0 {
				n++
			}
		}
	}
	return n
}

// TestPinIsOneLine: a pin that was one line of a GitRepository is one line of the OCIRepository.
func TestPinIsOneLine(t *testing.T) {
	req := singleRequest(t, "whole")
	req.Clusters = []string{"demo"}
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	data, err := os.ReadFile(filepath.Join(req.Fleet.Dir, "clusters/demo/infrastructure.yaml"))
	if n := strings.Count(string(data), "tag: v0.1.0\n"); err != nil || n != 2 {
		t.Errorf("%v: the pin is in %d lines, of Git's source and of the artifact's:\n%s", err, n, data)
	}
}

// TestPinMovesAfterPrepare: a pin that moves in Git between prepare and switch does not leave the cluster on the old version.
func TestPinMovesAfterPrepare(t *testing.T) {
	req := singleRequest(t, "whole")
	req.Clusters = []string{"demo"}
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	replaceIn(t, req.Fleet.Dir, "clusters/demo/infrastructure.yaml", "tag: v0.1.0", "tag: v0.2.0")
	plan, changes, err = Switch(t.Context(), req, nil, false)
	if err != nil || len(changes) > 0 || len(plan.Stops) == 0 || plan.Stops[0].Code != "prepare" || plan.Stops[0].Line == 0 ||
		!strings.Contains(plan.Stops[0].Message, "follows v0.1.0, and flux-system/infrastructure is to follow v0.2.0") {
		t.Fatalf("%v, %d files, %+v", err, len(changes), plan.Stops)
	}
	plan, changes, err = Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	if text := contents(t, req.Fleet)["clusters/demo/infrastructure.yaml"]; strings.Contains(text, "v0.1.0") ||
		strings.Count(text, "tag: v0.2.0") != 2 {
		t.Errorf("prepare again gives\n%s", text)
	}
	plan, changes, err = Switch(t.Context(), req, nil, false)
	do(t, req.Fleet, plan, changes, err)
}

// TestOtherChannelThanPrepared: a switch compares what the channel of this run has, and the cluster follows that of prepare.
func TestOtherChannelThanPrepared(t *testing.T) {
	req := request(t, "d1", nil)
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	for i := range req.Workspaces {
		req.Workspaces[i].Channels = map[string]string{"main": "latest", "production": "latest"}
	}
	req.Clusters = []string{"prod-eu"}
	plan, changes, err = Switch(t.Context(), req, nil, false)
	if err != nil || len(changes) > 0 || len(plan.Stops) == 0 || plan.Stops[0].Code != "prepare" {
		t.Errorf("%v, %d files, %+v", err, len(changes), plan.Stops)
	}
}

// TestBackWithoutRegistry: the way back takes away all patches, also those for Kustomizations that come with an artifact
// which cannot be read now, and says what it cannot compare.
func TestBackWithoutRegistry(t *testing.T) {
	req := singleRequest(t, "whole")
	req.Clusters = []string{"demo"}
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	prepared := contents(t, req.Fleet)
	plan, changes, err = Switch(t.Context(), req, nil, false)
	do(t, req.Fleet, plan, changes, err)
	req.Workspaces[0].Artifact = func(context.Context, component.Component, string) (string, error) { return "", errors.New("no answer") }
	changes, behind, err := Back(t.Context(), req, nil)
	do(t, req.Fleet, &Plan{}, changes, err)
	if !reflect.DeepEqual(contents(t, req.Fleet), prepared) {
		t.Error("back does not give the bytes from before the switch")
	}
	if len(behind) == 0 || !strings.Contains(behind[0], "cannot be compared now") {
		t.Errorf("%q", behind)
	}
}

// TestPreparedByHand: an OCIRepository of that name that a person wrote, and that follows something else, is left alone and stops prepare.
func TestPreparedByHand(t *testing.T) {
	req := singleRequest(t, "whole")
	req.Clusters = []string{"demo"}
	extend(t, req.Fleet.Dir, "clusters/demo/infrastructure.yaml", "---\n"+fmt.Sprintf(sourceText, "infrastructure", "flux-system", "enabled",
		req.Workspaces[0].Components[1].Repository, "v9.9.9"))
	plan, _, err := Prepare(t.Context(), req, sources())
	if err != nil || len(plan.Stops) != 1 || plan.Stops[0].Code != "prepare" ||
		!strings.Contains(plan.Stops[0].Message, "follows v9.9.9, is not by migrate") {
		t.Errorf("%v, %+v", err, plan.Stops)
	}
}

// TestStopsOfOtherComponents: what is in the way of another component does not keep one from moving.
func TestStopsOfOtherComponents(t *testing.T) {
	req := request(t, "d1", nil)
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	req.Clusters = []string{"staging"}
	for i := range req.Workspaces {
		artifact := req.Workspaces[i].Artifact
		req.Workspaces[i].Artifact = func(ctx context.Context, c component.Component, tag string) (string, error) {
			if c.Name == "backend" {
				return "", errors.New("no such tag")
			}
			return artifact(ctx, c, tag)
		}
	}
	if plan, _, err := Switch(t.Context(), req, nil, false); err != nil || len(plan.Stops) != 1 || plan.Stops[0].Code != "artifact" {
		t.Errorf("%v, %+v", err, plan.Stops)
	}
	plan, changes, err = Switch(t.Context(), req, []string{"frontend"}, false)
	do(t, req.Fleet, plan, changes, err)
	if len(changes) != 1 {
		t.Errorf("%d files", len(changes))
	}
}
