package fluxtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// customResource is one served version of a CRD.
type customResource struct {
	schema     *structural.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
	namespaced bool
	status     bool // a subresource, which create drops
}

// load adds the CRDs of a module.
func (v *Validator) load(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no CRDs", filepath.Base(dir))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := v.add(data); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

// add makes the versions of a CRD known. Their rules are compiled when first needed: most tests need few kinds.
func (v *Validator) add(data []byte) error {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &crd); err != nil {
		return err
	}
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		kind := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
		v.custom[kind] = sync.OnceValues(func() (*customResource, error) {
			return newCustomResource(version, crd.Spec.Scope == apiextensionsv1.NamespaceScoped)
		})
	}
	return nil
}

func newCustomResource(version apiextensionsv1.CustomResourceDefinitionVersion, namespaced bool) (*customResource, error) {
	var in apiextensions.CustomResourceValidation
	err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &in, nil)
	if err != nil {
		return nil, err
	}
	c := &customResource{namespaced: namespaced, status: version.Subresources != nil && version.Subresources.Status != nil}
	if c.schema, err = structural.NewStructural(in.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	if c.validator, _, err = validation.NewSchemaValidator(in.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	c.rules = cel.NewValidator(c.schema, true, celconfig.PerCallLimit)
	return c, nil
}

// check does what a kube-apiserver does with a new object, in its order: decode, default, validate, run the rules.
func (c *customResource) check(obj map[string]any) []error {
	errs := c.decode(obj)
	if len(errs) > 0 {
		return plain(errs)
	}
	defaulting.Default(obj, c.schema)
	if c.status {
		delete(obj, "status")
	}
	errs = append(errs, c.metadata(obj)...)
	errs = append(errs, validation.ValidateCustomResource(nil, obj, c.validator)...)
	errs = append(errs, objectmeta.Validate(context.Background(), nil, obj, c.schema, false)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.schema, obj)...)
	if len(errs) == 0 { // rules expect an object of the right shape
		errs, _ = c.rules.Validate(context.Background(), nil, c.schema, obj, nil, celconfig.RuntimeCELCostBudget)
	}
	return plain(errs)
}

// decode finds the fields that the schema does not have, and drops the nulls that it does not allow.
func (c *customResource) decode(obj map[string]any) field.ErrorList {
	_, _, unknown, err := objectmeta.GetObjectMetaWithOptions(obj, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("metadata"), "", err.Error())}
	}
	unknown = append(unknown, pruning.PruneWithOptions(obj, c.schema, true,
		structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, c.schema)
	var errs field.ErrorList
	for _, path := range unknown {
		errs = append(errs, field.Invalid(field.NewPath(path), field.OmitValueType{}, "unknown field"))
	}
	return errs
}

func (c *customResource) metadata(obj map[string]any) field.ErrorList {
	meta, _, err := objectmeta.GetObjectMeta(obj, false)
	if err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("metadata"), "", err.Error())}
	}
	return apivalidation.ValidateObjectMeta(meta, c.namespaced, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
}
