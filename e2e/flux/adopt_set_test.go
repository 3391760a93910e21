package flux

import "testing"

// bySet lets the Kustomizations of a ResourceSet take over from those of the apps, in the middle back, and again. The old
// owners are written outside of the cluster's folder, so that they are changed and removed by patches.
func (a *adoption) bySet(t *testing.T) {
	t.Helper()
	a.owners, a.fresh, a.before = []string{"flux-system/redis", "flux-system/web"}, "tenants/apps.yaml", a.uids(t)
	a.fleet.write(a.fresh, setOfApps)
	a.fleet.commit()
	for _, step := range []string{"prune-off", "suspend", "new-owners"} {
		a.step(t, step)
	}
	a.waitFor(t, "remove")
	a.owned(t, "app-redis", "app-web")
	a.back = true
	for _, step := range []string{"resume", "withdraw", "prune-back"} {
		a.step(t, step)
	}
	a.done(t)
	a.owned(t, "redis", "web")
	a.back = false
	for _, step := range []string{"prune-off", "suspend", "new-owners", "remove", "prune-on"} {
		a.step(t, step)
	}
	a.done(t)
	a.owned(t, "app-redis", "app-web")
	if a.fleet.read(a.fresh) != setOfApps {
		t.Errorf("the ResourceSet is not as it was:\n%s", a.fleet.read(a.fresh))
	}
}

const setOfApps = `apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata:
  name: apps
  namespace: flux-system
spec:
  inputs:
    - app: web
    - app: redis
  resources:
    - apiVersion: kustomize.toolkit.fluxcd.io/v1
      kind: Kustomization
      metadata:
        name: app-<< inputs.app >>
        namespace: flux-system
      spec:
        interval: 10m
        retryInterval: 2s
        path: ./staging/<< inputs.app >>
        prune: true # in time
        postBuild:
          substitute:
            cluster_name: staging
        sourceRef:
          kind: OCIRepository
          name: << inputs.app >>
`
