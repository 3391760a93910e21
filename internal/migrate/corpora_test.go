package migrate

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// corpora finds the real repositories, which are not part of this one.
func corpora(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KEOS_OCI_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the real repositories are not there (%v); set KEOS_OCI_CORPORA to their folder", err)
	}
	return dir
}

// filesOf lists the files of a folder as Git would.
func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, full)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

func fleetOf(t *testing.T, dir string) *Fleet {
	t.Helper()
	return &Fleet{Dir: dir, Files: filesOf(t, dir), Read: kustomize.InFolder(os.DirFS(dir))}
}

// workspaceOf is a checkout whose channels have exactly what its folder has.
func workspaceOf(t *testing.T, dir, url string, channels map[string]string) Workspace {
	t.Helper()
	ws, err := component.Load(component.Options{Dir: dir, FS: os.DirFS(dir), Files: filesOf(t, dir), Registry: "registry.example.com/" +
		filepath.Base(dir)})
	if err != nil {
		t.Fatal(err)
	}
	return Workspace{
		Name: filepath.Base(dir), URL: url, Components: ws.Components, Channels: channels, ByGitTag: ws.ByGitTag,
		Checkout: func(context.Context, string) (string, error) { return dir, nil },
		Artifact: func(_ context.Context, c component.Component, _ string) (string, error) {
			return filepath.Join(dir, filepath.FromSlash(c.Root)), nil
		},
	}
}

// keos is a request for the real repositories of KEOS.
func keos(t *testing.T, channels map[string]string) Request {
	dir := corpora(t)
	of := func(name string) Workspace {
		return workspaceOf(t, filepath.Join(dir, name), "https://example.com/x/"+name+"-test.git", channels)
	}
	return Request{Fleet: fleetOf(t, filepath.Join(dir, "keos-fleet")), Workspaces: []Workspace{of("keos-apps"), of("keos-system-services")}}
}

// TestPlanOfRealRepositories: each Kustomization of each cluster of KEOS that follows a branch gets a component, its variant and a channel,
// with the same objects.
func TestPlanOfRealRepositories(t *testing.T) {
	plan, err := NewPlan(t.Context(), keos(t, map[string]string{"main": "latest"}))
	if err != nil || len(plan.Stops) > 0 {
		t.Fatal(err, plan.Stops)
	}
	for _, c := range plan.Clusters {
		objects := 0
		for _, m := range c.Moves {
			objects += m.Objects
			if m.Equal != EqualYes || m.Channel != "latest" || !strings.HasPrefix(m.variant, "./") {
				t.Errorf("%s: %+v", c.Name, m)
			}
			if strings.HasPrefix(m.NewPath, "./S") && m.variant != "./${STRATIO_SIZE}" {
				t.Errorf("%s: %s is written %s", m.Kustomization, m.NewPath, m.variant)
			}
		}
		t.Logf("%s: %d Kustomizations, %d objects, %d waits, %d namespaces", c.Name, len(c.Moves), objects, len(c.Waits), len(c.Secrets))
		if len(c.Moves) != 20 || len(c.Secrets) != 6 {
			t.Errorf("%s: %d moves, %d namespaces", c.Name, len(c.Moves), len(c.Secrets))
		}
	}
	if len(plan.Clusters) != 2 {
		t.Errorf("%d clusters", len(plan.Clusters))
	}
}

// TestPlanStopsAtBranches: a branch without a channel stops the cluster, where it is written.
func TestPlanStopsAtBranches(t *testing.T) {
	plan, err := NewPlan(t.Context(), keos(t, map[string]string{"production": "latest-stable"}))
	if err != nil || len(plan.Stops) == 0 {
		t.Fatal(err, plan)
	}
	for _, s := range plan.Stops {
		if s.Code != "branch" || s.Line == 0 || !strings.Contains(s.Do, "--channel main=") {
			t.Errorf("%+v", s)
		}
	}
}

// TestPhasesOfRealRepositories moves the cluster of KEOS that runs: components, the fleet, cleanup. After each phase each
// cluster has the same Kustomizations but for their sources.
func TestPhasesOfRealRepositories(t *testing.T) {
	req := keos(t, map[string]string{"main": "latest"})
	dir := copyOf(t, req.Fleet.Dir)
	req.Fleet = fleetOf(t, dir)
	clusters := []string{"eosdev2"} // the other one is not run any more: what applies its Kustomizations is in this one's folder
	req.Clusters = clusters
	before := map[string]map[string]any{}
	for _, cluster := range clusters {
		before[cluster], _ = says(t, req.Fleet, cluster)
	}
	same := func(phase string, switched bool) {
		t.Helper()
		for _, cluster := range clusters {
			after, sources := says(t, fleetOf(t, dir), cluster)
			moved := 0
			for n, object := range after {
				if !reflect.DeepEqual(withoutSource(object.(map[string]any)), withoutSource(before[cluster][n].(map[string]any))) {
					t.Errorf("%s: %s: %s is not the same", phase, cluster, n)
				}
				if applierOf(object.(map[string]any), place{}, nil).Kind == ociRepository {
					moved++
				}
			}
			t.Logf("%s: %s: %d Kustomizations, of which %d follow artifacts, %d sources", phase, cluster, len(after), moved, len(sources))
			if len(after) != len(before[cluster]) || switched != (moved >= 20) {
				t.Errorf("%s: %s: %d Kustomizations, had %d; %d moved", phase, cluster, len(after), len(before[cluster]), moved)
			}
		}
	}
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	same("prepare", false)
	for _, cluster := range clusters {
		one := req
		one.Clusters = []string{cluster}
		plan, changes, err = Switch(t.Context(), one, nil, false)
		do(t, req.Fleet, plan, changes, err)
	}
	same("switch", true)
	own, err := req.Fleet.follow(t.Context(), "clusters/"+clusters[0], nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := req
	for _, cluster := range clusters {
		one := req
		one.Clusters = []string{cluster}
		for _, want := range []string{StepSource, StepEntry, StepDone} {
			one = withFleetAt(t, one, own.sources[own.own].URL, cluster)
			s, plan, changes, err := FollowFleet(t.Context(), one, fleetSources())
			do(t, one.Fleet, plan, changes, err)
			if s.Step != want {
				t.Fatalf("%s: the step was %s, want %s", cluster, s.Step, want)
			}
		}
		all = one
	}
	same("fleet", true)
	all.Clusters = clusters
	all.Fleet = fleetOf(t, dir)
	plan, changes, notes, err := Cleanup(t.Context(), all)
	do(t, all.Fleet, plan, changes, err)
	same("cleanup", true)
	t.Logf("cleanup: %d files, %q", len(changes), notes)
}

// TestPlanOfArtifacts: clusters that follow artifacts already have nothing to move, and stop nothing.
func TestPlanOfArtifacts(t *testing.T) {
	plan, err := NewPlan(t.Context(), Request{Fleet: fleetOf(t, filepath.Join(corpora(t), "d2-fleet"))})
	if err != nil || len(plan.Stops) > 0 || len(plan.Clusters) != 4 {
		t.Fatalf("%v, %+v", err, plan)
	}
	for _, c := range plan.Clusters {
		if len(c.Moves) > 0 {
			t.Errorf("%+v", c.Moves)
		}
	}
}
