package flux

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestLook lets migrate look at a real cluster while a Kustomization moves: through a user who may list what Flux has and nothing else,
// through one who may do nothing, and at an address where nothing listens.
func TestLook(t *testing.T) {
	tools := findTools(t)
	runtime.LockOSThread() // as in TestFlux
	l := newLook(t, newWorld(t, tools))
	l.prepare(t)
	l.verify(t)
	l.moveAndLook(t)
	l.cannotBeAsked(t)
}

// look is a cluster whose namespace web follows the branch main of one repository.
type look struct {
	*world
	fleet, apps *checkout
	public      string // file with the public key
	config      string // kubeconfig with the contexts viewer, nobody and closed
}

func newLook(t *testing.T, w *world) *look {
	t.Helper()
	l := &look{world: w, fleet: w.checkout(t, "org/fleet", "look"), apps: w.checkout(t, "org/apps", "look")}
	server := serveGit(t)
	l.apps.configMap("components/web", "web", "one")
	l.fleet.prefix = l.apps.prefix // of the artifacts
	l.writeFleet(server.url)
	for _, c := range []*checkout{l.fleet, l.apps} {
		server.serve(c, filepath.Base(c.repository)+".git")
		c.commit()
		c.git("push", "-q", "origin", "main")
	}
	private := l.apps.key("look")
	l.public = strings.TrimSuffix(private, ".key") + ".pub"
	l.apps.run(branchJob(), "publish", "--key", private, "--signature-format", "both")
	l.tenant(t, "web")
	for _, namespace := range []string{fluxNamespace, "web"} {
		l.apply(t, server.login(namespace, "git-login"))
	}
	l.apply(t, fluxOfTheFleet+`---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: look}
rules:
- {apiGroups: [source.toolkit.fluxcd.io], resources: [ocirepositories], verbs: [list]}
- {apiGroups: [kustomize.toolkit.fluxcd.io], resources: [kustomizations], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: look}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: look}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
`)
	l.config = l.contexts(t)
	l.apply(t, l.fleet.read("clusters/dev/flux-system/gotk-sync.yaml"))
	l.eventually(t, kustomization("web", "web"), ready())
	return l
}

// writeFleet writes a cluster whose settings choose the environment, and a tenant that takes its files from the repository apps.
func (l *look) writeFleet(server string) {
	own := fluxNamespace
	sync := func(name, namespace, branchOf, sourceName, path, more string) string {
		return fmt.Sprintf(`apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: %[1]s
  namespace: %[2]s
spec:
  interval: 1h
  ref:
    branch: main
  secretRef:
    name: git-login
  url: %[3]s
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: %[4]s
  namespace: %[2]s
spec:
  interval: 1h
  retryInterval: 2s
  path: %[5]s
  prune: true
  sourceRef:
    kind: GitRepository
    name: %[1]s
%[6]s`, sourceName, namespace, server+"/"+branchOf+".git", name, path, more)
	}
	l.fleet.write("clusters/dev/flux-system/gotk-sync.yaml", sync(own, own, "fleet", own, "./clusters/dev", ""))
	l.fleet.write("clusters/dev/flux-system/settings.yaml",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  namespace: flux-system\ndata:\n  ENVIRONMENT: \"staging\"\n")
	_, tenants, _ := strings.Cut(sync("tenants", own, "fleet", own, "./tenants",
		"  postBuild:\n    substituteFrom:\n      - kind: ConfigMap\n        name: settings\n"), "---\n")
	l.fleet.write("clusters/dev/tenants.yaml", tenants)
	l.fleet.write("tenants/web/sync.yaml",
		sync("web", "web", "apps", "apps", "./components/web/${ENVIRONMENT}", "  targetNamespace: web\n"))
}

// migrate runs one of the phases through a context, "" for none, and demands an exit code and what is said.
func (l *look) migrate(t *testing.T, context string, code int, says string, args ...string) (stdout string) {
	t.Helper()
	if args[0] != "status" {
		args = append(args, "--workspace", l.apps.dir, "--key", l.public, "--registry", l.apps.prefix)
	}
	if context != "" {
		args = append(args, "--kubeconfig", l.config, "--context", context)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), l.tools["keos-oci"], append([]string{"-C", l.fleet.dir, "migrate"}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = l.fleet.env(), &out, &errs
	began, got := time.Now(), 0
	var failed *exec.ExitError
	if err := cmd.Run(); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	text := out.String() + errs.String()
	if got != code || !strings.Contains(text, says) || strings.Contains(text, l.tokens[admin]) {
		t.Fatalf("keos-oci migrate %v: exit code %d, want %d, and %q in\n%s", args, got, code, says, text)
	}
	t.Logf("%s, context %q: exit code %d after %s\n%s", args[0], context, got, time.Since(began).Round(time.Millisecond), text)
	return out.String()
}

// prepareCheck asks whether prepare is complete.
func (l *look) prepareCheck(t *testing.T, context string, code int, says string) {
	t.Helper()
	l.migrate(t, context, code, says, "prepare", "--key-secret", "cosign-key", "--insecure", "--check")
}

// push commits the fleet, and lets Flux see it: first the settings, then what uses them.
func (l *look) push(t *testing.T) {
	t.Helper()
	l.fleet.commit()
	l.fleet.git("push", "-q", "origin", "main")
	l.reconciled(t, ref{"GitRepository", fluxNamespace, fluxNamespace}, ready())
	l.reconciled(t, kustomization(fluxNamespace, fluxNamespace), ready())
	l.reconciled(t, kustomization(fluxNamespace, "tenants"), ready())
}

// prepare is not complete in the cluster before Flux has the commit.
func (l *look) prepare(t *testing.T) {
	t.Helper()
	l.prepareCheck(t, "viewer", 3, "is not complete")
	l.migrate(t, "", 0, "updated", "prepare", "--key-secret", "cosign-key", "--insecure")
	l.prepareCheck(t, "", 0, "nothing to do") // as far as Git says
	l.prepareCheck(t, "viewer", 3, "OCIRepository web/web is not ready: it is not in the cluster [not-ready]")
	l.push(t)
}

// verify: a source without its key is not ready, and nothing is switched to it; with the key it is.
func (l *look) verify(t *testing.T) {
	t.Helper()
	l.eventually(t, source("web", "web"), condition("Ready", "False"))
	l.prepareCheck(t, "viewer", 3, "cosign-key")
	l.migrate(t, "viewer", 3, "[not-ready]", "switch", "dev")
	l.fleet.git("diff", "--exit-code")
	key, err := os.ReadFile(l.public)
	if err != nil {
		t.Fatal(err)
	}
	l.apply(t, secret("web", "cosign-key", "cosign.pub", string(key)))
	l.reconciled(t, source("web", "web"), ready(), condition("SourceVerified", "True"))
	l.prepareCheck(t, "viewer", 0, "dev: OCIRepositories that are Ready and verified in the cluster: 1 of 1")
	l.suspend(t, true)
	l.prepareCheck(t, "viewer", 3, "it is suspended")
	l.suspend(t, false)
	l.reconciled(t, source("web", "web"), ready())
}

func (l *look) suspend(t *testing.T, value bool) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, value))
	if err := l.Patch(t.Context(), source("web", "web").object(), patch); err != nil {
		t.Fatal(err)
	}
}

// moveAndLook switches, and looks before and after Flux has the commit.
func (l *look) moveAndLook(t *testing.T) {
	t.Helper()
	l.status(t, "prepared", "yes", "main@sha1:")
	l.migrate(t, "viewer", 0, "updated", "switch", "dev")
	l.migrate(t, "viewer", 3, "in the cluster its source is GitRepository web/apps", "switch", "dev", "--check")
	l.status(t, "switched", "no", "main@sha1:")
	l.push(t)
	l.eventually(t, kustomization("web", "web"), ready())
	l.migrate(t, "viewer", 0, "dev: switched Kustomizations that are Ready in the cluster: 1 of 1", "switch", "dev", "--check")
	l.status(t, "switched", "yes", "latest@sha256:")
}

// status demands what is said about the Kustomization that moves.
func (l *look) status(t *testing.T, state, isReady, revision string) {
	t.Helper()
	var res struct {
		Kustomizations []struct{ Cluster, Kustomization, State, Ready, Message, Revision string }
	}
	if err := json.Unmarshal([]byte(l.migrate(t, "dev=viewer", 0, "", "status", "-o", "json")), &res); err != nil {
		t.Fatal(err)
	}
	if len(res.Kustomizations) != 1 {
		t.Fatalf("%+v", res)
	}
	if k := res.Kustomizations[0]; k.State != state || k.Ready != isReady || !strings.HasPrefix(k.Revision, revision) || k.Message == "" {
		t.Fatalf("%+v, want %s %s %s", k, state, isReady, revision)
	}
	l.migrate(t, "viewer", 0, "READY", "status")
}

// cannotBeAsked: a cluster that gives no answer is no cluster that is not ready.
func (l *look) cannotBeAsked(t *testing.T) {
	t.Helper()
	for context, says := range map[string]string{
		"nobody":   `{apiGroups: ["kustomize.toolkit.fluxcd.io"], resources: [kustomizations], verbs: [list]}`,
		"stranger": "login not accepted",
		"closed":   "connection refused",
	} {
		out := l.migrate(t, context, 1, says, "switch", "dev", "--check") + l.migrate(t, context, 1, says, "status")
		if out != "" {
			t.Errorf("%s: there is a result: %s", context, out)
		}
	}
	l.migrate(t, "nosuch", 2, `has no context "nosuch"; it has: closed, nobody, stranger, viewer`, "status")
}
