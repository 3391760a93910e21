package fluxtest

const ociRepository = `
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: apps, namespace: apps}
spec:
  interval: 5m
  url: oci://registry.example.com/apps
  ref: {tag: latest}
  verify: {provider: cosign, matchOIDCIdentity: [{issuer: a, subject: b}]}
`

const helmRelease = `
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: apps, namespace: apps}
spec:
  interval: 5m
  chartRef: {kind: OCIRepository, name: apps}
  dependsOn: [{name: other, readyExpr: "dep.status.observedGeneration > 0"}]
`

const kustomization = `
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: apps}
spec:
  interval: 5m
  prune: true
  sourceRef: {kind: OCIRepository, name: apps}
  dependsOn: [{name: other, readyExpr: "dep.metadata.labels.x == self.metadata.labels.x"}]
  healthCheckExprs: [{apiVersion: v1, kind: X, current: "status.x == 1"}]
`

const resourceSetYAML = `
apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata: {name: apps, namespace: apps}
spec:
  dependsOn:
    - {apiVersion: v1, kind: Namespace, name: apps, ready: true, readyExpr: "status.phase == 'Active'"}
  resources: [{apiVersion: v1, kind: Namespace, metadata: {name: x}}]
`

const roleBindingYAML = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: flux, namespace: apps}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{kind: ServiceAccount, name: flux, namespace: apps}]
`

const roleYAML = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: flux, namespace: apps}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
`

const policyYAML = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: sources}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{apiGroups: [x], apiVersions: ["*"], operations: [CREATE], resources: [z]}]
  matchConditions: [{name: not-us, expression: "request.userInfo.username != 'us'"}]
  variables: [{name: url, expression: object.spec.url}]
  validations:
    - expression: variables.url.startsWith(params.data.prefix)
      messageExpression: "'no ' + string(variables.url)"
      reason: Invalid
  auditAnnotations: [{key: k, valueExpression: "string(variables.url)"}]
`

const policyBindingYAML = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: sources}
spec: {policyName: sources, validationActions: [Deny], paramRef: {name: p, namespace: q, parameterNotFoundAction: Deny}}
`

const secretYAML = `
apiVersion: v1
kind: Secret
metadata: {name: auth, namespace: apps, annotations: {fluxcd.controlplane.io/copyFrom: flux-system/auth}}
type: kubernetes.io/dockerconfigjson
`

const configMapYAML = `
apiVersion: v1
kind: ConfigMap
metadata: {name: auth, namespace: apps}
data: {KEY: value}
`

const kustomizationFileYAML = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [a.yaml]
`

const fluxInstance = `
apiVersion: fluxcd.controlplane.io/v1
kind: FluxInstance
metadata: {name: flux, namespace: flux-system}
spec:
  distribution: {version: 2.x, registry: ghcr.io/fluxcd}
  sync: {kind: OCIRepository, url: "oci://registry.example.com/fleet", ref: latest, path: clusters/a}
`

const inputProvider = `
apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSetInputProvider
metadata: {name: tags, namespace: flux-system}
spec: {type: OCIArtifactTag, url: "oci://registry.example.com/apps", filter: {semver: ">=1.0.0", limit: 1}}
`
