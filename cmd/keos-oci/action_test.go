package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
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
	result                  told
}

// told is what publish, promote and rollback tell; a move has a channel instead of tags.
type told struct {
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

// done checks that a job succeeded and published or moved just these components.
func (r *runner) done(j job, published ...string) job {
	r.t.Helper()
	if j.code != 0 {
		r.t.Fatalf("exit %d, outputs %v\n%s", j.code, j.outputs, j.log)
	}
	if names := r.agrees(j); !slices.Equal(names, published) {
		r.t.Errorf("%s: published %v, want %v\n%s", j.ref, names, published, j.log)
	}
	return j
}

// refused checks that a job changed nothing of its one component, and said why.
func (r *runner) refused(j job, code, why string) {
	r.t.Helper()
	if names := r.agrees(j); j.code != 3 || len(names) > 0 || len(j.result.Components) != 1 {
		r.t.Fatalf("exit %d, changed %v, outputs %v\n%s", j.code, names, j.outputs, j.log)
	}
	if e := j.result.Components[0].Error; e == nil || e.Code != code || !strings.Contains(e.Message, why) ||
		!strings.Contains(j.summary, why) || !strings.Contains(j.log, why) {
		r.t.Errorf("refused for %+v, want %s: %s\n%s\n%s", e, code, why, j.summary, j.log)
	}
}

// silent checks that a job without a result has no output: steps that follow must not take it for a success.
func (r *runner) silent(j job) {
	r.t.Helper()
	for _, name := range []string{"result", "published", "digests", "changed"} {
		if j.outputs[name] != "" {
			r.t.Errorf("exit %d, and %s is %q", j.code, name, j.outputs[name])
		}
	}
	if j.summary != "" {
		r.t.Errorf("exit %d, and a summary:\n%s", j.code, j.summary)
	}
}

// agrees checks that outputs, summary and registry all say what the result says. It gives the names of the components
// that were published or moved.
func (r *runner) agrees(j job) []string {
	r.t.Helper()
	names, digests := []string{}, map[string]string{}
	for _, c := range j.result.Components {
		row := ""
		for line := range strings.Lines(j.summary) {
			if strings.HasPrefix(line, "| "+c.Name+" |") {
				row = line
			}
		}
		status := c.Status
		if c.Error != nil {
			status += " (" + c.Error.Code + ")"
		}
		cells := []string{"| " + status + " |"}
		done := c.Status == release.StatusPublished || c.Status == release.StatusMoved
		if done {
			names = append(names, c.Name)
		}
		digests[c.Name] = cmp.Or(c.Digest, c.To)
		for _, m := range c.Tags {
			cells = append(cells, "<code>"+m.Tag+"</code>: ")
			if got := r.names(c.Name, m.Tag); got != m.To {
				r.t.Errorf("%s:%s names %q, and the result says %s", c.Name, m.Tag, got, m.To)
			}
		}
		for _, s := range c.Signatures {
			cells = append(cells, "<code>"+s.Subject+"</code>")
		}
		switch {
		case c.Channel == "": // published
			cells = append(cells, "<code>"+c.Digest[:len("sha256:")+12]+"</code>")
			own := []sign.Identity{identity(j.workflow, j.ref)}
			if done && !slices.Equal(c.Signatures, own) || !done && len(c.Tags) > 0 {
				r.t.Errorf("%s is %s with tags %v, signed by %v", c.Name, c.Status, c.Tags, c.Signatures)
			}
			if j.result.Ref != j.ref || j.result.Commit != r.git("rev-parse", j.ref+"^{commit}") {
				r.t.Errorf("published from %s %s, not from %s", j.result.Ref, j.result.Commit, j.ref)
			}
		case done:
			cells = append(cells, "<code>"+c.Channel+"</code>", "<code>"+c.Record+"</code>")
			if got := r.names(c.Name, c.Channel); got != c.To || r.names(c.Name, c.Record) == "" {
				r.t.Errorf("%s:%s names %q, and the result says %s, on record as %q", c.Name, c.Channel, got, c.To, c.Record)
			}
		}
		for _, cell := range cells {
			if !strings.Contains(row, cell) {
				r.t.Errorf("the summary lacks %s of %s:\n%s", cell, c.Name, j.summary)
			}
		}
	}
	for output, want := range map[string]any{"published": names, "digests": digests, "changed": len(names) > 0} {
		if raw, err := json.Marshal(want); err != nil || j.outputs[output] != string(raw) {
			r.t.Errorf("%s is %s, want %s (%v)", output, j.outputs[output], raw, err)
		}
	}
	return names
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

// signed checks that just these jobs, by workflow and ref, signed what a tag names.
func (r *runner) signed(component, tag string, want ...string) {
	r.t.Helper()
	out := r.run("verify", component+":"+tag, "-o", "json", "--certificate-identity-regexp", ".*", "--certificate-oidc-issuer-regexp", ".*")
	var res release.VerifyResult
	if err := json.Unmarshal([]byte(out.stdout), &res); err != nil {
		r.t.Fatalf("%v\n%v", err, out)
	}
	var got, jobs []string
	for _, s := range res.Signatures {
		got = append(got, s.String())
	}
	for _, w := range want {
		workflow, ref, _ := strings.Cut(w, "@")
		jobs = append(jobs, identity(workflow, ref).String())
	}
	slices.Sort(got)
	slices.Sort(jobs)
	if !slices.Equal(got, jobs) {
		r.t.Errorf("%s:%s is signed by %v, want %v", component, tag, got, jobs)
	}
}

// trusted checks that a cluster which follows a tag would accept what it names, or would not.
func (r *runner) trusted(component, tag string, want bool) {
	r.t.Helper()
	if out := r.run("verify", component+":"+tag); out.code != map[bool]int{true: 0, false: 3}[want] {
		r.t.Errorf("accepted: want %t\n%v", want, out)
	}
}

// tags are those of each component, without what signatures and records need.
func (r *runner) tags() map[string][]string {
	r.t.Helper()
	all := map[string][]string{}
	for _, name := range []string{"backend", "cart", "frontend"} {
		var res release.ListResult
		if out := r.run("list", name, "-o", "json"); json.Unmarshal([]byte(out.stdout), &res) != nil {
			r.t.Fatal(out)
		}
		all[name] = slices.Concat(res.Versions, res.Tags)
		slices.Sort(all[name])
	}
	return all
}

// TestAction lives through what D2's workflows get wrong, job by job, in one repository.
func TestAction(t *testing.T) {
	r := newRunner(t)
	main, short := "refs/heads/main", func() string { return r.git("rev-parse", "--short=8", "main") }

	t.Log("a first push publishes everything")
	r.done(r.job("publish.yaml", main, nil), "backend", "cart", "frontend")
	for name, tags := range r.tags() {
		if !slices.Equal(tags, []string{"latest", "main-" + short()}) {
			t.Errorf("%s has the tags %v", name, tags)
		}
		r.signed(name, "latest", "publish.yaml@refs/heads/main")
		r.trusted(name, "latest", true)
	}
	first := r.names("frontend", "latest")

	t.Log("a push that touches one of three components")
	r.component("frontend", "2")
	r.commit("two")
	j := r.done(r.job("publish.yaml", main, nil), "frontend")
	second := r.names("frontend", "latest")
	if second == first || r.names("frontend", "main-"+short()) != second || r.names("backend", "main-"+short()) != "" {
		t.Errorf("latest %s, was %s", second, first)
	}
	if !strings.Contains(j.summary, "1 files, +1 −1") {
		t.Errorf("the summary does not say how much changed:\n%s", j.summary)
	}
	r.signed("frontend", "latest", "publish.yaml@refs/heads/main")

	t.Log("a push that touches none")
	r.write("README.md", "hello")
	r.commit("three")
	before := r.tags()
	r.done(r.job("publish.yaml", main, nil))
	if after := r.tags(); !maps.EqualFunc(after, before, slices.Equal) {
		t.Errorf("tags %v, were %v", after, before)
	}

	t.Log("a release takes over the digest that staging runs, and adds its own signature")
	r.git("tag", "frontend/v1.2.3")
	tag := "refs/tags/frontend/v1.2.3"
	released := r.done(r.job("release.yaml", tag, nil), "frontend")
	if r.names("frontend", "v1.2.3") != second || r.names("frontend", "latest-stable") != second {
		t.Error("the release is not what staging runs")
	}
	r.signed("frontend", "v1.2.3", "publish.yaml@refs/heads/main", "release.yaml@"+tag)
	r.trusted("frontend", "v1.2.3", true)
	r.trusted("frontend", "latest-stable", true)

	t.Log("the same job again changes nothing")
	r.done(r.job("release.yaml", tag, nil))
	r.signed("frontend", "v1.2.3", "publish.yaml@refs/heads/main", "release.yaml@"+tag)

	t.Log("an old job that is run again after a newer release leaves latest-stable alone")
	r.component("frontend", "3")
	r.commit("four")
	r.done(r.job("publish.yaml", main, nil), "frontend")
	r.git("tag", "frontend/v1.3.0")
	newer := r.done(r.job("release.yaml", "refs/tags/frontend/v1.3.0", nil), "frontend")
	third := r.names("frontend", "latest-stable")
	r.signed("frontend", "v1.3.0", "publish.yaml@refs/heads/main", "release.yaml@refs/tags/frontend/v1.3.0")
	j = r.done(r.job("release.yaml", tag, nil))
	r.stableIs("v1.3.0", third)
	if !strings.Contains(j.summary, "latest-stable stays where it is") {
		t.Errorf("the summary does not say that the channel stays:\n%s", j.summary)
	}

	t.Log("a patch of an old line is published and not put on latest-stable")
	r.git("checkout", "-q", "-b", "line-1.2", "frontend/v1.2.3")
	r.component("frontend", "2 patched")
	r.commit("patch")
	r.git("tag", "frontend/v1.2.4")
	r.git("checkout", "-q", "main")
	j = r.done(r.job("release.yaml", "refs/tags/frontend/v1.2.4", nil), "frontend")
	r.stableIs("v1.3.0", third)
	if d := r.names("frontend", "v1.2.4"); d == "" || d == second || d == third {
		t.Errorf("v1.2.4 names %q", d)
	}
	// No branch ever published it, and the release alone answers for it.
	r.signed("frontend", "v1.2.4", "release.yaml@refs/tags/frontend/v1.2.4")
	r.trusted("frontend", "v1.2.4", true)
	for _, want := range []string{"staging never ran this content", "latest-stable stays where it is"} {
		if !strings.Contains(j.summary, want) {
			t.Errorf("the summary lacks %s:\n%s", want, j.summary)
		}
	}

	t.Log("neither is a pre-release")
	r.git("tag", "frontend/v2.0.0-rc.1")
	j = r.done(r.job("release.yaml", "refs/tags/frontend/v2.0.0-rc.1", nil), "frontend")
	r.stableIs("v1.3.0", third)
	if d := r.names("frontend", "v2.0.0-rc.1"); d != third {
		t.Errorf("the pre-release names %q, and not what staging runs", d)
	}
	r.signed("frontend", "v2.0.0-rc.1", "publish.yaml@refs/heads/main", "release.yaml@refs/tags/frontend/v1.3.0",
		"release.yaml@refs/tags/frontend/v2.0.0-rc.1")
	r.trusted("frontend", "v2.0.0-rc.1", true)
	if !strings.Contains(j.summary, "v2.0.0-rc.1 is never put on latest-stable") {
		t.Errorf("the summary does not say that the channel stays:\n%s", j.summary)
	}

	t.Log("tags that release nothing")
	before = r.tags()
	for _, bad := range []string{"frontend/foo", "nosuch/v1.0.0", "frontend/v1.2"} {
		r.git("tag", bad)
		j := r.job("release.yaml", "refs/tags/"+bad, nil)
		if j.code != 2 || !strings.Contains(j.log, "not a version tag") {
			t.Errorf("%s: exit %d\n%s", bad, j.code, j.log)
		}
		r.silent(j)
	}
	r.stableIs("v1.3.0", third)
	if after := r.tags(); !maps.EqualFunc(after, before, slices.Equal) {
		t.Errorf("tags %v, were %v", after, before)
	}

	t.Log("a release that waits for a promotion")
	r.component("frontend", "4")
	r.commit("five")
	r.done(r.job("publish.yaml", main, nil), "frontend")
	r.git("tag", "frontend/v1.4.0")
	r.done(r.job("release.yaml", "refs/tags/frontend/v1.4.0", map[string]string{"args": "--no-promote"}), "frontend")
	r.stableIs("v1.3.0", third)
	fourth := r.names("frontend", "latest")
	if d := r.names("frontend", "v1.4.0"); d != fourth {
		t.Errorf("v1.4.0 names %q, and not what staging runs", d)
	}

	t.Log("a dispatch from a branch moves no channel")
	r.git("checkout", "-q", "-b", "feature")
	r.component("frontend", "evil")
	r.commit("evil")
	r.git("checkout", "-q", "main")
	before = r.tags()
	r.done(r.job("publish.yaml", "refs/heads/feature", nil), "frontend")
	own := "feature-" + r.git("rev-parse", "--short=8", "feature")
	before["frontend"] = append(before["frontend"], own)
	slices.Sort(before["frontend"])
	if after := r.tags(); !maps.EqualFunc(after, before, slices.Equal) {
		t.Errorf("tags %v, want %v", after, before)
	}
	if d := r.names("frontend", own); d == "" || d == fourth {
		t.Errorf("%s names %q", own, d)
	}
	r.signed("frontend", own, "publish.yaml@refs/heads/feature")
	r.trusted("frontend", own, false)
	for _, inputs := range []map[string]string{{"command": "promote", "components": "frontend", "version": "v1.4.0"},
		{"command": "rollback", "components": "frontend"}} {
		r.refused(r.job("promote.yaml", "refs/heads/feature", inputs), "identity",
			"promote.yaml@refs/heads/feature (issuer https://token.actions.githubusercontent.com) may not move latest-stable")
	}
	if d := r.names("frontend", "latest"); d != fourth {
		t.Errorf("latest moved to %q", d)
	}
	r.stableIs("v1.3.0", third)

	t.Log("rollback and promote by dispatch, on record")
	back := r.done(r.job("rollback.yaml", main, map[string]string{"command": "rollback", "components": "frontend",
		"reason": "500s; $(touch pwned) `x`"}), "frontend")
	r.stableIs("v1.2.3", second)
	if !strings.Contains(back.summary, "v1.3.0") || !strings.Contains(back.summary, "v1.2.3") ||
		!strings.Contains(back.summary, "release.yaml@refs/tags/frontend/v1.2.3") {
		t.Errorf("the summary does not say what moved from where to where, and who signed it:\n%s", back.summary)
	}
	if _, err := os.Stat(filepath.Join(back.dir, "pwned")); !os.IsNotExist(err) {
		t.Errorf("the reason was run: %v", err)
	}
	j = r.done(r.job("release.yaml", "refs/tags/frontend/v1.3.0", nil)) // what was rolled back does not come back by itself
	r.stableIs("v1.2.3", second)
	if !strings.Contains(j.summary, "v1.3.0 was rolled back") {
		t.Errorf("the summary does not say why the channel stays:\n%s", j.summary)
	}
	again := r.done(r.job("promote.yaml", main, map[string]string{"command": "promote", "components": "frontend", "version": "v1.3.0"}),
		"frontend")
	r.stableIs("v1.3.0", third)
	on := r.done(r.job("promote.yaml", main, map[string]string{"command": "promote", "components": "frontend", "version": "v1.4.0"}),
		"frontend")
	r.stableIs("v1.4.0", fourth)
	r.refused(r.job("promote.yaml", main, map[string]string{"command": "promote", "components": "frontend", "version": "v1.2.3"}), "backwards",
		"latest-stable is on v1.4.0 and v1.2.3 is older")
	r.stableIs("v1.4.0", fourth)
	r.recorded("frontend",
		move{on, "promote", "v1.3.0", "v1.4.0", ""},
		move{again, "promote", "v1.2.3", "v1.3.0", ""},
		move{back, "rollback", "v1.3.0", "v1.2.3", "500s; $(touch pwned) `x`"},
		move{newer, "publish", "v1.2.3", "v1.3.0", ""},
		move{released, "publish", "", "v1.2.3", ""},
	)
}

// move is one that the journal must hold, and the job that made it.
type move struct {
	by                       job
	action, from, to, reason string
}

// recorded checks that the journal has just these moves, newest first.
func (r *runner) recorded(component string, want ...move) {
	r.t.Helper()
	out := r.run("history", component, "-o", "json")
	var res release.HistoryResult
	if err := json.Unmarshal([]byte(out.stdout), &res); err != nil || len(res.Moves) != len(want) || len(res.Findings) > 0 {
		r.t.Fatalf("%d moves, want %d: %v\n%v", len(res.Moves), len(want), err, out)
	}
	for i, w := range want {
		m := res.Moves[i]
		if got := []string{string(m.Action), m.FromVersion, m.Version, m.Reason}; !slices.Equal(got, []string{w.action, w.from, w.to, w.reason}) {
			r.t.Errorf("move %d is %q, want %+v", i, got, w)
		}
		if got, who := []string{m.State, m.Actor, m.RunURL, m.Signer}, identity(w.by.workflow, w.by.ref).String(); !slices.Equal(got,
			[]string{"done", "mona", w.by.url, who}) {
			r.t.Errorf("move %d is %q, want one of %s by %s", i, got, w.by.url, who)
		}
		if m.To.String() != r.names(component, w.to) || w.from != "" && m.From.String() != r.names(component, w.from) {
			r.t.Errorf("move %d is from %s to %s", i, m.From, m.To)
		}
	}
}

// stableIs demands where latest-stable is.
func (r *runner) stableIs(version, digest string) {
	r.t.Helper()
	if d := r.names("frontend", "latest-stable"); d != digest || r.names("frontend", version) != digest {
		r.t.Errorf("latest-stable names %s, want %s (%s)", d, digest, version)
	}
}

// TestActionRepairs: a job whose signing service is down moves no tag, and is repaired by running it again.
func TestActionRepairs(t *testing.T) {
	r := newRunner(t)
	r.fulcio.Forbid(true)
	j := r.job("publish.yaml", "refs/heads/main", nil)
	if names := r.agrees(j); j.code != 1 || len(names) > 0 || len(j.result.Components) != 3 {
		t.Fatalf("exit %d, published %v\n%s", j.code, names, j.log)
	}
	for name, tags := range r.tags() {
		if len(tags) > 0 {
			t.Errorf("%s has the tags %v", name, tags)
		}
	}
	if strings.Count(j.summary, "| failed (failed) |") != 3 || !strings.Contains(j.summary, r.fulcio.URL) {
		t.Errorf("the summary does not say what failed:\n%s", j.summary)
	}
	r.fulcio.Forbid(false)
	r.done(r.job("publish.yaml", "refs/heads/main", nil), "backend", "cart", "frontend")
	for name := range r.tags() {
		r.signed(name, "latest", "publish.yaml@refs/heads/main")
	}
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
	for _, want := range []string{"| backend | passed |", "| cart | refused |", "components/cart/base/kustomization.yaml:1: ",
		"| frontend | passed |", "| new | passed |"} {
		if !strings.Contains(j.summary, want) {
			t.Errorf("the summary lacks %s:\n%s", want, j.summary)
		}
	}
	var checked release.CheckResult
	if err := json.Unmarshal([]byte(j.outputs["result"]), &checked); err != nil || checked.Summary.Passed != 3 ||
		checked.Summary.Refused != 1 || j.outputs["changed"] != "" {
		t.Errorf("%v, outputs %v", err, j.outputs)
	}
	j = r.job("check.yaml", "refs/heads/change", map[string]string{"command": "diff", "components": "frontend backend\nnew",
		"variant": "production"})
	if j.code != 0 || j.outputs["changed"] != "true" || strings.Count(j.report, "###") != 3 {
		t.Fatalf("exit %d, %v\n%s\n%s", j.code, j.outputs, j.report, j.log)
	}
	for _, want := range []string{"-  value: \"1\"", "+  value: \"2\"", "No difference.", "production: added v1 ConfigMap new"} {
		if !strings.Contains(j.report, want) {
			t.Errorf("the report lacks %s:\n%s", want, j.report)
		}
	}
	if j := r.job("check.yaml", "refs/heads/change", map[string]string{"command": "diff"}); j.code != 0 ||
		strings.Count(j.report, "###") != 4 {
		t.Errorf("all components: exit %d\n%s\n%s", j.code, j.report, j.log)
	}
	j = r.job("check.yaml", "refs/heads/change", map[string]string{"command": "diff", "components": "backend"})
	if j.code != 0 || j.outputs["changed"] != "false" || strings.Count(j.report, "No difference.") != 1 {
		t.Errorf("an unchanged component: exit %d, %v\n%s\n%s", j.code, j.outputs, j.report, j.log)
	}
	if j := r.job("check.yaml", "refs/heads/change", map[string]string{"command": "diff", "directory": "nosuch"}); j.code != 2 ||
		!strings.Contains(j.log, "nosuch: not a git checkout: no such file or directory") {
		t.Errorf("no checkout: exit %d\n%s", j.code, j.log)
	} else {
		r.silent(j)
	}
	j = r.job("check.yaml", "refs/heads/change", map[string]string{"command": "generate",
		"args": "ocirepository\n--channel\nlatest\n--environment\nstaging\n--dir\n.\n\n--check\r\n"})
	if j.code != 3 || j.outputs["changed"] != "true" || strings.Count(j.summary, " | differs |") != 4 ||
		!strings.Contains(j.summary, "| <code>frontend.yaml</code> | differs |") {
		t.Errorf("exit %d, %v\n%s\n%s", j.code, j.outputs, j.summary, j.log)
	}
	for what, inputs := range map[string]map[string]string{
		"no command": {"command": "destroy"}, "a flag for a name": {"components": "--registry=evil.example.com"},
		"promote what": {"command": "promote"}, "promote to what": {"command": "promote",
			"components": "frontend"}, "generate what": {"command": "generate"},
	} {
		j := r.job("check.yaml", "refs/heads/change", inputs)
		if j.code != 2 || !strings.Contains(j.log, "::error title=keos-oci::") {
			t.Errorf("%s: exit %d\n%s", what, j.code, j.log)
		}
		r.silent(j)
	}
}
