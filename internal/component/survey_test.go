package component

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestSurvey(t *testing.T) {
	o := paths("components/a/x/kustomization.yaml", "components/_T/x/kustomization.yaml", "components/plain/x.yaml", "docs/x.md",
		"scripts/run.sh",
		"apps/base/x/kustomization.yaml", "apps/eu/x/kustomization.yaml", "tools/a/staging/kustomization.yaml", "tools/b/base/kustomization.yaml").
		with("lone/kustomization.yaml",
			"resources: ['https://example.com/x.yaml', local, 'github.com/o/r', 'git@example.com:o/r']\nbases: ['x?ref=v1']\n").
		with("clusters/a/gotk-sync.yaml", strings.ReplaceAll(gotkSync, "a/default", "a")).
		with("clusters/a/1.yaml", kustomization("./apps/eu", "own")).
		with("clusters/a/2.yaml",
			"apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: pinned}\nspec: {url: 'ssh://git@github.com/o/Repo'}\n---\n"+kustomization("./lone", "pinned")).
		with("clusters/a/3.yaml", kustomization("./lone", "unknown")).options(t)
	o.RemoteURL = func() (string, error) { return "https://github.com/o/repo.git", nil }
	s, err := o.Survey()
	if err != nil {
		t.Fatal(err)
	}
	if want := []Build{{"clusters/a", "apps/eu", "GitRepository/own", true},
		{"clusters/a", "lone", "GitRepository/pinned", false}}; !slices.Equal(s.Builds, want) {
		t.Errorf("builds = %+v, want %+v", s.Builds, want)
	}
	if !slices.Equal(s.Clusters, []string{"clusters/a"}) || !slices.Equal(s.Components, []string{"components/a"}) ||
		!slices.Equal(s.Templates, []string{"components/_T"}) {
		t.Errorf("%+v", s)
	}
	want := []Folder{
		{Path: "apps", Manifests: true, Kustomizations: true, Environments: []string{"base", "eu"}, Apps: true, Variants: []string{"eu/x"},
			Places: []Place{{Name: "base", Base: true, Apps: []string{"x"}}, {Name: "eu", Apps: []string{"x"}}}},
		{Path: "docs", Apps: true},
		{Path: "lone", Manifests: true, Kustomizations: true, Apps: true, Variants: []string{"."},
			Remote: []Remote{{"lone/kustomization.yaml", "https://example.com/x.yaml"},
				{"lone/kustomization.yaml", "github.com/o/r"}, {"lone/kustomization.yaml", "git@example.com:o/r"}, {"lone/kustomization.yaml",
					"x?ref=v1"}}},
		{Path: "scripts", Apps: true},
		{Path: "tools", Manifests: true, Kustomizations: true, Others: []string{"a", "b"}, Apps: true, Variants: []string{"a/staging"}},
	}
	if !reflect.DeepEqual(s.Folders, want) {
		t.Errorf("folders = %+v\nwant %+v", s.Folders, want)
	}
}

// TestSurvey_places: what there is of each environment, and what its own kustomization says.
func TestSurvey_places(t *testing.T) {
	o := paths("apps/base/a/kustomization.yaml", "apps/common/labels/kustomization.yaml", "apps/staging/b/sub/kustomization.yaml",
		"apps/staging/plain/x.yaml",
		"apps/production/.gitkeep", "apps/eu/a/kustomization.yaml", "apps/doc/x.md", "apps/_old/a/kustomization.yaml", "staging/top/kustomization.yaml", "any/top/kustomization.yaml").
		with("apps/staging/kustomization.yaml",
			"kind: Kustomization\nnamespace: x\npatches: []\nresources: [./b/, ../base/a, plain/x.yaml]\nbases: [missing]\n").
		with("apps/eu/kustomization.yml", "resources: a: b\n").options(t)
	s, err := o.Survey()
	if err != nil {
		t.Fatal(err)
	}
	want := []Place{
		{Name: "base", Base: true, Apps: []string{"a"}}, {Name: "common", Base: true, Apps: []string{"labels"}},
		{Name: "eu", Apps: []string{"a"}, File: "apps/eu/kustomization.yml"}, {Name: "production", Named: true},
		{Name: "staging", Named: true, Apps: []string{"b"}, File: "apps/staging/kustomization.yaml", Lists: []string{"b"},
			Else: []string{"../base/a", "missing", "plain/x.yaml"}, Sets: []string{"namespace", "patches"}},
	}
	if !reflect.DeepEqual(s.Folders[1].Places, want) {
		t.Errorf("places = %+v\nwant %+v", s.Folders[1].Places, want)
	}
	if want := []Place{{Name: "staging", Named: true, Apps: []string{"top"}}}; !reflect.DeepEqual(s.Top.Places, want) {
		t.Errorf("at the top = %+v\nwant %+v", s.Top.Places, want)
	}
}

// TestSurvey_loose: a base is there to be referred to, and a folder with a kustomization is built by that.
func TestSurvey_loose(t *testing.T) {
	s, err := paths("infra/base/x.yaml", "infra/staging/kustomization.yaml", "infra/staging/sub/x.yaml", "infra/crds/a/x.yml",
		"infra/crds/x.yaml", "infra/.sops.yaml", "infra/notes/x.md").
		options(t).Survey()
	if err != nil || len(s.Folders) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if f := s.Folders[0]; !slices.Equal(f.Loose, []string{"infra/crds", "infra/crds/a"}) || !slices.Equal(f.Variants, []string{"staging"}) {
		t.Errorf("%+v", f)
	}
}

// TestSurvey_followsNoLink checks that nothing outside the checkout is read.
func TestSurvey_followsNoLink(t *testing.T) {
	o := paths("apps/a/kustomization.yaml").options(t)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("resources: ['https://example.com/outside']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(o.Dir, "apps/a/kustomization.yaml")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, link); err != nil {
		t.Skip(err)
	}
	s, err := o.Survey()
	if err != nil || len(s.Folders) != 1 || len(s.Folders[0].Remote) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestLoad_configGiven: a config that is only proposed is loaded as if it were the file, whatever the file says.
func TestLoad_configGiven(t *testing.T) {
	o := paths("components/A/x/kustomization.yaml").with(ConfigFile, "no: config\n").options(t)
	o.Config = []byte(header + "components: {A: {name: a}}\n")
	w, err := Load(o)
	if err != nil || !slices.Equal(w.Components.Names(), []string{"a"}) {
		t.Errorf("%v, %v", w, err)
	}
	o.Config = []byte(header + "x: y\n")
	if _, err := Load(o); err == nil || !strings.HasPrefix(err.Error(), "keos-oci.yaml:3") {
		t.Errorf("error = %v", err)
	}
}

func TestGitHost(t *testing.T) {
	for remote, want := range map[string][2]string{
		"git@gitlab.com:Group/sub/p.git": {"gitlab.com", "Group/sub/p"}, "https://GitLab.example.com:8443/g/p/": {"gitlab.example.com", "g/p"},
	} {
		if host, project, err := GitHost(remote); err != nil || host != want[0] || project != want[1] {
			t.Errorf("GitHost(%s) = %s, %s, %v", remote, host, project, err)
		}
	}
	if _, _, err := GitHost("/srv/git/p"); err == nil {
		t.Error("a folder has no host")
	}
}
