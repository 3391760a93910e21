package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"sigs.k8s.io/yaml"
)

// TestReleaseRights: each job of the release workflow has the rights that SECURITY.md says, and the one that can sign runs
// no compiler and no tool that was compiled in it.
func TestReleaseRights(t *testing.T) {
	raw, err := os.ReadFile("../../.github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	var w workflowFile
	if err := yaml.Unmarshal(raw, &w); err != nil {
		t.Fatal(err)
	}
	if len(*w.Permissions) != 0 {
		t.Errorf("every job may %v", *w.Permissions)
	}
	want := map[string]map[string]string{
		"build":   {"contents": "read"},
		"stage":   {"contents": "read", "packages": "write"},
		"sign":    {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"},
		"publish": {"contents": "write", "packages": "write"},
	}
	if len(w.Jobs) != len(want) {
		t.Errorf("%d jobs", len(w.Jobs))
	}
	for name, rights := range want {
		if got := w.Jobs[name].Permissions; fmt.Sprint(got) != fmt.Sprint(rights) {
			t.Errorf("%s may %v, want %v", name, got, rights)
		}
	}
	for _, s := range w.Jobs["build"].Steps {
		for name, value := range s.Env {
			t.Errorf("build gets %s: %s", name, value)
		}
	}
	for _, s := range w.Jobs["sign"].Steps {
		action, _, _ := strings.Cut(s.Uses, "@")
		if action != "" &&
			!slices.Contains([]string{"actions/checkout", "actions/download-artifact", "actions/upload-artifact", "actions/attest-build-provenance",
				"sigstore/cosign-installer"}, action) {
			t.Errorf("sign uses %s", action)
		}
		for line := range strings.Lines(s.Run) {
			if line = strings.TrimSpace(line); line != "make release-verify" && line != "make release-sign" &&
				!strings.Contains(line, "docker login") {
				t.Errorf("sign runs %s", line)
			}
		}
	}
	make := exec.Command("make", "-C", "../..", "-n", "release-verify", "release-sign")
	out, err := make.CombinedOutput()
	if err != nil || strings.Contains(string(out), "go install") || strings.Contains(string(out), "go build") {
		t.Errorf("sign compiles: %v\n%s", err, out)
	}
}

// made is a checkout with what the job build hands over: an image, and files in place of archives.
type made struct {
	*sandbox
	digest, part, sum string // of the image, of one of its platforms, and of the list of files
}

func newMade(t *testing.T) *made {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("releases are made on Linux")
	}
	m := &made{sandbox: newSandbox(t)}
	script, err := os.ReadFile("../../.ci/release")
	if err != nil {
		t.Fatal(err)
	}
	m.write(".ci/release", string(script))
	m.commit("one")
	m.git("tag", "v1.2.3")
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	p, err := layout.Write(m.path("image"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	m.digest, m.part = digest.String(), list.Manifests[0].Digest.String()
	const archive = "keos-oci_1.2.3_linux_amd64.tar.gz"
	m.write("dist/release/assets/"+archive, "program")
	m.write("dist/release/assets/image.txt", "image "+m.image()+"@"+m.digest+"\nbase example.com/base@"+m.digest+"\n")
	m.write("dist/release/assets/checksums.txt", fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte("program")), archive))
	m.write("dist/release/notes.md", "notes\n")
	m.write("dist/release/keos-oci.rb", "cask\n")
	m.sum = m.seal("release")
	return m
}

func (m *made) path(name string) string { return filepath.Join(m.dir, "dist/release", name) }
func (m *made) image() string           { return m.registry.Host() + "/stratio/keos-oci" }

// seal writes the list of files as the script does, and gives its hash.
func (m *made) seal(folder string) string {
	m.t.Helper()
	dir := filepath.Join(m.dir, "dist", folder)
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "SHA256SUMS" {
			files = append(files, "."+strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	slices.Sort(files)
	var list bytes.Buffer
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			m.t.Fatal(err)
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(raw), f)
	}
	m.write("dist/"+folder+"/SHA256SUMS", list.String())
	return fmt.Sprintf("%x", sha256.Sum256(list.Bytes()))
}

// run runs one part of a release.
func (m *made) run(part string, env ...string) (string, error) {
	cmd := exec.Command("bash", ".ci/release", part)
	cmd.Dir = m.dir
	cmd.Env = append(append(slices.Clone(m.env), "RELEASE_IMAGE="+m.image(), "RELEASE_SUM="+m.sum, "GITHUB_REF_NAME=v1.2.3"), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestReleaseHandover: what a job takes from an earlier one is exactly what that one made.
func TestReleaseHandover(t *testing.T) {
	for what, c := range map[string]struct {
		change func(m *made)
		want   string // "" for success
	}{
		"as made":        {func(*made) {}, ""},
		"a changed file": {func(m *made) { m.write("dist/release/assets/image.txt", "image evil@sha256:0\n") }, "image.txt: FAILED"},
		"a further file": {func(m *made) { m.write("dist/release/assets/evil.tar.gz", "x") }, "does not have the files of its list"},
		"a file less":    {func(m *made) { _ = os.Remove(m.path("notes.md")) }, "notes.md"},
		"another list":   {func(m *made) { m.write("dist/release/notes.md", "evil"); m.seal("release") }, "is not the list that was handed over"},
		"no list at all": {func(m *made) { _ = os.Remove(m.path("SHA256SUMS")) }, "SHA256SUMS"},
		"no hash of it":  {func(m *made) { m.sum = "" }, "RELEASE_SUM"},
	} {
		t.Run(what, func(t *testing.T) {
			m := newMade(t)
			c.change(m)
			out, err := m.run("verify")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(out, c.want)) {
				t.Errorf("%v, want %q: %s", err, c.want, out)
			}
		})
	}
	m := newMade(t)
	if out, err := m.run("sign", "GITHUB_REF_NAME=v1.2.3-$(id)"); err == nil || !strings.Contains(out, "is no version") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestReleaseBase: nothing is built on a base that Chainguard did not sign, or that is not known by its digest.
func TestReleaseBase(t *testing.T) {
	m := newMade(t)
	bin := t.TempDir()
	for name, script := range map[string]string{"crane": "echo " + m.digest, "cosign": "exit ${UNSIGNED:-0}",
		"goreleaser": "echo built; exit 9"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := "PATH=" + bin + ":" + os.Getenv("PATH")
	for what, c := range map[string]struct {
		env   string
		built bool
		want  string
	}{
		"signed":        {"UNSIGNED=0", true, ""},
		"by its digest": {"RELEASE_BASE=example.com/base@" + m.digest, true, ""},
		"unsigned":      {"UNSIGNED=1", false, "is not signed by Chainguard's workflow"},
		"by a tag":      {"RELEASE_BASE=example.com/base:latest", false, "want an image by its digest"},
	} {
		out, err := m.run("build", path, c.env)
		if err == nil || strings.Contains(out, "built") != c.built || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v %s", what, err, out)
		}
	}
}

// TestInteropRelease: the jobs after build, with the real cosign and crane. The signature is there before the tags, its commands
// in SECURITY.md hold, a version keeps its image, and latest is for the highest version alone.
func TestInteropRelease(t *testing.T) {
	st := githubSigstore(t)
	cosign, crane := cosign(t, "KEOS_OCI_COSIGN2"), os.Getenv("KEOS_OCI_CRANE")
	if crane == "" {
		t.Skip("needs crane: run make interop, or set KEOS_OCI_CRANE")
	}
	m := newMade(t)
	m.env = m.as(st, "repository=stratio/keos-oci&workflow=release.yml&ref=refs/tags/v1.2.3").env
	bin := t.TempDir()
	program := func(name, script string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Sigstore of the test in place of the public one, and GitHub's command line as a file.
	program("cosign", fmt.Sprintf(`verb=$1; shift
case $verb in
sign*) exec %[1]s $verb --insecure-skip-verify --fulcio-url=%[2]s --rekor-url=%[3]s "$@" ;;
*) exec %[1]s $verb --trusted-root=%[4]s "$@" ;;
esac`, cosign, st.env["SIGSTORE_FULCIO_URL"], st.env["SIGSTORE_REKOR_URL"], st.env["SIGSTORE_TRUSTED_ROOT"]))
	program("crane", "exec "+crane+` "$@"`)
	calls := filepath.Join(bin, "calls")
	program("gh", `echo "$*" >>`+calls+`; [ "$2" != view ] || [ -e `+bin+`/released ]`)
	m.env = append(m.env, "PATH="+bin+":"+os.Getenv("PATH"))
	must := func(part string, env ...string) string {
		t.Helper()
		out, err := m.run(part, env...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", part, err, out)
		}
		return out
	}
	tags := func() string {
		t.Helper()
		out, err := exec.Command(crane, "ls", m.image()).Output()
		if err != nil {
			t.Fatal(err)
		}
		var ours []string
		for _, tag := range strings.Fields(string(out)) {
			if !strings.HasPrefix(tag, "sha256-") {
				ours = append(ours, tag)
			}
		}
		return strings.Join(ours, " ")
	}

	must("stage")
	m.write("provenance.json", "{}")
	out := must("sign", "RELEASE_PROVENANCE=provenance.json")
	signed := m.seal("signed")
	if !strings.Contains(out, "sum="+signed+"\n") {
		t.Errorf("the sum of what was signed is %s:\n%s", signed, out)
	}
	if got := tags(); got != "" {
		t.Errorf("tags before publish: %s", got)
	}
	if out, err := m.run("publish", "SIGNED_SUM="+m.sum); err == nil {
		t.Errorf("published with another list of signatures: %s", out)
	}
	must("publish", "SIGNED_SUM="+signed)
	if got := tags(); got != "latest v1.2.3" {
		t.Errorf("tags: %s", got)
	}
	raw, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"release create v1.2.3 --verify-tag", " --latest ", "assets/checksums.txt",
		"signed/checksums.txt.sigstore.json", "signed/provenance.sigstore.json"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("gh was not called with %q:\n%s", want, raw)
		}
	}
	if strings.Contains(string(raw), "SHA256SUMS") {
		t.Errorf("the list of a job became a file of the release:\n%s", raw)
	}
	must("publish", "SIGNED_SUM="+signed) // again

	m.git("tag", "v1.3.0")
	if out, err := exec.Command(crane, "tag", m.image()+"@"+m.part, "latest").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	must("publish", "SIGNED_SUM="+signed)
	if got, err := exec.Command(crane, "digest", m.image()+":latest").Output(); err != nil || strings.TrimSpace(string(got)) != m.part {
		t.Errorf("latest moved to a version that is not the highest: %s %v", got, err)
	}
	if out, err := exec.Command(crane, "tag", m.image()+"@"+m.part, "v1.2.3").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	if out, err := m.run("publish", "SIGNED_SUM="+signed); err == nil || !strings.Contains(out, "a version never changes") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestReleaseArchives: what .goreleaser.yaml puts into archives and the cask is what make man and make completions write.
func TestReleaseArchives(t *testing.T) {
	raw, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := string(raw)
	if !strings.Contains(config, "make man completions") {
		t.Error("the pages and scripts are not made before the archives")
	}
	s := newSandbox(t)
	made := t.TempDir()
	for format, folder := range map[string]string{"man": "man", "completions": "completions"} {
		s.must("docs", "--format", format, filepath.Join(made, folder))
	}
	for pattern, folder := range map[string]string{"bin/man/*.1": "man", "bin/completions/*": "completions"} {
		if !strings.Contains(config, `{src: "`+pattern+`", dst: `+folder+`, strip_parent: true`) {
			t.Errorf("archives lack %s", pattern)
		}
		files, err := filepath.Glob(filepath.Join(made, strings.TrimPrefix(pattern, "bin/")))
		if err != nil || len(files) < 4 {
			t.Errorf("%s finds %v: %v", pattern, files, err)
		}
	}
	for _, file := range []string{"man/keos-oci.1", "completions/keos-oci.bash", "completions/_keos-oci", "completions/keos-oci.fish"} {
		if _, err := os.Stat(filepath.Join(made, file)); err != nil || !strings.Contains(config, file) {
			t.Errorf("the cask takes %s: %v", file, err)
		}
	}
}
