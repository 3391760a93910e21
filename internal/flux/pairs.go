package flux

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/substitution"
)

// Pairs describes objects for clusters without Flux Operator: of each component one OCIRepository and a Kustomization, or
// one Kustomization for each of its phases. Of a fleet, the Kustomization applies the folder of one cluster.
type Pairs struct {
	Components      []Followed
	Channel         string
	Environment     string    // the variant that is applied; of a fleet the cluster
	SourceOnly      bool      // write no Kustomizations
	Namespace       string    // of the objects; flux-system where empty
	TargetNamespace string    // of what is delivered, where the content itself does not say
	KustomizeAs     string    // ServiceAccount that applies the content
	SubstituteFrom  string    // ConfigMap with ${VARIABLES}
	Substitute      []Setting // ${VARIABLES} of this cluster; none are replaced where both are empty
	Values          []Values  // what SubstituteFrom is known to have
	Decryption      string    // Secret with the key of files that SOPS encrypted
	Redirect        bool      // Kustomizations within the content take the OCIRepository for their source
	Interval        string    // how often the tag is looked at; 5m where empty
	Access          Access
	Trust           TrustSecrets
}

// Files returns one file for each component, named after it.
func (p Pairs) Files() ([]fileset.File, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	var files []fileset.File
	var faults []error
	for _, f := range p.Components {
		documents, err := p.of(f)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		content, err := encode(documents...)
		if err != nil {
			return nil, err
		}
		files = append(files, fileset.File{Path: f.Component.Name + ".yaml", Content: content})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return files, nil
}

func (p Pairs) validate() error {
	faults := []error{p.Access.validate(), checkTimes(p.Interval)}
	for _, name := range []string{p.Namespace, p.TargetNamespace} {
		if name != "" {
			faults = append(faults, checkLabel(name))
		}
	}
	for _, name := range []string{p.KustomizeAs, p.SubstituteFrom, p.Decryption, p.Trust.Key, p.Trust.Root} {
		if name != "" {
			faults = append(faults, checkObjectName(name))
		}
	}
	for _, f := range p.Components {
		if err := checkComponent(f.Component); err != nil {
			faults = append(faults, err)
		}
	}
	faults = append(faults, addSettings(&[]Setting{}, p.Substitute))
	return errors.Join(append(faults, checkDependencies(p.Components))...)
}

// of is the objects of one component.
func (p Pairs) of(f Followed) ([]any, error) {
	c := f.Component
	if f.Pin.ref() == (ociRef{}) {
		if _, err := c.Channels.Find(p.Channel); err != nil {
			return nil, fmt.Errorf("component %s: %w", c.Name, err)
		}
	}
	policy, err := f.Policies.of(f.Pin.policyKey(p.Channel))
	if err != nil {
		return nil, fmt.Errorf("component %s: %w", c.Name, err)
	}
	verify, err := p.Trust.verify(policy)
	if err != nil {
		return nil, fmt.Errorf("component %s: %w", c.Name, err)
	}
	documents := []any{p.source(f, verify)}
	if p.SourceOnly {
		return documents, nil
	}
	applied, err := p.kustomizations(f)
	return append(documents, applied...), err
}

// kustomizations are those of one component, one for each of its phases.
func (p Pairs) kustomizations(f Followed) (documents []any, err error) {
	if f, err = p.encrypted(f); err != nil {
		return nil, err
	}
	previous := ""
	for _, phase := range phasesOf(f.Component) {
		k, err := p.kustomization(f, phase, previous)
		if err != nil {
			return nil, err
		}
		previous = k.Metadata.Name
		documents = append(documents, k)
	}
	return documents, demandKey(f, p.Decryption, cmp.Or(p.Namespace, systemNamespace))
}

// encrypted is f with what of a fleet has to be decrypted on the cluster.
func (p Pairs) encrypted(f Followed) (Followed, error) {
	if f.Component.Kind != component.Fleet || f.EncryptedIn == nil {
		return f, nil
	}
	folder, err := p.folder(f, "")
	if err != nil {
		return f, err
	}
	f.Encrypted, err = f.EncryptedIn(path.Join(f.Component.Root, folder))
	return f, err
}

// folder is what the cluster builds of a component, as Flux wants it.
func (p Pairs) folder(f Followed, phase string) (string, error) {
	if f.Component.Kind == component.Fleet {
		return clusterFolder(f, p.Environment)
	}
	return phasePath(f.Component, phase, p.Environment)
}

func (p Pairs) source(f Followed, verify *verification) ociRepository {
	a := p.Access
	ref := f.Pin.ref()
	if ref == (ociRef{}) {
		ref.Tag = p.Channel
	}
	return ociRepository{
		object: object{sourceAPI, "OCIRepository", p.metadata(f.Component.Name)},
		Spec: ociRepositorySpec{
			Interval: cmp.Or(p.Interval, defaultInterval), ServiceAccountName: a.ServiceAccount, URL: "oci://" + a.repository(f.Component),
			Provider: a.Provider, Insecure: a.Insecure, SecretRef: refer(a.PullSecret), CertSecretRef: refer(a.CertSecret),
			Ref: ref, Verify: verify,
		},
	}
}

// kustomization is the one of a phase, "" for a component without phases. It waits for the phase before it, and the first
// one for the components that it depends on.
func (p Pairs) kustomization(f Followed, phase, previous string) (kustomization, error) {
	folder, err := p.folder(f, phase)
	if err != nil {
		return kustomization{}, err
	}
	k := kustomization{
		object: object{kustomizeAPI, "Kustomization", p.metadata(phaseName(f.Component.Name, phase))},
		Spec: kustomizationSpec{
			TargetNamespace: p.TargetNamespace, ServiceAccountName: p.KustomizeAs,
			Interval: applyInterval, RetryInterval: retryInterval, Timeout: applyTimeout,
			SourceRef: kindAndName{"OCIRepository", f.Component.Name}, Path: quoted(folder), Prune: true,
			Wait: f.Component.Kind != component.Fleet, // whose folder may have this very Kustomization, which would wait for itself
		},
	}
	if after := p.after(f, previous); len(after) > 0 {
		k.Spec.DependsOn = after
	}
	if !f.NoSubstitute {
		k.Spec.PostBuild = p.postBuild(f.usesOf(folder))
	}
	if f.Encrypted != "" && p.Decryption != "" {
		k.Spec.Decryption = decrypt(p.Decryption)
	}
	for _, h := range f.Health { // which Flux looks at only where it does not wait for everything
		k.Spec.HealthChecks, k.Spec.Wait = append(k.Spec.HealthChecks, health{h.APIVersion, h.Kind, h.Name, h.Namespace}), false
	}
	if p.Redirect {
		k.Spec.Patches = []patch{redirect(f.Component.Name)}
	}
	return k, nil
}

// postBuild replaces what the content uses: nothing else, since a postBuild also blanks text that is not Flux's.
func (p Pairs) postBuild(uses *substitution.Uses) any {
	build := postBuild{}
	if p.SubstituteFrom != "" && p.usesValues(uses) {
		build.SubstituteFrom = substituteFrom(p.SubstituteFrom).SubstituteFrom
	}
	for _, s := range p.used(uses) {
		build.Substitute = append(build.Substitute, entry{s.Key, quoted(s.Value)})
	}
	if len(build.Substitute)+len(build.SubstituteFrom) == 0 {
		return nil
	}
	return &build
}

// used is what content uses of the settings. A postBuild without any value replaces nothing, not even ${NAME:=value}: content that has such
// variables and uses no setting gets all of them.
func (p Pairs) used(uses *substitution.Uses) []Setting {
	var used []Setting
	for _, s := range p.Substitute {
		if unseen(uses) || uses.Has(s.Key) {
			used = append(used, s)
		}
	}
	if len(used) == 0 && p.SubstituteFrom == "" && hasDefaults(uses) {
		return p.Substitute
	}
	return used
}

func hasDefaults(uses *substitution.Uses) bool {
	return uses != nil && slices.ContainsFunc(uses.Variables(), func(v substitution.Variable) bool { return v.Default })
}

// usesValues reports whether the content may use values of the ConfigMap. A name that only a dashboard uses counts if the ConfigMap has it.
func (p Pairs) usesValues(uses *substitution.Uses) bool {
	return unseen(uses) || len(uses.Variables()) > 0 || slices.ContainsFunc(p.Values, func(v Values) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(v.Known)), uses.Has)
	})
}

// redirect lets the Kustomizations that an artifact brings along build from the artifact too: they name the source that
// their repository was followed by before. Theirs are the same paths, since the artifact's root is the repository's.
func redirect(source string) patch {
	return patch{
		Target: patchTarget{"kustomize.toolkit.fluxcd.io", "Kustomization"},
		Patch:  "- op: replace\n  path: /spec/sourceRef\n  value:\n    kind: OCIRepository\n    name: " + source + "\n",
	}
}

func (p Pairs) after(f Followed, previous string) []dependency {
	if previous != "" {
		return []dependency{{Name: previous}}
	}
	var after []dependency
	for _, name := range f.DependsOn {
		after = append(after, dependency{Name: lastPhase(p.Components, name)})
	}
	return after
}

func (p Pairs) metadata(name string) metadata {
	return metadata{Name: name, Namespace: cmp.Or(p.Namespace, systemNamespace)}
}

// lastPhase names the Kustomization after which a component is ready.
func lastPhase(follow []Followed, name string) string {
	for _, f := range follow {
		if f.Component.Name == name {
			phases := phasesOf(f.Component)
			return phaseName(name, phases[len(phases)-1])
		}
	}
	return name
}

func phaseName(name, phase string) string {
	if phase == "" {
		return name
	}
	return name + "-" + phase
}

// checkDependencies checks that what components wait for is delivered too, and that nothing waits for itself.
func checkDependencies(follow []Followed) error {
	byName := map[string]Followed{}
	var set component.Set
	for _, f := range follow {
		byName[f.Component.Name] = f
		set = append(set, f.Component)
	}
	var faults []error
	for _, f := range follow {
		for _, name := range f.DependsOn {
			if _, err := set.Find(name); err != nil {
				faults = append(faults, fmt.Errorf("%s depends on: %w", f.Component.Name, err))
			}
		}
		if reaches(byName, f.Component.Name, f.Component.Name, map[string]bool{}) {
			faults = append(faults, fmt.Errorf("%w: %s depends on itself, directly or through others", ErrInput, f.Component.Name))
		}
	}
	return errors.Join(faults...)
}

func reaches(byName map[string]Followed, from, to string, seen map[string]bool) bool {
	for _, next := range byName[from].DependsOn {
		if next == to {
			return true
		}
		if !seen[next] {
			seen[next] = true
			if reaches(byName, next, to, seen) {
				return true
			}
		}
	}
	return false
}
