package flux

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// signing is how a ResourceSet verifies its components.
type signing struct {
	verify    verification
	cluster   bool               // the cluster's settings name workflow and Git ref
	component bool               // the inputs name the signers
	inputs    map[string]signers // by component
	refs      map[string]string  // Git ref of a pinned component's versions, by component
}

// signers is whose certificates are accepted, by channel.
type signers map[string]certifying

// The inputs that take a cluster's settings, as in D2, and the settings themselves.
const (
	inputWorkflow    = "artifactSubjectWorkflow"
	inputGitRef      = "artifactSubjectGitRef"
	settingWorkflow  = "ARTIFACT_SUBJECT_WORKFLOW"
	settingGitRef    = "ARTIFACT_SUBJECT_GIT_REF"
	settingTag       = "ARTIFACT_TAG"
	workflowTemplate = `<< inputs.` + inputWorkflow + ` >>`
	refTemplate      = `@<< inputs.` + inputGitRef + ` >>$`
)

// signing decides how signatures are verified: by a key, by one identity for all, by what each cluster's settings name, or
// by what the inputs hold for each component.
func (t Tenants) signing() (signing, error) {
	all, err := t.verifications()
	if err != nil || len(all) == 0 {
		return signing{}, err
	}
	same, first := sameForAll(all)
	if first.SecretRef != nil || same && t.Signer != SignerCluster {
		return signing{verify: first}, nil
	}
	if t.Signer != SignerComponent {
		if s, ok := t.byCluster(); ok {
			return s, nil
		}
		if t.Signer == SignerCluster {
			return signing{},
				fmt.Errorf("%w: the settings of a cluster can name the signer only where all components are signed by workflows of one GitHub repository", ErrInput)
		}
	}
	return t.byComponent(all)
}

// verifications is what each policy of each component demands.
func (t Tenants) verifications() (map[string]map[string]verification, error) {
	all := map[string]map[string]verification{}
	var faults []error
	for _, f := range t.Components {
		all[f.Component.Name] = map[string]verification{}
		for _, channel := range slices.Sorted(maps.Keys(f.Policies)) {
			v, err := t.Trust.verify(f.Policies[channel])
			if err != nil {
				faults = append(faults, fmt.Errorf("component %s: %w", f.Component.Name, err))
				break
			}
			all[f.Component.Name][channel] = *v
		}
	}
	return all, errors.Join(faults...)
}

// sameForAll reports whether one verification serves every component on every channel, and gives any of them. All are by a
// key or none is: Trust has a key's Secret or not, and refuses what does not go with it.
func sameForAll(all map[string]map[string]verification) (same bool, first verification) {
	same = true
	for _, channels := range all {
		for _, v := range channels {
			if first.Provider == "" {
				first = v
			}
			same = same && reflect.DeepEqual(v, first)
		}
	}
	return same, first
}

// byCluster is D2's way; ok is false where the policies are not all those of one GitHub repository's workflows.
func (t Tenants) byCluster() (signing, bool) {
	s := signing{cluster: true, refs: map[string]string{}}
	var repository, issuer string
	for _, f := range t.Components {
		for channel, policy := range f.Policies {
			w, ok := asWorkflow(policy)
			by := whole(policy.Issuer, policy.IssuerPattern)
			if !ok || repository != "" && (w.repository != repository || by != issuer) {
				return signing{}, false
			}
			repository, issuer = w.repository, by
			if channel == f.Pin.policyKey("") || channel == AnyVersion && s.refs[f.Component.Name] == "" {
				s.refs[f.Component.Name] = w.ref
			}
		}
	}
	v, err := t.Trust.byIdentity(certifying{Issuer: issuer, Subject: "^" + repository + workflowTemplate + t.extension() + refTemplate})
	if err != nil {
		return signing{}, false
	}
	s.verify = *v
	return s, true
}

// extension is how the files of workflows end: as in D2, unless a workspace has others.
func (t Tenants) extension() string {
	if slices.ContainsFunc(t.Components, func(f Followed) bool { return f.YML }) {
		return `\.ya?ml`
	}
	return `\.yaml`
}

// byComponent puts the policies into the inputs, where the tag chooses: whatever is not a channel is a version.
func (t Tenants) byComponent(all map[string]map[string]verification) (signing, error) {
	s := signing{component: true, inputs: map[string]signers{}}
	for _, f := range t.Components {
		own := signers{}
		versions := all[f.Component.Name][AnyVersion]
		for channel, v := range all[f.Component.Name] {
			if channel != AnyVersion && (reflect.DeepEqual(v, versions) || f.Pin.ref() != (ociRef{}) && channel != f.Pin.Tag) {
				continue
			}
			c := v.MatchOIDCIdentity[0]
			var err, other error
			c.Issuer, err = withoutBackslash(c.Issuer)
			c.Subject, other = withoutBackslash(c.Subject)
			if err := errors.Join(err, other); err != nil {
				return signing{}, fmt.Errorf("component %s: %w", f.Component.Name, err)
			}
			own[channel] = c
		}
		s.inputs[f.Component.Name] = own
	}
	v, err := t.Trust.byIdentity(certifying{Issuer: t.signerTemplate("issuer"), Subject: t.signerTemplate("subject")})
	if err != nil {
		return signing{}, err
	}
	s.verify = *v
	return s, nil
}

// signerTemplate looks up a part of the signer. A name that is missing makes the template fail: nothing is verified by an
// empty pattern, which would accept everybody.
func (t Tenants) signerTemplate(field string) string {
	versions := `(index inputs.signers "` + AnyVersion + `")`
	byTag := `(get inputs.signers (toString inputs.tag) | default ` + versions + `)`
	if t.ClusterPins {
		return `<< (ternary ` + versions + ` ` + byTag + ` (or (get inputs "digest") (get inputs "semver") | empty | not)).` + field +
			` | toJson >>`
	}
	return `<< ` + byTag + `.` + field + ` | toJson >>`
}
