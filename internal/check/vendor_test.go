package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git/gittest"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// elsewhere serves one file, and counts the requests for it.
func elsewhere(t *testing.T, content string) (url string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/crd.yaml" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, content)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// vendor renders the remote bases of a component and puts the outcome where the artifact is unpacked.
func vendor(t *testing.T, remotes *kustomize.Remotes, c *Component) kustomize.Replacement {
	t.Helper()
	var files []string
	for _, f := range c.Files {
		files = append(files, path.Join(c.Root, f))
	}
	got, err := remotes.Vendor(t.Context(), os.DirFS(c.Workspace), files)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range got.Contents {
		inside := strings.TrimPrefix(name, c.Root+"/")
		if err := os.WriteFile(filepath.Join(c.Unpacked, inside), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(c.Files, inside) {
			c.Files = append(c.Files, inside)
		}
	}
	slices.Sort(c.Files)
	c.Vendored = got.Bases
	return got
}

// TestVendor renders a base from Git and a file from HTTP into the artifact, which then builds alone to what the checkout
// builds to.
func TestVendor(t *testing.T) {
	repo := gittest.Serve(t)
	commit := repo.Commit(map[string]string{"base/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: far-\n", "base/a.yaml": configMap})
	server, asked := elsewhere(t, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n")
	moving, pinned := repo.URL+"//base?ref=main", repo.URL+"//base?ref="+commit
	c := component(t, map[string]string{
		"staging/kustomization.yaml": "# what staging runs\n\nresources:\n- \"" + moving + "\"  # a comment\n-   " + server +
			"/crd.yaml\n- local.yaml\n\nnamespace: x\n",
		"staging/local.yaml":       strings.ReplaceAll(configMap, "name: a", "name: local"),
		"other/kustomization.yaml": "bases: ['" + pinned + "', '" + server + "/crd.yaml']\n",
	})
	c.Variants = []string{"staging", "other"}
	got := vendor(t, &kustomize.Remotes{}, &c)
	base, crd := kustomize.RenderedFile(moving), kustomize.RenderedFile(server+"/crd.yaml")
	want := "# what staging runs\n\nresources:\n- \"" + base + "\"  # a comment\n-   " + crd + "\n- local.yaml\n\nnamespace: x\n"
	if text := string(got.Contents["components/web/staging/kustomization.yaml"]); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if text := string(got.Contents["components/web/other/kustomization.yaml"]); text != "bases: ['"+kustomize.RenderedFile(pinned)+"', '"+crd+"']\n" {
		t.Error(text)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("one URL was asked for %d times", n)
	}
	var warned []string
	for _, f := range got.Findings {
		warned = append(warned, short(f))
	}
	if w := []string{"warning remote other/kustomization.yaml:1", "warning remote staging/kustomization.yaml:4",
		"warning remote staging/kustomization.yaml:5"}; !slices.Equal(warned, w) {
		t.Errorf("got %q, want %q", warned, w) // the pinned one is none of them
	}
	for _, b := range got.Bases {
		if b.Digest != digest.FromBytes(got.Contents[b.Path]) || len(got.Contents[b.Path]) == 0 {
			t.Errorf("%s has %q", b, got.Contents[b.Path])
		}
	}
	if text := string(got.Contents["components/web/staging/"+base]); !strings.Contains(text, "name: far-a") {
		t.Error(text)
	}
	if findings := run(t, c, Options{}); len(findings) != 1 || short(findings[0]) != "warning deprecated other/kustomization.yaml:1" {
		t.Error(show(findings))
	}
	objects, err := kustomize.Render(t.Context(), c.Unpacked, "staging", kustomize.Options{})
	if count := strings.Count(string(objects), "\nkind: "); err != nil || count != 3 || !strings.Contains(string(objects), "namespace: x") {
		t.Errorf("%v:\n%s", err, objects)
	}
}

// TestVendor_refuses compares the errors about remote bases that cannot be rendered.
func TestVendor_refuses(t *testing.T) {
	server, asked := elsewhere(t, "")
	host := strings.TrimPrefix(server, "http://")
	for name, c := range map[string]struct{ text, want, fix string }{
		"gone": {"resources: [" + server + "/gone.yaml]\n", "resources: " + server +
			"/gone.yaml cannot be rendered: HTTP Error: status code 404 (Not Found)", "correct the URL"},
		"with a login": {"resources: ['http://me:hunter2@" + host + "/gone.yaml']\n", "resources: " + server + "/gone.yaml cannot be rendered",
			"correct the URL"},
		"an odd login": {"resources: ['http://me:hunter2@hunter2@" + host + "/gone.yaml']\n", "resources: " + server +
			"/gone.yaml cannot be rendered", "correct the URL"},
		"a token": {"resources: ['" + server + "/gone.yaml?token=hunter2']\n", "resources: " + server +
			"/gone.yaml?token=… cannot be rendered", "correct the URL"},
		"a forced login": {"resources: ['git::http://me:hunter2@" + host + "/nope.git']\n", "cannot be rendered", "correct the URL"},
		"an anchor":      {"resources: [&x " + server + "/crd.yaml]\n", "cannot be rendered: it is not written plainly", "without an anchor"},
		"an escape": {"resources: [\"" + server + "/crd\\x2eyaml\"]\n", "cannot be rendered: it is not written plainly",
			"without an anchor"},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			comp := component(t, map[string]string{"staging/kustomization.yaml": c.text})
			got := vendor(t, &kustomize.Remotes{}, &comp)
			if len(got.Bases) != 0 || len(got.Contents) != 0 || len(got.Findings) != 1 ||
				short(got.Findings[0]) != "error remote staging/kustomization.yaml:1" {
				t.Fatalf("%v\n%s", got.Contents, show(got.Findings))
			}
			f := got.Findings[0]
			if !strings.Contains(f.Message, c.want) || !strings.Contains(f.Fix, c.fix) || strings.Contains(f.String(), "hunter2") ||
				strings.Contains(f.String(), os.TempDir()) {
				t.Error(f)
			}
			if asked.Load() > 1 {
				t.Errorf("asked %d times for what is not there", asked.Load())
			}
		})
	}
}

// TestVendor_nothing: a base without objects is legal, as an overlay without them is.
func TestVendor_nothing(t *testing.T) {
	server, _ := elsewhere(t, "# nothing yet\n")
	c := component(t, map[string]string{"staging/kustomization.yaml": "resources: [" + server + "/crd.yaml, a.yaml]\n",
		"staging/a.yaml": configMap})
	got := vendor(t, &kustomize.Remotes{}, &c)
	if findings := errorsOf(append(got.Findings, run(t, c, Options{})...)); len(got.Bases) != 1 || len(findings) != 0 {
		t.Error(show(findings))
	}
}

// TestVendor_unread: what is rendered is proven even where no variant reads it.
func TestVendor_unread(t *testing.T) {
	repo := gittest.Serve(t)
	repo.Commit(map[string]string{"base/kustomization.yaml": "configMapGenerator: [{name: a, literals: [x=1]}]\n"})
	c := component(t, map[string]string{"staging/kustomization.yaml": listsA, "staging/a.yaml": configMap,
		"spare/kustomization.yaml": "resources:\n- " + repo.URL +
			"//base?ref=main\nconfigMapGenerator: [{name: a, behavior: merge, literals: [y=2]}]\n"})
	vendor(t, &kustomize.Remotes{}, &c)
	if findings := errorsOf(run(t, c, Options{})); len(findings) != 1 || short(findings[0]) != "error build spare/kustomization.yaml:0" {
		t.Error(show(findings))
	}
}

// TestVendor_hostile: what is fetched may lead no further than the network, and costs no more than the checkout's own files may.
func TestVendor_hostile(t *testing.T) {
	repo := gittest.Serve(t)
	repo.Commit(map[string]string{"disk/kustomization.yaml": "resources: ['file:///srv//s?ref=main']\n",
		"option/kustomization.yaml": "bases: ['https://example.com/x//y?ref=--upload-pack=x']\n",
		"cycle/kustomization.yaml":  "resources: [a.yaml]\n", "cycle/a.yaml": "a: &a\n  b: *a\n", "itself/kustomization.yaml": "resources: &a\n- *a\n",
		"kustomization.yaml":        "configMapGenerator: [{name: x, files: [cfg=.git/config]}]\n",
		"secret/kustomization.yaml": "secretGenerator: [{name: s, literals: [hunter2]}]\n"})
	for base, want := range map[string]string{
		"disk": "kustomization.yaml: line 1: resources: file:///srv//s?ref=main is a place on this machine", "option": "kustomization.yaml: line 1: bases: https://example.com/x//y?ref=--upload-pack=x has a ref that git would take for an option",
		".": "config: is Git's own", "cycle": "a YAML alias that contains itself", "itself": "a YAML alias that contains itself", "secret": "literal sources …",
	} {
		c := component(t, map[string]string{"staging/kustomization.yaml": "resources:\n- " + repo.URL + "//" + base + "?ref=main\n"})
		findings := vendor(t, &kustomize.Remotes{}, &c).Findings
		if len(findings) != 1 || !strings.Contains(findings[0].Message, want) || strings.Contains(findings[0].Message, "hunter2") {
			t.Errorf("%s: %s", base, show(findings))
		}
	}
}

// TestVendor_secret: a finding in a rendered base has the line of the reference to the base.
func TestVendor_secret(t *testing.T) {
	server, _ := elsewhere(t, secretYAML("aHVudGVyMg=="))
	c := component(t, map[string]string{"staging/kustomization.yaml": "# x\nresources:\n- " + server + "/crd.yaml\n"})
	vendor(t, &kustomize.Remotes{}, &c)
	findings := errorsOf(run(t, c, Options{}))
	if len(findings) != 1 || short(findings[0]) != "error secret staging/kustomization.yaml:3" ||
		!strings.Contains(findings[0].Message, server+"/crd.yaml, rendered as remote-base-") {
		t.Error(show(findings))
	}
}

// TestVendor_taken: a file of the repository is not replaced.
func TestVendor_taken(t *testing.T) {
	server, _ := elsewhere(t, configMap)
	c := component(t, map[string]string{"staging/kustomization.yaml": "resources: [" + server + "/crd.yaml]\n",
		"staging/" + kustomize.RenderedFile(server+"/crd.yaml"): "mine"})
	got := vendor(t, &kustomize.Remotes{}, &c)
	if len(got.Contents) != 0 || len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Message, "is there already") {
		t.Error(got.Contents, show(got.Findings))
	}
}

// TestVendor_leaves shows that only resources are rendered: the rest has the finding that it has without vendoring.
func TestVendor_leaves(t *testing.T) {
	for text, want := range map[string]string{
		"components: ['https://example.com/o/r//c?ref=main']\n":               "only resources can be rendered",
		"patches: [{path: https://example.com/p.yaml}]\n":                     "only resources can be rendered",
		"resources: ['file:///srv/repo//base?ref=main']\n":                    "is a place on this machine",
		"resources: ['https://example.com/o/r//x?version=--upload-pack=x']\n": "git would take for an option",
		"resources: ['git::file:///srv/repo//base?ref=main']\n":               "is a place on this machine",
		"transformers: [https://me:hunter2@example.com/t.yaml]\n":             "only resources can be rendered",
	} {
		c := component(t, map[string]string{"staging/kustomization.yaml": text})
		if got := vendor(t, &kustomize.Remotes{}, &c); len(got.Contents)+len(got.Findings)+len(got.Bases) != 0 {
			t.Errorf("%s: %v %s", text, got.Contents, show(got.Findings))
		}
		findings := run(t, c, Options{})
		if len(findings) == 0 || !strings.Contains(findings[0].String(), want) || strings.Contains(show(findings), "hunter2") {
			t.Errorf("%s: %s", text, show(findings))
		}
	}
}

// TestVendor_unequal: an overlay that reaches into how the base is made does not build on a rendered one, and one that builds
// to something else is not published either.
func TestVendor_unequal(t *testing.T) {
	repo := gittest.Serve(t)
	repo.Commit(map[string]string{"base/kustomization.yaml": "configMapGenerator: [{name: a, literals: [x=1]}]\n"})
	base := "resources:\n- " + repo.URL + "//base?ref=main\n"
	c := component(t, map[string]string{"staging/kustomization.yaml": base +
		"configMapGenerator: [{name: a, behavior: merge, literals: [y=2]}]\n"})
	vendor(t, &kustomize.Remotes{}, &c)
	findings := errorsOf(run(t, c, Options{}))
	if len(findings) != 1 || findings[0].Rule != finding.RuleBuild || !strings.Contains(findings[0].Message, "cannot merge or replace") ||
		!strings.Contains(findings[0].Fix, "remoteBases: allow") {
		t.Error(show(findings))
	}
	c = component(t, map[string]string{"staging/kustomization.yaml": base})
	vendor(t, &kustomize.Remotes{}, &c)
	repo.Commit(map[string]string{"base/kustomization.yaml": "configMapGenerator: [{name: a, literals: [x=2]}]\n"})
	findings = errorsOf(run(t, c, Options{}))
	if len(findings) != 1 || findings[0].Rule != finding.RuleEqual ||
		!strings.Contains(findings[0].String(), "components/web/staging/kustomization.yaml (its remote base is rendered in the artifact)") {
		t.Error(show(findings))
	}
}

// TestVendor_gives_up: a host that never answers delays nobody longer than the run's deadline.
func TestVendor_gives_up(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stop) })
	c := component(t, map[string]string{"staging/kustomization.yaml": "resources: [" + server.URL + "/x.yaml]\n"})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	files := []string{"components/web/staging/kustomization.yaml"}
	if _, err := (&kustomize.Remotes{}).Vendor(ctx, os.DirFS(c.Workspace), files); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	// Another build waits for its turn, and no longer than it may.
	if _, err := kustomize.Render(ctx, c.Unpacked, "staging", kustomize.Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
