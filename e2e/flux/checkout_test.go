package flux

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is a Git checkout of a repository of GitHub, whose artifacts go to a part of the registry.
type checkout struct {
	t          *testing.T
	w          *world
	dir        string
	repository string // org/apps
	prefix     string // where its artifacts go: HOST/PREFIX; "" where its config says so
	home       string
}

// job is who runs keos-oci: a workflow of the checkout's repository on a Git ref.
type job struct{ workflow, ref string }

// The jobs of the README: publish.yaml runs for each commit on main, release.yaml for each tag, promote.yaml by hand.
func branchJob() job { return job{"publish.yaml", "refs/heads/main"} }
func moveJob() job   { return job{"promote.yaml", "refs/heads/main"} }
func releaseJob(component, version string) job {
	return job{"release.yaml", "refs/tags/" + strings.TrimPrefix(component+"/"+version, "/")}
}

// checkout makes an empty repository, whose artifacts go to HOST/<area>/<last part of its name>.
func (w *world) checkout(t *testing.T, repository, area string) *checkout {
	t.Helper()
	c := &checkout{t: t, w: w, dir: t.TempDir(), repository: repository, prefix: w.registry + "/" + area + "/" + filepath.Base(repository),
		home: t.TempDir()}
	c.git("init", "-q", "-b", "main")
	c.git("remote", "add", "origin", "https://github.com/"+repository+".git")
	return c
}

func (c *checkout) env() []string {
	return append(cleanEnv(), "HOME="+c.home, "DOCKER_CONFIG="+c.home, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
}

func (c *checkout) git(args ...string) (output string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "git", append([]string{"-C", c.dir, "-c", "user.name=e2e", "-c", "user.email=e2e@example.com"},
		args...)...)
	cmd.Env = c.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (c *checkout) write(file, content string) {
	c.t.Helper()
	file = filepath.Join(c.dir, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c *checkout) read(file string) string {
	c.t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(raw)
}

func (c *checkout) commit() {
	c.t.Helper()
	c.git("add", "-A")
	c.git("commit", "-q", "-m", "change")
}

// app writes and commits an app component: a ConfigMap of the component's name, with a value and the environment.
func (c *checkout) app(component, value string) {
	c.t.Helper()
	c.configMap("components/"+component, component, value)
	c.commit()
}

// infra writes and commits an infra component: the same in two phases.
func (c *checkout) infra(component, value string) {
	c.t.Helper()
	for _, phase := range []string{"controllers", "configs"} {
		c.configMap("components/"+component+"/"+phase, component+"-"+phase, value)
	}
	c.commit()
}

func (c *checkout) configMap(dir, name, value string) {
	c.t.Helper()
	c.write(dir+"/base/kustomization.yaml", "resources: [config.yaml]\n")
	c.write(dir+"/base/config.yaml",
		fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {value: %q, domain: \"${CLUSTER_DOMAIN:=none}\"}\n", name, value))
	for _, environment := range []string{"staging", "production"} {
		c.write(dir+"/"+environment+"/kustomization.yaml", fmt.Sprintf(
			"resources: [../base]\npatches:\n- patch: |\n    - {op: add, path: /data/environment, value: %s}\n  target: {kind: ConfigMap}\n", environment))
	}
}

// publishResult is what the tests read of the JSON of publish.
type publishResult struct {
	Components []struct{ Name, Status, Digest string }
}

// publish publishes as a job, and gives the digest of the only component that this was about.
func (c *checkout) publish(as job, args ...string) (digest string) {
	c.t.Helper()
	return c.published(c.signing(as, append([]string{"publish", "-o", "json"}, args...)...))
}

func (c *checkout) published(stdout string) (digest string) {
	c.t.Helper()
	var res publishResult
	if err := json.Unmarshal([]byte(stdout), &res); err != nil {
		c.t.Fatal(err)
	}
	for _, component := range res.Components {
		if component.Status == "published" || len(res.Components) == 1 {
			return component.Digest
		}
	}
	c.t.Fatalf("nothing was published: %+v", res)
	return ""
}

// release tags the commit and publishes the version, which latest-stable follows.
func (c *checkout) release(component, version string, args ...string) (digest string) {
	c.t.Helper()
	c.git("tag", strings.TrimPrefix(component+"/"+version, "/"))
	return c.publish(releaseJob(component, version), args...)
}

// signing runs keos-oci with what signs and verifies, as a job of GitHub Actions.
func (c *checkout) signing(as job, args ...string) (stdout string) {
	c.t.Helper()
	s := c.w.sigstore
	return c.run(as, append(args, "--fulcio-url", s["SIGSTORE_FULCIO_URL"], "--rekor-url", s["SIGSTORE_REKOR_URL"], "--trusted-root",
		s["SIGSTORE_TRUSTED_ROOT"])...)
}

// generate runs one of the generate commands.
func (c *checkout) generate(args ...string) (stdout string) {
	c.t.Helper()
	return c.run(branchJob(), append([]string{"generate"}, args...)...)
}

// run runs keos-oci and demands success.
func (c *checkout) run(as job, args ...string) (stdout string) {
	c.t.Helper()
	if name, release := strings.CutPrefix(as.ref, "refs/tags/"); release && args[0] == "publish" {
		c.git("tag", "-f", name)
	}
	cmd, out, errs := c.command(as, args)
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("keos-oci %s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	return out.String()
}

// exits runs keos-oci and demands the exit code.
func (c *checkout) exits(code int, as job, args ...string) {
	c.t.Helper()
	cmd, out, errs := c.command(as, args)
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != code {
		c.t.Fatalf("keos-oci %s: %v, want exit code %d\n%s%s", strings.Join(args, " "), err, code, out, errs)
	}
}

// command prepares a run of keos-oci as a job.
func (c *checkout) command(as job, args []string) (cmd *exec.Cmd, out, errs *bytes.Buffer) {
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	where := []string{"-C", c.dir}
	if c.prefix != "" {
		where = append(where, "--registry", c.prefix)
	}
	cmd = exec.CommandContext(c.t.Context(), c.w.tools["keos-oci"], append(where, args...)...)
	cmd.Env = append(c.env(), "COSIGN_PASSWORD=e2e", "GITHUB_ACTIONS=true", "GITHUB_ACTOR=octocat", "GITHUB_REF="+as.ref,
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN="+c.w.sigstore["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
		fmt.Sprintf("ACTIONS_ID_TOKEN_REQUEST_URL=%s&repository=%s&workflow=%s&ref=%s", c.w.sigstore["ACTIONS_ID_TOKEN_REQUEST_URL"],
			c.repository, as.workflow, as.ref))
	cmd.Stdout, cmd.Stderr = out, errs
	return cmd, out, errs
}

func (c *checkout) promote(component, version string) {
	c.t.Helper()
	c.signing(moveJob(), "promote", component, version)
}

func (c *checkout) rollback(component string, version ...string) {
	c.t.Helper()
	c.signing(moveJob(), append([]string{"rollback", component, "--reason", "e2e"}, version...)...)
}
