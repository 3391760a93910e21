package flux

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// site is a cluster of a landscape.
type site struct {
	*cluster
	clusterFacts
	watch  *watch
	moving []ref  // Kustomizations that do not follow the fleet
	moved  string // commit by which the cluster follows the artifact of the fleet
}

// copyTo is the annotation by which an operator copies ConfigMaps and Secrets into other namespaces.
const copyTo = "replicator.v1.mittwald.de/replicate-to"

// bootstrap gives a cluster what it has from elsewhere, and lets it follow its folder of the fleet.
func (m *migration) bootstrap(t *testing.T, s *site) {
	t.Helper()
	s.apply(t, foundation)
	for kind, plural := range map[string]string{
		"ImageRepository": "imagerepositories", "ImagePolicy": "imagepolicies", "ImageUpdateAutomation": "imageupdateautomations",
	} {
		s.imageCRD(t, kind, plural)
	}
	for _, n := range m.namespaces {
		s.apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+n+"}\n")
	}
	key, err := os.ReadFile(filepath.Join(m.dir(), "..", "sops.agekey"))
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range m.keys {
		s.copied(t, name, to, map[string]any{"age.agekey": string(key)})
	}
	for name, to := range m.logins {
		s.copied(t, name, to, map[string]any{"username": "flux", "password": m.git.password, "ca.crt": m.git.ca})
	}
	background(t, s.playOperator)
	background(t, s.playKubelet)
	for _, file := range []string{"runtime-info.yaml", "gotk-sync.yaml"} {
		s.apply(t, m.fleet.read("clusters/"+s.name+"/"+m.entry+"/"+file))
	}
}

// foundation is the accounts of the landscapes in the namespace of Flux.
const foundation = fluxOfTheFleet + `---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kustomize-controller, namespace: flux-system}
`

// fluxOfTheFleet lets the account of Flux do all that the fleet says.
const fluxOfTheFleet = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: flux, namespace: flux-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: flux-of-the-fleet}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: flux, namespace: flux-system}]
`

// imageCRD adds a kind of image automation. It has no controller here: the objects are there, and nothing commits to Git.
func (s *site) imageCRD(t *testing.T, kind, plural string) {
	t.Helper()
	name := plural + ".image.toolkit.fluxcd.io"
	s.apply(t, fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %s}
spec:
  group: image.toolkit.fluxcd.io
  scope: Namespaced
  names: {kind: %s, plural: %s}
  versions:
  - name: v1beta2
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, name, kind, plural))
	s.eventually(t, ref{kind: "CustomResourceDefinition", name: name}, condition("Established", "True"))
}

// copied makes a Secret in the namespace of Flux that the operator copies into others.
func (s *site) copied(t *testing.T, name, to string, data map[string]any) {
	t.Helper()
	object := ref{"Secret", fluxNamespace, name}.object()
	object.SetAnnotations(map[string]string{copyTo: to})
	object.Object["stringData"] = data
	if err := s.applyObject(t, object); err != nil {
		t.Fatal(err)
	}
}

// background does some work again and again until the test ends.
func background(t *testing.T, work func(context.Context, *testing.T)) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			work(ctx, t)
			time.Sleep(500 * time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// playOperator copies ConfigMaps and Secrets of the namespace of Flux into the namespaces that their annotation names.
func (s *site) playOperator(ctx context.Context, t *testing.T) {
	namespaces, _ := s.objects(ctx, "Namespace")
	for _, kind := range []string{"ConfigMap", "Secret"} {
		objects, _ := s.objects(ctx, kind)
		there := map[string]unstructured.Unstructured{}
		for _, o := range objects {
			there[o.GetNamespace()+"/"+o.GetName()] = o
		}
		for _, from := range objects {
			for _, namespace := range namespaces {
				known := there[namespace.GetName()+"/"+from.GetName()]
				if wanted(&from, namespace.GetName()) && !reflect.DeepEqual(known.Object["data"], from.Object["data"]) && ctx.Err() == nil {
					to := ref{kind, namespace.GetName(), from.GetName()}.object()
					to.Object["data"] = from.Object["data"]
					_ = s.applyObject(t, to) // where it fails, the next round does it
				}
			}
		}
	}
}

// wanted reports whether an object is to be copied into a namespace.
func wanted(from *unstructured.Unstructured, namespace string) bool {
	if from.GetNamespace() != fluxNamespace || namespace == fluxNamespace {
		return false
	}
	for pattern := range strings.SplitSeq(from.GetAnnotations()[copyTo], ",") {
		if matched, err := regexp.MatchString("^("+pattern+")$", namespace); err == nil && matched {
			return true
		}
	}
	return false
}

// playKubelet says of each Deployment that all its replicas run, as nodes and their controllers would.
func (s *site) playKubelet(ctx context.Context, _ *testing.T) {
	deployments, _ := s.objects(ctx, "Deployment")
	for _, d := range deployments {
		observed, _, _ := unstructured.NestedInt64(d.Object, "status", "observedGeneration")
		if observed == d.GetGeneration() {
			continue
		}
		replicas, _, _ := unstructured.NestedInt64(d.Object, "spec", "replicas")
		d.Object["status"] = map[string]any{"observedGeneration": d.GetGeneration(), "replicas": replicas, "readyReplicas": replicas,
			"updatedReplicas": replicas, "availableReplicas": replicas, "conditions": []any{
				map[string]any{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
				map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
			}}
		_ = s.Status().Update(ctx, &d) // where it fails, the next round does it
	}
}

// objects gives all objects of a kind.
func (s *site) objects(ctx context.Context, kind string) ([]unstructured.Unstructured, error) {
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(ref{kind: kind}.object().GroupVersionKind())
	err := s.List(ctx, found)
	return found.Items, err
}

// list is objects that demands an answer.
func (s *site) list(t *testing.T, kind string) []unstructured.Unstructured {
	t.Helper()
	found, err := s.objects(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// settled reports what keeps the Kustomizations from having applied what their sources have.
func (s *site) settled(t *testing.T) error {
	revisions := map[string]string{}
	for _, kind := range []string{"GitRepository", "OCIRepository"} {
		for _, object := range s.list(t, kind) {
			if err := ready()(&object); err != nil {
				return fmt.Errorf("%s %s/%s: %w", kind, object.GetNamespace(), object.GetName(), err)
			}
			revisions[ref{kind, object.GetNamespace(), object.GetName()}.String()] = text(&object, "status", "artifact", "revision")
		}
	}
	all := s.list(t, "Kustomization")
	for _, object := range all {
		from := sourceOf(&object)
		err := ready()(&object)
		if got := text(&object, "status", "lastAppliedRevision"); err == nil && (got == "" || got != revisions[from.String()]) {
			err = fmt.Errorf("%q is applied, and %s has %q", got, from, revisions[from.String()])
		}
		if err != nil {
			return fmt.Errorf("Kustomization %s/%s: %w", object.GetNamespace(), object.GetName(), err)
		}
	}
	if len(all) != s.kustomizations {
		return fmt.Errorf("%d Kustomizations, want %d", len(all), s.kustomizations)
	}
	return nil
}

// sourceOf is what a Kustomization follows.
func sourceOf(object *unstructured.Unstructured) ref {
	namespace := cmp.Or(text(object, "spec", "sourceRef", "namespace"), object.GetNamespace())
	return ref{text(object, "spec", "sourceRef", "kind"), namespace, text(object, "spec", "sourceRef", "name")}
}

// findMoving remembers the Kustomizations that follow another repository than the fleet.
func (s *site) findMoving(t *testing.T, fleetURL string) {
	t.Helper()
	for _, object := range s.list(t, "Kustomization") {
		from, err := s.get(t, sourceOf(&object))
		if err != nil {
			t.Fatal(err)
		}
		if text(from, "spec", "url") != fleetURL {
			s.moving = append(s.moving, kustomization(object.GetNamespace(), object.GetName()))
		}
	}
	if len(s.moving) != s.moves {
		t.Fatalf("%s: %d Kustomizations follow another repository than the fleet, want %d: %v", s.name, len(s.moving), s.moves, s.moving)
	}
}

// follows checks that all Kustomizations of components take their files from this kind of source.
func (s *site) follows(t *testing.T, kind string) {
	t.Helper()
	for _, k := range s.moving {
		object, err := s.get(t, k)
		if err != nil || sourceOf(object).kind != kind {
			t.Errorf("%s: %s follows %s, want %s: %v", s.name, k, sourceOf(object), kind, err)
		}
	}
}
