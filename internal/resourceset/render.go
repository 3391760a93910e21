// Package resourceset renders a ResourceSet of Flux Operator, to know what a cluster that applies it gets. It asks nobody: inputs that a
// provider fetches are for the caller to give. Flux Operator's own Go code is AGPL-3.0; this one is ours. Goldens that the operator wrote
// show that both do the same.
package resourceset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"text/template"

	sprig "github.com/go-task/slim-sprig/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// resourceSet is what rendering reads of a ResourceSet.
type resourceSet struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		resources
		CommonMetadata struct {
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"commonMetadata"`
		InputStrategy struct {
			Name                  string `json:"name"`
			IncludeEmptyProviders bool   `json:"includeEmptyProviders"`
		} `json:"inputStrategy"`
		Inputs     []map[string]any `json:"inputs"`
		InputsFrom []inputSource    `json:"inputsFrom"`
		Steps      []struct {
			resources
			Name string `json:"name"`
		} `json:"steps"`
	} `json:"spec"`
}

type resources struct {
	Resources         []json.RawMessage `json:"resources"`
	ResourcesTemplate string            `json:"resourcesTemplate"`
}

// Render gives the objects that flux-operator makes of a ResourceSet, nil where it makes none. They are in the operator's order: by
// resource, then by input set. The data that copyFrom brings is not in them.
func Render(set map[string]any, providers ...Provider) ([]map[string]any, error) {
	data, err := kjson.Marshal(set)
	if err != nil {
		return nil, err
	}
	var rs resourceSet
	if err := kjson.Unmarshal(data, &rs); err != nil {
		return nil, err
	}
	inputs, err := rs.inputs(providers)
	if err != nil {
		return nil, err
	}
	if len(rs.Spec.InputsFrom) > 0 && len(inputs) == 0 {
		return nil, nil // providers that export nothing take everything away
	}
	return rs.render(inputs)
}

func (rs *resourceSet) render(inputs []map[string]any) ([]map[string]any, error) {
	steps := rs.Spec.Steps
	if len(steps) == 0 {
		return rs.step(rs.Spec.resources, inputs)
	}
	var all []map[string]any
	owner := map[string]string{}
	for _, step := range steps {
		objects, err := rs.step(step.resources, inputs)
		if err != nil {
			return nil, fmt.Errorf("step %s: %w", step.Name, err)
		}
		for _, obj := range objects {
			if other, ok := owner[identity(obj)]; ok && other != step.Name {
				return nil, fmt.Errorf("steps %s and %s both make %s", other, step.Name, identity(obj))
			}
			owner[identity(obj)] = step.Name
		}
		all = append(all, objects...)
	}
	return all, nil
}

// step renders structured resources first: an object of the template that one of them also names is dropped.
func (rs *resourceSet) step(r resources, inputs []map[string]any) ([]map[string]any, error) {
	var objects []map[string]any
	certain := 0 // without input sets the operator compares structured resources with nothing
	if len(inputs) == 0 {
		certain, inputs = len(r.Resources), []map[string]any{nil}
	}
	for i, resource := range r.Resources {
		text, err := yaml.JSONToYAML(resource)
		if err != nil {
			return nil, err
		}
		for _, input := range inputs {
			made, err := executed(string(text), input)
			if err != nil {
				return nil, fmt.Errorf("resources[%d]: %w", i, err)
			}
			if len(made) == 0 {
				return nil, fmt.Errorf("resources[%d]: renders to nothing", i)
			}
			objects = append(objects, made[0]) // as the operator: the first document is the resource
		}
	}
	for _, input := range inputs {
		made, err := executed(r.ResourcesTemplate, input)
		if err != nil {
			return nil, fmt.Errorf("resourcesTemplate: %w", err)
		}
		objects = append(objects, made...)
	}
	return rs.kept(objects, certain), nil
}

// kept drops objects that are switched off and those already there, save for the first few, and adds the common metadata.
func (rs *resourceSet) kept(objects []map[string]any, certain int) []map[string]any {
	seen := map[string]bool{}
	var out []map[string]any
	for i, obj := range objects {
		u := unstructured.Unstructured{Object: obj}
		off := u.GetAnnotations()["fluxcd.controlplane.io/reconcile"] == "disabled"
		if i >= certain && (off || seen[identity(obj)]) {
			continue
		}
		seen[identity(obj)] = true
		if common := rs.Spec.CommonMetadata; len(common.Labels)+len(common.Annotations) > 0 {
			u.SetLabels(merged(u.GetLabels(), common.Labels))
			u.SetAnnotations(merged(u.GetAnnotations(), common.Annotations))
		}
		out = append(out, obj)
	}
	return out
}

func merged(own, common map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, own)
	maps.Copy(all, common)
	return all
}

func identity(obj map[string]any) string {
	u := unstructured.Unstructured{Object: obj}
	return strings.Join([]string{u.GroupVersionKind().Group, u.GetKind(), u.GetNamespace(), u.GetName()}, "/")
}

// executed runs a template and reads the objects it wrote. The operator's slugify is left out, and what the index function
// writes for a key that is not there is refused, though the operator would apply it.
func executed(text string, input map[string]any) ([]map[string]any, error) {
	tmpl, err := template.New("resourceset").Delims("<<", ">>").Option("missingkey=error").Funcs(sprig.HermeticTxtFuncMap()).
		Funcs(template.FuncMap{"inputs": func() any { return input }, "toYaml": toYAML, "mustToYaml": mustToYAML}).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, nil); err != nil {
		return nil, err
	}
	objects, err := objectsOf(out.Bytes())
	if err == nil && strings.Contains(out.String(), "<no value>") {
		err = errors.New("a missing value")
	}
	if err != nil {
		return nil, fmt.Errorf("%w in:\n%s", err, out.String())
	}
	return objects, nil
}

func toYAML(v any) string {
	text, _ := mustToYAML(v)
	return text
}

func mustToYAML(v any) (string, error) {
	data, err := yaml.Marshal(v)
	return string(data), err
}

// objectsOf reads multi-document YAML and takes lists apart. A document without a kind is an error, one of kustomize's
// own files is none of the objects.
func objectsOf(data []byte) ([]map[string]any, error) {
	var objects []map[string]any
	dec := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 2048)
	for {
		var u unstructured.Unstructured
		err := dec.Decode(&u)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if u.IsList() {
			err = u.EachListItem(func(item runtime.Object) error {
				objects = append(objects, item.(*unstructured.Unstructured).Object)
				return nil
			})
		} else if len(u.Object) > 0 && !isKustomizationFile(u.GroupVersionKind()) {
			objects = append(objects, u.Object)
		}
		if err != nil {
			return nil, err
		}
	}
}

// isKustomizationFile reports whether a document is kustomize's own file, which may leave out what it is. No cluster ever sees it.
func isKustomizationFile(kind schema.GroupVersionKind) bool {
	return kind.Group == "kustomize.config.k8s.io" || kind.Empty()
}
