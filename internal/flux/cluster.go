package flux

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
)

// Cluster describes all that a new cluster needs in the fleet.
type Cluster struct {
	Name        string // of its folder in clusters/
	DisplayName string // CLUSTER_NAME in its settings; Name where empty
	Environment string
	Channel     string
	Domain      string
	Fleet       Followed
	Components  []Followed // components that it will run, to check that they have the environment, and for pins
	Settings    []Setting
	Pins        []ComponentPin
	Workflow    string // regular expression of the workflow that signs, without its ending; any where empty
	GitRef      string // regular expression of the Git ref it runs on; by the channel where empty
	Access      Access
	Trust       TrustSecrets
	Flux        Distribution
	Decryption  string // Secret with the key of files that SOPS encrypted
	Encrypted   Encrypted

	TenantsFolder string // of the fleet, which the cluster applies; tenants where empty
}

// Encrypted is the first file that SOPS encrypted in what a new cluster builds of the fleet; empty where there is none.
type Encrypted struct {
	Cluster string // of those in clusters/<name>
	Tenants string // of those in the folder of the tenants
}

// Setting is one of a cluster's settings, a ${VARIABLE} to what it delivers.
type Setting struct{ Key, Value string }

// ComponentPin pins one component of one cluster: the component does not follow the cluster's channel.
type ComponentPin struct {
	Component component.Component
	Policies  Policies
	Pin       Pin
}

// Distribution is the Flux that a cluster runs. Empty fields take the values of the D2 reference architecture.
type Distribution struct {
	Version, Registry, Artifact string
	PullSecret                  string // for the images
	Chart                       string // of Flux Operator, oci://…
	ChartSecret                 string
	Components                  []string
	Type, Size                  string
	InternalDomain              string
}

// withDefaults is d with D2's values in its gaps.
func (d Distribution) withDefaults() Distribution {
	d.Version = cmp.Or(d.Version, "2.x")
	d.Registry = cmp.Or(d.Registry, "ghcr.io/fluxcd")
	d.Artifact = cmp.Or(d.Artifact, "oci://ghcr.io/controlplaneio-fluxcd/flux-operator-manifests:latest")
	d.Chart = cmp.Or(d.Chart, "oci://ghcr.io/controlplaneio-fluxcd/charts/flux-operator")
	d.Type, d.Size = cmp.Or(d.Type, "kubernetes"), cmp.Or(d.Size, "medium")
	d.InternalDomain = cmp.Or(d.InternalDomain, "cluster.local")
	if len(d.Components) == 0 {
		d.Components = []string{"source-controller", "source-watcher", "kustomize-controller", "helm-controller", "notification-controller"}
	}
	return d
}

// Files returns the cluster's files, below clusters/<name>.
func (c Cluster) Files() ([]fileset.File, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	settings, err := c.settings()
	if err != nil {
		return nil, err
	}
	c.Flux, c.TenantsFolder = c.Flux.withDefaults(), cmp.Or(c.TenantsFolder, TenantsFolder)
	instance, err := c.instance()
	if err != nil {
		return nil, err
	}
	var files []fileset.File
	for _, f := range []struct {
		name string
		data any
	}{
		{"tenants.yaml", c},
		{"flux-system/flux-instance.yaml", instance},
		{"flux-system/flux-operator.yaml", c.Flux},
		{"flux-system/flux-operator-values.yaml", nil},
		{"flux-system/kustomization.yaml", nil},
		{"flux-system/runtime-info.yaml", struct{ Settings []Setting }{settings}},
	} {
		content, err := fillIn(path.Base(f.name), f.data)
		if err != nil {
			return nil, err
		}
		files = append(files, fileset.File{Path: path.Join("clusters", c.Name, f.name), Content: content})
	}
	return files, nil
}

// Secrets lists what must be in the cluster's flux-system before it can follow the fleet, with the content of each.
func (c Cluster) Secrets() []Setting {
	var all []Setting
	for _, s := range []Setting{
		{c.Access.PullSecret, "the login of the registry, of type kubernetes.io/dockerconfigjson"},
		{c.Access.CertSecret, "the registry's certificate authority, as ca.crt"},
		{c.Trust.Key, "the public key of the signatures, as cosign.pub"},
		{c.Trust.Root, "the trusted root of your Sigstore, as trusted_root.json"},
		{c.key(), "the key with which SOPS decrypts files of the fleet"},
		{c.Flux.PullSecret, "the login for Flux's images, of type kubernetes.io/dockerconfigjson"},
		{c.Flux.ChartSecret, "the login for Flux Operator's chart, of type kubernetes.io/dockerconfigjson"},
	} {
		if s.Key != "" {
			all = append(all, s)
		}
	}
	return all
}

// key is the Secret that files of the fleet are decrypted with, empty where none are encrypted.
func (c Cluster) key() string {
	if c.Encrypted == (Encrypted{}) {
		return ""
	}
	return c.Decryption
}

func (c Cluster) validate() error {
	faults := []error{c.Access.validate(), checkTenantsFolder(c.TenantsFolder)}
	for _, file := range []string{c.Encrypted.Cluster, c.Encrypted.Tenants} {
		faults = append(faults, demandKey(Followed{Component: c.Fleet.Component, Encrypted: file}, c.Decryption, systemNamespace))
	}
	if err := checkLabel(c.Name); err != nil {
		faults = append(faults, fmt.Errorf("cluster: %w", err))
	}
	if c.Environment == "" || path.Base(path.Clean("/"+c.Environment)) != c.Environment {
		faults = append(faults, fmt.Errorf("%w: environment %q: want the name of a folder", ErrInput, c.Environment))
	}
	if c.Domain == "" {
		faults = append(faults, fmt.Errorf("%w: the cluster has no domain", ErrInput))
	}
	if c.Domain != "" && !subdomain.MatchString(c.Domain) {
		faults = append(faults, fmt.Errorf("%w: domain %q: want a DNS name such as prod.example.com", ErrInput, c.Domain))
	}
	if _, err := c.Fleet.Component.Channels.Find(c.Channel); err != nil {
		faults = append(faults, err)
	}
	for _, f := range c.Components {
		if _, err := f.Component.Channels.Find(c.Channel); err != nil {
			faults = append(faults, fmt.Errorf("component %s: %w", f.Component.Name, err))
		}
	}
	for _, name := range []string{c.Decryption, c.Trust.Key, c.Trust.Root, c.Flux.PullSecret, c.Flux.ChartSecret} {
		if name != "" {
			faults = append(faults, checkObjectName(name))
		}
	}
	return errors.Join(append(faults, selects(c.Components, c.Environment))...)
}

// verify is what the cluster demands of the fleet itself, as the text of a patch.
func (c Cluster) verify() (string, error) {
	policy, err := c.Fleet.Policies.of(c.Fleet.Pin.policyKey(c.Channel))
	if err != nil {
		return "", err
	}
	v, err := c.Trust.verify(policy)
	if err != nil {
		return "", err
	}
	text, err := encodeOne(v, true)
	return string(text), err
}

// displayName is how the cluster calls itself.
func (c Cluster) displayName() string { return cmp.Or(c.DisplayName, c.Name) }

// instance is what the template of the FluxInstance is filled with.
type instance struct {
	Cluster
	URL, Ref, Verify string
}

func (c Cluster) instance() (instance, error) {
	if c.Fleet.Pin.Semver != "" {
		return instance{}, fmt.Errorf("%w: the fleet cannot be pinned to a range, only to a version or a digest", ErrInput)
	}
	verify, err := c.verify()
	return instance{c, "oci://" + c.Access.repository(c.Fleet.Component), cmp.Or(c.Fleet.Pin.Tag, c.Fleet.Pin.Digest, c.Channel), verify}, err
}

var variableName = regexp.MustCompile(`\A[_A-Za-z][_A-Za-z0-9]*\z`)

// settings is what the cluster's content may refer to as ${VARIABLES}: those of D2, then pins, then those asked for.
func (c Cluster) settings() ([]Setting, error) {
	ref, err := c.gitRef()
	if err != nil {
		return nil, err
	}
	workflow, err := withoutBackslash(cmp.Or(c.Workflow, "([^/@]+)"))
	if err != nil {
		return nil, err
	}
	all := []Setting{{settingTag, c.Channel}, {"ENVIRONMENT", c.Environment}, {"CLUSTER_NAME", c.displayName()},
		{"CLUSTER_DOMAIN", c.Domain}, {settingWorkflow, workflow}, {settingGitRef, ref}}
	for _, p := range c.Pins {
		pin, err := pinSettings(p)
		if err != nil {
			return nil, err
		}
		all = append(all, pin...)
	}
	err = errors.Join(checkTexts(all), addSettings(&all, c.Settings))
	return all, err
}

// gitRef is the pattern of the Git refs whose workflows sign what the channel names.
func (c Cluster) gitRef() (string, error) {
	if c.GitRef != "" {
		return withoutBackslash(c.GitRef)
	}
	channel, err := c.Fleet.Component.Channels.Find(c.Channel)
	if err != nil {
		return "", err
	}
	if channel.From == component.FromBranch {
		return withoutBackslash("refs/heads/" + regexp.QuoteMeta(channel.Branch))
	}
	return "refs/tags/([^/]+/)?v[0-9]+[.][0-9]+[.][0-9]+", nil
}

// checkTexts checks that values which replace a ${VARIABLE} without quotes are read as texts.
func checkTexts(settings []Setting) error {
	var faults []error
	for _, s := range settings {
		if !isText(s.Value) && !strings.HasPrefix(s.Value, `"`) {
			faults = append(faults, notText(s.Key, s.Value))
		}
	}
	return errors.Join(faults...)
}

// addSettings appends settings of the user's, none of which may replace one that is there.
func addSettings(all *[]Setting, more []Setting) error {
	var faults []error
	seen := map[string]bool{}
	for _, s := range *all {
		seen[s.Key] = true
	}
	for _, s := range more {
		switch {
		case !variableName.MatchString(s.Key):
			faults = append(faults, fmt.Errorf("%w: setting %q: want a name of letters, digits and underscores", ErrInput, s.Key))
		case seen[s.Key]:
			faults = append(faults, fmt.Errorf("%w: setting %s is given twice, or is one that generate writes itself", ErrInput, s.Key))
		case strings.ContainsAny(s.Value, "\\\"\r\n"):
			faults = append(faults,
				fmt.Errorf("%w: setting %s: %q contains a backslash, a quote or a line break, which breaks YAML where it replaces ${%s}", ErrInput, s.Key,
					s.Value, s.Key))
		}
		seen[s.Key] = true
	}
	*all = append(*all, more...)
	return errors.Join(faults...)
}

// pinSettings is what the ResourceSets look for that were generated with pins of clusters in mind.
func pinSettings(p ComponentPin) ([]Setting, error) {
	name := p.Component.Name
	var all []Setting
	switch {
	case p.Pin.Tag != "":
		all = []Setting{{setting(name, "TAG"), p.Pin.Tag}}
	case p.Pin.Semver != "": // which is quoted in itself: its > would begin a block of text
		all = []Setting{{setting(name, "SEMVER"), `"` + p.Pin.Semver + `"`}}
	default:
		all = []Setting{{setting(name, "DIGEST"), p.Pin.Digest}}
	}
	policy, err := p.Policies.of(p.Pin.policyKey(""))
	if err != nil {
		return nil, fmt.Errorf("component %s: %w", name, err)
	}
	if w, ok := asWorkflow(policy); ok {
		ref, err := withoutBackslash(w.ref)
		if err != nil {
			return nil, err
		}
		all = append(all, Setting{setting(name, "SUBJECT_GIT_REF"), ref})
	}
	return all, nil
}
