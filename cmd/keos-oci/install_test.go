package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// TestInteropActionInstallsRelease: the action's own script installs a release whose list of checksums the release workflow
// of that version signed, and nothing else.
func TestInteropActionInstallsRelease(t *testing.T) {
	st := githubSigstore(t)
	cosigns := []string{cosign(t, "KEOS_OCI_COSIGN2"), cosign(t, "KEOS_OCI_COSIGN3")}
	archive := releaseArchive(t, "#!/bin/sh\necho released\n")
	sum := fmt.Sprintf("%x", sha256.Sum256(archive))
	list := []byte(sum + "  keos-oci_1.2.3_linux_amd64.tar.gz\n")
	by := func(workflow string) []byte { return signBlob(t, st, workflow, "refs/tags/v1.2.3", list) }
	good := map[string][]byte{"checksums.txt": list, "checksums.txt.sigstore.json": by("release.yml"),
		"keos-oci_1.2.3_linux_amd64.tar.gz": archive}
	with := func(name string, content []byte) map[string][]byte {
		changed := map[string][]byte{}
		for k, v := range good {
			changed[k] = v
		}
		changed[name] = content
		return changed
	}
	for what, c := range map[string]struct {
		files    map[string][]byte
		checksum string
		want     string // of the output; "" for success
	}{
		"released":                      {good, "", ""},
		"with the checksum asked for":   {good, sum, ""},
		"with another checksum":         {good, strings.Repeat("0", 64), "the workflow asks for"},
		"an archive that was changed":   {with("keos-oci_1.2.3_linux_amd64.tar.gz", releaseArchive(t, "evil")), "", "the signed list says"},
		"a list that was changed":       {with("checksums.txt", append([]byte("x  y\n"), list...)), "", "error"},
		"signed by another workflow":    {with("checksums.txt.sigstore.json", by("ci.yml")), "", "error"},
		"an archive that is not listed": {with("checksums.txt", []byte("")), "", "error"},
	} {
		for i, cosign := range cosigns {
			t.Run(fmt.Sprint(what, " cosign ", i+2), func(t *testing.T) {
				out, err := install(t, st, cosign, c.files, c.checksum)
				if c.want == "" && (err != nil || out != "released\n") {
					t.Errorf("%v: %s", err, out)
				}
				if c.want != "" && (err == nil || !strings.Contains(strings.ToLower(out), c.want)) {
					t.Errorf("%v, want %q: %s", err, c.want, out)
				}
			})
		}
	}
}

// install runs the action's script against a server of releases, and then what it installed.
func install(t *testing.T, st *stack, cosign string, files map[string][]byte, checksum string) (string, error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[strings.TrimPrefix(r.URL.Path, "/v1.2.3/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	defer server.Close()
	dir := t.TempDir()
	if err := os.Symlink(cosign, filepath.Join(dir, "cosign")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "../../action/install.sh")
	cmd.Env = append(cleanEnv(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "RUNNER_TEMP="+dir, "RUNNER_OS=Linux", "RUNNER_ARCH=X64",
		"GITHUB_PATH="+filepath.Join(dir, "path"),
		"KEOS_OCI_VERSION=v1.2.3", "KEOS_OCI_CHECKSUM="+checksum, "KEOS_OCI_RELEASES="+server.URL, "KEOS_OCI_TRUSTED_ROOT="+st.env["SIGSTORE_TRUSTED_ROOT"])
	if out, err := cmd.CombinedOutput(); err != nil {
		if _, installed := os.Stat(filepath.Join(dir, "keos-oci/bin/keos-oci")); installed == nil {
			t.Error("it was installed all the same")
		}
		return string(out), err
	}
	path, err := os.ReadFile(filepath.Join(dir, "path"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(strings.TrimSpace(string(path)), "keos-oci")).CombinedOutput()
	return string(out), err
}

func releaseArchive(t testing.TB, program string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "keos-oci", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// signBlob is what cosign sign-blob writes in a job of this project's own repository.
func signBlob(t testing.TB, st *stack, workflow, ref string, blob []byte) []byte {
	t.Helper()
	url := fmt.Sprintf("%s&repository=stratio/keos-oci&workflow=%s&ref=%s&audience=sigstore", st.env["ACTIONS_ID_TOKEN_REQUEST_URL"], workflow, ref)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+st.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct{ Value string }
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	keys, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := sign.Bundle(&sign.PlainData{Data: blob}, keys, sign.BundleOptions{
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: st.env["SIGSTORE_FULCIO_URL"]}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: token.Value},
		TransparencyLogs:           []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: st.env["SIGSTORE_REKOR_URL"]})},
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := protojson.Marshal(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
