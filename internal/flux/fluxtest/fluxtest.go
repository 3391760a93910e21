// Package fluxtest checks, without a cluster, whether one would accept a Flux document: it checks objects as a kube-apiserver does on
// create, renders a ResourceSet as flux-operator does, and compiles the CEL expressions that Flux itself reads. The renderer is package
// resourceset, whose tests compare it with the operator. fluxtest applies nothing, so what needs a running controller (readiness, health,
// impersonation) is left to e2e.
package fluxtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Validator knows the kinds that a cluster with Flux and flux-operator knows. Tests may share one and run in parallel.
type Validator struct {
	custom  map[schema.GroupVersionKind]func() (*customResource, error)
	builtin map[schema.GroupVersionKind]builtin
}

// CRDs gives a validator with the CustomResourceDefinitions of the pinned releases of Flux's controllers and of
// flux-operator, which it reads from the Go module cache. It skips the test where they are not to be had, unless
// KEOS_OCI_TEST_ALL says that nothing may be skipped. Reading them takes about a second: share what it returns.
func CRDs(t testing.TB) *Validator {
	t.Helper()
	dirs, err := download(t.Context(), t.TempDir(), releases())
	switch {
	case err == nil:
	case os.Getenv("KEOS_OCI_TEST_ALL") != "" || errors.Is(err, errSum):
		t.Fatalf("Flux's CRDs: %v", err)
	default:
		t.Skipf("needs Flux's CRDs from the Go module cache or proxy: %v", err)
	}
	v := &Validator{custom: map[schema.GroupVersionKind]func() (*customResource, error){}, builtin: builtins()}
	for _, dir := range dirs {
		if err := v.load(dir); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// Object says what a cluster would refuse in obj, which it does not change: fields that the kind lacks, wrong types,
// broken CEL rules, bad names, a missing namespace, CEL expressions that Flux could not compile. No errors mean that the
// object would be stored; a kind that nobody serves is an error.
func (v *Validator) Object(obj map[string]any) []error {
	obj, err := normalized(obj)
	if err != nil {
		return []error{err}
	}
	u := unstructured.Unstructured{Object: obj}
	var errs []error
	for _, err := range v.object(u) {
		errs = append(errs, fmt.Errorf("%s: %w", label(u), err))
	}
	return errs
}

func (v *Validator) object(u unstructured.Unstructured) []error {
	kind := u.GroupVersionKind()
	if isKustomizationFile(kind) {
		return kustomizationFile(u.Object)
	}
	if known, ok := v.builtin[kind]; ok {
		return known.check(u.Object)
	}
	load, ok := v.custom[kind]
	if !ok {
		return []error{fmt.Errorf("the cluster serves no %s", kind)}
	}
	custom, err := load()
	if err != nil {
		return []error{err}
	}
	return slices.Concat(ownerName(u), expressions(u), custom.check(u.Object))
}

// ownerName refuses the long names that Flux could not put in the label by which it knows the objects that it owns.
func ownerName(u unstructured.Unstructured) []error {
	if !slices.Contains([]string{"Kustomization", "HelmRelease", "ResourceSet"}, u.GetKind()) {
		return nil
	}
	var errs []error
	for _, msg := range validation.IsValidLabelValue(u.GetName()) {
		errs = append(errs, fmt.Errorf("metadata.name becomes a label: %s", msg))
	}
	return errs
}

// YAML is Object for every document of a file. A key given twice is an error too.
func (v *Validator) YAML(data []byte) []error {
	objects, err := Documents(data)
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, obj := range objects {
		errs = append(errs, v.Object(obj)...)
	}
	return errs
}

// Documents splits a YAML file into its documents, without the empty ones, and refuses keys that are given twice.
func Documents(data []byte) ([]map[string]any, error) {
	var objects []map[string]any
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		asJSON, err := yaml.YAMLToJSONStrict(doc)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if bytes.Equal(asJSON, []byte("null")) {
			continue
		}
		obj := map[string]any{}
		if err := kjson.Unmarshal(asJSON, &obj); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		objects = append(objects, obj)
	}
}

// normalized copies an object into the types that JSON decoding in a cluster gives, whatever Go types it was made of.
func normalized(obj map[string]any) (map[string]any, error) {
	data, err := kjson.Marshal(obj)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	err = kjson.Unmarshal(data, &out)
	return out, err
}

func label(u unstructured.Unstructured) string {
	if u.GetNamespace() == "" {
		return u.GetKind() + "/" + u.GetName()
	}
	return u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
}

func plain(list field.ErrorList) []error {
	errs := make([]error, 0, len(list))
	for _, err := range list {
		errs = append(errs, err)
	}
	return errs
}
