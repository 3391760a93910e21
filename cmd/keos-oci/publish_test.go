package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/oci"
	"github.com/fluxcd/pkg/sourceignore"

	"github.com/stratio/keos-oci/internal/release"
)

// TestSameDigestsEverywhere: the real command makes the same digests with other umasks, paths, times, processors, time zones,
// shallow and full clones, and a run repeated.
func TestSameDigestsEverywhere(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "0")
	s.commit("zero")
	s.component("frontend", "1")
	s.write("components/frontend/run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(s.dir, "components/frontend/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.commit("one")
	origin, digests := s.dir, map[string][]string{}
	for i, how := range []struct {
		name, umask, clone string
		env                []string
	}{
		{"umask 022", "022", "", nil},
		{"umask 077", "077", "", []string{"GOMAXPROCS=1"}},
		{"umask 002", "002", "", []string{"GOMAXPROCS=8", "TZ=Asia/Tokyo"}},
		{"shallow", "022", "--depth 1", []string{"LC_ALL=C.UTF-8", "HOME=/nonexistent"}},
		{"no local objects shared", "027", "--no-hardlinks", []string{"TZ=America/New_York"}},
	} {
		s.dir = filepath.Join(t.TempDir(), strings.Repeat("deep/", i), "clone")
		remote := []string{"https://github.com/org/apps.git", "git@github.com:org/apps.git", "https://user:pw@github.com/org/apps",
			"ssh://git@github.com:22/org/apps.git", "https://github.com/org/apps"}[i]
		script := fmt.Sprintf("umask %s && git clone -q %s file://%s %s && git -C %[4]s remote set-url origin %[5]s", how.umask, how.clone,
			origin, s.dir, remote)
		cmd := exec.Command("sh", "-c", script)
		cmd.Env = append(cleanEnv(), "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		env := s.env
		s.env = append(slices.Clip(env), how.env...)
		res := published(t, s.must("publish", "--dry-run", "-o", "json"))
		s.env = env
		d := res.Components[0].Digest.String()
		digests[d] = append(digests[d], how.name)
	}
	if len(digests) != 1 {
		t.Errorf("digests differ: %v", digests)
	}
}

// TestFluxReadsWhatWePublish: Flux's own client pulls the artifact, finds the folder's files and sees no difference.
func TestFluxReadsWhatWePublish(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.write("components/frontend/empty/.gitkeep", "")
	s.commit("one")
	s.must("publish", "--key", s.key())
	url := s.registry.Host() + "/" + s.prefix + "/frontend:latest"
	dir := filepath.Join(s.dir, "components/frontend")
	client := oci.NewClient(oci.DefaultOptions())
	out := t.TempDir()
	meta, err := client.Pull(t.Context(), url, out)
	if err != nil {
		t.Fatal(err)
	}
	if want := "main@sha1:" + s.git("rev-parse", "HEAD"); meta.Revision != want {
		t.Errorf("revision %q, want %q", meta.Revision, want)
	}
	sameFiles(t, dir, out, nil)
	ignore := strings.Split(sourceignore.ExcludeVCS+","+sourceignore.ExcludeExt, ",")
	if err := client.Diff(t.Context(), url, dir, ignore); err != nil {
		t.Errorf("flux diff artifact: %v", err)
	}
	s.write("components/frontend/base/config.yaml", "changed\n")
	if err := client.Diff(t.Context(), url, dir, ignore); err == nil {
		t.Error("flux diff artifact sees no change")
	}
}

// sameFiles compares two folders file for file; ignored says which of want's files may be missing.
func sameFiles(t *testing.T, want, got string, ignored func(string) bool) {
	t.Helper()
	a, b := files(t, want), files(t, got)
	maps.DeleteFunc(a, func(p, _ string) bool { return ignored != nil && ignored(p) })
	if !maps.Equal(a, b) {
		for p := range a {
			if b[p] != a[p] {
				t.Errorf("%s differs or is missing in the artifact", p)
			}
		}
		for p := range b {
			if _, ok := a[p]; !ok {
				t.Errorf("%s is only in the artifact", p)
			}
		}
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == ".git" {
				return fs.SkipDir
			}
			return err
		}
		raw, err := os.ReadFile(filepath.Join(dir, p))
		all[p] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// corpora is the folder with real repositories, beside the project or named by KEOS_OCI_CORPORA.
func corpora(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KEOS_OCI_CORPORA")
	if dir == "" {
		dir = "../../../shared/corpora"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no real repositories here: set KEOS_OCI_CORPORA to their folder")
	}
	return dir
}

// TestRealRepositories publishes real repositories without configuration; each pulled artifact equals its folder.
func TestRealRepositories(t *testing.T) {
	dir := corpora(t)
	for repo, c := range map[string]struct {
		components int
		refused    string // component that needs an allowance
		allow      string
	}{
		"d2-apps": {2, "", ""}, "d2-infra": {2, "", ""}, "d2-fleet": {1, "", ""},
		"keos-apps":            {15, "connectors-management", "components/connectors-management/base/values.yaml"},
		"keos-system-services": {5, "", ""},
		"keos-fleet":           {1, "apps", "clusters/_TEMPLATE/secrets/dg-s3-agent/secret.yaml"},
	} {
		t.Run(repo, func(t *testing.T) {
			s := newSandbox(t)
			if err := os.CopyFS(s.dir, os.DirFS(filepath.Join(dir, repo))); err != nil {
				t.Fatal(err)
			}
			s.commit("copy")
			key := s.key()
			if c.refused != "" {
				r := s.run("publish", "--key", key, "-o", "json")
				res := published(t, r)
				if r.code != 1 || res.Summary.Failed != 1 || !strings.Contains(r.stderr, `secrets: {allow: [{path: "`+c.allow+`"`) {
					t.Fatalf("the error does not show what to write: %v", r)
				}
				for _, out := range res.Components {
					if out.Status == release.StatusFailed && out.Name != c.refused {
						t.Errorf("%s was refused", out.Name)
					}
				}
				s.write("keos-oci.yaml",
					"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsecrets:\n  allow: [{path: \""+c.allow+"\", reason: placeholders}]\n")
				s.commit("allow")
			}
			s.must("publish", "--key", key)
			pullAll(t, s, c.components)
		})
	}
}

func pullAll(t *testing.T, s *sandbox, want int) {
	t.Helper()
	list := published(t, s.must("publish", "--dry-run", "-o", "json"))
	if len(list.Components) != want || list.Summary.Unchanged != want {
		t.Fatalf("%d components, %d unchanged, want %d", len(list.Components), list.Summary.Unchanged, want)
	}
	client := oci.NewClient(oci.DefaultOptions())
	for _, c := range list.Components {
		out := t.TempDir()
		if _, err := client.Pull(t.Context(), c.Repository+":latest", out); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(s.dir, "components", c.Name)
		if c.Kind == "fleet" {
			dir = s.dir
		}
		sameFiles(t, dir, out, func(p string) bool {
			// what Flux's default rules leave out, and our own config
			return p == "keos-oci.yaml" || strings.HasPrefix(p, ".github/") || path.Base(p) == ".sops.yaml"
		})
	}
}

// TestNothingStaysBehind: temporary folders of the gate are gone, whatever the outcome.
func TestNothingStaysBehind(t *testing.T) {
	s := newSandbox(t)
	s.component("good", "1")
	s.component("bad", "1")
	s.write("components/bad/staging/kustomization.yaml", "resources: [gone.yaml]\n")
	s.commit("one")
	tmp := t.TempDir()
	s.env = append(slices.Clip(s.env), "TMPDIR="+tmp)
	if r := s.run("publish", "--key", s.key()); r.code != 1 {
		t.Fatal(r)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if out := s.git("status", "--porcelain"); out != "" {
		t.Errorf("the checkout was changed: %s", out)
	}
}

// TestActionsOutput: in GitHub Actions the result is an output and a summary, and the ref comes from the environment.
func TestActionsOutput(t *testing.T) {
	s := newSandbox(t)
	s.component("frontend", "1")
	s.commit("one")
	s.git("checkout", "-q", "--detach")
	output, summary := filepath.Join(t.TempDir(), "output"), filepath.Join(t.TempDir(), "summary")
	s.env = append(slices.Clip(s.env), "GITHUB_ACTIONS=true", "GITHUB_REF=refs/heads/main", "GITHUB_OUTPUT="+output,
		"GITHUB_STEP_SUMMARY="+summary)
	s.must("publish", "--key", s.key())
	raw, err := os.ReadFile(output)
	if err != nil || !bytes.HasPrefix(raw, []byte(`result={"registry":`)) ||
		!bytes.Contains(raw, []byte("\npublished=[\"frontend\"]\ndigests={\"frontend\":\"sha256:")) ||
		!bytes.HasSuffix(raw, []byte("\nchanged=true\n")) || bytes.Count(raw, []byte("\n")) != 4 {
		t.Errorf("output %q %v", raw, err)
	}
	raw, err = os.ReadFile(summary)
	if err != nil || !bytes.Contains(raw, []byte("| frontend | published |")) {
		t.Errorf("summary %q %v", raw, err)
	}
}

// TestInteropCosign: the command lines of cosign v2 and v3 accept what we sign, keyless and with a key pair, and refuse
// another identity.
func TestInteropCosign(t *testing.T) {
	v2, v3 := cosign(t, "KEOS_OCI_COSIGN2"), cosign(t, "KEOS_OCI_COSIGN3")
	st := sigstore(t)
	s := newSandbox(t)
	s.component("keyless", "1")
	s.component("paired", "1")
	s.commit("one")
	key := s.key()
	pub := strings.TrimSuffix(key, ".key") + ".pub"
	s.must("publish", "paired", "--key", key, "--signature-format", "both")
	s.keyless(st, "publish.yaml", "refs/heads/main")
	s.must(append([]string{"publish", "keyless", "--signature-format", "both"}, st.flags()...)...)
	trust := st.env["SIGSTORE_TRUSTED_ROOT"]
	subject := "https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main"
	identity := func(subject string) []string {
		return []string{"--trusted-root", trust, "--certificate-oidc-issuer", st.env["SIGSTORE_ISSUER"], "--certificate-identity", subject}
	}
	// cosign v2 wants a trusted root for bundles even with a key; an empty one does.
	none := filepath.Join(t.TempDir(), "none.json")
	writeFile(t, none, `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)
	paired := []string{"--key", pub, "--insecure-ignore-tlog=true"}
	for _, c := range []struct {
		name, bin, component string
		args                 []string
		ok                   bool
	}{
		{"v2 bundle keyless", v2, "keyless", append(identity(subject), "--new-bundle-format"), true},
		{"v3 keyless", v3, "keyless", identity(subject), true},
		{"v3 other identity", v3, "keyless", identity(subject + "x"), false},
		{"v2 bundle key", v2, "paired", append(paired, "--new-bundle-format", "--trusted-root", none), true},
		{"v3 key", v3, "paired", paired, true},
		{"v3 key on the other artifact", v3, "keyless", paired, false},
		// cosign prefers bundles: what it makes of the .sig tag shows once they are gone.
		{"drop bundles", "", "keyless", nil, true},
		{"drop bundles", "", "paired", nil, true},
		{"v2 legacy keyless", v2, "keyless", identity(subject), true},
		{"v2 legacy other identity", v2, "keyless", identity(subject + "x"), false},
		{"v2 legacy key", v2, "paired", append(paired, "--private-infrastructure"), true},
	} {
		if c.bin == "" {
			dropBundles(t, s, c.component)
			continue
		}
		args := append([]string{"verify", s.registry.Host() + "/" + s.prefix + "/" + c.component + ":latest"}, c.args...)
		cmd := exec.Command(c.bin, args...)
		cmd.Env = s.env
		if out, err := cmd.CombinedOutput(); (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}

// dropBundles deletes the list of what refers to a component's artifact.
func dropBundles(t *testing.T, s *sandbox, component string) {
	t.Helper()
	repo := open(t, s, component)
	d, err := repo.Resolve(t.Context(), "latest")
	if err != nil {
		t.Fatal(err)
	}
	index, err := repo.Resolve(t.Context(), strings.Replace(d.String(), ":", "-", 1))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete,
		s.registry.URL+"/v2/"+s.prefix+"/"+component+"/manifests/"+index.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}

func cosign(t *testing.T, env string) string {
	t.Helper()
	bin := os.Getenv(env)
	if bin == "" {
		t.Skip("needs the cosign command lines: run make interop, or set " + env)
	}
	return bin
}
