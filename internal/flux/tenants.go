package flux

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
)

// Signer says how the ResourceSet knows whose signature is expected.
type Signer string

// The ways to know the signer.
const (
	SignerAuto      Signer = ""          // SignerCluster where the policies are those of GitHub's workflows, else SignerComponent
	SignerCluster   Signer = "cluster"   // each cluster's settings name one workflow and one pattern of Git refs for all components, as in D2
	SignerComponent Signer = "component" // the inputs hold the policy of each component for each channel
)

// Tenants describes a ResourceSet that delivers the components of one kind, in the shape of the D2 reference architecture.
type Tenants struct {
	Kind        component.Kind // Infra or App
	Components  []Followed
	Environment string   // what selects the variant; ${ENVIRONMENT} of the cluster's settings where empty
	DependsOn   []string // what must be ready before: resourceset/NAME or kustomization/NAMESPACE/NAME
	Interval    string
	Access      Access
	Trust       TrustSecrets
	Signer      Signer
	ClusterPins bool   // a cluster's settings may pin components
	Decryption  string // Secret with the key of files that SOPS encrypted
	alone       bool   // the input is for a file whose resources may need keys in which components differ
	Folder      string // of the fleet, in which the file is; tenants where empty
	Providers   bool   // inputs come from a ResourceSetInputProvider for each component, which resolves the tag
}

// Name is the ResourceSet's, and the name of the objects that it makes for each tenant.
func (t Tenants) Name() string {
	if t.Kind == component.Infra {
		return "infra"
	}
	return "apps"
}

// File returns tenants/<name>.yaml.
func (t Tenants) File() (fileset.File, error) {
	plan, err := t.plan()
	if err != nil {
		return fileset.File{}, err
	}
	for _, f := range t.Components {
		if err := demandKey(f, t.Decryption, systemNamespace); err != nil {
			return fileset.File{}, err
		}
	}
	set := resourceSet{
		object: object{operatorAPI, "ResourceSet", metadata{Name: t.Name(), Namespace: systemNamespace, Annotations: every(t.Interval)}},
		Spec:   resourceSetSpec{DependsOn: plan.waitFor, Resources: plan.resources()},
	}
	var documents []any
	if t.Providers {
		for _, f := range t.Components {
			documents = append(documents, plan.provider(f))
		}
		set.Spec.InputsFrom = []inputSource{{operatorAPI, "ResourceSetInputProvider", selector{plan.labels()}}}
	} else {
		for _, f := range t.Components {
			set.Spec.Inputs = append(set.Spec.Inputs, plan.input(f))
		}
	}
	content, err := encode(append(documents, set)...)
	return fileset.File{Path: tenantsFile(t.Folder, t.Name()), Content: content}, err
}

// Inputs returns the ResourceSet's inputs alone, one for each component in the order given.
func (t Tenants) inputs() ([]fields, error) {
	plan, err := t.plan()
	if err != nil {
		return nil, err
	}
	all := make([]fields, len(t.Components))
	for i, f := range t.Components {
		all[i] = plan.input(f)
	}
	return all, nil
}

// inputList is the list of inputs as YAML.
func (t Tenants) inputList() ([]byte, error) {
	inputs, err := t.inputs()
	if err != nil {
		return nil, err
	}
	return encodeOne(inputs, false)
}

func every(interval string) map[string]string {
	return map[string]string{"fluxcd.controlplane.io/reconcileEvery": cmp.Or(interval, defaultInterval)}
}

// tenantsPlan is what is decided once for all components of a ResourceSet: what they share is in its resources, and what
// differs is in the inputs.
type tenantsPlan struct {
	Tenants
	signing   signing
	waitFor   []waitFor
	addresses bool     // each input has its repository
	paths     bool     // each input has its path
	phases    []string // that any component has, in their order
	mixed     bool     // components differ in their phases
	after     bool     // some component depends on others
	choose    bool     // some component's content is not substituted
	decrypts  bool     // some component's content is encrypted
	plain     bool     // some component's content is not
	pins      bool     // a range or a digest may replace the tag
	quote     bool     // some name would be read as a number or a boolean
}

func (t Tenants) plan() (*tenantsPlan, error) {
	t.Environment = cmp.Or(t.Environment, "${ENVIRONMENT}")
	p := &tenantsPlan{Tenants: t, pins: t.ClusterPins}
	faults := []error{t.validate(), checkDependencies(t.Components)}
	var err error
	if p.waitFor, err = waitForAll(t.DependsOn); err != nil {
		faults = append(faults, err)
	}
	if p.signing, err = t.signing(); err != nil {
		faults = append(faults, err)
	}
	for _, f := range t.Components {
		faults = append(faults, p.consider(f))
	}
	for _, phase := range []string{"controllers", "configs"} {
		if slices.ContainsFunc(t.Components, func(f Followed) bool { return slices.Contains(f.Component.Phases, phase) }) {
			p.phases = append(p.phases, phase)
		}
	}
	return p, errors.Join(faults...)
}

func (t Tenants) validate() error {
	faults := []error{t.Access.validate(), checkTimes(t.Interval), checkTenantsFolder(t.Folder)}
	if t.Kind != component.Infra && t.Kind != component.App {
		faults = append(faults, fmt.Errorf("%w: tenants are of the kinds infra and app, not %s", ErrInput, t.Kind))
	}
	if len(t.Components) == 0 {
		faults = append(faults, fmt.Errorf("%w: no component of the kind %s", ErrInput, t.Kind))
	}
	for _, name := range []string{t.Decryption, t.Trust.Key, t.Trust.Root} {
		if name != "" {
			faults = append(faults, checkObjectName(name))
		}
	}
	seen := map[string]bool{}
	for _, f := range t.Components {
		if seen[f.Component.Name] {
			faults = append(faults, fmt.Errorf("%w: two components are named %s, and a tenant's name is its namespace", ErrInput, f.Component.Name))
		}
		seen[f.Component.Name] = true
	}
	if !variable(t.Environment) && !isText(t.Environment) {
		faults = append(faults, notText("environment", t.Environment))
	}
	return errors.Join(faults...)
}

func notText(what, value string) error {
	return fmt.Errorf("%w: %s %q: YAML does not read it as a text, and what replaces a ${VARIABLE} has no quotes", ErrInput, what, value)
}

// consider notes how a component differs from the others.
func (p *tenantsPlan) consider(f Followed) error {
	c := f.Component
	if err := checkComponent(c); err != nil {
		return err
	}
	if !variable(p.Environment) {
		if err := selects([]Followed{f}, p.Environment); err != nil {
			return err
		}
	}
	p.addresses = p.addresses || p.Access.repository(c) != p.prefix()+"/"+c.Name
	p.after = p.after || len(f.DependsOn) > 0
	p.choose = p.choose || f.NoSubstitute
	p.decrypts = p.decrypts || f.Encrypted != ""
	p.plain = p.plain || f.Encrypted == ""
	p.pins = p.pins || f.Pin.Semver+f.Pin.Digest != ""
	p.quote = p.quote || !isText(c.Name)
	p.mixed = p.mixed || !slices.Equal(c.Phases, p.Components[0].Component.Phases)
	if p.Providers && f.Pin.Digest != "" {
		return fmt.Errorf("%w: %s is pinned to a digest, which a ResourceSetInputProvider cannot find", ErrInput, c.Name)
	}
	return p.considerPath(f)
}

func (p *tenantsPlan) considerPath(f Followed) error {
	pattern, err := pathPattern(f.Component, p.Environment)
	if err != nil {
		return err
	}
	p.paths = p.paths || pattern != p.Environment
	if p.paths && len(f.Component.Phases) > 0 {
		return fmt.Errorf("%w: component %s has phases, whose environments must be folders right below them: it has %s", ErrVariant,
			f.Component.Name, strings.Join(f.Component.Variants, ", "))
	}
	return nil
}

// pathPattern is the folder that clusters build, within a phase where there are phases, with environment in the place of
// what differs between variants.
func pathPattern(c component.Component, environment string) (string, error) {
	phase := phasesOf(c)[0]
	if !variable(environment) {
		folder, err := phasePath(c, phase, environment)
		inner, _ := below(phase, cmp.Or(strings.TrimPrefix(strings.TrimPrefix(folder, "."), "/"), "."))
		return inner, err
	}
	return variantPattern(c, phase, environment)
}

// variantPattern is what the variants of a phase have in common, with environment in the place of what differs.
func variantPattern(c component.Component, phase, environment string) (string, error) {
	var pattern []string
	chosen := -1 // which step the environment is
	for _, v := range c.Variants {
		inner, ok := below(phase, v)
		if !ok {
			continue
		}
		steps := strings.Split(inner, "/")
		if pattern == nil {
			pattern = steps
		}
		if len(steps) != len(pattern) {
			return "", noPattern(c)
		}
		for i := range steps {
			if steps[i] != pattern[i] && chosen >= 0 && chosen != i {
				return "", noPattern(c)
			}
			if steps[i] != pattern[i] {
				chosen = i
			}
		}
	}
	switch {
	case len(pattern) == 0:
		return "", noPattern(c)
	case len(pattern) == 1 && pattern[0] == ".":
		return ".", nil
	case len(pattern) == 1: // the only folder is one of an environment
		chosen = 0
	case chosen < 0 && len(pattern) > 1 && pattern[len(pattern)-1] == path.Base(c.Dir): // <environment>/<app>
		chosen = len(pattern) - 2
	case chosen < 0:
		return "", noPattern(c)
	}
	pattern[chosen] = environment
	return strings.Join(pattern, "/"), nil
}

func noPattern(c component.Component) error {
	return fmt.Errorf("%w: component %s: cannot tell which part of its variants (%s) a cluster's environment selects: name one with --environment",
		ErrVariant, c.Name, cmp.Or(strings.Join(c.Variants, ", "), "it has none"))
}

// prefix is what the repositories of most components start with.
func (p *tenantsPlan) prefix() string {
	first := p.Components[0].Component
	return strings.TrimSuffix(p.Access.repository(first), "/"+first.Name)
}

// waitForAll reads what must be ready first.
func waitForAll(texts []string) ([]waitFor, error) {
	var all []waitFor
	var faults []error
	for _, text := range texts {
		w, err := parseWaitFor(text)
		if err != nil {
			faults = append(faults, err)
		}
		all = append(all, w)
	}
	return all, errors.Join(faults...)
}

// parseWaitFor reads resourceset/NAME or kustomization/NAMESPACE/NAME. A ResourceSet is ready by its condition, and a
// Kustomization once it was applied for the first time: later faults of it are no reason to hold others back.
func parseWaitFor(text string) (waitFor, error) {
	parts := strings.Split(text, "/")
	var w waitFor
	switch {
	case parts[0] == "resourceset" && len(parts) == 2:
		w = waitFor{operatorAPI, "ResourceSet", parts[1], systemNamespace, true,
			"status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')"}
	case parts[0] == "kustomization" && len(parts) == 3:
		w = waitFor{kustomizeAPI, "Kustomization", parts[2], parts[1], true, "status.observedGeneration >= 0"}
	default:
		return w, fmt.Errorf("%w: dependency %q: want resourceset/NAME or kustomization/NAMESPACE/NAME", ErrInput, text)
	}
	return w, errors.Join(checkObjectName(w.Name), checkLabel(w.Namespace))
}
