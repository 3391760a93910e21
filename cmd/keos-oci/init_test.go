package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/scaffold"
	"github.com/stratio/keos-oci/internal/setup"
)

// TestInit_realRepositories: what zero config serves needs no config file, and no workflow of theirs is written over.
func TestInit_realRepositories(t *testing.T) {
	dir := corpora(t)
	for repo, layout := range map[string]string{"d2-apps": "components", "d2-infra": "components", "d2-fleet": "fleet",
		"keos-apps":            "components",
		"keos-system-services": "components", "keos-fleet": "fleet"} {
		t.Run(repo, func(t *testing.T) {
			s := newSandbox(t)
			if err := os.CopyFS(s.dir, os.DirFS(filepath.Join(dir, repo))); err != nil {
				t.Fatal(err)
			}
			s.commit("copy")
			s.git("remote", "add", "origin", "https://github.com/stratio/"+repo)
			standard := "ghcr.io/stratio/" + repo // the sandbox names another registry
			res := s.initialised(t, "init", "-o", "json", "--write", "--registry", standard)
			if len(res.Found) != 1 || string(res.Found[0].Layout) != layout || len(res.Files) != 0 || res.Found[0].Config != "" {
				t.Errorf("%+v", res)
			}
			res = s.initialised(t, "init", "-o", "json", "--write", "--registry", standard, "--workflows", "github", "--action-ref",
				strings.Repeat("a", 40))
			if len(res.Files) != 6 || res.Files[0].Status != fileset.StatusCreated {
				t.Errorf("%+v", res.Files)
			}
			if r := s.run("init", "--by", "app", "--write"); r.code != exitUsage || r.stdout != "" ||
				!strings.Contains(r.stderr, "by app: looked for <layer>/<environment>/<app>") {
				t.Errorf("by app: %v", r)
			}
			if status := s.git("status", "--porcelain"); strings.Contains(status, " M ") {
				t.Errorf("files of the repository were changed: %s", status)
			}
		})
	}
}

// initialised runs the command and reads its result.
func (s *sandbox) initialised(t *testing.T, args ...string) scaffold.Result {
	t.Helper()
	r := s.run(args...)
	var res scaffold.Result
	if err := json.Unmarshal([]byte(r.stdout), &res); err != nil || r.code != 0 {
		t.Fatalf("%v: %v", err, r)
	}
	return res
}

func TestBuiltFrom(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for name, tc := range map[string]struct {
		build render.Version
		want  string
	}{
		"release":               {render.Version{Version: "v1.2.3", Commit: commit}, commit},
		"modified":              {render.Version{Version: "v1.2.3", Commit: commit, Modified: true}, ""},
		"between releases":      {render.Version{Version: "v1.2.4-0.20260101000000-0123456789ab", Commit: commit}, ""},
		"a module of the proxy": {render.Version{Version: "v1.2.3"}, ""},
	} {
		if got := builtFrom(&tc.build); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestIsRelease(t *testing.T) {
	for version, want := range map[string]bool{"v1.2.3": true, "(devel)": false, "v1.2.3-rc.1": false,
		"v0.0.0-20260101000000-0123456789ab": false, "v1.2.3+dirty": false} {
		if isRelease(version) != want {
			t.Errorf("isRelease(%s) = %t", version, !want)
		}
	}
}

// TestInit_gitlabScripts runs the scripts of the jobs for merge requests as a runner does, before anything was published.
func TestInit_gitlabScripts(t *testing.T) {
	s := newSandbox(t)
	s.write("components/frontend/staging/kustomization.yaml", "resources: [x.yaml]\n")
	s.write("components/frontend/staging/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
	s.commit("one")
	s.git("remote", "add", "origin", "https://gitlab.com/g/p.git")
	s.must("init", "--workflows", "gitlab", "--write")
	raw, err := os.ReadFile(filepath.Join(s.dir, ".gitlab-ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var jobs struct {
		Check, Diff struct{ Script []string }
	}
	if err := yaml.Unmarshal(raw, &jobs); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "keos-oci")); err != nil {
		t.Fatal(err)
	}
	for _, script := range [][]string{jobs.Check.Script, jobs.Diff.Script} {
		cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.Join(script, "\n"))
		cmd.Dir, cmd.Env = s.dir, append(s.env, "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	report, err := os.ReadFile(filepath.Join(s.dir, "keos-oci-diff.md"))
	if err != nil || !strings.Contains(string(report), "ConfigMap") {
		t.Errorf("report = %s, %v", report, err)
	}
}

// TestWhoRuns: the journal names who pressed the button, not the user of the runner's container.
func TestWhoRuns(t *testing.T) {
	env := map[string]string{"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "jane", "CI_JOB_URL": "https://gitlab.com/g/p/-/jobs/1"}
	if actor, run := setup.WhoRuns(func(name string) string { return env[name] }); actor != "jane" ||
		run != "https://gitlab.com/g/p/-/jobs/1" {
		t.Errorf("on GitLab: %s, %s", actor, run)
	}
}
