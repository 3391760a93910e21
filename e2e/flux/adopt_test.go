package flux

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestAdopt lets one Kustomization for each app take over the objects of a layer's Kustomization on real Flux: forward to the
// middle, all the way back, and forward to the end. Each step is a commit. No object is replaced or pruned, until the new owners prune.
func TestAdopt(t *testing.T) {
	tools := findTools(t)
	runtime.LockOSThread() // as in TestFlux
	a := newAdoption(t, newWorld(t, tools))
	a.before = a.uids(t)
	files := a.files()

	a.step(t, "prune-off")
	a.step(t, "suspend")
	a.step(t, "new-owners")
	a.back = true
	a.step(t, "resume")
	a.owned(t, "apps", "apps")
	a.step(t, "withdraw")
	a.step(t, "prune-back")
	a.done(t)
	if after := a.files(); after != files {
		t.Errorf("back does not give the files from before:\n%s", after)
	}

	a.back = false
	for _, step := range []string{"prune-off", "suspend", "new-owners", "remove", "prune-on"} {
		a.step(t, step)
	}
	a.done(t)
	a.owned(t, "redis", "web")
	a.cannotBeAsked(t)
	a.pruneIsBack(t)
	a.bySet(t)
}

// adoption is a cluster whose apps are applied by one Kustomization for the layer.
type adoption struct {
	*site
	fleet           *checkout
	private, public string
	config          string // kubeconfig with the contexts viewer and nobody
	owners          []string
	fresh           string // file or folder with the new owners
	before          map[string]string
	back            bool
}

func newAdoption(t *testing.T, w *world) *adoption {
	t.Helper()
	a := &adoption{site: &site{cluster: w.cluster, clusterFacts: clusterFacts{name: "staging"}}, fleet: w.checkout(t, "org/fleet", "adopt")}
	a.owners, a.fresh = []string{"flux-system/apps"}, "adopt/staging"
	server := serveGit(t)
	w.apply(t, server.login(fluxNamespace, "git-login"))
	a.writeFleet(server.url)
	server.serve(a.fleet, "fleet.git")
	a.fleet.commit()
	a.private = a.fleet.key("adopt")
	a.public = strings.TrimSuffix(a.private, ".key") + ".pub"
	a.publish()
	a.fleet.generate("ocirepository", "--channel", "latest", "--environment", "staging", "--key", a.public, "--key-secret", "cosign-key",
		"--insecure",
		"--substitute", "cluster_name=staging", "--interval", "1m", "--dir", filepath.Join(a.fleet.dir, "adopt", "staging"))
	a.fleet.commit()
	a.fleet.git("push", "-q", "origin", "main")
	key, err := os.ReadFile(a.public)
	if err != nil {
		t.Fatal(err)
	}
	a.apply(t, secret(fluxNamespace, "cosign-key", "cosign.pub", string(key))+adoptionRights)
	a.config = a.contexts(t)
	a.apply(t, a.fleet.read("clusters/staging/flux-system/gotk-sync.yaml"))
	a.eventually(t, kustomization(fluxNamespace, "apps"), ready())
	a.owned(t, "apps", "apps")
	return a
}

const adoptionRights = "---" + fluxOfTheFleet + `---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: adopt}
rules:
- {apiGroups: [kustomize.toolkit.fluxcd.io], resources: [kustomizations], verbs: [list]}
- {apiGroups: [fluxcd.controlplane.io], resources: [resourcesets], verbs: [list]}
- {apiGroups: [""], resources: [configmaps, namespaces, serviceaccounts], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: adopt}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: adopt}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
`

// writeFleet writes a cluster, two apps with base and overlays, and the config by which each app is a component.
func (a *adoption) writeFleet(server string) {
	f := a.fleet
	kustomization := func(name, path, interval string) string {
		return fmt.Sprintf("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: %s\n  namespace: flux-system\nspec:\n"+
			"  interval: %s\n  retryInterval: 2s\n  path: %s\n  prune: true # as it was\n  sourceRef:\n    kind: GitRepository\n    name: flux-system\n", name, interval, path)
	}
	f.write("clusters/staging/flux-system/gotk-sync.yaml",
		"apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: flux-system\n"+
			"  namespace: flux-system\nspec:\n  interval: 1h\n  ref:\n    branch: main\n  url: "+server+"/fleet.git\n  secretRef:\n    name: git-login\n---\n"+
			kustomization(fluxNamespace, "./clusters/staging", "1h"))
	f.write("clusters/staging/apps.yaml", kustomization("apps", "./apps/staging",
		"10s")+"  postBuild:\n    substitute:\n      cluster_name: staging\n")
	f.write("clusters/staging/kustomization.yaml", "resources:\n  - flux-system/gotk-sync.yaml\n  - apps.yaml # the layer\n")
	f.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\ndiscover:\n"+
		"  - {layout: envFirst, path: apps, environments: [staging], enabledFrom: kustomization}\nartifact: {mode: closure, external: include}\n")
	f.write("apps/staging/kustomization.yaml", "resources: [redis, web]\n")
	for _, app := range []string{"redis", "web"} {
		f.write("apps/staging/"+app+"/kustomization.yaml", "resources: [../../base/"+app+", extra.yaml]\n")
		f.write("apps/staging/"+app+"/extra.yaml", configMapText(app, "extra", "one"))
		f.write("apps/base/"+app+"/kustomization.yaml", "resources: [app.yaml]\n")
		f.write("apps/base/"+app+"/app.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+app+"}\n---\n"+configMapText(app, app,
			"${cluster_name}")+
			"---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: "+app+", namespace: "+app+"}\n")
	}
}

func configMapText(namespace, name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {value: %q}\n", name, namespace, value)
}

func (a *adoption) publish() {
	a.fleet.run(branchJob(), "publish", "--key", a.private, "--signature-format", "both")
}

// adopted is the JSON of adopt.
type adopted struct {
	Step         string
	Files        []struct{ Path string }
	Stops, Waits []struct{ Message string }
}

// adopt runs keos-oci migrate adopt, and gives its answer and exit code.
func (a *adoption) adopt(t *testing.T, context string, more ...string) (res adopted, code int, text string) {
	t.Helper()
	args := []string{"-C", a.fleet.dir, "--registry", a.fleet.prefix, "migrate", "adopt", "staging", "-o", "json",
		"--new", a.fresh, "--workspace", a.fleet.dir, "--key", a.public, "--kubeconfig", a.config, "--context", context}
	for _, owner := range a.owners {
		args = append(args, "--owner", owner)
	}
	if a.back {
		args = append(args, "--back")
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), a.tools["keos-oci"], append(args, more...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = a.fleet.env(), &out, &errs
	var failed *exec.ExitError
	if err := cmd.Run(); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	text = out.String() + errs.String()
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &res); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	return res, code, text
}

// step waits until the cluster lets the step be done, does it, finds that the cluster does not show it yet, and pushes it.
func (a *adoption) step(t *testing.T, want string) {
	t.Helper()
	began := time.Now()
	a.waitFor(t, want)
	res, code, text := a.adopt(t, "viewer")
	if code != 0 || res.Step != want || len(res.Files) == 0 {
		t.Fatalf("step %s: exit code %d, %s", want, code, text)
	}
	if again, code, text := a.adopt(t, "viewer"); code != 3 || again.Step == want || len(again.Waits) == 0 || len(again.Files) > 0 {
		t.Fatalf("step %s again: exit code %d, %s", want, code, text)
	}
	a.push(t)
	a.same(t, want)
	t.Logf("%s: %d files, %s", want, len(res.Files), time.Since(began).Round(100*time.Millisecond))
}

// waitFor waits until a step is next. Until then adopt exits with 3, and says what it waits for.
func (a *adoption) waitFor(t *testing.T, want string) {
	t.Helper()
	err := poll(patience, func() error {
		res, code, text := a.adopt(t, "viewer", "--dry-run")
		if code == 3 && len(res.Waits) > 0 {
			t.Logf("%s waits: %s", want, res.Waits[0].Message)
		}
		if code != 0 && code != 3 || code == 3 && len(res.Waits) == 0 {
			t.Fatalf("before %s: exit code %d, %s", want, code, text)
		}
		if code == 3 || res.Step != want {
			return fmt.Errorf("exit code %d, %s", code, text)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", want, err)
	}
}

// push commits and pushes, and lets Flux see it.
func (a *adoption) push(t *testing.T) {
	t.Helper()
	a.fleet.commit()
	a.fleet.git("push", "-q", "origin", "main")
	a.reconciled(t, ref{"GitRepository", fluxNamespace, fluxNamespace}, ready())
	a.reconciled(t, kustomization(fluxNamespace, fluxNamespace), ready())
}

// done waits until --check says that nothing is left to do.
func (a *adoption) done(t *testing.T) {
	t.Helper()
	a.waitFor(t, "done")
	if res, code, text := a.adopt(t, "viewer", "--check"); code != 0 || res.Step != "done" {
		t.Fatalf("exit code %d, %s", code, text)
	}
	a.same(t, "all steps")
}

// isOfFlux reports whether an object is one that Flux reconciles, or a report of Flux Operator.
func isOfFlux(object string) bool {
	return strings.Contains(object, "toolkit.fluxcd.io ") || strings.Contains(object, "fluxcd.controlplane.io ")
}

// same checks that all objects but those of Flux are there, with their UIDs.
func (a *adoption) same(t *testing.T, after string) {
	t.Helper()
	now := a.uids(t)
	for object, uid := range a.before {
		if now[object] != uid && !isOfFlux(object) {
			t.Errorf("after %s: %s had the UID %s and has %q", after, object, uid, now[object])
		}
	}
}

// owned demands the owners of the apps' objects, as their labels say.
func (a *adoption) owned(t *testing.T, want ...string) {
	t.Helper()
	for i, app := range []string{"redis", "web"} {
		for _, r := range []ref{{"ConfigMap", app, app}, {"ServiceAccount", app, app}, {kind: "Namespace", name: app}} {
			object, err := a.get(t, r)
			if err != nil {
				t.Fatalf("%s: %v", r, err)
			}
			if got := object.GetLabels()["kustomize.toolkit.fluxcd.io/name"]; got != want[i] {
				t.Errorf("%s is owned by %s, want %s", r, got, want[i])
			}
		}
	}
}

// files are the names and contents of the checkout's files.
func (a *adoption) files() string {
	a.fleet.t.Helper()
	cmd := exec.CommandContext(a.fleet.t.Context(), "git", "-C", a.fleet.dir, "ls-files", "-s")
	cmd.Env = a.fleet.env()
	out, err := cmd.Output()
	if err != nil {
		a.fleet.t.Fatal(err)
	}
	return string(out)
}

// cannotBeAsked: a user who may see nothing gets an error, and no answer.
func (a *adoption) cannotBeAsked(t *testing.T) {
	t.Helper()
	if res, code, text := a.adopt(t, "nobody", "--check"); code != 1 || res.Step != "" ||
		!strings.Contains(text, "resources: [kustomizations], verbs: [list]") {
		t.Errorf("exit code %d, %s", code, text)
	}
}

// pruneIsBack: what goes from an app's artifact goes from the cluster, and nothing else.
func (a *adoption) pruneIsBack(t *testing.T) {
	t.Helper()
	a.fleet.write("apps/staging/web/kustomization.yaml", "resources: [../../base/web]\n")
	a.push(t)
	a.publish()
	a.reconciled(t, source(fluxNamespace, "web"), ready())
	gone := ref{"ConfigMap", "web", "extra"}
	if err := poll(patience, func() error {
		if _, err := a.get(t, gone); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is there: %w", gone, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	now := a.uids(t)
	missing := slices.DeleteFunc(slices.Sorted(maps.Keys(a.before)), func(object string) bool {
		return now[object] == a.before[object] || isOfFlux(object)
	})
	if len(missing) != 1 || !strings.Contains(missing[0], "ConfigMap. web/extra") {
		t.Errorf("pruned: %v", missing)
	}
}
