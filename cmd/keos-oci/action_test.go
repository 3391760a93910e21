package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
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
	code              int
	log, summary, ref string
	outputs           map[string]string
	report            string
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
	r.write("keos-oci.yaml", fmt.Sprintf("apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: %s/org/apps\nsigning: {fulcioURL: %q, rekorURL: %q, trustedRoot: %q}\n",
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
	env := append(slices.DeleteFunc(slices.Clone(r.env), func(e string) bool { return strings.HasPrefix(e, runMain) || strings.HasPrefix(e, "HOME=") }),
		"HOME="+os.Getenv("HOME"), "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=org/apps", "GITHUB_SERVER_URL=https://github.com", "GITHUB_ACTOR=mona", fmt.Sprintf("GITHUB_RUN_ID=%d", r.runs),
		"GITHUB_REF="+ref, "GITHUB_WORKSPACE="+workspace, "RUNNER_TEMP="+temp, "RUNNER_OS=Linux", "RUNNER_ARCH=X64", "GITHUB_ACTION_PATH="+r.root,
		"GITHUB_STEP_SUMMARY="+file("summary"), "GITHUB_PATH="+file("path"),
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN="+r.st.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
		"ACTIONS_ID_TOKEN_REQUEST_URL="+r.st.env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&repository=org/apps&workflow="+workflow+"&ref="+ref)
	steps := map[string]map[string]string{}
	j := job{ref: ref}
	for i, step := range r.action.Runs.Steps {
		resolve := func(text string) string {
			return expression.ReplaceAllStringFunc(text, func(e string) string { return r.value(expression.FindStringSubmatch(e)[1], inputs, steps) })
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
		j.outputs[name] = expression.ReplaceAllStringFunc(o.Value, func(e string) string { return r.value(expression.FindStringSubmatch(e)[1], inputs, steps) })
	}
	summary, _ := os.ReadFile(file("summary"))
	report, _ := os.ReadFile(j.outputs["report"])
	j.summary, j.report = html.UnescapeString(string(summary)), html.UnescapeString(string(report))
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

// done demands that a job succeeded and published just these components.
func (r *runner) done(j job, published ...string) job {
	r.t.Helper()
	var names []string
	if j.code != 0 || json.Unmarshal([]byte(j.outputs["published"]), &names) != nil {
		r.t.Fatalf("exit %d, outputs %v\n%s", j.code, j.outputs, j.log)
	}
	slices.Sort(names)
	if !slices.Equal(names, published) || j.outputs["changed"] != fmt.Sprint(len(published) > 0) {
		r.t.Errorf("%s: published %v, changed %s; want %v\n%s", j.ref, names, j.outputs["changed"], published, j.log)
	}
	for _, name := range published {
		if !strings.Contains(j.summary, name) {
			r.t.Errorf("the summary does not name %s:\n%s", name, j.summary)
		}
	}
	if j.report != j.summary {
		r.t.Errorf("the report is not the summary: %q, %q", j.report, j.summary)
	}
	return j
}

// names is what a tag names, "" for nothing.
func (r *runner) names(component, tag string) string {
	r.t.Helper()
	repository, err := name.NewRepository(r.registry.Host() + "/org/apps/" + component)
	if err != nil {
		r.t.Fatal(err)
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	d, err := client.Open(repository).Resolve(r.t.Context(), tag)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		r.t.Fatal(err)
	}
	return d.String()
}

// run runs the command at a desk, with the registry of the workspace.
func (r *runner) run(args ...string) result {
	r.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// signed demands that subjects, by workflow and ref, signed what a tag names.
func (r *runner) signed(component, tag string, want ...string) {
	r.t.Helper()
	out := r.run("verify", component+":"+tag, "-o", "json", "--certificate-identity-regexp", ".*", "--certificate-oidc-issuer-regexp", ".*")
	var res release.VerifyResult
	if err := json.Unmarshal([]byte(out.stdout), &res); err != nil {
		r.t.Fatalf("%v\n%v", err, out)
	}
	var got []string
	for _, s := range res.Signatures {
		got = append(got, strings.TrimPrefix(s.Subject, "https://github.com/org/apps/.github/workflows/"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Errorf("%s:%s is signed by %v, want %v", component, tag, got, want)
	}
}

// TestAction lives through what D2's workflows get wrong, job by job, in one repository.
func TestAction(t *testing.T) {
	r := newRunner(t)
	main, short := "refs/heads/main", func() string { return r.git("rev-parse", "--short=8", "main") }

	t.Log("a first push publishes everything")
	j := r.done(r.job("publish.yaml", main, nil), "backend", "cart", "frontend")
	r.signed("frontend", "latest", "publish.yaml@refs/heads/main")
	if !strings.Contains(j.summary, "/publish.yaml@refs/heads/main") {
		t.Errorf("the summary does not say who signed:\n%s", j.summary)
	}
	first := r.names("frontend", "latest")

	t.Log("a push that touches one of three components")
	r.component("frontend", "2")
	r.commit("two")
	j = r.done(r.job("publish.yaml", main, nil), "frontend")
	second := r.names("frontend", "latest")
	if second == first || r.names("frontend", "main-"+short()) != second || r.names("backend", "main-"+short()) != "" {
		t.Errorf("latest %s, was %s", second, first)
	}
	if !strings.Contains(j.outputs["digests"], second) || !strings.Contains(j.summary, "1 files, +1 −1") {
		t.Errorf("outputs %v\n%s", j.outputs, j.summary)
	}

	t.Log("a push that touches none")
	r.write("README.md", "hello")
	r.commit("three")
	r.done(r.job("publish.yaml", main, nil))

	t.Log("a release takes over the digest that staging runs, and adds its own signature")
	r.git("tag", "frontend/v1.2.3")
	tag := "refs/tags/frontend/v1.2.3"
	r.done(r.job("release.yaml", tag, nil), "frontend")
	if r.names("frontend", "v1.2.3") != second || r.names("frontend", "latest-stable") != second {
		t.Error("the release is not what staging runs")
	}
	r.signed("frontend", "v1.2.3", "publish.yaml@refs/heads/main", "release.yaml@"+tag)

	t.Log("the same job again changes nothing")
	r.done(r.job("release.yaml", tag, nil))
	r.signed("frontend", "v1.2.3", "publish.yaml@refs/heads/main", "release.yaml@"+tag)

	t.Log("an old job that is run again after a newer release leaves latest-stable alone")
	r.component("frontend", "3")
	r.commit("four")
	r.done(r.job("publish.yaml", main, nil), "frontend")
	r.git("tag", "frontend/v1.3.0")
	r.done(r.job("release.yaml", "refs/tags/frontend/v1.3.0", nil), "frontend")
	third := r.names("frontend", "latest-stable")
	r.done(r.job("release.yaml", tag, nil))
	r.stands("v1.3.0", third)

	t.Log("a patch of an old line is published and not put on latest-stable")
	r.git("checkout", "-q", "-b", "line-1.2", "frontend/v1.2.3")
	r.component("frontend", "2 patched")
	r.commit("patch")
	r.git("tag", "frontend/v1.2.4")
	r.git("checkout", "-q", "main")
	r.done(r.job("release.yaml", "refs/tags/frontend/v1.2.4", nil), "frontend")
	r.stands("v1.3.0", third)
	if d := r.names("frontend", "v1.2.4"); d == "" || d == second {
		t.Errorf("v1.2.4 names %q", d)
	}

	t.Log("neither is a pre-release")
	r.git("tag", "frontend/v2.0.0-rc.1")
	r.done(r.job("release.yaml", "refs/tags/frontend/v2.0.0-rc.1", nil), "frontend")
	r.stands("v1.3.0", third)

	t.Log("tags that release nothing")
	for _, bad := range []string{"frontend/foo", "nosuch/v1.0.0", "frontend/v1.2"} {
		r.git("tag", bad)
		if j := r.job("release.yaml", "refs/tags/"+bad, nil); j.code != 2 || !strings.Contains(j.log, "not a version tag") {
			t.Errorf("%s: exit %d\n%s", bad, j.code, j.log)
		}
	}
	r.stands("v1.3.0", third)

	t.Log("a dispatch from a branch moves no channel")
	latest := r.names("frontend", "latest")
	r.git("checkout", "-q", "-b", "feature")
	r.component("frontend", "evil")
	r.commit("evil")
	r.git("checkout", "-q", "main")
	r.job("publish.yaml", "refs/heads/feature", nil)
	for _, inputs := range []map[string]string{{"command": "promote", "components": "frontend", "version": "v1.2.4"}, {"command": "rollback", "components": "frontend"}} {
		if j := r.job("promote.yaml", "refs/heads/feature", inputs); j.code != 3 {
			t.Errorf("%v: exit %d\n%s", inputs, j.code, j.log)
		}
	}
	if r.names("frontend", "latest") != latest {
		t.Error("latest moved")
	}
	r.stands("v1.3.0", third)

	t.Log("rollback and promote by dispatch, on record")
	j = r.done(r.job("rollback.yaml", main, map[string]string{"command": "rollback", "components": "frontend", "reason": "500s; $(touch pwned) `x`"}), "frontend")
	r.stands("v1.2.3", second)
	if !strings.Contains(j.summary, "v1.3.0") || !strings.Contains(j.summary, "v1.2.3") || !strings.Contains(j.summary, "release.yaml@refs/tags/frontend/v1.2.3") {
		t.Errorf("the summary does not say what moved from where to where, and who signed it:\n%s", j.summary)
	}
	r.done(r.job("release.yaml", "refs/tags/frontend/v1.3.0", nil)) // what was rolled back does not come back by itself
	r.stands("v1.2.3", second)
	r.done(r.job("promote.yaml", main, map[string]string{"command": "promote", "components": "frontend", "version": "v1.3.0"}), "frontend")
	r.stands("v1.3.0", third)
	history := r.run("history", "frontend", "-o", "json").stdout
	for _, want := range []string{`"actor": "mona"`, "https://github.com/org/apps/actions/runs/", "500s; $(touch pwned) `x`"} {
		if !strings.Contains(history, want) {
			t.Errorf("the journal lacks %s:\n%s", want, history)
		}
	}
	if j := r.job("promote.yaml", main, map[string]string{"command": "promote", "components": "frontend", "version": "v1.2.3"}); j.code != 3 || !strings.Contains(j.log, "backwards") {
		t.Errorf("a promotion backwards: exit %d\n%s", j.code, j.log)
	}
}

// stands demands where latest-stable is.
func (r *runner) stands(version, digest string) {
	r.t.Helper()
	if d := r.names("frontend", "latest-stable"); d != digest || r.names("frontend", version) != digest {
		r.t.Errorf("latest-stable names %s, want %s (%s)", d, digest, version)
	}
}

// TestActionRepairs: a job whose signing service is down moves no tag, and is repaired by running it again.
func TestActionRepairs(t *testing.T) {
	r := newRunner(t)
	r.fulcio.Forbid(true)
	if j := r.job("publish.yaml", "refs/heads/main", nil); j.code != 1 || r.names("frontend", "latest") != "" {
		t.Fatalf("exit %d, latest names %q\n%s", j.code, r.names("frontend", "latest"), j.log)
	}
	r.fulcio.Forbid(false)
	r.done(r.job("publish.yaml", "refs/heads/main", nil), "backend", "cart", "frontend")
	r.signed("frontend", "latest", "publish.yaml@refs/heads/main")
}

// TestActionChecks: annotations in the files, the rendered difference as a comment, and generated files that are behind.
func TestActionChecks(t *testing.T) {
	r := newRunner(t)
	r.done(r.job("publish.yaml", "refs/heads/main", nil), "backend", "cart", "frontend")
	r.git("checkout", "-q", "-b", "change")
	r.component("frontend", "2")
	r.component("new", "1")
	r.write("components/cart/base/kustomization.yaml", "resources: [config.yaml, ../../frontend/base/config.yaml]\n")
	r.commit("change")
	j := r.job("check.yaml", "refs/heads/change", map[string]string{"command": "check"})
	if want := "::error file=components/cart/base/kustomization.yaml,line=1,title=keos-oci "; j.code != 1 || !strings.Contains(j.log, want) {
		t.Errorf("exit %d, want %s\n%s", j.code, want, j.log)
	}
	if !strings.Contains(j.summary, "| cart | refused |") {
		t.Errorf("summary\n%s", j.summary)
	}
	j = r.job("check.yaml", "refs/heads/change", map[string]string{"command": "diff", "components": "frontend backend\nnew", "variant": "production"})
	if j.code != 0 || j.outputs["changed"] != "true" || strings.Count(j.report, "###") != 3 {
		t.Fatalf("exit %d, %v\n%s\n%s", j.code, j.outputs, j.report, j.log)
	}
	for _, want := range []string{"-  value: \"1\"", "+  value: \"2\"", "No difference.", "production: added v1 ConfigMap new"} {
		if !strings.Contains(j.report, want) {
			t.Errorf("the report lacks %s:\n%s", want, j.report)
		}
	}
	if j := r.job("check.yaml", "refs/heads/change", map[string]string{"command": "diff"}); j.code != 0 || strings.Count(j.report, "###") != 4 {
		t.Errorf("all components: exit %d\n%s\n%s", j.code, j.report, j.log)
	}
	if j := r.job("check.yaml", "refs/heads/change", map[string]string{"command": "diff", "directory": "nosuch"}); j.code == 0 {
		t.Errorf("no checkout: exit %d\n%s", j.code, j.log)
	}
	j = r.job("check.yaml", "refs/heads/change", map[string]string{"command": "generate", "args": "ocirepository\n--channel\nlatest\n--environment\nstaging\n--dir\n.\n\n--check\r\n"})
	if j.code != 3 || !strings.Contains(j.summary, "| <code>frontend.yaml</code> | differs |") {
		t.Errorf("exit %d\n%s\n%s", j.code, j.summary, j.log)
	}
	for what, inputs := range map[string]map[string]string{
		"no command": {"command": "destroy"}, "a flag for a name": {"components": "--registry=evil.example.com"},
		"promote what": {"command": "promote"}, "promote to what": {"command": "promote", "components": "frontend"}, "generate what": {"command": "generate"},
	} {
		if j := r.job("check.yaml", "refs/heads/change", inputs); j.code != 2 || !strings.Contains(j.log, "::error title=keos-oci::") {
			t.Errorf("%s: exit %d\n%s", what, j.code, j.log)
		}
	}
}
