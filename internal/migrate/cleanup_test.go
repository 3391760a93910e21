package migrate

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// movedRequest is for a landscape whose clusters have moved: components, and the fleet itself where that is wanted.
func movedRequest(t *testing.T, landscape string, clusters []string, fleet bool) Request {
	t.Helper()
	var req Request
	if _, ok := singles()[landscape]; ok {
		req = singleRequest(t, landscape)
	} else {
		req = request(t, landscape, nil)
	}
	req.Clusters = clusters
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	for _, cluster := range clusters {
		one := req
		one.Clusters = []string{cluster}
		plan, changes, err = Switch(t.Context(), one, nil, false)
		do(t, req.Fleet, plan, changes, err)
		if fleet {
			step(t, one, landscape, StepSource)
			step(t, one, landscape, StepEntry)
		}
	}
	all := withFleet(t, req, landscape, clusters[0])
	all.Clusters = clusters
	return all
}

// TestCleanup: when nothing follows Git any more, patches, marks, sources of Git and the variables of branches go, and each
// cluster gets the same Kustomizations. Another run has nothing to do.
func TestCleanup(t *testing.T) {
	for landscape, c := range map[string]struct {
		clusters []string
		git      []string // files that still have a GitRepository, of these clusters
		branch   []string // files that still have GIT_BRANCH
	}{
		"d1": {running["d1"], []string{"tenants/apps/frontend/source.yaml"}, []string{"clusters/prod-eu/flux-system/runtime-info.yaml",
			"clusters/staging/flux-system/runtime-info.yaml", "tenants/apps/frontend/source.yaml"}},
		"keos":   {running["keos"], []string{"clusters/dev1/default/image-automation.yaml"}, nil},
		"layers": {[]string{"staging", "production"}, []string{"clusters/staging/flux-system/gotk-sync.yaml"}, nil},
		"whole":  {[]string{"test", "demo"}, nil, nil},
	} {
		t.Run(landscape, func(t *testing.T) {
			req := movedRequest(t, landscape, c.clusters, true)
			before := map[string]map[string]any{}
			for _, cluster := range c.clusters {
				before[cluster], _ = says(t, req.Fleet, cluster)
			}
			plan, changes, notes, err := Cleanup(t.Context(), req)
			do(t, req.Fleet, plan, changes, err)
			shared := slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, "prod-eu: GitRepository frontend/apps stays") })
			if shared != (landscape == "d1") {
				t.Errorf("%q", notes)
			}
			req.Fleet = fleetOf(t, req.Fleet.Dir)
			for _, cluster := range c.clusters {
				after, _ := says(t, req.Fleet, cluster)
				for n, object := range after {
					a, b := applierOf(object.(map[string]any), place{}, nil), applierOf(before[cluster][n].(map[string]any), place{}, nil)
					if a.Kind != ociRepository || a.Source != b.Source || repositoryPath(a.Path) != repositoryPath(b.Path) {
						t.Errorf("%s: %s has %s %s %s, had %s %s %s", cluster, n, a.Kind, a.Source, a.Path, b.Kind, b.Source, b.Path)
					}
				}
				if len(after) != len(before[cluster]) {
					t.Errorf("%s has %d Kustomizations, had %d", cluster, len(after), len(before[cluster]))
				}
			}
			var git, branch []string
			for file, text := range contents(t, req.Fleet) {
				if strings.HasPrefix(file, "clusters/") && !slices.ContainsFunc(c.clusters,
					func(cluster string) bool { return strings.HasPrefix(file, "clusters/"+cluster+"/") }) {
					continue
				}
				if strings.Contains(text, "\nkind: GitRepository") || strings.HasPrefix(text, "kind: GitRepository") {
					git = append(git, file)
				}
				if strings.Contains(text, "GIT_BRANCH") && strings.HasSuffix(file, ".yaml") {
					branch = append(branch, file)
				}
				if strings.Contains(text, marker) {
					t.Errorf("%s has marks left:\n%s", file, text)
				}
			}
			slices.Sort(git)
			slices.Sort(branch)
			if !reflect.DeepEqual(git, c.git) || !reflect.DeepEqual(branch, c.branch) {
				t.Errorf("GitRepositories in %q, want %q; GIT_BRANCH in %q, want %q", git, c.git, branch, c.branch)
			}
			if _, again, _, err := Cleanup(t.Context(), req); err != nil || len(again) > 0 {
				t.Errorf("again: %v, %d files", err, len(again))
			}
		})
	}
}

// TestCleanupWaits: a component that still comes from Git stops it, and a cluster that is not named counts as not running.
func TestCleanupWaits(t *testing.T) {
	req := movedRequest(t, "d1", []string{"staging"}, false)
	plan, changes, _, err := Cleanup(t.Context(), req)
	if err != nil || len(plan.Stops) > 0 || len(changes) == 0 {
		t.Errorf("%v, %+v, %d files", err, plan.Stops, len(changes))
	}
	req.Clusters = running["d1"]
	plan, changes, _, err = Cleanup(t.Context(), req)
	if err != nil || len(changes) > 0 || len(plan.Stops) == 0 || plan.Stops[0].Code != "git" || plan.Stops[0].Cluster != "prod-eu" {
		t.Errorf("%v, %+v, %d files", err, plan.Stops, len(changes))
	}
}

// TestCleanupNamesMerges: workflows that merge branches are named with their lines.
func TestCleanupNamesMerges(t *testing.T) {
	req := movedRequest(t, "d1", running["d1"], false)
	add(t, req.Fleet.Dir, ".github/workflows/promote.yaml",
		"jobs:\n  promote:\n    steps:\n    # git merge is what it does\n    - run: git push origin main:production\n")
	_, _, notes, err := Cleanup(t.Context(), req)
	want := ".github/workflows/promote.yaml:5 merges or pushes branches, which clusters no longer follow: - run: git push origin main:production"
	if err != nil || !slices.Contains(notes, want) {
		t.Errorf("%v, %q", err, notes)
	}
	if _, err := os.Stat(filepath.Join(req.Fleet.Dir, ".github")); err != nil {
		t.Error(err)
	}
}
