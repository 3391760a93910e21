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

// gitlabJob is a job as far as it matters for safety.
type gitlabJob struct {
	Stage         string
	Interruptible bool
	ResourceGroup string `yaml:"resource_group"`
	IDTokens      map[string]struct {
		Aud string
	} `yaml:"id_tokens"`
	Rules        []struct{ If string }
	BeforeScript []string `yaml:"before_script"`
	Script       []string
}

const onGitLab = "git@gitlab.com:Group/sub/My.Apps.git"

func gitlabJobs(t *testing.T, p *Proposal) map[string]gitlabJob {
	t.Helper()
	file := p.Files[len(p.Files)-1]
	if file.Path != ".gitlab-ci.yml" {
		t.Fatalf("the last file is %s", file.Path)
	}
	var document map[string]yaml.Node
	if err := yaml.Unmarshal(file.Content, &document); err != nil {
		t.Fatalf("%v\n%s", err, file.Content)
	}
	jobs := map[string]gitlabJob{}
	for name, node := range document {
		if name == "stages" || name == "variables" {
			continue
		}
		var job gitlabJob
		if err := node.Decode(&job); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		jobs[name] = job
	}
	return jobs
}

func TestGitLab(t *testing.T) {
	p, err := Propose(workspaces()["apps"].checkout(t, onGitLab), Request{Workflows: GitLab})
	if err != nil {
		t.Fatal(err)
	}
	jobs := gitlabJobs(t, p)
	for name, want := range map[string]struct {
		rule, group, script string
		signs               bool
	}{
		"check": {`$CI_PIPELINE_SOURCE == "merge_request_event"`, "", "keos-oci check", false},
		"diff":  {`$CI_PIPELINE_SOURCE == "merge_request_event"`, "", "keos-oci diff", false},
		"audit": {`$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH == "main"`, "audit",
			"keos-oci audit --anchor keos-oci-anchor.json --write-anchor", false},
		"publish": {`$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "main"`, "publish", `--ref "refs/heads/$CI_COMMIT_BRANCH"`, true},
		"release": {`$CI_COMMIT_TAG =~ /^007\/v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$/`, "release", `--ref "refs/tags/$CI_COMMIT_TAG"`, true},
		"promote": {`$CI_PIPELINE_SOURCE == "web" && $CI_COMMIT_BRANCH == "main" && $KEOS_OCI_ACTION == "promote"`,
			"promote-$KEOS_OCI_COMPONENT", `-- "$KEOS_OCI_COMPONENT" "$KEOS_OCI_TARGET"`, true},
		"rollback": {`$CI_PIPELINE_SOURCE == "web" && $CI_COMMIT_BRANCH == "main" && $KEOS_OCI_ACTION == "rollback"`,
			"rollback-$KEOS_OCI_COMPONENT", `-- "$KEOS_OCI_COMPONENT"`, true},
	} {
		job := jobs[name]
		if job.Rules[0].If != want.rule || job.ResourceGroup != want.group || !strings.Contains(strings.Join(job.Script, "\n"), want.script) {
			t.Errorf("%s = %+v, want %+v", name, job, want)
		}
		if signs := job.IDTokens["SIGSTORE_ID_TOKEN"].Aud == "sigstore"; signs != want.signs || len(job.IDTokens) > 1 {
			t.Errorf("%s has the tokens %v", name, job.IDTokens)
		}
	}
	if n := len(jobs["release"].Rules); n != 3 {
		t.Errorf("release has %d rules, want one for each component", n)
	}
	install := strings.Join(jobs[".keos-oci"].BeforeScript, "\n")
	for _, text := range []string{"sha256sum -c", "${KEOS_OCI_VERSION:?", "${KEOS_OCI_SHA256:?", "registry=registry.gitlab.com"} {
		if !strings.Contains(install, text) {
			t.Errorf("before_script lacks %s:\n%s", text, install)
		}
	}
}

// TestGitLab_scripts lets the shell of the jobs' image read the scripts, which YAML folds and quotes.
func TestGitLab_scripts(t *testing.T) {
	p, err := Propose(fluxDemo().checkout(t, onGitLab), Request{Workflows: GitLab})
	if err != nil {
		t.Fatal(err)
	}
	for name, job := range gitlabJobs(t, p) {
		cmd := exec.CommandContext(t.Context(), "sh", "-n")
		cmd.Stdin = strings.NewReader(strings.Join(append(job.BeforeScript, job.Script...), "\n"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestGitLab_identities: the config accepts the certificates that Fulcio gives to this project's pipelines, and no others.
func TestGitLab_identities(t *testing.T) {
	const project = "https://gitlab.com/Group/sub/My.Apps//.gitlab-ci.yml@"
	for name, tc := range map[string]struct {
		files    files
		releases map[string]string // by component, a tag of its own
	}{
		"apps":  {workspaces()["apps"], map[string]string{"frontend": "frontend/v1.2.3", "007": "007/v1.2.3-rc.1"}},
		"fleet": {workspaces()["fleet"], map[string]string{"my.apps": "v1.2.3"}},
		"flux-demo": {fluxDemo().with("clusters/demo/infrastructure.yaml",
			strings.ReplaceAll(fluxDemo()["clusters/demo/infrastructure.yaml"], "o/repo", "o/my.apps")),
			map[string]string{"infrastructure": "v1.2.3", "fleet": "fleet/v1.2.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Propose(tc.files.checkout(t, onGitLab), Request{Workflows: GitLab})
			if err != nil {
				t.Fatal(err)
			}
			for name, own := range tc.releases {
				c, err := p.Chosen().Workspace.Components.Find(name)
				if err != nil {
					t.Fatal(err)
				}
				latest, _ := c.Channels.Find("latest")
				stable, _ := c.Channels.Find("latest-stable")
				if latest.Identities[0].Issuer != "https://gitlab.com" || latest.Identities[0].Subject != project+"refs/heads/main" {
					t.Errorf("latest = %+v", latest.Identities[0])
				}
				whole := regexp.MustCompile(`\A(?:` + stable.Identities[0].SubjectRegexp + `)\z`)
				if stable.Identities[0].Issuer != "https://gitlab.com" || !whole.MatchString(project+"refs/tags/"+own) {
					t.Errorf("%s: %s does not match %s", name, stable.Identities[0].SubjectRegexp, own)
				}
				for _, other := range []string{"refs/tags/other/v1.2.3", "refs/heads/main", "refs/tags/x/" + own, "refs/tags/" + own + "+x"} {
					if whole.MatchString(project + other) {
						t.Errorf("%s: %s matches %s", name, stable.Identities[0].SubjectRegexp, other)
					}
				}
				if whole.MatchString(strings.Replace(project, "My.Apps", "MyxApps", 1) + "refs/tags/" + own) {
					t.Errorf("%s: a dot matches any letter", name)
				}
				if len(stable.Movers) != 2 || stable.Movers[1].Subject != project+"refs/heads/main" {
					t.Errorf("%s: movers = %+v", name, stable.Movers)
				}
			}
		})
	}
}

// TestGitLab_existing: a config file is completed by people, not by init; and once it is, the jobs are written.
func TestGitLab_existing(t *testing.T) {
	o := workspaces()["apps"].with(component.ConfigFile, header+"registry: registry.gitlab.com/g/p\n").checkout(t, onGitLab)
	p, err := Propose(o, Request{Workflows: GitLab})
	if err == nil || !strings.Contains(err.Error(), "007, frontend, on") || len(p.Files) > 0 || len(p.Notes) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	_, lines, _ := strings.Cut(p.Notes[0], "\n")
	config := header + "registry: registry.gitlab.com/g/p\n" + lines
	if err := os.WriteFile(filepath.Join(o.Dir, component.ConfigFile), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err = Propose(o, Request{Workflows: GitLab}); err != nil || len(p.Files) != 1 {
		t.Errorf("%+v, %v", p, err)
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
