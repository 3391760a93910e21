package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/git/gittest"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/release"
)

// TestVendoredBases publishes a component whose remote base is rendered into the artifact: its digest is on record, an
// unchanged base is no change, and one that moved is.
func TestVendoredBases(t *testing.T) {
	far := gittest.Serve(t)
	base := func(value string) map[string]string {
		return map[string]string{"base/kustomization.yaml": "resources: [a.yaml]\n",
			"base/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: far}\ndata: {value: " + value + "}\n"}
	}
	far.Commit(base("one"))
	s := newSandbox(t)
	s.component("web", "1")
	kustomization := "# from afar\nresources:\n- ../base\n- " + far.URL + "//base?ref=main\n"
	s.write("components/web/staging/kustomization.yaml", kustomization)
	s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n")
	s.commit("one")
	if r := s.run("check"); r.code != 1 ||
		!strings.Contains(r.stdout, "components/web/staging/kustomization.yaml:4: resources: "+far.URL+"//base?ref=main is remote") {
		t.Fatal(r)
	}
	s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nartifact: {remoteBases: vendor}\n")
	s.commit("vendor")
	if r := s.must("check"); !strings.Contains(r.stdout, "has no commit") ||
		!strings.Contains(r.stdout, "is in the artifact, rendered, as components/web/staging/remote-base-") {
		t.Error(r)
	}

	key := s.key()
	first := published(t, s.must("publish", "--key", key, "-o", "json"))
	web := first.Components[0]
	if len(web.RemoteBases) != 1 || web.RemoteBases[0].URL != far.URL+"//base?ref=main" || web.RemoteBases[0].Line != 4 {
		t.Fatalf("%+v", web.RemoteBases)
	}
	_, raw, err := open(t, s, "web").Manifest(t.Context(), web.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	b := web.RemoteBases[0]
	want := pack.RemoteBase{URL: b.URL, File: strings.TrimPrefix(b.Path, "components/web/"), Digest: b.Digest}
	if a, err := pack.ParseArtifact(raw); err != nil || !slices.Equal(a.RemoteBases(), []pack.RemoteBase{want}) {
		t.Error(a.Parsed.Annotations, err)
	}
	dir := filepath.Join(t.TempDir(), "pulled")
	s.must("pull", "web", dir, "--key", strings.TrimSuffix(key, ".key")+".pub")
	name := filepath.Base(web.RemoteBases[0].Path)
	if text := read(t, dir, "staging/kustomization.yaml"); text != strings.ReplaceAll(kustomization, far.URL+"//base?ref=main", name) {
		t.Error(text)
	}
	if text := read(t, dir, "staging/"+name); !strings.Contains(text, "value: one") {
		t.Error(text)
	}
	if text := read(t, s.dir, "components/web/staging/kustomization.yaml"); text != kustomization {
		t.Errorf("the checkout was changed:\n%s", text)
	}
	if again := published(t, s.must("publish", "--key", key, "-o", "json")); again.Summary.Unchanged != 1 ||
		again.Components[0].ContentDigest != web.ContentDigest {
		t.Errorf("%+v", again)
	}

	far.Commit(base("two"))
	if r := s.must("diff", "web", "latest", "--variant", "staging"); !strings.Contains(r.stdout, "-  value: one") ||
		!strings.Contains(r.stdout, "+  value: two") {
		t.Error(r)
	}
	// One commit never means two artifacts.
	if r := s.run("publish", "--key", key, "-o", "json"); r.code != 3 || !strings.Contains(r.stdout, `"code": "immutable"`) {
		t.Error(r)
	}
	if _, raw, err := open(t, s, "web").Manifest(t.Context(), "latest"); err != nil || digest.FromBytes(raw) != web.Digest {
		t.Error("latest moved", err)
	}
	if r := s.run("publish", "web", "--version", "v1.0.0", "--key", key, "-o", "json"); r.code != 3 ||
		!strings.Contains(r.stderr, "components/web/staging/kustomization.yaml:4 names "+far.URL) {
		t.Error(r)
	}
	s.commit("two")
	moved := published(t, s.must("publish", "--key", key, "-o", "json")).Components[0]
	if moved.Status != release.StatusPublished || moved.RemoteBases[0].Digest == web.RemoteBases[0].Digest ||
		moved.RemoteBases[0].Path != web.RemoteBases[0].Path {
		t.Errorf("%+v", moved)
	}
	if v := published(t, s.must("publish", "web", "--version", "v1.0.0", "--key", key, "-o",
		"json")).Components[0]; v.Digest != moved.Digest || v.Reused != "latest" {
		t.Errorf("%+v", v)
	}

	s.commit("something else")
	if r := published(t, s.must("publish", "--key", key, "-o", "json")); r.Summary.Unchanged != 1 {
		t.Errorf("%+v", r)
	}
	far.Commit(base("three"))
	if r := s.run("publish", "web", "--version", "v1.1.0", "--key", key, "-o", "json"); r.code != 3 ||
		!strings.Contains(r.stderr, "make a new commit") {
		t.Error(r) // staging never ran that
	}

	s.write("components/web/.sourceignore", "remote-*\n")
	s.git("add", "-A")
	if r := s.run("check"); r.code != 1 ||
		!strings.Contains(r.stdout,
			"components/web/staging/kustomization.yaml:4: "+far.URL+"//base?ref=main is to be rendered as "+name+", which is ignored by components/web/.sourceignore:1") {
		t.Error(r)
	}
	s.git("rm", "-qf", "components/web/.sourceignore")

	s.write("components/web/staging/kustomization.yaml", strings.ReplaceAll(kustomization, "/repo.git", "/gone.git"))
	if r := s.run("publish", "--key", key); r.code != 1 ||
		!strings.Contains(r.stderr, "components/web/staging/kustomization.yaml:4: resources: "+strings.Replace(far.URL, "repo.git", "gone.git", 1)) ||
		!strings.Contains(r.stderr, "//base?ref=main cannot be rendered: failed to run") {
		t.Error(r)
	}
}

// TestRemoteBasesAreConfined: what is fetched runs no program, and a hook's own repository and index stay as they are.
func TestRemoteBasesAreConfined(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "private")
	pwned := filepath.Join(t.TempDir(), "pwned")
	far := gittest.Serve(t)
	s := newSandbox(t)
	far.Commit(map[string]string{"good/kustomization.yaml": "resources: [a.yaml]\n",
		"good/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: far}\n",
		"evil/kustomization.yaml": "resources: ['file://" + s.dir + "//components/web/base?ref=--upload-pack=touch%20" + pwned +
			"%3Bgit-upload-pack']\n"})
	s.component("web", "1")
	s.commit("one")
	for _, mode := range []string{"allow", "vendor"} {
		s.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nartifact: {remoteBases: "+mode+"}\n")
		s.write("components/web/staging/kustomization.yaml", "resources:\n- "+far.URL+"//evil?ref=main\n")
		if r := s.run("check"); r.code != 1 || !strings.Contains(r.stdout, "is a place on this machine") {
			t.Error(r)
		}
		if _, err := os.Stat(pwned); err == nil {
			t.Errorf("%s: a remote base ran a program", mode)
		}
		s.write("components/web/staging/kustomization.yaml", "resources:\n- "+far.URL+"//good?ref=main\n")
		env := s.env
		s.env = append(slices.Clip(env), "GIT_DIR="+filepath.Join(s.dir, ".git"), "GIT_INDEX_FILE="+disk, "GIT_WORK_TREE="+s.dir)
		if r := s.run("check"); r.code != 0 {
			t.Error(r)
		}
		s.env = env
		if _, err := os.Stat(disk); err == nil {
			t.Error("a hook's index was written")
		}
		if remotes := s.git("remote"); remotes != "" {
			t.Error(remotes)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
