package fluxtest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every kind that generators write passes as it is, so that in TestFaults only the change can be at fault.
func TestValidator_accepts(t *testing.T) {
	v := CRDs(t)
	for _, good := range []string{
		ociRepository, helmRelease, kustomization, resourceSetYAML, roleBindingYAML, roleYAML, policyYAML, policyBindingYAML,
		fluxInstance, inputProvider, secretYAML, configMapYAML, kustomizationFileYAML, "---\n# nothing\n---\n",
		"{apiVersion: v1, kind: Namespace, metadata: {name: x}}",
		"{apiVersion: v1, kind: ServiceAccount, metadata: {name: x, namespace: z}, imagePullSecrets: [{name: z}]}",
	} {
		for _, err := range v.YAML([]byte(good)) {
			t.Error(err)
		}
	}
}

func TestValidator_faults(t *testing.T) {
	v := CRDs(t)
	tests := []struct{ name, doc, from, to, want string }{
		{"unknown field", ociRepository, "url:", "uri: x\n  url:", "spec.uri"},
		{"unknown field of metadata", ociRepository, "name: apps,", "name: apps, label: {},", "metadata.label"},
		{"wrong type", ociRepository, "interval: 5m", "interval: 5", "spec.interval"},
		{"number for a tag", ociRepository, "tag: latest", "tag: 1.10", "spec.ref.tag"},
		{"wrong value", ociRepository, "provider: cosign", "provider: gpg", "spec.verify.provider"},
		{"missing field", ociRepository, "provider: cosign, ", "provider: null, ", ""}, // defaulted
		{"missing url", ociRepository, "  url: oci://registry.example.com/apps\n", "", "spec.url"},
		{"url without scheme", ociRepository, "oci://", "https://", "spec.url"},
		{"HelmRelease with chart and chartRef", helmRelease, "chartRef:",
			"chart: {spec: {chart: x, sourceRef: {kind: HelmRepository, name: x}}}\n  chartRef:", "chart"},
		{"HelmRelease without either", helmRelease, "  chartRef: {kind: OCIRepository, name: apps}\n", "", "chart"},
		{"text for a boolean", kustomization, "prune: true", "prune: yes please", "spec.prune"},
		{"missing namespace", kustomization, ", namespace: apps", "", "metadata.namespace"},
		{"bad name", kustomization, "metadata: {name: apps", "metadata: {name: Apps_1", "metadata.name"},
		{"no name", kustomization, "name: apps, namespace", "namespace", "metadata.name"},
		{"bad label", kustomization, "namespace: apps}", "namespace: apps, labels: {a b: c}}", "metadata.labels"},
		{"duplicate key", kustomization, "prune: true", "prune: true\n  prune: false", "already set"},
		{"dependency's expression", kustomization, "dep.metadata.labels.x ==", "nobody.metadata ==", "nobody"},
		{"dependency's expression is no boolean", kustomization, "dep.metadata.labels.x == self.metadata.labels.x", "dep.metadata", "bool"},
		{"health check", kustomization, "status.x == 1", "status.x ==", "spec.healthCheckExprs[0]"},
		{"HelmRelease's dependency", helmRelease, "dep.status", "status", "spec.dependsOn[0]"},
		{"unknown kind", kustomization, "kind: Kustomization", "kind: Kustomisation", "serves no"},
		{"version not served", ociRepository, "toolkit.fluxcd.io/v1", "toolkit.fluxcd.io/v1alpha1", "serves no"},
		{"no kind", configMapYAML, "kind: ConfigMap", "", "serves no"},
		{"ResourceSet with steps and resources", resourceSetYAML, "  resources:", "  steps: [{name: a, resourcesTemplate: x}]\n  resources:",
			"mutually exclusive"},
		{"readyExpr that does not parse", resourceSetYAML, "== 'Active'", "= 'Active'", "spec.dependsOn[0].readyExpr"},
		{"readyExpr of an unknown name", resourceSetYAML, "status.phase", "statuses.phase", "statuses"},
		{"readyExpr of an unknown function", resourceSetYAML, "status.phase ==", "status.phases.whatever() ==", "whatever"},
		{"readyExpr that nobody evaluates", resourceSetYAML, "ready: true, ", "", "no effect"},

		{"name longer than a label", kustomization, "{name: apps", "{name: " + strings.Repeat("a", 64), "becomes a label"},
		{"FluxInstance of another name", fluxInstance, "name: flux,", "name: other,", "flux"},
		{"FluxInstance with verify", fluxInstance, "ref: latest,", "ref: latest, verify: {},", "spec.sync.verify"},
		{"provider of tags without oci", inputProvider, "oci://", "https://", "oci://"},

		{"built-in with an unknown field", configMapYAML, "data:", "datas:", "datas"},
		{"built-in with a wrong type", configMapYAML, "KEY: value", "KEY: true", "data"},
		{"built-in without a namespace", configMapYAML, ", namespace: apps", "", "metadata.namespace"},
		{"namespace on a kind without", policyBindingYAML, "{name: sources}", "{name: sources, namespace: x}", "metadata.namespace"},
		{"namespace with a dot", "{apiVersion: v1, kind: Namespace, metadata: {name: NAME}}", "NAME", "a.b", "metadata.name"},
		{"namespace longer than a label", "{apiVersion: v1, kind: Namespace, metadata: {name: NAME}}", "NAME", strings.Repeat("a", 64),
			"metadata.name"},
		{"key of a ConfigMap", configMapYAML, "KEY:", "a b:", "data key"},
		{"copyFrom without a namespace", secretYAML, "flux-system/auth", "auth", "copyFrom"},
		{"pull secret without data", secretYAML, "fluxcd.controlplane.io/copyFrom: flux-system/auth", "x: z", ".dockerconfigjson"},
		{"roleRef of another group", roleBindingYAML, "apiGroup: rbac.authorization.k8s.io, ", "", "roleRef"},
		{"roleRef with a slash", roleBindingYAML, "name: admin", "name: a/b", "roleRef"},
		{"role with a slash", roleYAML, "name: flux", "name: a/b", "metadata.name"},
		{"roleRef of another kind", roleBindingYAML, "kind: ClusterRole", "kind: User", "roleRef"},
		{"service account without a namespace", roleBindingYAML, "name: flux, namespace: apps}]", "name: flux}]", "subjects[0]"},
		{"group without apiGroup", roleBindingYAML, "kind: ServiceAccount, name: flux, namespace: apps", "kind: Group, name: flux",
			"subjects[0]"},
		{"rule without verbs", roleYAML, ", verbs: [get]", "", "rules[0]"},
		{"rule without apiGroups", roleYAML, `apiGroups: [""], `, "", "rules[0]"},

		{"policy that does not parse", policyYAML, "startsWith(", "startsWith((", "spec.validations[0]"},
		{"policy with an unknown variable", policyYAML, "variables.url.starts", "variables.uri.starts", "uri"},
		{"policy with an unknown function", policyYAML, "startsWith", "beginsWith", "beginsWith"},
		{"policy that is no boolean", policyYAML, "variables.url.startsWith(params.data.prefix)", "1 + 1", "bool"},
		{"policy without params", policyYAML, "  paramKind: {apiVersion: v1, kind: ConfigMap}\n", "", "params"},
		{"message that is no text", policyYAML, "'no ' + string(variables.url)", "1 + 1", "messageExpression"},
		{"variable that does not parse", policyYAML, "object.spec.url", "object..url", "spec.variables[0]"},
		{"condition with an unknown name", policyYAML, "request.user", "requests.user", "spec.matchConditions[0]"},
		{"condition's name", policyYAML, "not-us", "not us", "spec.matchConditions[0].name"},
		{"audit annotation", policyYAML, "string(variables.url)\"}", "1\"}", "spec.auditAnnotations[0]"},
		{"failure policy", policyYAML, "failurePolicy: Fail", "failurePolicy: fail", "spec.failurePolicy"},
		{"operation", policyYAML, "CREATE", "Create", "operations"},
		{"rule without resources", policyYAML, ", resources: [z]", "", "resourceRules[0]"},
		{"reason", policyYAML, "reason: Invalid", "reason: Wrong", "reason"},
		{"binding without actions", policyBindingYAML, "validationActions: [Deny], ", "", "validationActions"},
		{"binding that denies and warns", policyBindingYAML, "[Deny]", "[Deny, Warn]", "validationActions"},
		{"binding without parameterNotFoundAction", policyBindingYAML, ", parameterNotFoundAction: Deny", "", "paramRef"},

		{"kustomization file", kustomizationFileYAML, "resources:", "resource:", "resource"},
		{"no YAML at all", configMapYAML, "data:", "data: ]", "document 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(tt.doc, tt.from) {
				t.Fatalf("the document has no %q", tt.from)
			}
			errs := v.YAML([]byte(strings.Replace(tt.doc, tt.from, tt.to, 1)))
			if got := fmt.Sprint(errs); (len(errs) > 0) != (tt.want != "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want an error with %q", got, tt.want)
			}
		})
	}
}

// Object leaves what it was given as it was, and takes what Go code makes as well as what YAML gives.
func TestValidator_leavesTheObject(t *testing.T) {
	v := CRDs(t)
	obj := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]string{"name": "x"}, "status": nil}
	if errs := v.Object(obj); len(errs) > 0 {
		t.Error(errs)
	}
	if _, ok := obj["metadata"].(map[string]string); !ok {
		t.Error("the object was changed")
	}
}

func TestFolders_acceptsOnlyWhatIsPinned(t *testing.T) {
	pinned := []release{{"m", "v1.0.0", "h1:a"}}
	dirs, err := folders([]byte(`{"Path":"m","Version":"v1.0.0","Sum":"h1:a","Dir":"d"}`), pinned)
	if err != nil || len(dirs) != 1 || dirs[0] != "d" {
		t.Errorf("got %v, %v", dirs, err)
	}
	for answer, sum := range map[string]bool{
		`{"Path":"m","Version":"v1.0.0","Sum":"h1:b","Dir":"d"}`: true,
		`{"Path":"m","Version":"v1.0.1","Sum":"h1:a","Dir":"d"}`: true,
		`{"Path":"m","Version":"v1.0.0","Error":"no network"}`:   false,
		``: false,
	} {
		if _, err := folders([]byte(answer), pinned); err == nil || errors.Is(err, errSum) != sum {
			t.Errorf("%s: got %v", answer, err)
		}
	}
}

// fleet is a real fleet repository, which is not part of this one.
func fleet(t *testing.T) string {
	t.Helper()
	root := os.Getenv("KEOS_OCI_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "corpora")
	}
	dir := filepath.Join(root, "d2-fleet")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no real fleet repository at %s: set KEOS_OCI_CORPORA to the folder with d2-fleet", dir)
	}
	return dir
}

func documents(t *testing.T, path ...string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := Documents(data)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestCorpora(t *testing.T) {
	dir, v := fleet(t), CRDs(t)
	for _, cluster := range []string{"staging", "prod-eu", "prod-us"} {
		t.Run(cluster, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(dir, "clusters", cluster, "flux-system", "*.yaml"))
			if err != nil || len(files) < 4 {
				t.Fatal(files, err)
			}
			for _, file := range append(files, filepath.Join(dir, "clusters", cluster, "tenants.yaml")) {
				if filepath.Base(file) != "flux-operator-values.yaml" { // values of a chart
					valid(t, v, documents(t, file))
				}
			}
			vars := runtimeInfo(t, documents(t, dir, "clusters", cluster, "flux-system", "runtime-info.yaml"))
			for tenant, want := range map[string]int{"infra": 2 * 8, "apps": 2 * 7, "policies": 3} {
				sets := documents(t, dir, "tenants", tenant+".yaml")
				valid(t, v, sets)
				objects, err := Render(sets[0], vars)
				if err != nil || len(objects) != want {
					t.Errorf("%s renders %d objects, %v; want %d", tenant, len(objects), err, want)
				}
				valid(t, v, objects)
				parses(t, sets[0], vars)
			}
		})
	}
}

func valid(t *testing.T, v *Validator, objects []map[string]any) {
	t.Helper()
	for _, obj := range objects {
		for _, err := range v.Object(obj) {
			t.Error(err)
		}
	}
}

func runtimeInfo(t *testing.T, objects []map[string]any) map[string]string {
	t.Helper()
	vars := map[string]string{}
	for key, value := range objects[0]["data"].(map[string]any) {
		vars[key] = value.(string)
	}
	if vars["ENVIRONMENT"] == "" {
		t.Fatal("no runtime info")
	}
	return vars
}

// The file still parses, whatever value a variable has.
func parses(t *testing.T, set map[string]any, vars map[string]string) {
	t.Helper()
	for name := range vars {
		for _, value := range Awkward() {
			tried := maps.Clone(vars)
			tried[name] = value
			if _, err := Substitute(set, tried); err != nil {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}
