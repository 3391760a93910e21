package resourceset

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// TestRender_goldens compares what Render makes of ResourceSets with what the pinned Flux Operator made of them. The operator wrote the
// goldens: make render-goldens writes them again, and make e2e-flux compares them with the operator.
func TestRender_goldens(t *testing.T) {
	const folder = "../../testdata/resourceset"
	goldens, err := filepath.Glob(folder + "/*.golden.yaml")
	if err != nil || len(goldens) < 10 {
		t.Fatalf("%d goldens, %v", len(goldens), err)
	}
	for _, golden := range goldens {
		name := strings.TrimSuffix(filepath.Base(golden), ".golden.yaml")
		t.Run(name, func(t *testing.T) {
			source := filepath.Join(folder, name+".yaml")
			if tenant, ok := strings.CutPrefix(name, "tenants-"); ok {
				source = filepath.Join("../../testdata/flux/golden/tenants", tenant+".yaml")
			}
			documents := readDocuments(t, source)
			got, err := Render(documents[0], staticProviders(documents[1:])...)
			if first, _, _ := strings.Cut(readText(t, golden), "\n"); first == "# refused" {
				if err == nil {
					t.Errorf("the operator refuses this, and Render gives %v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			compareWithOperator(t, got, readDocuments(t, golden))
		})
	}
}

// compareWithOperator takes the labels of the operator's ownership off, which Render does not set.
func compareWithOperator(t *testing.T, got, want []map[string]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d objects, the operator makes %d", len(got), len(want))
	}
	for i := range want {
		u := unstructured.Unstructured{Object: want[i]}
		labels := u.GetLabels()
		if labels["resourceset.fluxcd.controlplane.io/name"] == "" {
			t.Errorf("object %d has no owner: %v", i, want[i])
		}
		delete(labels, "resourceset.fluxcd.controlplane.io/name")
		delete(labels, "resourceset.fluxcd.controlplane.io/namespace")
		if u.SetLabels(labels); len(labels) == 0 {
			unstructured.RemoveNestedField(u.Object, "metadata", "labels")
		}
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("object %d is\n%v\nthe operator makes\n%v", i, got[i], want[i])
		}
	}
}

// staticProviders export their default values and an id made of their name, as the operator's command line has it.
func staticProviders(documents []map[string]any) []Provider {
	var providers []Provider
	for _, doc := range documents {
		u := unstructured.Unstructured{Object: doc}
		values, _, _ := unstructured.NestedMap(doc, "spec", "defaultValues")
		values["id"] = InputID(u.GetName())
		providers = append(providers, Provider{Name: u.GetName(), Labels: u.GetLabels(), Inputs: []map[string]any{values}})
	}
	return providers
}

func readDocuments(t *testing.T, file string) []map[string]any {
	t.Helper()
	var documents []map[string]any
	dec := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(readText(t, file))), 2048)
	for {
		var u unstructured.Unstructured
		switch err := dec.Decode(&u); {
		case errors.Is(err, io.EOF):
			return documents
		case err != nil:
			t.Fatalf("%s: %v", file, err)
		case len(u.Object) > 0:
			documents = append(documents, u.Object)
		}
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
