package flux

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// pullSecret is the name of the Secret with the registry's login.
const pullSecret = "registry-auth"

// landscape is the three repositories of the D2 reference architecture.
type landscape struct{ fleet, infra, apps *checkout }

// testTenants goes the whole way: keos-oci generates a fleet and publishes it, a cluster follows the fleet, Flux Operator
// makes the tenants that it names, and these follow their components.
func testTenants(t *testing.T, w *world) {
	l := landscape{w.checkout(t, "org/fleet", "d2"), w.checkout(t, "org/infra", "d2"), w.checkout(t, "org/apps", "d2")}
	l.publishComponents()
	l.generate()
	l.fleet.publish(branchJob())
	l.fleet.release("", "v1.0.0")
	w.apply(t, w.secret(fluxNamespace)+"---\n"+w.login(fluxNamespace))
	w.bootstrap(t, l.fleet.read("clusters/prod-eu/flux-system/flux-instance.yaml"))
	for _, name := range []string{"policies", "infra"} {
		w.eventually(t, ref{"ResourceSet", fluxNamespace, name}, ready())
	}
	l.infraInOrder(t, w)
	w.eventually(t, ref{"ResourceSet", fluxNamespace, "apps"}, ready())
	for _, app := range []string{"frontend", "backend"} {
		l.runs(t, w, app, "one")
	}
	w.allowsOnly(t, "frontend", "oci://"+l.apps.prefix+"/frontend")

	l.apps.app("frontend", "two")
	l.apps.release("frontend", "v1.1.0")
	w.reconciled(t, source("frontend", "apps"), ready(), condition("SourceVerified", "True"))
	l.runs(t, w, "frontend", "two")

	l.onboard("billing")
	w.reconciled(t, source(fluxNamespace, "flux-system"), ready(), condition("SourceVerified", "True"))
	l.runs(t, w, "billing", "one")
}

// publishComponents releases two apps, and infrastructure whose first phase no cluster can apply: it has no such kind.
func (l landscape) publishComponents() {
	for _, app := range []string{"frontend", "backend"} {
		l.apps.app(app, "one")
		l.apps.release(app, "v1.0.0")
	}
	l.infra.infra("monitoring", "one")
	l.infra.write("components/monitoring/controllers/base/kustomization.yaml", "resources: [config.yaml, widget.yaml]\n")
	l.infra.write("components/monitoring/controllers/base/widget.yaml",
		"apiVersion: e2e.example.com/v1\nkind: Widget\nmetadata: {name: monitoring}\n")
	l.infra.commit()
	l.infra.release("monitoring", "v1.0.0")
}

// generate writes the fleet, as for a first cluster.
func (l landscape) generate() {
	flags := []string{"--dir", l.fleet.dir, "--trusted-root-secret", trustedRootSecret, "--pull-secret", pullSecret}
	l.fleet.generate(append([]string{"cluster", "prod-eu", "--environment", "production", "--channel", "latest-stable", "--domain",
		"prod.example.com"}, flags...)...)
	l.fleet.generate("policies", "--dir", l.fleet.dir, "--allow-source", "oci://"+strings.TrimSuffix(l.fleet.prefix, "fleet"))
	l.infra.generate(append([]string{"resourceset", "infra"}, flags...)...)
	l.apps.generate(append([]string{"resourceset", "apps"}, flags...)...)
	l.fleet.commit()
}

// onboard publishes one more app and lets the clusters have it.
func (l landscape) onboard(app string) {
	l.apps.app(app, "one")
	l.apps.release(app, "v1.0.0")
	l.apps.generate("inputs", app, "--into", l.fleet.dir+"/tenants/apps.yaml")
	l.fleet.commit()
	l.fleet.publish(branchJob())
	l.fleet.release("", "v1.1.0")
}

// infraInOrder: the second phase waits for the first.
func (l landscape) infraInOrder(t *testing.T, w *world) {
	const tenant = "monitoring"
	w.eventually(t, kustomization(tenant, "infra-controllers"), failing("ReconciliationFailed"))
	w.eventually(t, kustomization(tenant, "infra-configs"), failing("DependencyNotReady"))
	if _, err := w.get(t, ref{"ConfigMap", tenant, "monitoring-configs"}); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the second phase is there before the first: %v", err)
	}
	l.infra.infra("monitoring", "two")
	digest := l.infra.release("monitoring", "v1.0.1")
	w.reconciled(t, source(tenant, "infra"), ready(), condition("SourceVerified", "True"), fetched(digest))
	for _, phase := range []string{"controllers", "configs"} {
		w.eventually(t, kustomization(tenant, "infra-"+phase), all(checks{ready(), applied(digest)}))
		w.eventually(t, ref{"ConfigMap", tenant, "monitoring-" + phase}, all(checks{value("two"), data("environment", "production")}))
	}
}

// runs waits until a tenant runs its app in the variant and with the settings of the cluster.
func (l landscape) runs(t *testing.T, w *world, app, want string) {
	t.Helper()
	w.eventually(t, source(app, "apps"), all(checks{ready(), condition("SourceVerified", "True")}))
	w.eventually(t, kustomization(app, "apps"), ready())
	w.eventually(t, ref{"ConfigMap", app, app}, all(checks{value(want), data("environment", "production"),
		data("domain", "prod.example.com")}))
}

// allowsOnly: in a tenant's namespace the API server takes sources of ours, and no others.
func (w *world) allowsOnly(t *testing.T, tenant, url string) {
	t.Helper()
	create := func(url string) error {
		object := source(tenant, "probe").object()
		object.Object["spec"] = map[string]any{"interval": "1h", "url": url}
		return w.Create(t.Context(), object, client.DryRunAll)
	}
	if err := poll(patience, func() error {
		if err := create("oci://registry.example.com/evil"); err == nil || !strings.Contains(err.Error(), "is not allowed") {
			return fmt.Errorf("a foreign source is not denied: %v", err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := create(url); err != nil {
		t.Errorf("a source of ours is denied: %v", err)
	}
}

// login is a Secret with the login of a registry that wants none.
func (w *world) login(namespace string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: %s, namespace: %s}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{}}'}
`, pullSecret, namespace)
}

// bootstrap lets the cluster follow the fleet. In a real cluster Flux Operator does that from the FluxInstance, after it
// has installed Flux from the internet; the FluxInstance that comes with the fleet is kept from doing so here.
func (w *world) bootstrap(t *testing.T, fluxInstance string) {
	t.Helper()
	var instance struct {
		Spec struct {
			Sync      struct{ URL, Ref, Path, PullSecret string }
			Kustomize struct {
				Patches []struct {
					Target struct{ Kind string }
					Patch  string
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(fluxInstance), &instance); err != nil {
		t.Fatal(err)
	}
	sync := instance.Spec.Sync
	objects := decode(t, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 1m, url: %q, ref: {tag: %q}, secretRef: {name: %q}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec:
  serviceAccountName: kustomize-controller
  interval: 10m
  path: %q
  prune: true
  sourceRef: {kind: OCIRepository, name: flux-system}
  patches:
  - target: {kind: FluxInstance}
    patch: |
      - op: add
        path: /metadata/annotations
        value: {fluxcd.controlplane.io/reconcile: disabled}
`, sync.URL, sync.Ref, sync.PullSecret, sync.Path))
	for _, p := range instance.Spec.Kustomize.Patches {
		if p.Target.Kind == "OCIRepository" {
			patch(t, objects[0], p.Patch)
		}
	}
	for _, object := range objects {
		if err := w.applyObject(t, object); err != nil {
			t.Fatal(err)
		}
	}
	w.eventually(t, source(fluxNamespace, "flux-system"), all(checks{ready(), condition("SourceVerified", "True")}))
	w.eventually(t, kustomization(fluxNamespace, "flux-system"), ready())
	w.eventually(t, kustomization(fluxNamespace, "tenants"), ready())
}

// patch applies a JSON patch that is written as YAML.
func patch(t *testing.T, object *unstructured.Unstructured, text string) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	operations, err := jsonpatch.DecodePatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	after, err := operations.Apply(before)
	if err != nil {
		t.Fatalf("patch %s: %v", text, err)
	}
	if err := json.Unmarshal(after, &object.Object); err != nil {
		t.Fatal(err)
	}
}
