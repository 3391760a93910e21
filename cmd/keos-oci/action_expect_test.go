package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
)

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
