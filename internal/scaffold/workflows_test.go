package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/component"
)

// githubWorkflow is a workflow as far as it matters for safety.
type githubWorkflow struct {
	On          map[string]any
	Permissions map[string]string
	Concurrency struct {
		Group  string
		Cancel bool `yaml:"cancel-in-progress"`
	}
	Jobs map[string]struct {
		If          string
		Permissions map[string]string
		Steps       []struct {
			Uses, Run string
			With      map[string]string
		}
	}
}

// workspaces are those for which workflows are written and checked.
func workspaces() map[string]files {
	return map[string]files{
		"apps": kustomizations("components/frontend/base", "components/frontend/staging", "components/007/production",
			"components/on/staging"),
		"fleet":     files{}.cluster("a").cluster("b"),
		"flux-demo": fluxDemo(),
		"key pair": kustomizations("components/a/x").with(component.ConfigFile,
			header+"registry: registry.example.com/g/p\nsigning: {key: cosign.key}\nchannels: {latest: {branch: trunk}}\n"),
		"odd names": kustomizations("components/a/${{ github.event.x }}", "components/a/$(id)", "components/b/x"),
	}
}

func githubFiles(t *testing.T, f files) map[string]githubWorkflow {
	t.Helper()
	p, err := Propose(f.checkout(t, onGitHub), Request{Workflows: GitHub, Action: action()})
	if err != nil {
		t.Fatal(err)
	}
	parsed := map[string]githubWorkflow{}
	for _, file := range p.Files {
		if file.Path == component.ConfigFile {
			continue
		}
		var w githubWorkflow
		if err := yaml.Unmarshal(file.Content, &w); err != nil {
			t.Fatalf("%s: %v\n%s", file.Path, err, file.Content)
		}
		parsed[strings.TrimSuffix(filepath.Base(file.Path), ".yaml")] = w
	}
	return parsed
}

func TestGitHub(t *testing.T) {
	for name, f := range workspaces() {
		t.Run(name, func(t *testing.T) {
			workflows := githubFiles(t, f)
			if len(workflows) != 6 {
				t.Fatalf("%d workflows", len(workflows))
			}
			for name, w := range workflows {
				if w.Permissions == nil || len(w.Permissions) > 0 {
					t.Errorf("%s: permissions = %v, want none outside the jobs", name, w.Permissions)
				}
				if w.Concurrency.Group == "" || w.Concurrency.Cancel != (name == "check") {
					t.Errorf("%s: concurrency = %+v", name, w.Concurrency)
				}
				for job, j := range w.Jobs {
					checkPermissions(t, name, job, j.Permissions, strings.Contains(f[component.ConfigFile], "key:"))
					for _, step := range j.Steps {
						if step.Uses != "" && !regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40}$`).MatchString(step.Uses) {
							t.Errorf("%s: %s is not pinned", name, step.Uses)
						}
						if strings.Contains(step.Run, "${{") {
							t.Errorf("%s: an expression in a script: %s", name, step.Run)
						}
						if strings.HasPrefix(step.Uses, "actions/checkout@") &&
							(step.With["persist-credentials"] != "false" || step.With["fetch-depth"] != "0") {
							t.Errorf("%s: checkout with %v", name, step.With)
						}
					}
				}
			}
		})
	}
}

// checkPermissions: only jobs that publish or move may write packages and sign.
func checkPermissions(t *testing.T, workflow, job string, got map[string]string, keyPair bool) {
	t.Helper()
	want := map[string]string{"contents": "read", "packages": "write", "id-token": "write"}
	switch {
	case job == "refuse":
		want = map[string]string{}
	case job == "check":
		want = map[string]string{"contents": "read"}
	case job == "diff", job == "audit":
		want = map[string]string{"contents": "read", "packages": "read"}
	case keyPair:
		delete(want, "id-token")
	}
	if len(got) != len(want) {
		t.Errorf("%s: %s may %v, want %v", workflow, job, got, want)
	}
	for scope, level := range want {
		if got[scope] != level {
			t.Errorf("%s: %s may %v, want %v", workflow, job, got, want)
		}
	}
}

func TestGitHub_triggers(t *testing.T) {
	w := githubFiles(t, workspaces()["apps"])
	tags := w["release"].On["push"].(map[string]any)["tags"].([]any)
	for _, tag := range []any{"frontend/v[0-9]+.[0-9]+.[0-9]+", "frontend/v[0-9]+.[0-9]+.[0-9]+-*", "007/v[0-9]+.[0-9]+.[0-9]+"} {
		if !slices.Contains(tags, tag) {
			t.Errorf("tags = %v, want %s", tags, tag)
		}
	}
	if len(tags) != 6 {
		t.Errorf("tags = %v", tags)
	}
	for _, verb := range []string{"promote", "rollback"} {
		inputs := w[verb].On["workflow_dispatch"].(map[string]any)["inputs"].(map[string]any)
		options := inputs["component"].(map[string]any)["options"].([]any)
		if !slices.Equal(options, []any{"007", "frontend", "on"}) { // texts all of them
			t.Errorf("%s: options = %#v", verb, options)
		}
		if got := w[verb].Jobs[verb].If; got != "github.ref == 'refs/heads/main'" {
			t.Errorf("%s: if %s", verb, got)
		}
		if got := w[verb].Concurrency.Group; got != verb+"-${{ inputs.component }}" {
			t.Errorf("%s: group %s", verb, got)
		}
	}
	// GitHub keeps one waiting run of a group: only a group for each tag loses no release.
	if got := w["release"].Concurrency.Group; got != "release-${{ github.ref }}" {
		t.Errorf("release: group %s", got)
	}
	if _, ok := w["audit"].On["schedule"]; !ok || w["audit"].Jobs["audit"].If != "github.ref == 'refs/heads/main'" {
		t.Errorf("audit on %v", w["audit"])
	}
	if _, ok := w["check"].On["pull_request"]; !ok {
		t.Errorf("check on %v", w["check"].On)
	}
	trunk := githubFiles(t, workspaces()["key pair"])
	if got := trunk["promote"].Jobs["promote"].If; got != "github.ref == 'refs/heads/trunk'" {
		t.Errorf("promote: if %s", got)
	}
}

// TestGitHub_inputs: the workflows ask for nothing that the project's action does not know.
func TestGitHub_inputs(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "action.yml"))
	if err != nil {
		t.Skip(err)
	}
	var action struct{ Inputs, Outputs map[string]any }
	if err := yaml.Unmarshal(raw, &action); err != nil {
		t.Fatal(err)
	}
	for name, w := range githubFiles(t, workspaces()["flux-demo"]) {
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if !strings.HasPrefix(step.Uses, "stratio/keos-oci@") {
					continue
				}
				for input := range step.With {
					if action.Inputs[input] == nil {
						t.Errorf("%s: the action has no input %s", name, input)
					}
				}
			}
		}
	}
	if action.Outputs["report"] == nil {
		t.Error("the action has no output report")
	}
}

// TestGlob: letters that have a meaning in filters stand for themselves.
func TestGlob(t *testing.T) {
	if got := glob(component.Component{GitTag: "!a+b/v{version}+c"}, ""); got != `\!a\+b/v[0-9]+.[0-9]+.[0-9]+\+c` {
		t.Errorf("glob = %s", got)
	}
}

// TestGitHub_actionlint asks the linter that knows GitHub's schema and expressions.
func TestGitHub_actionlint(t *testing.T) {
	linter := os.Getenv("KEOS_OCI_ACTIONLINT")
	if linter == "" {
		if os.Getenv("KEOS_OCI_TEST_ALL") != "" {
			t.Fatal("KEOS_OCI_ACTIONLINT does not name actionlint")
		}
		t.Skip("no linter: set KEOS_OCI_ACTIONLINT to actionlint's binary")
	}
	for name, f := range workspaces() {
		t.Run(name, func(t *testing.T) {
			p, err := Propose(f.checkout(t, onGitHub), Request{Workflows: GitHub, Action: action()})
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"-shellcheck=", "-pyflakes="}
			dir := t.TempDir()
			for _, file := range p.Files {
				if file.Path == component.ConfigFile {
					continue
				}
				path := filepath.Join(dir, filepath.Base(file.Path))
				if err := os.WriteFile(path, file.Content, 0o644); err != nil {
					t.Fatal(err)
				}
				args = append(args, path)
			}
			if out, err := exec.CommandContext(t.Context(), linter, args...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestParseAction(t *testing.T) {
	commit := strings.Repeat("ab", 20)
	for text, want := range map[string]Action{commit: {Commit: commit}, "v1.2.3@" + commit: {Commit: commit, Version: "v1.2.3"}} {
		if got, err := ParseAction(text); err != nil || got != want {
			t.Errorf("ParseAction(%s) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "main", "v1.2.3", commit[:39], strings.ToUpper(commit), "v1\n@" + commit, "x@" + commit} {
		if _, err := ParseAction(text); err == nil {
			t.Errorf("ParseAction(%q) is accepted", text)
		}
	}
}
