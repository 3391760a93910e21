package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/component"
)

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
