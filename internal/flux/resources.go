package flux

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

// What the templates of a ResourceSet refer to.
const (
	tenant        = "<< inputs.tenant >>"
	tenantAccount = "flux"
	copyFrom      = "fluxcd.controlplane.io/copyFrom"
	reconcile     = "fluxcd.controlplane.io/reconcile"
	inputDecrypt  = "decrypt" // whether a component's content is encrypted
	tenantsLabel  = "keos-oci.stratio.com/tenants"
)

// tenantName is the template of a name that is nothing but the tenant's.
func (p *tenantsPlan) tenantName() string {
	if p.quote {
		return "<< inputs.tenant | quote >>"
	}
	return tenant
}

// resources is the template of all that a tenant needs.
func (p *tenantsPlan) resources() []any {
	all := []any{p.namespace(), p.settings()}
	for _, s := range p.secrets() {
		all = append(all, s)
	}
	all = append(all, p.serviceAccount(), p.rights(), p.source())
	for _, k := range p.kustomizations() {
		all = append(all, k)
	}
	return all
}

func (p *tenantsPlan) metadata(name string) metadata {
	return metadata{Name: name, Namespace: p.tenantName()}
}

// namespace has the label that marks a tenant for the policies. Infrastructure is no tenant: its sources are not restricted.
func (p *tenantsPlan) namespace() namespace {
	n := namespace{object{coreAPI, "Namespace", metadata{Name: p.tenantName()}}}
	if p.Kind == component.App {
		n.Metadata.Labels = map[string]string{"toolkit.fluxcd.io/role": "tenant"}
	}
	return n
}

func (p *tenantsPlan) settings() copied {
	c := copied{object: object{coreAPI, "ConfigMap", p.metadata(runtimeInfo)}}
	c.Metadata.Annotations = map[string]string{copyFrom: systemNamespace + "/" + runtimeInfo}
	c.Metadata.Labels = map[string]string{"reconcile.fluxcd.io/watch": "Enabled"}
	return c
}

// secrets copies what Flux looks for beside the OCIRepository.
func (p *tenantsPlan) secrets() []copied {
	var all []copied
	for _, s := range []struct{ name, kind string }{
		{p.Access.PullSecret, "kubernetes.io/dockerconfigjson"}, {p.Access.CertSecret, "Opaque"}, {p.Trust.Key, "Opaque"}, {p.Trust.Root,
			"Opaque"},
	} {
		if s.name == "" {
			continue
		}
		c := copied{object: object{coreAPI, "Secret", p.metadata(s.name)}, Type: s.kind}
		c.Metadata.Annotations = map[string]string{copyFrom: systemNamespace + "/" + s.name}
		all = append(all, c)
	}
	if p.decrypts {
		all = append(all, p.key())
	}
	return all
}

// key is copied to the tenants that need it and to no others.
func (p *tenantsPlan) key() copied {
	c := copied{object: object{coreAPI, "Secret", p.metadata(p.Decryption)}, Type: "Opaque"}
	c.Metadata.Annotations = map[string]string{copyFrom: systemNamespace + "/" + p.Decryption}
	if p.plain {
		c.Metadata.Annotations[reconcile] = `<< ternary "enabled" "disabled" inputs.` + inputDecrypt + ` >>`
	}
	return c
}

func (p *tenantsPlan) decryption() any {
	switch {
	case !p.decrypts:
		return nil
	case !p.plain:
		return decrypt(p.Decryption)
	}
	how := `(dict "provider" "sops" "secretRef" (dict "name" "` + p.Decryption + `"))`
	return `<< if inputs.` + inputDecrypt + ` >><< ` + how + ` | toJson >><< else >>null<< end >>`
}

func (p *tenantsPlan) serviceAccount() serviceAccount {
	a := serviceAccount{object: object{coreAPI, "ServiceAccount", p.metadata(tenantAccount)}}
	if p.Access.PullSecret != "" {
		a.ImagePullSecrets = []reference{{p.Access.PullSecret}}
	}
	return a
}

// rights gives infrastructure the cluster and an app its namespace.
func (p *tenantsPlan) rights() roleBinding {
	who := []subject{{"ServiceAccount", tenantAccount, p.tenantName()}}
	if p.Kind == component.Infra {
		return roleBinding{object{rbacAPI, "ClusterRoleBinding", metadata{Name: "flux-infra-" + tenant}},
			roleRef{rbacGroup, "ClusterRole", "cluster-admin"}, who}
	}
	return roleBinding{object{rbacAPI, "RoleBinding", p.metadata(tenantAccount)}, roleRef{rbacGroup, "ClusterRole", "admin"}, who}
}

func (p *tenantsPlan) source() ociRepository {
	url := "oci://" + p.prefix() + "/" + tenant
	if p.addresses {
		url = "oci://<< inputs.repository >>"
	}
	return ociRepository{
		object: object{sourceAPI, "OCIRepository", p.metadata(p.Name())},
		Spec: ociRepositorySpec{
			Interval: cmp.Or(p.Interval, defaultInterval), ServiceAccountName: p.pullsAs(), URL: url, Provider: p.Access.Provider,
			Insecure: p.Access.Insecure, CertSecretRef: refer(p.Access.CertSecret), Ref: p.ref(), Verify: &p.signing.verify,
		},
	}
}

// pullsAs is the ServiceAccount that fetches artifacts: the tenant's, which has the pull secret. In a cloud, Flux itself has
// the identity, unless one is named.
func (p *tenantsPlan) pullsAs() string {
	if p.Access.cloud() {
		return p.Access.ServiceAccount
	}
	return cmp.Or(p.Access.ServiceAccount, tenantAccount)
}

func (p *tenantsPlan) ref() ociRef {
	switch {
	case p.Providers:
		return ociRef{Digest: "<< inputs.digest >>"}
	case p.pins:
		return ociRef{Tag: "<< inputs.tag >>", Semver: optional("semver"), Digest: optional("digest")}
	}
	return ociRef{Tag: "<< inputs.tag >>"}
}

// optional is the template of an input that may be missing.
func optional(input string) string { return `<< get inputs "` + input + `" | default "" | toJson >>` }

// kustomizations is one for each phase. Where components differ in their phases, the annotation tells the operator which
// of them to leave out.
func (p *tenantsPlan) kustomizations() []kustomization {
	var all []kustomization
	if len(p.phases) == 0 || p.mixed {
		all = append(all, p.kustomization("", ""))
	}
	previous := ""
	for _, phase := range p.phases {
		all = append(all, p.kustomization(phase, previous))
		previous = phase
	}
	return all
}

func (p *tenantsPlan) kustomization(phase, previous string) kustomization {
	k := kustomization{
		object: object{kustomizeAPI, "Kustomization", p.metadata(phaseName(p.Name(), phase))},
		Spec: kustomizationSpec{
			DependsOn: p.kustomizationAfter(previous), TargetNamespace: p.tenantName(), ServiceAccountName: tenantAccount,
			Interval: applyInterval, RetryInterval: retryInterval, Wait: true, Timeout: applyTimeout,
			SourceRef: kindAndName{"OCIRepository", p.Name()}, Path: quoted(p.path(phase)), Prune: true,
			Decryption: p.decryption(), PostBuild: p.postBuild(),
		},
	}
	if p.mixed {
		having := `(has "` + phase + `" inputs.phases)`
		if phase == "" {
			having = `(empty inputs.phases)`
		}
		k.Metadata.Annotations = map[string]string{reconcile: `<< ternary "enabled" "disabled" ` + having + ` >>`}
	}
	return k
}

func (p *tenantsPlan) kustomizationAfter(previous string) any {
	own := `get inputs "dependsOn" | default list | toJson`
	switch {
	case previous == "" && !p.after:
		return nil
	case previous == "":
		return `<< ` + own + ` >>`
	case p.mixed: // the phase before may be missing
		before := `(list (dict "name" "` + phaseName(p.Name(), previous) + `"))`
		if p.after {
			return `<< if has "` + previous + `" inputs.phases >><< ` + before + ` | toJson >><< else >><< ` + own + ` >><< end >>`
		}
		return `<< ternary ` + before + ` list (has "` + previous + `" inputs.phases) | toJson >>`
	}
	return []dependency{{Name: phaseName(p.Name(), previous)}}
}

func (p *tenantsPlan) path(phase string) string {
	if p.paths {
		return "./<< inputs.path >>"
	}
	return strings.TrimSuffix("./"+phase, "/") + "/<< inputs.environment >>"
}

func (p *tenantsPlan) postBuild() any {
	if !p.choose {
		return substituteFrom(runtimeInfo)
	}
	from := `(dict "substituteFrom" (list (dict "kind" "ConfigMap" "name" "` + runtimeInfo + `")))`
	return `<< if inputs.substitute >><< ` + from + ` | toJson >><< else >>null<< end >>`
}

// input is what the resources get for one component.
func (p *tenantsPlan) input(f Followed) fields {
	c := f.Component
	in := fields{{"tenant", quoted(c.Name)}, {"tag", quoted(p.tag(f))}, {"environment", quoted(p.Environment)}}
	if p.signing.cluster {
		in = append(in, entry{inputWorkflow, quoted("${" + settingWorkflow + "}")}, entry{inputGitRef, quoted(p.gitRef(f))})
	}
	if p.addresses {
		in = append(in, entry{"repository", quoted(p.Access.repository(c))})
	}
	if p.paths {
		pattern, _ := pathPattern(c, p.Environment) // was considered before
		in = append(in, entry{"path", quoted(pattern)})
	}
	if p.mixed {
		in = append(in, entry{"phases", append([]string{}, c.Phases...)})
	}
	return append(in, p.rareInput(f)...)
}

// rareInput is what most ResourceSets do without.
func (p *tenantsPlan) rareInput(f Followed) fields {
	c := f.Component
	var in fields
	switch {
	case f.Pin.Semver != "":
		in = append(in, entry{"semver", quoted(f.Pin.Semver)})
	case f.Pin.Digest != "":
		in = append(in, entry{"digest", quoted(f.Pin.Digest)})
	case p.ClusterPins:
		in = append(in, entry{"semver", quoted("${" + setting(c.Name, "SEMVER") + ":=}")},
			entry{"digest", quoted("${" + setting(c.Name, "DIGEST") + ":=}")})
	}
	if len(f.DependsOn) > 0 {
		var after []dependency
		for _, name := range f.DependsOn {
			after = append(after, dependency{Name: p.lastPhase(name), Namespace: name})
		}
		in = append(in, entry{"dependsOn", after})
	}
	if p.choose {
		in = append(in, entry{"substitute", !f.NoSubstitute})
	}
	if p.decrypts && p.plain || p.alone {
		in = append(in, entry{inputDecrypt, f.Encrypted != ""})
	}
	if p.signing.component {
		in = append(in, entry{"signers", p.signing.inputs[c.Name]})
	}
	return in
}

// lastPhase names the Kustomization after which a tenant is ready.
func (p *tenantsPlan) lastPhase(name string) string {
	for _, f := range p.Components {
		if f.Component.Name == name && len(f.Component.Phases) > 0 {
			return phaseName(p.Name(), f.Component.Phases[len(f.Component.Phases)-1])
		}
	}
	return p.Name()
}

func (p *tenantsPlan) tag(f Followed) string {
	switch {
	case f.Pin.Tag != "":
		return f.Pin.Tag
	case p.ClusterPins:
		return "${" + setting(f.Component.Name, "TAG") + ":=${" + settingTag + "}}"
	}
	return "${" + settingTag + "}"
}

// gitRef is where the workflow ran that signed what is followed: a pin's own, else the cluster's.
func (p *tenantsPlan) gitRef(f Followed) string {
	if f.Pin.ref() != (ociRef{}) {
		if ref, err := withoutBackslash(p.signing.refs[f.Component.Name]); err == nil && ref != "" {
			return ref
		}
	}
	if p.ClusterPins {
		return "${" + setting(f.Component.Name, "SUBJECT_GIT_REF") + ":=${" + settingGitRef + "}}"
	}
	return "${" + settingGitRef + "}"
}

var notInVariable = regexp.MustCompile(`[^A-Z0-9]+`)

// setting names the variable of a cluster's settings that is about one component.
func setting(name, what string) string {
	text := notInVariable.ReplaceAllString(strings.ToUpper(name), "_") + "_" + what
	if text[0] >= '0' && text[0] <= '9' { // names of variables begin with a letter
		text = "C_" + text
	}
	return text
}

// provider lets Flux Operator look the tag up, so that the OCIRepository is given a digest.
func (p *tenantsPlan) provider(f Followed) inputProvider {
	a := p.Access
	spec := inputProviderSpec{
		Type: "OCIArtifactTag", URL: quoted("oci://" + a.repository(f.Component)), Insecure: a.Insecure,
		ServiceAccountName: a.ServiceAccount, SecretRef: refer(a.PullSecret), CertSecretRef: refer(a.CertSecret),
		Filter: filter{IncludeTag: "^" + p.tag(f) + "$", Limit: 1},
	}
	switch a.Provider {
	case "aws":
		spec.Type, spec.SecretRef, spec.CertSecretRef = "ECRArtifactTag", nil, nil
	case "azure":
		spec.Type, spec.SecretRef, spec.CertSecretRef = "ACRArtifactTag", nil, nil
	case "gcp":
		spec.Type, spec.SecretRef, spec.CertSecretRef = "GARArtifactTag", nil, nil
	}
	if f.Pin.Semver != "" {
		spec.Filter = filter{Semver: f.Pin.Semver, Limit: 1}
	} else if f.Pin.Tag != "" {
		spec.Filter.IncludeTag = whole(f.Pin.Tag, "")
	}
	for _, e := range p.input(f) {
		if e.Key != "tag" && e.Key != "semver" && e.Key != "digest" { // which the provider finds out
			spec.DefaultValues = append(spec.DefaultValues, e)
		}
	}
	m := metadata{Name: p.Name() + "-" + f.Component.Name, Namespace: systemNamespace, Labels: p.labels(), Annotations: every(p.Interval)}
	return inputProvider{object{operatorAPI, "ResourceSetInputProvider", m}, spec}
}

func (p *tenantsPlan) labels() map[string]string { return map[string]string{tenantsLabel: p.Name()} }
