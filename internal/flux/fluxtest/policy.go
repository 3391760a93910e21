package fluxtest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	celtypes "github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// expression is one CEL expression of a policy, for the API server's compiler.
type expression struct {
	where, name, text string
	types             []*celtypes.Type
}

func (e *expression) GetExpression() string         { return e.text }
func (e *expression) GetName() string               { return e.name }
func (e *expression) ReturnTypes() []*celtypes.Type { return e.types }

// policy checks a ValidatingAdmissionPolicy's shape and compiles its expressions as the API server does on create.
func policy(p *admissionv1.ValidatingAdmissionPolicy) []error {
	errs := matchRules(p.Spec.MatchConstraints)
	if len(p.Spec.Validations)+len(p.Spec.AuditAnnotations) == 0 {
		errs = append(errs, errors.New("spec: validations or auditAnnotations are required"))
	}
	if f := p.Spec.FailurePolicy; f != nil && *f != admissionv1.Fail && *f != admissionv1.Ignore {
		errs = append(errs, fmt.Errorf("spec.failurePolicy: %q is neither Fail nor Ignore", *f))
	}
	if k := p.Spec.ParamKind; k != nil && (k.APIVersion == "" || k.Kind == "") {
		errs = append(errs, errors.New("spec.paramKind: apiVersion and kind are required"))
	}
	errs = append(errs, policyNames(p)...)
	return append(errs, compiled(p)...)
}

func policyNames(p *admissionv1.ValidatingAdmissionPolicy) []error {
	var errs []error
	reasons := []metav1.StatusReason{metav1.StatusReasonUnauthorized, metav1.StatusReasonForbidden, metav1.StatusReasonInvalid,
		metav1.StatusReasonRequestEntityTooLarge}
	for i, v := range p.Spec.Validations {
		if v.Reason != nil && !slices.Contains(reasons, *v.Reason) {
			errs = append(errs, fmt.Errorf("spec.validations[%d].reason: %q is none of %v", i, *v.Reason, reasons))
		}
	}
	for i, c := range p.Spec.MatchConditions {
		for _, msg := range validation.IsQualifiedName(c.Name) {
			errs = append(errs, fmt.Errorf("spec.matchConditions[%d].name: %s", i, msg))
		}
	}
	identifier := regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)
	for i, v := range p.Spec.Variables {
		if !identifier.MatchString(v.Name) {
			errs = append(errs, fmt.Errorf("spec.variables[%d].name: %q is no CEL identifier", i, v.Name))
		}
	}
	return errs
}

func matchRules(m *admissionv1.MatchResources) []error {
	if m == nil || len(m.ResourceRules) == 0 {
		return []error{errors.New("spec.matchConstraints.resourceRules is required")}
	}
	var errs []error
	for i, r := range m.ResourceRules {
		if len(r.Operations) == 0 || len(r.APIGroups) == 0 || len(r.APIVersions) == 0 || len(r.Resources) == 0 {
			errs = append(errs, fmt.Errorf("spec.matchConstraints.resourceRules[%d]: operations, apiGroups, apiVersions and resources are required", i))
		}
		for _, op := range r.Operations {
			if !slices.Contains([]admissionv1.OperationType{admissionv1.OperationAll, admissionv1.Create, admissionv1.Update, admissionv1.Delete,
				admissionv1.Connect}, op) {
				errs = append(errs, fmt.Errorf("spec.matchConstraints.resourceRules[%d].operations: %q", i, op))
			}
		}
	}
	return append(errs, selectors(m)...)
}

func selectors(m *admissionv1.MatchResources) []error {
	var errs []error
	for _, s := range []*metav1.LabelSelector{m.NamespaceSelector, m.ObjectSelector} {
		if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// compiled gives what the API server's compiler says. Variables come first and in order: each sees those before it.
func compiled(p *admissionv1.ValidatingAdmissionPolicy) []error {
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return []error{err}
	}
	vars := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true}
	var errs []error
	for i, v := range p.Spec.Variables {
		e := &expression{name: v.Name, text: v.Expression, types: []*celtypes.Type{celtypes.AnyType, celtypes.DynType}}
		if err := compiler.CompileAndStoreVariable(e, vars, environment.NewExpressions).Error; err != nil {
			errs = append(errs, fmt.Errorf("spec.variables[%d]: %s: %w", i, v.Name, err))
		}
	}
	for _, e := range expressionsOf(p) {
		vars.HasAuthorizer = e.name != "message"
		for _, err := range compiler.CompileCondition([]cel.ExpressionAccessor{e}, vars, environment.NewExpressions).CompilationErrors() {
			errs = append(errs, fmt.Errorf("%s: %w", e.where, err))
		}
	}
	return errs
}

func expressionsOf(p *admissionv1.ValidatingAdmissionPolicy) []*expression {
	yes, text := []*celtypes.Type{celtypes.BoolType}, []*celtypes.Type{celtypes.StringType}
	var list []*expression
	for i, c := range p.Spec.MatchConditions {
		list = append(list, &expression{where: fmt.Sprintf("spec.matchConditions[%d]", i), text: c.Expression, types: yes})
	}
	for i, v := range p.Spec.Validations {
		list = append(list, &expression{where: fmt.Sprintf("spec.validations[%d]", i), text: v.Expression, types: yes})
		if v.MessageExpression != "" {
			list = append(list, &expression{where: fmt.Sprintf("spec.validations[%d].messageExpression", i), name: "message",
				text: v.MessageExpression, types: text})
		}
	}
	for i, a := range p.Spec.AuditAnnotations {
		list = append(list, &expression{where: fmt.Sprintf("spec.auditAnnotations[%d]", i), text: a.ValueExpression,
			types: append(text, celtypes.NullType)})
	}
	return list
}

// policyBinding checks what the API server demands of a ValidatingAdmissionPolicyBinding.
func policyBinding(b *admissionv1.ValidatingAdmissionPolicyBinding) []error {
	var errs []error
	if b.Spec.PolicyName == "" {
		errs = append(errs, errors.New("spec.policyName is required"))
	}
	actions := b.Spec.ValidationActions
	both := slices.Contains(actions, admissionv1.Deny) && slices.Contains(actions, admissionv1.Warn)
	if len(actions) == 0 || both || slices.ContainsFunc(actions, unknownAction) {
		errs = append(errs, fmt.Errorf("spec.validationActions: %q: want Deny or Warn, and Audit", actions))
	}
	if ref := b.Spec.ParamRef; ref != nil && ((ref.Name == "") == (ref.Selector == nil) || ref.ParameterNotFoundAction == nil) {
		errs = append(errs, errors.New("spec.paramRef: needs either name or selector, and parameterNotFoundAction"))
	}
	if m := b.Spec.MatchResources; m != nil {
		errs = append(errs, selectors(m)...)
	}
	return errs
}

func unknownAction(a admissionv1.ValidationAction) bool {
	return a != admissionv1.Deny && a != admissionv1.Warn && a != admissionv1.Audit
}
