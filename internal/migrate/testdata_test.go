package migrate

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/kustomize"
)

// landscapes are the folders in testdata, with what the GitRepositories call their checkouts.
var landscapes = map[string][]string{
	"keos": {"fleet", "system-services", "apps"},
	"d1":   {"fleet", "infra", "apps"},
}

// remoteOf is the address by which the GitRepositories of a landscape know a checkout.
func remoteOf(landscape, checkout string) string {
	return "https://git.example.com/" + landscape + "/" + checkout + ".git"
}

// checkout copies a folder such as testdata/keos/apps and makes a Git repository of it. The branch main has the folder as it is; each of
// the others is main with an edit, which may be nil. The remote has the address of the landscape's GitRepository, and all branches.
func checkout(t *testing.T, dir string, branches map[string]func(root string)) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), filepath.Base(dir))
	if err := os.CopyFS(root, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	runGit(t, root, "init", "-q", "-b", "main")
	runGit(t, root, "remote", "add", "origin", remoteOf(filepath.Base(filepath.Dir(dir)), filepath.Base(dir)))
	commitAll(t, root, "main")
	for branch, edit := range branches {
		runGit(t, root, "switch", "-q", "-c", branch, "main")
		if edit != nil {
			edit(root)
		}
		commitAll(t, root, branch)
	}
	runGit(t, root, "switch", "-q", "main")
	return root
}

// commitAll commits all files, and lets the remote's branch of that name point to the commit.
func commitAll(t *testing.T, root, branch string) {
	t.Helper()
	runGit(t, root, "add", "-A")
	runGit(t, root, "commit", "-q", "--allow-empty", "-m", branch)
	runGit(t, root, "update-ref", "refs/remotes/origin/"+branch, "HEAD")
}

func runGit(t *testing.T, root string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=A", "-c", "user.email=a@example.com",
		"-c", "commit.gpgSign=false", "-c", "core.autocrlf=false"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// replaceIn edits a file of a checkout.
func replaceIn(t *testing.T, root, file, before, after string) {
	t.Helper()
	full := filepath.Join(root, filepath.FromSlash(file))
	data, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), before) {
		t.Fatalf("%s has no %q", file, before)
	}
	if err := os.WriteFile(full, []byte(strings.Replace(string(data), before, after, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// folderOf is the absolute path of a checkout's folder in testdata.
func folderOf(t *testing.T, landscape, checkout string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", landscape, checkout))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLandscapesBuild: each folder with a kustomization builds.
func TestLandscapesBuild(t *testing.T) {
	for landscape, checkouts := range landscapes {
		for _, name := range checkouts {
			dir := folderOf(t, landscape, name)
			n := 0
			err := fs.WalkDir(os.DirFS(dir), ".", func(file string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() || !kustomize.IsFile(file) {
					return err
				}
				n++
				if _, err := kustomize.Render(t.Context(), dir, path.Dir(file), kustomize.Options{}); err != nil {
					t.Errorf("%s/%s: %s: %v", landscape, name, path.Dir(file), err)
				}
				return nil
			})
			if err != nil || n < 4 {
				t.Errorf("%s/%s: %d kustomizations, %v", landscape, name, n, err)
			}
		}
	}
}

// TestLandscapesAreFollowed: each cluster can be followed from its entry to all that it applies, through sources that it has.
func TestLandscapesAreFollowed(t *testing.T) {
	for cluster, want := range map[string]string{
		"keos/dev1": "apps main: catalog/S database/S uploader/S; system-services main: logging/configs/analytics portal/configs/analytics",
		"keos/pro1": "apps production: catalog/M database/M; " +
			"system-services production: logging/configs/analytics portal/configs/analytics",
		"keos/dev0-old": "apps main: catalog/S database/S uploader/S; system-services main: logging/configs/analytics portal/configs/analytics",
		"d1/staging": "apps main: backend/staging frontend/staging preview/staging; infra main: " +
			"admission/configs/staging admission/controllers/staging monitoring/configs/staging monitoring/controllers/staging",
		"d1/prod-eu": "apps production: backend/production frontend/production; infra production: " +
			"admission/configs/production admission/controllers/production monitoring/configs/production monitoring/controllers/production",
		"d1/staging-2023": "apps main: backend/staging frontend/staging preview/staging; infra main: " +
			"admission/configs/staging admission/controllers/staging monitoring/configs/staging monitoring/controllers/staging",
	} {
		landscape, name := path.Split(cluster)
		if got := followed(t, path.Clean(landscape), name); got != want {
			t.Errorf("%s follows\n%s\nwant\n%s", cluster, got, want)
		}
	}
	for landscape, want := range map[string]int{"keos": 3, "d1": 3} {
		if got := fleetOf(t, folderOf(t, landscape, "fleet")).Clusters(); len(got) != want {
			t.Errorf("%s has the clusters %v", landscape, got)
		}
	}
}

// followed lists what a cluster applies of the other checkouts, by checkout and branch. All of it builds.
func followed(t *testing.T, landscape, cluster string) string {
	t.Helper()
	l, err := fleetOf(t, folderOf(t, landscape, "fleet")).follow(t.Context(), "clusters/"+cluster, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l.stops {
		t.Errorf("%s: %+v", cluster, s)
	}
	paths := map[string][]string{}
	for _, a := range l.appliers {
		if a.Source == l.own {
			continue
		}
		s := l.sources[a.Source]
		name := strings.TrimSuffix(path.Base(s.URL), ".git")
		if s.URL != remoteOf(landscape, name) || s.Branch == "" {
			t.Errorf("%s: %s has the source %+v", cluster, a.name, s)
			continue
		}
		folder := repositoryPath(a.Path)
		if _, err := kustomize.Render(t.Context(), folderOf(t, landscape, name), folder, kustomize.Options{}); err != nil {
			t.Errorf("%s: %s: %v", cluster, a.name, err)
		}
		paths[name+" "+s.Branch] = append(paths[name+" "+s.Branch], strings.TrimPrefix(folder, "components/"))
	}
	var all []string
	for source, folders := range paths {
		slices.Sort(folders)
		all = append(all, source+": "+strings.Join(folders, " "))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// TestCheckout: branches differ by their edits, and the remote has them all.
func TestCheckout(t *testing.T) {
	const file = "components/catalog/base/catalog.yaml"
	root := checkout(t, filepath.Join("testdata", "keos", "apps"), map[string]func(string){
		"production": func(root string) { replaceIn(t, root, file, "catalog:1.0.0", "catalog:0.9.0") },
		"same":       nil,
	})
	if got := runGit(t, root, "remote", "get-url", "origin"); got != "https://git.example.com/keos/apps.git" {
		t.Errorf("the remote is %s", got)
	}
	for branch, want := range map[string]string{"main": "", "same": "", "production": file, "origin/production": file} {
		if got := runGit(t, root, "diff", "--name-only", "main", branch); got != want {
			t.Errorf("%s differs in %q, want %q", branch, got, want)
		}
	}
	if got := runGit(t, root, "status", "--porcelain", "--branch"); got != "## main" {
		t.Errorf("status: %s", got)
	}
}
