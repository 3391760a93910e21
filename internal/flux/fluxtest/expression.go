package fluxtest

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	celtypes "github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Expressions compiles the CEL that Flux reads in a ResourceSet (dependsOn), a Kustomization or a HelmRelease (dependsOn
// and health checks), with Flux's own library. Validator.Object does so too.
//
// flux-operator and health checks only parse theirs and see the top-level fields of the other object as variables, so a
// misspelled one is found when a cluster evaluates it; here it must be one that most objects have.
func Expressions(obj map[string]any) []error {
	return expressions(unstructured.Unstructured{Object: obj})
}

func expressions(u unstructured.Unstructured) []error {
	switch u.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: "fluxcd.controlplane.io", Kind: "ResourceSet"}:
		return dependencies(u, operatorExpression)
	case schema.GroupKind{Group: "kustomize.toolkit.fluxcd.io", Kind: "Kustomization"},
		schema.GroupKind{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease"}:
		return append(dependencies(u, controllerExpression), healthChecks(u)...)
	}
	return nil
}

// Ready evaluates a ResourceSet's readyExpr against the object it depends on, as flux-operator does.
func Ready(expr string, dependency map[string]any) (bool, error) {
	e, err := cel.NewExpression(expr)
	if err != nil {
		return false, err
	}
	return e.EvaluateBoolean(context.Background(), dependency)
}

func dependencies(u unstructured.Unstructured, compile func(dep map[string]any, expr string) error) []error {
	list, _, err := unstructured.NestedSlice(u.Object, "spec", "dependsOn")
	if err != nil {
		return []error{err}
	}
	var errs []error
	for i, item := range list {
		dep, _ := item.(map[string]any)
		expr, _ := dep["readyExpr"].(string)
		if expr == "" {
			continue
		}
		if err := compile(dep, expr); err != nil {
			errs = append(errs, fmt.Errorf("spec.dependsOn[%d].readyExpr: %w", i, err))
		}
	}
	return errs
}

// operatorExpression also refuses an expression that nobody would evaluate.
func operatorExpression(dep map[string]any, expr string) error {
	if dep["ready"] != true {
		return fmt.Errorf("%q has no effect without ready: true", expr)
	}
	return topLevel(expr)
}

// controllerExpression is compiled as kustomize-controller and helm-controller do, which know both sides by name.
func controllerExpression(_ map[string]any, expr string) error {
	_, err := cel.NewExpression(expr, cel.WithCompile(), cel.WithOutputType(celtypes.BoolType), cel.WithStructVariables("self", "dep"))
	return err
}

func healthChecks(u unstructured.Unstructured) []error {
	list, _, err := unstructured.NestedSlice(u.Object, "spec", "healthCheckExprs")
	if err != nil {
		return []error{err}
	}
	var errs []error
	for i, item := range list {
		if err := healthCheck(item); err != nil {
			errs = append(errs, fmt.Errorf("spec.healthCheckExprs[%d]: %w", i, err))
		}
	}
	return errs
}

func healthCheck(item any) error {
	fields, _ := item.(map[string]any)
	var check kustomize.CustomHealthCheck
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &check); err != nil {
		return err
	}
	if _, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions); err != nil {
		return err
	}
	for _, expr := range []string{check.Current, check.InProgress, check.Failed} {
		if expr == "" {
			continue
		}
		if err := topLevel(expr); err != nil {
			return err
		}
	}
	return nil
}

// topLevel parses an expression as Flux does, then demands more: names and functions that exist.
func topLevel(expr string) error {
	if _, err := cel.NewExpression(expr); err != nil {
		return err
	}
	_, err := cel.NewExpression(expr, cel.WithCompile(), cel.WithStructVariables("metadata", "spec", "status", "data"))
	return err
}
