package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// workflowFile is what is demanded of this project's own workflows.
type workflowFile struct {
	Permissions *map[string]string
	Concurrency *struct {
		Group  string `json:"group"`
		Cancel bool   `json:"cancel-in-progress"`
	}
	Jobs map[string]workflowJob
}

type workflowJob struct {
	Permissions map[string]string
	Timeout     int `json:"timeout-minutes"`
	Steps       []actionStep
}

var pinned = regexp.MustCompile(`^([\w.-]+/[\w./-]+@[0-9a-f]{40}|\./)$`)

// TestWorkflows: actions are pinned by their commit, rights are those that a job needs, a release is never cancelled, and
// nothing that others can write reaches a shell.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w workflowFile
		if err := yaml.Unmarshal(raw, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		release := filepath.Base(file) == "release.yml"
		switch {
		case w.Permissions == nil || w.Concurrency == nil:
			t.Errorf("%s says nothing of permissions or concurrency", file)
			continue
		case w.Concurrency.Cancel == release:
			t.Errorf("%s: cancel-in-progress is %v", file, w.Concurrency.Cancel)
		}
		for name, job := range w.Jobs {
			if job.Timeout == 0 {
				t.Errorf("%s: %s has no timeout", file, name)
			}
			for right, access := range *w.Permissions {
				if access != "read" {
					t.Errorf("%s: every job may %s %s", file, access, right)
				}
			}
			if !release && len(job.Permissions) > 0 && (filepath.Base(file) != "docs.yml" || !onlyPublishesPages(job)) {
				t.Errorf("%s: %s has more rights than to read", file, name)
			}
			checkSteps(t, file, job.Steps)
		}
	}
	raw, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action actionFile
	if err := yaml.Unmarshal(raw, &action); err != nil {
		t.Fatal(err)
	}
	checkSteps(t, "action.yml", action.Runs.Steps)
}

// onlyPublishesPages reports whether a job has no rights but those to publish GitHub Pages, and runs no script.
func onlyPublishesPages(job workflowJob) bool {
	for right := range job.Permissions {
		if right != "pages" && right != "id-token" {
			return false
		}
	}
	return !slices.ContainsFunc(job.Steps, func(s actionStep) bool { return s.Run != "" })
}

func checkSteps(t *testing.T, file string, steps []actionStep) {
	t.Helper()
	for _, s := range steps {
		if s.Uses != "" && !pinned.MatchString(s.Uses) {
			t.Errorf("%s uses %s, which is not pinned by its commit", file, s.Uses)
		}
		if strings.Contains(s.Run, "${{") {
			t.Errorf("%s puts an expression into a script:\n%s", file, s.Run)
		}
	}
}

// TestActionlint checks the workflows, and action.yml through the one that uses it, as GitHub does.
func TestActionlint(t *testing.T) {
	lint := os.Getenv("KEOS_OCI_ACTIONLINT")
	if lint == "" {
		if os.Getenv("KEOS_OCI_TEST_ALL") != "" {
			t.Fatal("KEOS_OCI_ACTIONLINT is not set")
		}
		t.Skip("needs actionlint: run make test, or set KEOS_OCI_ACTIONLINT")
	}
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(lint, append([]string{"-no-color"}, files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	copied := newSandbox(t)
	for _, name := range []string{"action.yml", ".github/workflows/action.yml"} {
		raw, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		copied.write(name, strings.Replace(string(raw), "command: check", "comand: check", 1))
	}
	cmd := exec.Command(lint, "-no-color")
	cmd.Dir = copied.dir
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `"comand"`) {
		t.Errorf("action.yml is not looked at: %v\n%s", err, out)
	}
}
