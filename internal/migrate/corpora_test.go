package migrate

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
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
	plan, err := Make(t.Context(), keos(t, map[string]string{"main": "latest"}))
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
	plan, err := Make(t.Context(), keos(t, map[string]string{"production": "latest-stable"}))
	if err != nil || len(plan.Stops) == 0 {
		t.Fatal(err, plan)
	}
	for _, s := range plan.Stops {
		if s.Code != "branch" || s.Line == 0 || !strings.Contains(s.Do, "--channel main=") {
			t.Errorf("%+v", s)
		}
	}
}
