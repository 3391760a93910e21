package migrate

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// wholeWay goes forward to the end, and before that back from the middle. It checks that the files are then as before, and that nothing is
// pruned. It gives the files at the end.
func wholeWay(t *testing.T, req AdoptRequest, m *model) map[string]string {
	t.Helper()
	before := contents(t, fleetOf(t, m.dir))
	for range 3 {
		if found, changes := m.step(req); found.Err() != nil || len(changes) == 0 {
			t.Fatalf("%+v", found)
		}
		m.sync(req.Clusters[0])
	}
	req.Back = true
	if !m.run(req, 4) {
		t.Fatal("the way back does not end")
	}
	if after := contents(t, fleetOf(t, m.dir)); !reflect.DeepEqual(after, before) {
		t.Error("back does not give the bytes from before")
	}
	req.Back = false
	if !m.run(req, 6) {
		t.Fatal("the way does not end")
	}
	if got := m.owners(); !maps.Equal(got, map[string]int{"web": 2, "redis": 2}) {
		t.Errorf("%v", got)
	}
	return contents(t, fleetOf(t, m.dir))
}

// TestAdoptOfSharedFile: an old owner in a file that clusters share is changed and removed by patches of the one cluster.
func TestAdoptOfSharedFile(t *testing.T) {
	req, m := adoptable(t, "staging", func(root string) {
		write(t, root, "shared/apps.yaml", strings.ReplaceAll(read(t, root, "clusters/staging/apps.yaml"), "staging", "${ENVIRONMENT}"))
		write(t, root, "shared/kustomization.yaml", "resources:\n  - apps.yaml\n")
		for _, c := range []string{"staging", "production"} {
			write(t, root, "clusters/"+c+"/apps.yaml",
				"apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: shared\n  namespace: flux-system\n"+
					"spec:\n  path: ./shared\n  prune: true\n  postBuild:\n    substitute:\n      ENVIRONMENT: "+c+"\n  sourceRef:\n    kind: GitRepository\n    name: flux-system\n")
		}
	})
	shared := read(t, m.dir, "shared/apps.yaml")
	after := wholeWay(t, req, m)
	if after["shared/apps.yaml"] != shared ||
		!strings.Contains(after["clusters/staging/apps.yaml"], "# keos-oci migrate: adopt remove flux-system/apps\n") {
		t.Errorf("%s\n%s", after["shared/apps.yaml"], after["clusters/staging/apps.yaml"])
	}
	if strings.Contains(after["clusters/staging/apps.yaml"], "adopt suspend") {
		t.Error("patches of former steps are left")
	}
}

// TestAdoptWithoutKustomization: where Flux applies all files of the cluster's folder, the person moves the files, and adopt says where to.
func TestAdoptWithoutKustomization(t *testing.T) {
	req, m := adoptable(t, "production", nil)
	before := contents(t, fleetOf(t, m.dir))
	for range 2 {
		m.step(req)
		m.sync("production")
	}
	found, changes := m.step(req)
	if len(changes) > 0 || len(found.Stops) != 1 || found.Stops[0].Code != "place" ||
		!strings.Contains(found.Stops[0].Do, "git mv adopt/production clusters/production/") {
		t.Fatalf("%+v", found)
	}
	move(t, m.dir, "adopt/production", "clusters/production/apps")
	m.sync("production")
	req.New, req.Back = []string{"clusters/production/apps"}, true
	for range 1 {
		m.step(req)
		m.sync("production")
	}
	if found, _ := m.step(req); len(found.Stops) != 1 || found.Stops[0].Code != "place" {
		t.Fatalf("%+v", found)
	}
	move(t, m.dir, "clusters/production/apps", "adopt/production")
	m.sync("production")
	req.New = []string{"adopt/production"}
	if !m.run(req, 2) || !reflect.DeepEqual(contents(t, fleetOf(t, m.dir)), before) {
		t.Error("back does not give the bytes from before")
	}
	req.Back = false
	for range 2 {
		m.step(req)
		m.sync("production")
	}
	move(t, m.dir, "adopt/production", "clusters/production/apps")
	m.sync("production")
	req.New = []string{"clusters/production/apps"}
	if !m.run(req, 3) {
		t.Error("the way does not end")
	}
	if got := m.owners(); !maps.Equal(got, map[string]int{"web": 2, "redis": 2}) {
		t.Errorf("%v", got)
	}
}

func move(t *testing.T, root, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(root, from), filepath.Join(root, to)); err != nil {
		t.Fatal(err)
	}
}

const setText = `apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata:
  name: apps
  namespace: flux-system
spec:
  inputs:
    - app: web
    - app: redis
  resources:
    - apiVersion: source.toolkit.fluxcd.io/v1
      kind: OCIRepository
      metadata:
        name: << inputs.app >>
        namespace: flux-system
      spec:
        interval: 5m
        url: oci://registry.example.com/adopt/<< inputs.app >>
        ref:
          tag: latest
    - apiVersion: kustomize.toolkit.fluxcd.io/v1
      kind: Kustomization
      metadata:
        name: << inputs.app >>
        namespace: flux-system
      spec:
        interval: 30m
        path: ./staging/<< inputs.app >>
        prune: true
        decryption:
          provider: sops
          secretRef:
            name: sops-age
        postBuild:
          substitute:
            cluster_name: staging
        sourceRef:
          kind: OCIRepository
          name: << inputs.app >>
`

// TestAdoptByResourceSet: Kustomizations that a ResourceSet makes are new owners too. Its template is changed in one place for all of them.
func TestAdoptByResourceSet(t *testing.T) {
	req, m := adoptable(t, "staging", func(root string) { write(t, root, "tenants/apps.yaml", setText) })
	req.New = []string{"tenants/apps.yaml"}
	after := wholeWay(t, req, m)
	if after["tenants/apps.yaml"] != setText ||
		!strings.Contains(after["clusters/staging/kustomization.yaml"], "  - ../../tenants/apps.yaml\n") {
		t.Errorf("%s\n%s", after["tenants/apps.yaml"], after["clusters/staging/kustomization.yaml"])
	}
}

// TestAdoptOfOneFile: the old owner is one of several documents, and the kustomization goes on listing the file.
func TestAdoptOfOneFile(t *testing.T) {
	req, m := adoptable(t, "staging", func(root string) {
		write(t, root, "clusters/staging/apps.yaml",
			read(t, root, "clusters/staging/system.yaml")+"---\n"+read(t, root, "clusters/staging/apps.yaml"))
		replaceIn(t, root, "clusters/staging/kustomization.yaml", "  - system.yaml\n", "")
		remove(t, root, "clusters/staging/system.yaml")
	})
	system := read(t, m.dir, "clusters/staging/apps.yaml")
	after := wholeWay(t, req, m)
	if first, _, _ := strings.Cut(system, "---\n"); after["clusters/staging/apps.yaml"] != first {
		t.Errorf("%s", after["clusters/staging/apps.yaml"])
	}
}

// TestAdoptBackAfterRevert: when the commit that removed the old owners is reverted, --back goes on from there.
func TestAdoptBackAfterRevert(t *testing.T) {
	req, m := adoptable(t, "staging", nil)
	before := contents(t, fleetOf(t, m.dir))
	for range 3 {
		m.step(req)
		m.sync("staging")
	}
	_, removed := m.step(req)
	m.sync("staging")
	for _, c := range removed {
		write(t, m.dir, c.File, string(c.Before))
	}
	m.sync("staging")
	req.Back = true
	if !m.run(req, 4) || !reflect.DeepEqual(contents(t, fleetOf(t, m.dir)), before) {
		t.Error("back does not give the bytes from before")
	}
	if got := m.owners(); !maps.Equal(got, map[string]int{"apps": 4}) {
		t.Errorf("%v", got)
	}
}

// TestAdoptCannotAsk: a cluster that cannot be asked is an error, at each step.
func TestAdoptCannotAsk(t *testing.T) {
	req, m := adoptable(t, "staging", nil)
	for range 4 {
		req.Fleet = fleetOf(t, m.dir)
		if _, changes, err := Adopt(t.Context(), req, closed{}); !errors.Is(err, errClosed) || len(changes) > 0 {
			t.Errorf("%d files, %v", len(changes), err)
		}
		m.step(req)
		m.sync("staging")
	}
}
