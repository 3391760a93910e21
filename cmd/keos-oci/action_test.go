package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/release"
)

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
