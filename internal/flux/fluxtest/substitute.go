package fluxtest

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/provider"

	"github.com/stratio/keos-oci/internal/resourceset"
)

// Substitute does what kustomize-controller does to an object with post-build variables: it writes the object as YAML,
// without the quotes of its source, replaces ${VAR}, and parses the outcome. A variable that is missing and has no default
// is an error; without any variables nothing is replaced.
func Substitute(obj map[string]any, vars map[string]string) (map[string]any, error) {
	obj, err := normalized(obj)
	if err != nil {
		return nil, err
	}
	res, err := provider.NewDefaultDepProvider().GetResourceFactory().FromMap(obj)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for name, value := range vars {
		values[name] = value
	}
	kustomization := unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"postBuild": map[string]any{"substitute": values}}}}
	out, err := fluxkustomize.SubstituteVariables(context.Background(), nil, kustomization, res,
		fluxkustomize.SubstituteWithDryRun(true), fluxkustomize.SubstituteWithStrict(true))
	if err != nil || out == nil { // nil where the object opts out
		return obj, err
	}
	data, err := out.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var parsed map[string]any
	err = kjson.Unmarshal(data, &parsed)
	return parsed, err
}

// Awkward are values that a variable may well have and that YAML reads as something else than the text they are, or that
// mean something to a regular expression.
func Awkward() []string {
	return []string{"true", "no", "null", "1", "1.10", "1e3", "0x10", "007", "2026-01-31", "12:30:45", "v1.2.3", "refs/tags/.*", "~", "<<"}
}

// Substitutions says what a cluster would refuse in obj, or in the objects rendered from it, when one variable that obj
// refers to takes one of the values, and the others have those of vars.
func (v *Validator) Substitutions(obj map[string]any, vars map[string]string, values []string, providers ...Provider) []error {
	names, err := references(obj)
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, name := range names {
		for _, value := range values {
			tried := maps.Clone(vars)
			if tried == nil {
				tried = map[string]string{}
			}
			tried[name] = value
			for _, err := range v.substituted(obj, tried, providers) {
				errs = append(errs, fmt.Errorf("%s=%q: %w", name, value, err))
			}
		}
	}
	return errs
}

func (v *Validator) substituted(obj map[string]any, vars map[string]string, providers []Provider) []error {
	out, err := Substitute(obj, vars)
	if err != nil {
		return []error{err}
	}
	errs := v.Object(out)
	if out["kind"] != "ResourceSet" || len(errs) > 0 {
		return errs
	}
	objects, err := Render(obj, vars, providers...)
	if err != nil {
		return []error{err}
	}
	for _, obj := range objects {
		errs = append(errs, v.Object(obj)...)
	}
	return errs
}

// Provider is a ResourceSetInputProvider in the namespace of the ResourceSet, and the inputs it exports.
type Provider = resourceset.Provider

// Render gives the objects that flux-operator makes of a ResourceSet which a Flux Kustomization applied with vars as its post-build
// variables. Each is still to be shown to Validator.Object.
func Render(set map[string]any, vars map[string]string, providers ...Provider) ([]map[string]any, error) {
	set, err := Substitute(set, vars)
	if err != nil {
		return nil, err
	}
	return resourceset.Render(set, providers...)
}

// OCIArtifactTag is the input that a ResourceSetInputProvider of that type exports for a tag, where it has no default
// values to add.
func OCIArtifactTag(tag, digest string) map[string]any {
	return map[string]any{"id": resourceset.InputID(tag), "tag": tag, "digest": digest}
}

// references are the variables of an object, sorted.
func references(obj map[string]any) ([]string, error) {
	data, err := kjson.Marshal(obj)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, match := range regexp.MustCompile(`\$\{([_a-zA-Z][_a-zA-Z0-9]*)`).FindAllSubmatch(data, -1) {
		names[string(match[1])] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}
