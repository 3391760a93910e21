package flux

// metadata and the structs below are what of Kubernetes' and Flux's objects is generated, in the order of their fields.
type metadata struct {
	Name        string            `yaml:"name"`
	Namespace   string            `yaml:"namespace,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
}

type namespace struct {
	object `yaml:",inline"`
}

// copied is a ConfigMap or a Secret that Flux Operator fills with the content of another.
type copied struct {
	object `yaml:",inline"`
	Type   string `yaml:"type,omitempty"`
}

type serviceAccount struct {
	object           `yaml:",inline"`
	ImagePullSecrets []reference `yaml:"imagePullSecrets,omitempty"`
}

type roleBinding struct {
	object   `yaml:",inline"`
	RoleRef  roleRef   `yaml:"roleRef"`
	Subjects []subject `yaml:"subjects"`
}

type roleRef struct {
	APIGroup string `yaml:"apiGroup"`
	Kind     string `yaml:"kind"`
	Name     string `yaml:"name"`
}

type subject struct {
	Kind      string `yaml:"kind"`
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
}

type ociRepository struct {
	object `yaml:",inline"`
	Spec   ociRepositorySpec `yaml:"spec"`
}

type ociRepositorySpec struct {
	Interval           string        `yaml:"interval"`
	ServiceAccountName string        `yaml:"serviceAccountName,omitempty"`
	URL                string        `yaml:"url"`
	Provider           string        `yaml:"provider,omitempty"`
	Insecure           bool          `yaml:"insecure,omitempty"`
	SecretRef          *reference    `yaml:"secretRef,omitempty"`
	CertSecretRef      *reference    `yaml:"certSecretRef,omitempty"`
	Ref                ociRef        `yaml:"ref"`
	Verify             *verification `yaml:"verify"`
}

// ociRef is where an OCIRepository points. Flux takes the digest before the range, and the range before the tag.
type ociRef struct {
	Tag    string `yaml:"tag,omitempty"`
	Semver string `yaml:"semver,omitempty"`
	Digest string `yaml:"digest,omitempty"`
}

type kustomization struct {
	object `yaml:",inline"`
	Spec   kustomizationSpec `yaml:"spec"`
}

type kustomizationSpec struct {
	DependsOn          any         `yaml:"dependsOn,omitempty"` // []dependency, or a template of one
	TargetNamespace    string      `yaml:"targetNamespace,omitempty"`
	ServiceAccountName string      `yaml:"serviceAccountName,omitempty"`
	Interval           string      `yaml:"interval"`
	RetryInterval      string      `yaml:"retryInterval"`
	Wait               bool        `yaml:"wait"`
	Timeout            string      `yaml:"timeout"`
	SourceRef          kindAndName `yaml:"sourceRef"`
	Path               quoted      `yaml:"path"`
	Prune              bool        `yaml:"prune"`
	HealthChecks       []health    `yaml:"healthChecks,omitempty"`
	Patches            []patch     `yaml:"patches,omitempty"`
	Decryption         any         `yaml:"decryption,omitempty"` // *decryption, or a template of one
	PostBuild          any         `yaml:"postBuild,omitempty"`  // *postBuild, or a template of one
}

// health is an object whose state decides whether a Kustomization is ready.
type health struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Name       string `yaml:"name"`
	Namespace  string `yaml:"namespace,omitempty"`
}

// decryption is how encrypted files are read.
type decryption struct {
	Provider  string    `yaml:"provider"`
	SecretRef reference `yaml:"secretRef"`
}

type patch struct {
	Target patchTarget `yaml:"target"`
	Patch  string      `yaml:"patch"`
}

type patchTarget struct {
	Group string `yaml:"group"`
	Kind  string `yaml:"kind"`
}

type kindAndName struct {
	Kind string `yaml:"kind"`
	Name string `yaml:"name"`
}

type dependency struct {
	Name      string `yaml:"name" json:"name"`
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
}

type postBuild struct {
	Substitute     fields        `yaml:"substitute,omitempty"`
	SubstituteFrom []kindAndName `yaml:"substituteFrom,omitempty"`
}

// substituteFrom lets the content have the settings of a ConfigMap as ${VARIABLES}.
func substituteFrom(configMap string) *postBuild {
	return &postBuild{SubstituteFrom: []kindAndName{{"ConfigMap", configMap}}}
}

type resourceSet struct {
	object `yaml:",inline"`
	Spec   resourceSetSpec `yaml:"spec"`
}

type resourceSetSpec struct {
	DependsOn  []waitFor     `yaml:"dependsOn,omitempty"`
	Inputs     []fields      `yaml:"inputs,omitempty"`
	InputsFrom []inputSource `yaml:"inputsFrom,omitempty"`
	Resources  []any         `yaml:"resources"`
}

type inputSource struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Selector   selector `yaml:"selector"`
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

// waitFor is an object that must be there, and ready by an expression in CEL.
type waitFor struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Name       string `yaml:"name"`
	Namespace  string `yaml:"namespace"`
	Ready      bool   `yaml:"ready"`
	ReadyExpr  string `yaml:"readyExpr"`
}

type inputProvider struct {
	object `yaml:",inline"`
	Spec   inputProviderSpec `yaml:"spec"`
}

type inputProviderSpec struct {
	Type               string     `yaml:"type"`
	URL                quoted     `yaml:"url"`
	Insecure           bool       `yaml:"insecure,omitempty"`
	ServiceAccountName string     `yaml:"serviceAccountName,omitempty"`
	SecretRef          *reference `yaml:"secretRef,omitempty"`
	CertSecretRef      *reference `yaml:"certSecretRef,omitempty"`
	Filter             filter     `yaml:"filter"`
	DefaultValues      fields     `yaml:"defaultValues"`
}

type filter struct {
	IncludeTag string `yaml:"includeTag,omitempty"`
	Semver     string `yaml:"semver,omitempty"`
	Limit      int    `yaml:"limit"`
}

// The API versions of what is generated.
const (
	coreAPI      = "v1"
	rbacGroup    = "rbac.authorization.k8s.io"
	rbacAPI      = rbacGroup + "/v1"
	sourceAPI    = "source.toolkit.fluxcd.io/v1"
	kustomizeAPI = "kustomize.toolkit.fluxcd.io/v1"
	operatorAPI  = "fluxcd.controlplane.io/v1"
)
