package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
)

// runner runs action.yml as GitHub's does: each job in a fresh clone, its steps by bash, with the variables and files that
// the runner provides. Actions of others are left out: they install Go and cosign.
type runner struct {
	*sandbox
	st     *stack
	fulcio *registrytest.Proxy
	action actionFile
	root   string // of the action
	bin    string // what the first job installed, which takes the linker some seconds
	runs   int
}

type actionFile struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct{ Steps []actionStep }
}

type actionStep struct {
	ID, If, Uses, Shell, Run string
	Env                      map[string]string
}

// job is what an event starts, and what it left.
type job struct {
	workflow, ref, url, dir string
	code                    int
	log, summary, report    string
	outputs                 map[string]string
	result                  reported
}

// reported is the JSON of publish, promote and rollback; a move has a channel instead of tags.
type reported struct {
	Ref, Commit string
	Components  []struct {
		Name, Status, Digest, Channel, To, Record string
		Tags                                      []struct{ Tag, To string }
		Signatures                                []sign.Identity
		Error                                     *release.Problem
	}
}

// identity is whom GitHub certifies a job to be.
func identity(workflow, ref string) sign.Identity {
	return sign.Identity{Issuer: "https://token.actions.githubusercontent.com", Subject: "https://github.com/org/apps/.github/workflows/" +
		workflow + "@" + ref}
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	st := githubSigstore(t)
	r := &runner{sandbox: newSandbox(t), st: st, fulcio: registrytest.To(t, st.env["SIGSTORE_FULCIO_URL"])}
	var err error
	if r.root, err = filepath.Abs("../.."); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(r.root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(raw, &struct{ Name, Description, Author, Branding, Inputs, Outputs, Runs any }{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &r.action); err != nil {
		t.Fatal(err)
	}
	r.write("keos-oci.yaml",
		fmt.Sprintf("apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: %s/org/apps\nsigning: {fulcioURL: %q, rekorURL: %q, trustedRoot: %q}\n",
			r.registry.Host(), r.fulcio.URL, st.env["SIGSTORE_REKOR_URL"], st.env["SIGSTORE_TRUSTED_ROOT"]))
	for _, name := range []string{"frontend", "backend", "cart"} {
		r.component(name, "1")
	}
	r.commit("one")
	r.git("remote", "add", "origin", "https://github.com/org/apps.git")
	return r
}

var expression = regexp.MustCompile(`\$\{\{ *([^}]*?) *\}\}`)

// job runs the action on a ref, as the workflow of that name.
func (r *runner) job(workflow, ref string, inputs map[string]string) job {
	r.t.Helper()
	r.runs++
	dir := r.t.TempDir()
	workspace, temp := filepath.Join(dir, "work"), filepath.Join(dir, "temp")
	r.git("clone", "-q", r.dir, workspace)
	at := func(args ...string) { r.git(append([]string{"-C", workspace}, args...)...) }
	at("remote", "set-url", "origin", "https://github.com/org/apps.git")
	at("checkout", "-q", strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/"))
	if err := os.MkdirAll(temp, 0o755); err != nil {
		r.t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	env := append(slices.DeleteFunc(slices.Clone(r.env),
		func(e string) bool { return strings.HasPrefix(e, runMain) || strings.HasPrefix(e, "HOME=") }),
		"HOME="+os.Getenv("HOME"), "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=org/apps", "GITHUB_SERVER_URL=https://github.com", "GITHUB_ACTOR=mona", fmt.Sprintf("GITHUB_RUN_ID=%d", r.runs),
		"GITHUB_REF="+ref, "GITHUB_WORKSPACE="+workspace, "RUNNER_TEMP="+temp, "RUNNER_OS=Linux", "RUNNER_ARCH=X64", "GITHUB_ACTION_PATH="+r.root,
		"GITHUB_STEP_SUMMARY="+file("summary"), "GITHUB_PATH="+file("path"),
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN="+r.st.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
		"ACTIONS_ID_TOKEN_REQUEST_URL="+r.st.env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&repository=org/apps&workflow="+workflow+"&ref="+ref)
	steps := map[string]map[string]string{}
	j := job{workflow: workflow, ref: ref, url: fmt.Sprintf("https://github.com/org/apps/actions/runs/%d", r.runs), dir: workspace}
	for i, step := range r.action.Runs.Steps {
		resolve := func(text string) string {
			return expression.ReplaceAllStringFunc(text,
				func(e string) string { return r.value(expression.FindStringSubmatch(e)[1], inputs, steps) })
		}
		if step.Uses != "" || r.bin != "" && strings.Contains(step.Run, "install.sh") {
			continue
		}
		if step.Shell != "bash" || expression.MatchString(step.Run) {
			r.t.Fatalf("step %d: run is %q in %q, and inputs may reach it by the environment alone", i, step.Run, step.Shell)
		}
		output := file(fmt.Sprintf("output%d", i))
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		cmd.Dir, cmd.Env = workspace, append(slices.Clone(env), "GITHUB_OUTPUT="+output)
		if path, err := os.ReadFile(file("path")); err == nil {
			r.bin = strings.TrimSpace(string(path))
		}
		cmd.Env = append(cmd.Env, "PATH="+r.bin+":"+os.Getenv("PATH"))
		for k, v := range step.Env {
			cmd.Env = append(cmd.Env, k+"="+resolve(v))
		}
		var log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &log, &log
		err := cmd.Run()
		j.log += log.String()
		if step.ID != "" {
			steps[step.ID] = readOutputs(r.t, output)
		}
		if err != nil {
			j.code = cmd.ProcessState.ExitCode()
			break
		}
	}
	j.outputs = map[string]string{}
	for name, o := range r.action.Outputs {
		j.outputs[name] = expression.ReplaceAllStringFunc(o.Value,
			func(e string) string { return r.value(expression.FindStringSubmatch(e)[1], inputs, steps) })
	}
	summary, _ := os.ReadFile(file("summary"))
	report, _ := os.ReadFile(j.outputs["report"])
	j.summary, j.report = html.UnescapeString(string(summary)), html.UnescapeString(string(report))
	if text := j.outputs["result"]; text != "" {
		if err := json.Unmarshal([]byte(text), &j.result); err != nil {
			r.t.Fatalf("%v\n%s", err, text)
		}
	}
	if j.report != j.summary {
		r.t.Errorf("the report is not the summary: %q, %q", j.report, j.summary)
	}
	return j
}

// value is an expression of those that action.yml uses.
func (r *runner) value(e string, inputs map[string]string, steps map[string]map[string]string) string {
	name, ok := strings.CutPrefix(e, "inputs.")
	if ok {
		declared, known := r.action.Inputs[name]
		if !known {
			r.t.Fatalf("no input %s", name)
		}
		if v, ok := inputs[name]; ok {
			return v
		}
		return declared.Default
	}
	if parts := strings.Split(e, "."); len(parts) == 4 && parts[0] == "steps" && parts[2] == "outputs" {
		return steps[parts[1]][parts[3]]
	}
	if e == "github.action_ref" {
		return ""
	}
	r.t.Fatalf("an expression that the runner of this test does not know: %s", e)
	return ""
}

func readOutputs(t testing.TB, file string) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	raw, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			t.Fatalf("%s: %q is no output", file, line)
		}
		outputs[name] = value
	}
	return outputs
}
