package flux

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// Shared describes sources in files that several clusters apply. Clusters differ in the channel and in its signers: these are variables of
// their settings. Flux does not apply the source to a cluster without these settings, so no parent waits for an artifact that never comes.
// If Flux applies it all the same, it fetches nothing: the tag is "unset", and no subject matches.
type Shared struct {
	Components []Followed
	Interval   string // how often the tag is looked at; 5m where empty
	Access     Access
	Trust      TrustSecrets
}

// ofComponent is in the place of a component's name in the setting of the Git ref. Flux's envsubst replaces it.
const ofComponent = "COMPONENT"

// Source is the OCIRepository of a component in a namespace.
func (s Shared) Source(f Followed, namespace string) ([]byte, error) {
	if err := s.Access.validate(); err != nil {
		return nil, err
	}
	verify, err := s.verify(f)
	if err != nil {
		return nil, fmt.Errorf("component %s: %w", f.Component.Name, err)
	}
	a, meta := s.Access, Pairs{Namespace: namespace}.metadata(f.Component.Name)
	// Any other value than disabled lets Flux apply the source.
	meta.Annotations = map[string]string{"kustomize.toolkit.fluxcd.io/reconcile": "${" + settingTag + ":=disabled}"}
	return encode(ociRepository{
		object: object{sourceAPI, "OCIRepository", meta},
		Spec: ociRepositorySpec{
			Interval: cmp.Or(s.Interval, defaultInterval), ServiceAccountName: a.ServiceAccount, URL: "oci://" + a.repository(f.Component),
			Provider: a.Provider, Insecure: a.Insecure, SecretRef: refer(a.PullSecret), CertSecretRef: refer(a.CertSecret),
			Ref: ociRef{Tag: "${" + settingTag + ":=unset}"}, Verify: verify,
		},
	})
}

// Own is the OCIRepository of a component, in a file of one cluster: it follows the channel or version that it is pinned to.
func (s Shared) Own(f Followed, namespace string) ([]byte, error) {
	p := Pairs{Components: []Followed{f}, SourceOnly: true, Namespace: namespace, Interval: s.Interval, Access: s.Access, Trust: s.Trust}
	files, err := p.Files()
	if err != nil {
		return nil, err
	}
	return files[0].Content, nil
}

// verify accepts a key, or the workflow and Git ref of the cluster's settings.
func (s Shared) verify(f Followed) (*verification, error) {
	for _, policy := range f.Policies {
		if policy.Key != "" {
			return s.Trust.byKey()
		}
		w, ok := asWorkflow(policy)
		if !ok {
			return nil, fmt.Errorf("%w: clusters that share files can name the signer in their settings only where workflows of a GitHub repository sign", ErrInput)
		}
		subject := fmt.Sprintf("^%s${%s}@${%s/%s/%s}$", w.repository, settingWorkflow, settingGitRef, ofComponent, f.Component.Name)
		return s.Trust.byIdentity(certifying{Issuer: whole(policy.Issuer, policy.IssuerPattern), Subject: subject})
	}
	return nil, fmt.Errorf("%w: nothing says who signs it", ErrInput)
}

// Settings are those of a cluster that follows a channel.
func (s Shared) Settings(channel string) ([]Setting, error) {
	settings := []Setting{{settingTag, channel}}
	var file, ref string
	for _, f := range s.Components {
		if _, err := f.Component.Channels.Find(channel); err != nil {
			return nil, fmt.Errorf("component %s: %w", f.Component.Name, err)
		}
		policy := f.Policies[channel]
		if policy.Key != "" {
			continue
		}
		w, ok := asWorkflow(policy)
		if !ok {
			return nil, fmt.Errorf("%w: component %s is signed by no workflow of a GitHub repository", ErrInput, f.Component.Name)
		}
		its := general(w.ref, f.Component)
		if file != "" && (w.file != file || its != ref) {
			return nil, fmt.Errorf("%w: component %s is not signed like the others, so no single setting fits all", ErrInput,
				f.Component.Name)
		}
		file, ref = w.file, its
	}
	if file == "" {
		return settings, nil
	}
	file, err := withoutBackslash(file)
	if err != nil {
		return nil, err
	}
	ref, err = withoutBackslash(ref)
	return append(settings, Setting{settingWorkflow, file}, Setting{settingGitRef, ref}), err
}

// general writes a Git ref for any component.
func general(ref string, c component.Component) string {
	return strings.Replace(ref, "/"+c.Name+"/", "/"+ofComponent+"/", 1)
}

// Sync is what a FluxInstance needs to follow a fleet's artifact.
type Sync struct {
	URL, Ref   string
	PullSecret string
	Provider   string
	Patch      string // operations of JSON 6902 for the OCIRepository that Flux Operator makes of it
}

// Sync is for a fleet that follows a channel, or the version that it is pinned to.
func (s Shared) Sync(f Followed, channel string) (Sync, error) {
	policy, err := f.Policies.of(f.Pin.policyKey(channel))
	if err != nil {
		return Sync{}, fmt.Errorf("component %s: %w", f.Component.Name, err)
	}
	verify, err := s.Trust.verify(policy)
	if err != nil {
		return Sync{}, err
	}
	a := s.Access
	operations := []operation{{"add", "/spec/verify", verify}}
	if a.Insecure {
		operations = append(operations, operation{"add", "/spec/insecure", true})
	}
	if a.CertSecret != "" {
		operations = append(operations, operation{"add", "/spec/certSecretRef", refer(a.CertSecret)})
	}
	if a.ServiceAccount != "" {
		operations = append(operations, operation{"add", "/spec/serviceAccountName", a.ServiceAccount})
	}
	text, err := encodeOne(operations, true)
	return Sync{"oci://" + a.repository(f.Component), cmp.Or(f.Pin.Tag, f.Pin.Digest, channel), a.PullSecret, a.Provider, string(text)}, err
}

// operation is one of JSON 6902.
type operation struct {
	Op    string `yaml:"op"`
	Path  string `yaml:"path"`
	Value any    `yaml:"value"`
}

// OwnAs is Own for an OCIRepository of another name than the component's.
func (s Shared) OwnAs(f Followed, name, namespace string) ([]byte, error) {
	f.Component.Name = name
	return s.Own(f, namespace)
}
