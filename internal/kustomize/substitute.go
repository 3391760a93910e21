package kustomize

import (
	"context"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/resmap"
)

// Substitute replaces the ${VARIABLES} of what was built by their values, as Flux's postBuild does.
func Substitute(ctx context.Context, built resmap.ResMap, values map[string]string) error {
	inline := make(map[string]any, len(values))
	for k, v := range values {
		inline[k] = v
	}
	object := unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"postBuild": map[string]any{"substitute": inline}}}}
	for _, r := range built.Resources() {
		replaced, err := fluxkustomize.SubstituteVariables(ctx, nil, object, r, fluxkustomize.SubstituteWithDryRun(true))
		if err != nil {
			return err
		}
		if replaced == nil {
			continue
		}
		if _, err := built.Replace(replaced); err != nil {
			return err
		}
	}
	return nil
}
