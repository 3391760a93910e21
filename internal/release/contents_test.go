package release

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/git"
)

// shared is a repository of two apps that share a part, published as mode and external say.
func shared(artifact string) *repository {
	return &repository{
		config: "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: ghcr.io/o/r\ndiscover: [{layout: envFirst, path: apps}]\nartifact: " + artifact + "\n",
		files: map[string]string{
			"apps/base/a/kustomization.yaml": "resources: [a.yaml]\ncomponents: [../../common/x]\n", "apps/base/a/a.yaml": "", "apps/base/a/README.md": "",
			"apps/staging/a/kustomization.yaml": "resources: [../../base/a]\n", "apps/staging/b/kustomization.yaml": "resources: []\n",
			"apps/common/x/kustomization.yaml": "patches: [{path: p.yaml}]\n", "apps/common/x/p.yaml": "", "apps/common/x/other.yaml": "",
			"apps/common/.sourceignore": "*.md\n", "README.md": "",
		},
		links: map[string]string{"apps/base/a/link": "a.yaml"},
	}
}

func TestContents(t *testing.T) {
	const own = "apps/base/a/a.yaml apps/base/a/kustomization.yaml apps/staging/a/kustomization.yaml"
	const common = "apps/common/x/kustomization.yaml apps/common/x/p.yaml"
	for artifact, want := range map[string]struct{ files, paths, changed, dirty string }{
		"{}": {"apps/base/a/README.md apps/base/a/a.yaml apps/base/a/kustomization.yaml apps/base/a/link apps/staging/a/kustomization.yaml",
			"apps/base/a apps/staging/a", "", ""},
		"{external: include}": {"apps/base/a/README.md apps/base/a/a.yaml apps/base/a/kustomization.yaml apps/base/a/link " + common +
			" apps/staging/a/kustomization.yaml",
			"apps/base/a apps/common/.sourceignore " + common + " apps/staging/a", "a", "a"},
		"{mode: closure}": {own, "apps/base/a/a.yaml apps/base/a/kustomization.yaml apps/common/.sourceignore apps/staging/a/kustomization.yaml", "", ""},
		"{mode: closure, external: include}": {"apps/base/a/a.yaml apps/base/a/kustomization.yaml " + common +
			" apps/staging/a/kustomization.yaml",
			"apps/base/a/a.yaml apps/base/a/kustomization.yaml apps/common/.sourceignore " + common +
				" apps/staging/a/kustomization.yaml", "a", "a"},
	} {
		s := shared(artifact).service(t, t.TempDir())
		c, err := s.Workspace.Components.Find("a")
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.contents(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for _, f := range all.source.Files {
			files = append(files, f.Path)
		}
		if got := strings.Join(files, " "); got != want.files {
			t.Errorf("%s takes\n%s, want\n%s", artifact, got, want.files)
		}
		if got := strings.Join(slices.Sorted(slices.Values(all.paths())), " "); got != want.paths {
			t.Errorf("%s was last touched with\n%s, want\n%s", artifact, got, want.paths)
		}
		changed, err := s.ChangedIn(t.Context(), s.Workspace.Components, []string{"apps/common/x/p.yaml"})
		if got := strings.Join(changed.Names(), " "); err != nil || got != want.changed {
			t.Errorf("%s: the shared part concerns %q, want %q (%v)", artifact, got, want.changed, err)
		}
		if got := all.dirty(changes{modified: []string{"apps/common/x/p.yaml"}}); got != (want.dirty == "a") {
			t.Errorf("%s: dirty = %v", artifact, got)
		}
		if all.dirty(changes{modified: []string{"README.md", "apps/common/x/other.yaml", "apps/staging/b/kustomization.yaml"}}) {
			t.Errorf("%s: what is in no artifact of a makes it dirty", artifact)
		}
	}
}

// TestContents_fewPaths: Git is never asked about more paths than a command line takes.
// opened counts how often each file is opened.
type opened struct {
	fs.ReadLinkFS
	times map[string]int
}

func (o opened) Open(name string) (fs.File, error) {
	o.times[name]++
	return o.ReadLinkFS.Open(name)
}

// TestReadsOnce: whether a component changed is decided by reading each of its files once, and nothing else.
func TestReadsOnce(t *testing.T) {
	r := &repository{config: "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: ghcr.io/o/r\n",
		files: map[string]string{"README.md": ""}}
	want := map[string]int{}
	for _, app := range []string{"a", "b", "c"} {
		for _, file := range []string{"base/kustomization.yaml", "base/cm.yaml", "staging/kustomization.yaml"} {
			name := "components/" + app + "/" + file
			r.files[name], want[name] = "resources: []\n", 1
		}
	}
	s := r.service(t, t.TempDir())
	files, ok := s.FS.(fs.ReadLinkFS)
	if !ok {
		t.Fatalf("%T", s.FS)
	}
	counted := opened{files, map[string]int{}}
	s.FS = counted
	for _, c := range s.Workspace.Components {
		if _, _, err := s.read(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(counted.times, want) {
		t.Errorf("opened %v, want %v", counted.times, want)
	}
}

func TestContents_fewPaths(t *testing.T) {
	s := shared("{mode: closure, external: include}").service(t, t.TempDir())
	c, _ := s.Workspace.Components.Find("a")
	all, err := s.contents(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxPaths {
		all.reached.Files[strings.Repeat("x", i+1)] = all.reached.Files["apps/base/a/a.yaml"]
	}
	if got := all.paths(); !slices.Equal(got, []string{"apps"}) {
		t.Errorf("%d paths", len(got))
	}
}

func TestExplain(t *testing.T) {
	for artifact, want := range map[string]string{
		"{ignore: [a.yaml]}": "apps/base/a/README.md:path apps/base/a/a.yaml:-ignored apps/base/a/kustomization.yaml:path apps/base/a/link:-refused " +
			"apps/common/.sourceignore:-outside apps/common/x/kustomization.yaml:-outside apps/common/x/other.yaml:-outside apps/common/x/p.yaml:-outside " +
			"apps/staging/a/kustomization.yaml:path apps/staging/b/kustomization.yaml:-outside",
		"{mode: closure, external: include}": "apps/base/a/README.md:-unreferenced apps/base/a/a.yaml:reference apps/base/a/kustomization.yaml:reference " +
			"apps/base/a/link:-unreferenced apps/common/.sourceignore:-unreferenced apps/common/x/kustomization.yaml:reference apps/common/x/other.yaml:-unreferenced " +
			"apps/common/x/p.yaml:reference apps/staging/a/kustomization.yaml:variant apps/staging/b/kustomization.yaml:-unreferenced",
	} {
		s := shared(artifact).service(t, t.TempDir())
		res, err := s.Explain(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range res.Files {
			if f.Why == "" || f.In != (f.Reason == ReasonPath || f.Reason == ReasonVariant || f.Reason == ReasonReference) {
				t.Errorf("%+v", f)
			}
			got = append(got, f.Path+":"+map[bool]string{true: "", false: "-"}[f.In]+f.Reason)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s:\n%s, want\n%s", artifact, text, want)
		}
	}
	s := shared("{}").service(t, t.TempDir())
	s.Files = append(s.Files, git.File{Path: "apps/staging/a/sub", Mode: git.Submodule})
	res, err := s.Explain(t.Context(), "a")
	if err != nil ||
		!slices.ContainsFunc(res.Files, func(f ExplainedFile) bool { return f.Path == "apps/staging/a/sub" && f.Reason == ReasonRefused }) {
		t.Errorf("Explain = %+v, %v", res, err)
	}
}
