// Package flux writes the Flux objects with which clusters follow what is published: OCIRepository and Kustomization
// pairs, the ResourceSets of Flux Operator, and all that a new cluster needs.
//
// It promises that a cluster accepts what it writes, and that verification there demands what promote demands here: both
// come from one sign.Policy. It speaks to no cluster and to no registry, and knows neither flags nor streams. Flux
// Operator's own Go types are AGPL-3.0; the small structs here are ours.
package flux

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/substitution"
	"github.com/stratio/keos-oci/internal/tag"
)

// Errors of what was asked for. All mean that nothing was generated.
var (
	ErrName    = errors.New("not a Kubernetes name")
	ErrVariant = errors.New("no such variant")
	ErrInput   = errors.New("invalid input")
)

// Where the objects of Flux itself live, and the ConfigMap with a cluster's settings.
const (
	systemNamespace = "flux-system"
	runtimeInfo     = "flux-runtime-info"
)

// Followed is a component as clusters follow it.
type Followed struct {
	Component    component.Component
	Policies     Policies
	Pin          Pin
	DependsOn    []string // components whose objects must be ready first
	NoSubstitute bool     // leave ${VAR} in its content alone
	Health       []Health // objects that decide whether it is ready, in place of all that it delivers
	YML          bool     // workflows that sign it may end in .yml
	Encrypted    string   // the first file of its content that SOPS encrypted; empty where there is none

	// Of a fleet: its clusters' folders, and what finds the first file in a folder of the checkout that SOPS encrypted.
	Clusters    []string
	EncryptedIn func(folder string) (string, error)

	// Uses are the ${VARIABLES} of the folders that clusters build; "" is all of the content. It is nil where nobody looked.
	Uses map[string]*substitution.Uses

	Versions func(version string) (sign.Policy, error) // the policy of one version; nil where that of any serves
}

// PinTo pins the component as the text says. A version gets a policy of its own, which accepts no other version's signer.
func (f *Followed) PinTo(text string) (err error) {
	if f.Pin, err = ParsePin(f.Component, text); err != nil || f.Versions == nil {
		return err
	}
	if _, notVersion := tag.ParseVersion(f.Pin.Tag); notVersion != nil {
		return nil
	}
	f.Policies[f.Pin.Tag], err = f.Versions(f.Pin.Tag)
	return err
}

// Health is an object whose state Flux watches.
type Health struct{ APIVersion, Kind, Namespace, Name string }

// parseHealth reads APIVERSION/KIND/NAMESPACE/NAME, such as apps/v1/Deployment/web/frontend.
func parseHealth(text string) (Health, error) {
	parts := strings.Split(text, "/")
	if n := len(parts); n == 4 || n == 5 {
		h := Health{strings.Join(parts[:n-3], "/"), parts[n-3], parts[n-2], parts[n-1]}
		return h, errors.Join(checkLabel(h.Namespace), checkObjectName(h.Name))
	}
	return Health{}, fmt.Errorf("%w: health check %q: want APIVERSION/KIND/NAMESPACE/NAME, such as apps/v1/Deployment/web/frontend", ErrInput, text)
}

// Access is how clusters reach the registry. Secrets are named as they are in flux-system.
type Access struct {
	Registry       string // HOST/PREFIX that clusters fetch from, where it is not the one published to; may hold ${VAR}
	PullSecret     string // of type kubernetes.io/dockerconfigjson
	ServiceAccount string // whose pull secrets, or whose cloud identity, are used
	Provider       string // generic, aws, azure or gcp
	CertSecret     string // with the registry's certificate authority
	Insecure       bool   // speak HTTP
}

// Providers are the values of Access.Provider.
func Providers() []string { return []string{"generic", "aws", "azure", "gcp"} }

// validate checks what would be refused by the API server, or would be wrong without notice.
func (a Access) validate() error {
	if a.Provider != "" && !slices.Contains(Providers(), a.Provider) {
		return fmt.Errorf("%w: provider %q is none of %s", ErrInput, a.Provider, strings.Join(Providers(), ", "))
	}
	for _, secret := range []string{a.PullSecret, a.CertSecret, a.ServiceAccount} {
		if err := checkObjectName(secret); secret != "" && err != nil {
			return err
		}
	}
	if strings.Contains(a.Registry, "://") || strings.HasSuffix(a.Registry, "/") {
		return fmt.Errorf("%w: registry %q: want HOST/PREFIX, without oci:// and without a slash at the end", ErrInput, a.Registry)
	}
	return nil
}

// cloud reports whether a cloud's own identity logs in, and no Secret.
func (a Access) cloud() bool { return a.Provider != "" && a.Provider != "generic" }

// repository is where clusters find a component, HOST/PATH.
func (a Access) repository(c component.Component) string {
	if a.Registry == "" {
		return c.Repository.String()
	}
	if c.Kind == component.Fleet {
		return a.Registry
	}
	return a.Registry + "/" + c.Name
}

var (
	label     = regexp.MustCompile(`\A[a-z0-9]([-a-z0-9]*[a-z0-9])?\z`)
	subdomain = regexp.MustCompile(`\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\z`)
)

// checkLabel demands a DNS-1123 label, as namespaces are: RFC 1123 as Kubernetes reads it.
func checkLabel(name string) error {
	if len(name) > 63 || !label.MatchString(name) {
		return fmt.Errorf("%w: %q: want at most 63 lower case letters, digits and dashes, with a letter or digit at both ends", ErrName, name)
	}
	return nil
}

// checkObjectName demands a DNS-1123 subdomain, as most objects are named.
func checkObjectName(name string) error {
	if len(name) > 253 || !subdomain.MatchString(name) {
		return fmt.Errorf("%w: %q: want lower case letters, digits, dashes and dots, with a letter or digit at both ends", ErrName, name)
	}
	return nil
}

// checkComponent checks that a component can be named in a cluster.
func checkComponent(c component.Component) error {
	if err := checkLabel(c.Name); err != nil {
		return fmt.Errorf("component %s: %w; give it another name in %s", c.Name, err, component.ConfigFile)
	}
	for _, phase := range phasesOf(c) { // the name of a Kustomization becomes a label of what it applies
		if err := checkLabel(phaseName(c.Name, phase)); err != nil {
			return fmt.Errorf("component %s, whose Kustomization is named %s: %w", c.Name, phaseName(c.Name, phase), err)
		}
	}
	return nil
}

// variable is a value that a cluster's settings hold, such as ${ENVIRONMENT}, not a literal one.
func variable(value string) bool { return strings.Contains(value, "${") }

// phasePath is the folder that a cluster of an environment builds for a phase of c, "" for all of it, as Flux wants it.
func phasePath(c component.Component, phase, environment string) (string, error) {
	if variable(environment) {
		inner, err := variantPattern(c, phase, environment)
		if err != nil {
			inner = environment // whether the cluster finds it is not known here
		}
		return strings.TrimSuffix("./"+path.Join(phase, inner), "/."), nil
	}
	var fit []string
	for _, v := range c.Variants {
		switch inner, ok := below(phase, v); {
		case !ok:
		case inner == environment:
			return "./" + v, nil
		case inner == "." || slices.Contains(strings.Split(inner, "/"), environment):
			fit = append(fit, v)
		}
	}
	if len(fit) != 1 {
		return "", noVariant(c, phase, environment, fit)
	}
	return strings.TrimSuffix("./"+fit[0], "/."), nil
}

// below is a variant as seen from the folder of a phase, "." for that folder itself.
func below(phase, variant string) (string, bool) {
	if phase == "" {
		return variant, true
	}
	if variant == phase {
		return ".", true
	}
	return strings.CutPrefix(variant, phase+"/")
}

func noVariant(c component.Component, phase, environment string, fit []string) error {
	what := environment
	if phase != "" {
		what = phase + "/" + environment
	}
	switch {
	case len(fit) > 1:
		return fmt.Errorf("%w: component %s: %s could be %s; name one with --environment", ErrVariant, c.Name, what, strings.Join(fit, " or "))
	case len(c.Variants) == 0:
		return fmt.Errorf("%w: component %s has no %s, nor any folder that a cluster could build", ErrVariant, c.Name, what)
	}
	return fmt.Errorf("%w: component %s has no %s, which is what the cluster selects: it has %s", ErrVariant, c.Name, what,
		strings.Join(c.Variants, ", "))
}

// selects checks that a cluster of an environment finds what it would build of each component.
func selects(follow []Followed, environment string) error {
	var faults []error
	for _, f := range follow {
		for _, phase := range phasesOf(f.Component) {
			if _, err := phasePath(f.Component, phase, environment); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return errors.Join(faults...)
}

// phasesOf lists the phases of c, a single "" for a component without any.
func phasesOf(c component.Component) []string {
	if len(c.Phases) == 0 {
		return []string{""}
	}
	return c.Phases
}

// Policies says whose signature an artifact of one component needs, by the channel that names it.
type Policies map[string]sign.Policy

// AnyVersion is the key of the policy for versions that a cluster is pinned to; no tag can be called so.
const AnyVersion = "v*"

// of is the policy of a channel, or of a pinned version.
func (p Policies) of(channel string) (sign.Policy, error) {
	if policy, ok := p[channel]; ok {
		return policy, nil
	}
	if policy, ok := p[AnyVersion]; ok {
		return policy, nil
	}
	return sign.Policy{}, fmt.Errorf("%w: nothing says whose signature is expected of versions: no channel follows them", ErrInput)
}
