package fluxtest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	sigsjson "sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/types"
)

// copyFrom names the ConfigMap or Secret whose data flux-operator copies into the annotated one before it applies it.
const copyFrom = "fluxcd.controlplane.io/copyFrom"

// builtin is a kind of Kubernetes itself. Its validation lives in k8s.io/kubernetes, which cannot be imported: name and
// metadata rules are the originals from apimachinery, the rest covers what a generator can get wrong.
type builtin struct {
	check func(obj map[string]any) []error
}

// object is a built-in type T with metadata.
type object[T any] interface {
	*T
	metav1.Object
}

// kind decodes strictly into T, then checks metadata, then what is particular to the kind.
func kind[T any, P object[T]](namespaced bool, name apivalidation.ValidateNameFunc, rest ...func(P) []error) builtin {
	return builtin{func(obj map[string]any) []error {
		typed := P(new(T))
		if errs := strict(obj, typed); len(errs) > 0 {
			return errs
		}
		errs := plain(apivalidation.ValidateObjectMetaAccessor(typed, namespaced, name, field.NewPath("metadata")))
		for _, check := range rest {
			errs = append(errs, check(typed)...)
		}
		return errs
	}}
}

func builtins() map[schema.GroupVersionKind]builtin {
	subdomain, segment := apivalidation.NameIsDNSSubdomain, pathSegment
	core, rbac, admission := corev1.SchemeGroupVersion, rbacv1.SchemeGroupVersion, admissionv1.SchemeGroupVersion
	return map[schema.GroupVersionKind]builtin{
		core.WithKind("Namespace"):                                              kind[corev1.Namespace](false, apivalidation.NameIsDNSLabel),
		core.WithKind("ConfigMap"):                                              kind(true, subdomain, configMap),
		core.WithKind("Secret"):                                                 kind(true, subdomain, secret),
		core.WithKind("ServiceAccount"):                                         kind[corev1.ServiceAccount](true, subdomain),
		rbac.WithKind("Role"):                                                   kind(true, segment, role),
		rbac.WithKind("ClusterRole"):                                            kind(false, segment, clusterRole),
		rbac.WithKind("RoleBinding"):                                            kind(true, segment, roleBinding),
		rbac.WithKind("ClusterRoleBinding"):                                     kind(false, segment, clusterRoleBinding),
		admission.WithKind("ValidatingAdmissionPolicy"):                         kind(false, subdomain, policy),
		admission.WithKind("ValidatingAdmissionPolicyBinding"):                  kind(false, subdomain, policyBinding),
		apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"): kind[apiextensionsv1.CustomResourceDefinition](false, subdomain),
	}
}

// pathSegment is the rule for names of RBAC kinds, which may hold colons.
func pathSegment(name string, _ bool) []string {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/%") {
		return []string{fmt.Sprintf("%q cannot be in a path", name)}
	}
	return nil
}

// strict decodes obj into a Go type and reports fields that the type does not have.
func strict(obj map[string]any, into any) []error {
	data, err := kjson.Marshal(obj)
	if err != nil {
		return []error{err}
	}
	errs, err := sigsjson.UnmarshalStrict(data, into)
	if err != nil {
		errs = append(errs, err)
	}
	return errs
}

func configMap(cm *corev1.ConfigMap) []error {
	errs := copied(cm)
	for key := range cm.Data {
		errs = append(errs, dataKey(key)...)
		if _, twice := cm.BinaryData[key]; twice {
			errs = append(errs, fmt.Errorf("data and binaryData both hold %q", key))
		}
	}
	for key := range cm.BinaryData {
		errs = append(errs, dataKey(key)...)
	}
	return errs
}

func secret(s *corev1.Secret) []error {
	errs := copied(s)
	for key := range s.Data {
		errs = append(errs, dataKey(key)...)
	}
	for key := range s.StringData {
		errs = append(errs, dataKey(key)...)
	}
	if _, later := s.Annotations[copyFrom]; later {
		return errs
	}
	if s.Type == corev1.SecretTypeDockerConfigJson && s.StringData[corev1.DockerConfigJsonKey] == "" &&
		len(s.Data[corev1.DockerConfigJsonKey]) == 0 {
		errs = append(errs, fmt.Errorf("type %s needs the key %s", s.Type, corev1.DockerConfigJsonKey))
	}
	return errs
}

func dataKey(key string) []error {
	var errs []error
	for _, msg := range validation.IsConfigMapKey(key) {
		errs = append(errs, fmt.Errorf("data key %q: %s", key, msg))
	}
	return errs
}

// copied checks the annotation that flux-operator stalls on when it is not a namespace and a name.
func copied(obj metav1.Object) []error {
	from, ok := obj.GetAnnotations()[copyFrom]
	if ok && !regexp.MustCompile(`^[a-z0-9-]+/[a-z0-9.-]+$`).MatchString(from) {
		return []error{fmt.Errorf("annotation %s: %q is not namespace/name", copyFrom, from)}
	}
	return nil
}

func role(r *rbacv1.Role) []error { return rules(r.Rules, true) }

func clusterRole(r *rbacv1.ClusterRole) []error { return rules(r.Rules, false) }

func rules(list []rbacv1.PolicyRule, namespaced bool) []error {
	var errs []error
	for i, rule := range list {
		switch {
		case len(rule.Verbs) == 0:
			errs = append(errs, fmt.Errorf("rules[%d]: verbs are required", i))
		case len(rule.NonResourceURLs) > 0 && (namespaced || len(rule.Resources)+len(rule.APIGroups)+len(rule.ResourceNames) > 0):
			errs = append(errs, fmt.Errorf("rules[%d]: nonResourceURLs stand alone, and in a ClusterRole only", i))
		case len(rule.NonResourceURLs) == 0 && (len(rule.APIGroups) == 0 || len(rule.Resources) == 0):
			errs = append(errs, fmt.Errorf("rules[%d]: apiGroups and resources are required", i))
		}
	}
	return errs
}

func roleBinding(b *rbacv1.RoleBinding) []error {
	return binding(b.RoleRef, b.Subjects, "Role", "ClusterRole")
}

func clusterRoleBinding(b *rbacv1.ClusterRoleBinding) []error {
	return binding(b.RoleRef, b.Subjects, "ClusterRole")
}

func binding(ref rbacv1.RoleRef, subjects []rbacv1.Subject, kinds ...string) []error {
	var errs []error
	if ref.APIGroup != rbacv1.GroupName || !slices.Contains(kinds, ref.Kind) || len(pathSegment(ref.Name, false)) > 0 {
		errs = append(errs, fmt.Errorf("roleRef: %s %s %q is none of %v in %s", ref.APIGroup, ref.Kind, ref.Name, kinds, rbacv1.GroupName))
	}
	for i, s := range subjects {
		if err := subject(s); err != nil {
			errs = append(errs, fmt.Errorf("subjects[%d]: %w", i, err))
		}
	}
	return errs
}

func subject(s rbacv1.Subject) error {
	switch {
	case s.Name == "":
		return errors.New("name is required")
	case s.Kind == rbacv1.ServiceAccountKind && (s.Namespace == "" || s.APIGroup != "" ||
		len(apivalidation.ValidateServiceAccountName(s.Name, false)) > 0):
		return fmt.Errorf("service account %q needs a valid name, a namespace and no apiGroup", s.Name)
	case s.Kind == rbacv1.ServiceAccountKind:
		return nil
	case s.Kind != rbacv1.UserKind && s.Kind != rbacv1.GroupKind:
		return fmt.Errorf("kind %q is no subject", s.Kind)
	case s.APIGroup != rbacv1.GroupName || s.Namespace != "":
		return fmt.Errorf("%s %q needs apiGroup %s and no namespace", s.Kind, s.Name, rbacv1.GroupName)
	}
	return nil
}

// isKustomizationFile reports whether kind is kustomize's own file. Flux has a kind of the same name; kustomize's never gets to a cluster.
func isKustomizationFile(kind schema.GroupVersionKind) bool {
	return kind.Group == "kustomize.config.k8s.io" || kind.Empty()
}

// kustomizationFile reads a kustomization.yaml as kustomize does. A document without a kind can be nothing else.
func kustomizationFile(obj map[string]any) []error {
	data, err := kjson.Marshal(obj)
	if err != nil {
		return []error{err}
	}
	var k types.Kustomization
	if err := k.Unmarshal(data); err != nil {
		return []error{err}
	}
	k.FixKustomization()
	var errs []error
	for _, msg := range k.EnforceFields() {
		errs = append(errs, errors.New(msg))
	}
	return errs
}
