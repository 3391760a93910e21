package flux

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fluxNamespace is where Flux keeps its own objects.
const fluxNamespace = "flux-system"

// cluster is a control plane with Flux.
type cluster struct {
	client.WithWatch
	dir    string
	tools  tools
	server string            // the API server's address
	tokens map[string]string // by user
	source *process
}

// The users that the API server knows. Flux's admission policies tell its controllers by their service accounts.
const (
	admin      = "admin"
	controller = "kube-controller-manager"
	account    = "system:serviceaccount:" + fluxNamespace + ":"
)

// newCluster starts a control plane and Flux; kustomize is the flags of kustomize-controller that differ between installations.
func newCluster(t *testing.T, tools tools, dir string, kustomize ...string) *cluster {
	c := &cluster{dir: dir, tools: tools, tokens: map[string]string{}}
	at := freeAddresses(t, 7)
	c.writeTokens(t)
	c.writeKey(t)
	c.server = "https://" + at[2]
	start(t, dir, nil, tools["etcd"], "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", "http://"+at[0], "--advertise-client-urls", "http://"+at[0],
		"--listen-peer-urls", "http://"+at[1], "--initial-advertise-peer-urls", "http://"+at[1], "--initial-cluster", "default=http://"+at[1])
	api := start(t, dir, nil, tools["kube-apiserver"], "--etcd-servers", "http://"+at[0],
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", port(at[2]), "--endpoint-reconciler-type", "none",
		"--cert-dir", c.certificates(), "--service-cluster-ip-range", "10.96.0.0/24", "--profiling=false",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-signing-key-file", c.file("sa.key"), "--service-account-key-file", c.file("sa.key"),
		"--token-auth-file", c.file("tokens.csv"), "--authorization-mode", "RBAC")
	api.waitFor(t, c.connect)
	// Of the controllers, those that what we generate relies on: without the first, the ClusterRole admin allows nothing.
	start(t, dir, nil, tools["kube-controller-manager"], "--kubeconfig", c.kubeconfig(t, controller), "--leader-elect=false",
		"--bind-address", "127.0.0.1", "--secure-port", "0", "--service-account-private-key-file", c.file("sa.key"),
		"--controllers", "clusterrole-aggregation-controller,namespace-controller,garbage-collector-controller,serviceaccount-controller,validatingadmissionpolicy-status-controller")
	c.install(t)
	c.startFlux(t, at[3:], kustomize)
	return c
}

// lockdown is what keeps tenants apart: the flags of kustomize-controller in a multi-tenant installation of Flux.
func lockdown() []string {
	return []string{"--no-cross-namespace-refs", "--no-remote-bases", "--default-service-account", "flux"}
}

// startFlux starts the controllers as an installation of Flux does, but with short waits.
func (c *cluster) startFlux(t *testing.T, at, flags []string) {
	c.source = c.startController(t, "source-controller", at[0], "--storage-path", folder(t, c.file("source")), "--storage-addr", at[1],
		"--storage-adv-addr", at[1],
		"--watch-all-namespaces", "--events-addr=")
	kustomize := c.startController(t, "kustomize-controller", at[2],
		append([]string{"--watch-all-namespaces", "--events-addr=", "--requeue-dependency", "1s"}, flags...)...)
	operator := c.startController(t, "flux-operator", at[3], "--default-service-account", "flux-operator", "--enable-leader-election=false",
		"--web-server-port", "0", "--storage-path", folder(t, c.file("operator")), "--requeue-dependency", "1s")
	for p, address := range map[*process]string{c.source: at[0], kustomize: at[2], operator: at[3]} {
		p.waitFor(t, func() error { return ok(http.DefaultClient, "http://"+address+"/readyz") })
	}
}

func (c *cluster) startController(t *testing.T, name, health string, args ...string) *process {
	env := []string{"KUBECONFIG=" + c.kubeconfig(t, account+name), "RUNTIME_NAMESPACE=" + fluxNamespace}
	if name == "flux-operator" {
		// It ends without the first, and without the second every event waits for a controller that is not there.
		env = append(env, "GODEBUG=fips140=on", "NOTIFICATIONS_DISABLED=true")
	}
	return start(t, c.dir, env, c.tools[name],
		append(args, "--metrics-addr", "0", "--health-addr", health, "--log-encoding", "json", "--interval-jitter-percentage", "0")...)
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) certificates() string { return c.file("certificates") }

func (c *cluster) writeTokens(t *testing.T) {
	var csv strings.Builder
	for user, groups := range map[string]string{
		admin: "system:masters", controller: "system:masters",
		account + "source-controller": "flux", account + "kustomize-controller": "flux", account + "flux-operator": "flux",
	} {
		c.tokens[user] = rand.Text()
		fmt.Fprintf(&csv, "%s,%s,%s,%s\n", c.tokens[user], user, user, groups)
	}
	c.write(t, "tokens.csv", csv.String())
}

// writeKey makes the key of service account tokens.
func (c *cluster) writeKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

func (c *cluster) write(t *testing.T, name, content string) {
	if err := os.WriteFile(c.file(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// config is how user reaches the API server.
func (c *cluster) config(user string) *rest.Config {
	return &rest.Config{Host: c.server, BearerToken: c.tokens[user], QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(c.certificates(), "apiserver.crt")}}
}

// kubeconfig writes the same as config to a file.
func (c *cluster) kubeconfig(t *testing.T, user string) string {
	config := c.config(user)
	name := filepath.Base(strings.ReplaceAll(user, ":", "/")) + ".kubeconfig"
	c.write(t, name, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: e2e, user: {token: %q}}]
contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}]
current-context: e2e
`, config.Host, config.CAFile, config.BearerToken))
	return c.file(name)
}

// contexts writes a kubeconfig as people have it: a user who may look, one who may not, one whom the cluster does not know, and an address
// where nobody answers.
func (c *cluster) contexts(t *testing.T) string {
	t.Helper()
	config := c.config(admin)
	c.write(t, "contexts.kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: e2e, cluster: {server: %q, certificate-authority: %q}}
- {name: closed, cluster: {server: "https://%s"}}
users:
- {name: viewer, user: {token: %[4]q, as: viewer}}
- {name: nobody, user: {token: %[4]q, as: nobody}}
- {name: stranger, user: {token: no-token}}
contexts:
- {name: viewer, context: {cluster: e2e, user: viewer}}
- {name: nobody, context: {cluster: e2e, user: nobody}}
- {name: stranger, context: {cluster: e2e, user: stranger}}
- {name: closed, context: {cluster: closed, user: viewer}}
`, config.Host, config.CAFile, freeAddresses(t, 1)[0], config.BearerToken))
	return c.file("contexts.kubeconfig")
}

// connect makes the client once the API server is ready.
func (c *cluster) connect() error {
	config := c.config(admin)
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	if err := ok(web, c.server+"/readyz"); err != nil {
		return err
	}
	c.WithWatch, err = client.NewWithWatch(config, client.Options{Scheme: runtime.NewScheme(), HTTPClient: web})
	return err
}

func ok(web *http.Client, url string) error {
	res, err := web.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

// install applies what an installation of Flux and Flux Operator brings along: their CRDs, namespace and rights.
func (c *cluster) install(t *testing.T) {
	for _, dir := range []string{
		moduleDir(t, ".", "github.com/fluxcd/source-controller"),
		moduleDir(t, ".", "github.com/fluxcd/kustomize-controller"),
		moduleDir(t, "../operator", "github.com/controlplaneio-fluxcd/flux-operator"),
	} {
		files, err := filepath.Glob(filepath.Join(dir, "config/crd/bases/*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no CRDs in %s: %v", dir, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c.apply(t, string(raw))
		}
	}
	c.apply(t, `
apiVersion: v1
kind: Namespace
metadata: {name: flux-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: flux-operator, namespace: flux-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: flux}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: flux}
- {kind: ServiceAccount, name: flux-operator, namespace: flux-system}
- {kind: ServiceAccount, name: kustomize-controller, namespace: flux-system}
`)
	c.waitForCRDs(t)
}

// moduleDir is the folder of a module in Go's cache, in the version that the go.mod in from pins.
func moduleDir(t *testing.T, from, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = from
	out, err := cmd.Output()
	var info struct{ Dir, Error string }
	if json.Unmarshal(out, &info) != nil || err != nil || info.Dir == "" {
		t.Fatalf("go mod download %s: %v %s", module, err, info.Error)
	}
	return info.Dir
}
