package flux

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// world is a cluster, a registry and a Sigstore. The Sigstore's tokens and certificates bear the issuer of GitHub Actions.
type world struct {
	*cluster
	registry    string            // host:port
	sigstore    map[string]string // the environment that its helper gives
	trustedRoot string            // content of trusted_root.json
}

// newWorld starts a world; kustomize is for newCluster.
func newWorld(t *testing.T, tools tools, kustomize ...string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{sigstore: map[string]string{}}
	registry := start(t, dir, nil, tools["keos-oci"], "registry", "serve", "--listen", "127.0.0.1:0", "--dir", filepath.Join(dir, "registry"),
		"--log-level", "warn")
	sigstack := start(t, dir, nil, tools["sigstack"], "-github", "-stdin", "-dir", folder(t, filepath.Join(dir, "sigstore")))
	w.cluster = newCluster(t, tools, dir, kustomize...)
	sigstack.waitFor(t, func() error { return w.readSigstore(filepath.Join(dir, "sigstore", "env")) })
	registry.waitFor(t, func() (err error) {
		first, _, found := strings.Cut(registry.said(t), "\n")
		if !found {
			return errors.New("no address yet")
		}
		w.registry = first
		return ok(http.DefaultClient, "http://"+first+"/v2/")
	})
	return w
}

func (w *world) readSigstore(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if name, value, found := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); found {
			w.sigstore[name] = strings.Trim(value, "'")
		}
	}
	root, err := os.ReadFile(w.sigstore["SIGSTORE_TRUSTED_ROOT"])
	w.trustedRoot = string(root)
	return err
}

// trustedRootSecret is the name of the Secret that lets Flux trust the world's Sigstore instead of the public one.
const trustedRootSecret = "sigstore-trusted-root"

func (w *world) secret(namespace string) string {
	return secret(namespace, trustedRootSecret, "trusted_root.json", w.trustedRoot)
}

func secret(namespace, name, key, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\nstringData: {%q: %q}\n", name, namespace, key, value)
}

// tenant makes a namespace in which Flux may do what the ClusterRole admin allows.
func (w *world) tenant(t *testing.T, namespace string) {
	t.Helper()
	w.apply(t, strings.ReplaceAll(`
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: flux, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: flux, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{kind: ServiceAccount, name: flux, namespace: NAMESPACE}]
`, "NAMESPACE", namespace))
	w.apply(t, w.secret(namespace))
}

func folder(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
