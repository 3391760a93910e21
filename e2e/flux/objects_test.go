package flux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is how long Flux may take for anything. It is long because a busy machine must not fail the tests.
const patience = 90 * time.Second

// ref names an object of one of the kinds that the tests look at.
type ref struct{ kind, namespace, name string }

func (r ref) String() string { return strings.Trim(r.kind+" "+r.namespace+"/"+r.name, "/") }

func (r ref) object() *unstructured.Unstructured {
	group := map[string]schema.GroupVersion{
		"OCIRepository":             {Group: "source.toolkit.fluxcd.io", Version: "v1"},
		"GitRepository":             {Group: "source.toolkit.fluxcd.io", Version: "v1"},
		"Kustomization":             {Group: "kustomize.toolkit.fluxcd.io", Version: "v1"},
		"Deployment":                {Group: "apps", Version: "v1"},
		"ResourceSet":               {Group: "fluxcd.controlplane.io", Version: "v1"},
		"CustomResourceDefinition":  {Group: "apiextensions.k8s.io", Version: "v1"},
		"ClusterRole":               {Group: "rbac.authorization.k8s.io", Version: "v1"},
		"ValidatingAdmissionPolicy": {Group: "admissionregistration.k8s.io", Version: "v1"},
	}
	version, found := group[r.kind]
	if !found {
		version = schema.GroupVersion{Version: "v1"}
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(version.WithKind(r.kind))
	object.SetNamespace(r.namespace)
	object.SetName(r.name)
	return object
}

func source(namespace, name string) ref        { return ref{"OCIRepository", namespace, name} }
func kustomization(namespace, name string) ref { return ref{"Kustomization", namespace, name} }

// apply applies YAML documents one after the other, as kubectl apply --server-side does.
func (c *cluster) apply(t *testing.T, documents string) {
	t.Helper()
	for _, object := range decode(t, documents) {
		if err := c.applyObject(t, object); err != nil {
			t.Fatalf("apply %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}

func (c *cluster) applyObject(t *testing.T, object *unstructured.Unstructured) error {
	return c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership)
}

func decode(t *testing.T, documents string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(documents), 4096)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%v in\n%s", err, documents)
		case object.Object != nil:
			objects = append(objects, object)
		}
	}
}

func (c *cluster) get(t *testing.T, r ref) (*unstructured.Unstructured, error) {
	object := r.object()
	return object, c.Get(t.Context(), client.ObjectKeyFromObject(object), object)
}

// check looks at an object, and says what is wrong with it.
type check func(*unstructured.Unstructured) error

type checks []check

// eventually waits until accept takes the object. Its failure is what accept reported last.
func (c *cluster) eventually(t *testing.T, r ref, accept check) {
	t.Helper()
	err := poll(patience, func() error {
		object, err := c.get(t, r)
		if err != nil {
			return err
		}
		return accept(object)
	})
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
}

// waitForCRDs waits until the API server serves all kinds and admin may do what the kinds allow.
func (c *cluster) waitForCRDs(t *testing.T) {
	for _, name := range []string{"ocirepositories.source.toolkit.fluxcd.io", "kustomizations.kustomize.toolkit.fluxcd.io",
		"resourcesets.fluxcd.controlplane.io"} {
		c.eventually(t, ref{kind: "CustomResourceDefinition", name: name}, condition("Established", "True"))
	}
	c.eventually(t, ref{kind: "ClusterRole", name: "admin"}, func(object *unstructured.Unstructured) error {
		if rules, _, _ := unstructured.NestedSlice(object.Object, "rules"); len(rules) == 0 {
			return errors.New("no rules yet")
		}
		return nil
	})
}

// reconcile asks Flux to look at the object now, and gives the token that Flux answers with.
func (c *cluster) reconcile(ctx context.Context, r ref) (token string, err error) {
	token = time.Now().Format(time.RFC3339Nano)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`, token)
	return token, c.Patch(ctx, r.object(), client.RawPatch(types.MergePatchType, []byte(patch)))
}

// reconciled asks Flux to look at the object now and waits until it has and the outcome is as the checks want. It asks
// again after a while, as the interval does: a controller's cache may lag behind its own last write.
func (c *cluster) reconciled(t *testing.T, r ref, list ...check) {
	t.Helper()
	if err := c.tryReconciled(t, r, false, list); err != nil {
		t.Fatalf("%s: %v", r, err)
	}
}

// reconciledUnlessGone is reconciled for an object that may be pruned.
func (c *cluster) reconciledUnlessGone(t *testing.T, r ref, list ...check) {
	t.Helper()
	if err := c.tryReconciled(t, r, true, list); err != nil && !apierrors.IsNotFound(err) {
		t.Fatalf("%s: %v", r, err)
	}
}

// tryReconciled asks until the checks pass. Where the object may go it gives up as soon as it is gone.
func (c *cluster) tryReconciled(t *testing.T, r ref, mayGo bool, list checks) error {
	t.Helper()
	var token string
	err := errors.New("not asked")
	for start := time.Now(); err != nil && time.Since(start) < patience; {
		token, err = c.reconcile(t.Context(), r)
		if mayGo && apierrors.IsNotFound(err) {
			return err
		}
		if err == nil {
			err = poll(patience/6, func() error { return c.handled(t, r, token, list) })
		}
	}
	return err
}

func (c *cluster) handled(t *testing.T, r ref, token string, list checks) error {
	object, err := c.get(t, r)
	if err != nil {
		return err
	}
	if last := text(object, "status", "lastHandledReconcileAt"); last != token {
		return fmt.Errorf("the request of %s has not been handled, the last was of %q: %v", token, last, conditions(object))
	}
	return all(list)(object)
}

func all(list checks) check {
	return func(object *unstructured.Unstructured) error {
		var errs []error
		for _, check := range list {
			errs = append(errs, check(object))
		}
		return errors.Join(errs...)
	}
}

func text(object *unstructured.Unstructured, fields ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, fields...)
	return value
}

// state is what a condition of an object's status says.
type state struct{ status, reason, message string }

func conditions(object *unstructured.Unstructured) map[string]state {
	found := map[string]state{}
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, entry := range list {
		c := &unstructured.Unstructured{Object: entry.(map[string]any)}
		found[text(c, "type")] = state{text(c, "status"), text(c, "reason"), text(c, "message")}
	}
	return found
}

// condition demands the status of a condition.
func condition(name, status string) check {
	return func(object *unstructured.Unstructured) error {
		if got := conditions(object); got[name].status != status {
			return fmt.Errorf("%s is not %s: %+v", name, status, got)
		}
		return nil
	}
}

// ready checks that the object is ready as it is now, not as it was before its last change.
func ready() check {
	return func(object *unstructured.Unstructured) error {
		observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
		if got := conditions(object); got["Ready"].status != "True" || observed != 0 && observed != object.GetGeneration() {
			return fmt.Errorf("not ready: %+v", got)
		}
		return nil
	}
}

// failing checks that the object is not ready, for this reason.
func failing(reason string) check {
	return func(object *unstructured.Unstructured) error {
		if got := conditions(object); got["Ready"].status != "False" || got["Ready"].reason != reason {
			return fmt.Errorf("it does not fail for the reason %s: %+v", reason, got)
		}
		return nil
	}
}

// revision checks that the object's status names this digest.
func revision(digest string, fields ...string) check {
	return func(object *unstructured.Unstructured) error {
		if got := text(object, fields...); !strings.HasSuffix(got, digest) {
			return fmt.Errorf("revision %q is not %s: %+v", got, digest, conditions(object))
		}
		return nil
	}
}

func fetched(digest string) check {
	return revision(digest, "status", "artifact", "revision")
}

func applied(digest string) check {
	return revision(digest, "status", "lastAppliedRevision")
}

// value demands the value of a component's ConfigMap.
func value(want string) check { return data("value", want) }

// data demands an entry of a ConfigMap.
func data(key, want string) check {
	return func(object *unstructured.Unstructured) error {
		if got := text(object, "data", key); got != want {
			return fmt.Errorf("%s is %q, want %q", key, got, want)
		}
		return nil
	}
}
