package migrate

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// TestAdoptNoWayBack: when the old owners are removed, --back says how to get them back.
func TestAdoptNoWayBack(t *testing.T) {
	req, m := adoptable(t, "staging", nil)
	for range 4 {
		m.step(req)
		m.sync("staging")
	}
	req.Back = true
	found, changes := m.step(req)
	if len(changes) > 0 || len(found.Stops) != 1 || found.Stops[0].Code != "removed" || !errors.Is(found.Err(), ErrStops) {
		t.Errorf("%+v", found)
	}
}

// TestAdoptOfEntry: the Kustomization by which a cluster follows its folder does not go.
func TestAdoptOfEntry(t *testing.T) {
	req, m := adoptable(t, "staging", nil)
	req.Owners = []string{"flux-system/flux-system"}
	if found, changes := m.step(req); len(changes) > 0 || len(found.Stops) == 0 || found.Stops[0].Code != "entry" {
		t.Errorf("%+v", found)
	}
}

// TestAdoptUnknown: an owner that was never there is an error, and not one that is gone; files without a Kustomization too.
func TestAdoptUnknown(t *testing.T) {
	for _, edit := range []func(*AdoptRequest){
		func(r *AdoptRequest) { r.Owners = []string{"flux-system/app"} },
		func(r *AdoptRequest) { r.New = []string{"adopt/nosuch"} },
		func(r *AdoptRequest) { r.New = []string{"apps/base/redis/redis.yaml"} },
	} {
		req, m := adoptable(t, "staging", nil)
		edit(&req)
		req.Fleet = fleetOf(t, m.dir)
		if _, _, err := Adopt(t.Context(), req, m); !errors.Is(err, ErrNoOwner) {
			t.Errorf("%v", err)
		}
	}
}

// TestAdoptStops: what is in the way stops before anything is changed, at its place.
func TestAdoptStops(t *testing.T) {
	edit := func(file, before, after string) func(string) {
		return func(root string) { replaceIn(t, root, file, before, after) }
	}
	for name, c := range map[string]struct {
		edit func(root string)
		want string // code file:line
	}{
		"namespace": {edit("adopt/staging/web.yaml", "  prune: true\n", "  prune: true\n  targetNamespace: other\n"),
			"namespace apps/base/web/web.yaml:1"},
		"missing":  {func(root string) { remove(t, root, "adopt/staging/web.yaml") }, "missing apps/base/web/web.yaml:1"},
		"extra":    {edit("apps/staging/kustomization.yaml", "  - redis\n", ""), "extra adopt/staging/redis.yaml:17"},
		"differs":  {edit("apps/base/web/web.yaml", "replicas: 1", "replicas: 2"), "differs apps/base/web/web.yaml:1"},
		"settings": {edit("adopt/staging/web.yaml", "cluster_name: \"staging\"", "cluster_name: \"other\""), "differs apps/base/web/web.yaml:1"},
		"decryption": {edit("adopt/staging/web.yaml", "  decryption:\n    provider: sops\n    secretRef:\n      name: sops-age\n", ""),
			"decryption adopt/staging/web.yaml:17"},
		"twice": {func(root string) {
			write(t, root, "adopt/staging/third.yaml",
				strings.ReplaceAll(read(t, root, "adopt/staging/web.yaml"), "  name: web\n  namespace", "  name: third\n  namespace"))
		}, "twice adopt/staging/web.yaml:17"},
		"depends-on": {edit("clusters/staging/system.yaml", "spec:\n", "spec:\n  dependsOn:\n    - name: apps\n"),
			"depends-on clusters/staging/system.yaml:1"},
		"deletion-policy": {edit("clusters/staging/apps.yaml", "  interval", "  deletionPolicy: Delete\n  interval"),
			"deletion-policy clusters/staging/apps.yaml:1"},
		"suspended": {edit("clusters/staging/apps.yaml", "  interval", "  suspend: true\n  interval"),
			"suspended clusters/staging/apps.yaml:1"},
		"common-metadata": {edit("adopt/staging/web.yaml", "  prune: true\n", "  prune: true\n  commonMetadata:\n    labels: {a: b}\n"),
			"differs apps/base/web/web.yaml:1"},
		"kubeconfig": {edit("clusters/staging/apps.yaml", "  interval", "  kubeConfig: {secretRef: {name: far}}\n  interval"),
			"kubeconfig clusters/staging/apps.yaml:1"},
		"workspace": {edit("adopt/staging/web.yaml", "oci://registry.example.com/adopt/web", "oci://registry.example.com/adopt/nosuch"),
			"workspace adopt/staging/web.yaml:17"},
		"taken": {edit("adopt/staging/web.yaml", "kind: Kustomization\nmetadata:\n  name: web", "kind: Kustomization\nmetadata:\n  name: system"),
			"taken clusters/staging/system.yaml:1"},
		"same-name": {edit("adopt/staging/web.yaml", "kind: Kustomization\nmetadata:\n  name: web",
			"kind: Kustomization\nmetadata:\n  name: apps"),
			"same-name clusters/staging/apps.yaml:1"},
	} {
		t.Run(name, func(t *testing.T) {
			req, m := adoptable(t, "staging", c.edit)
			found, changes := m.step(req)
			if len(changes) > 0 || len(found.Stops) == 0 || !errors.Is(found.Err(), ErrStops) {
				t.Fatalf("%d files, %+v", len(changes), found)
			}
			var all []string
			for _, s := range found.Stops {
				if s.Do == "" || s.Message == "" || s.Cluster != "staging" || s.Line == 0 {
					t.Errorf("%+v", s)
				}
				all = append(all, s.Code+" "+s.File+":"+strconv.Itoa(s.Line))
			}
			if text := strings.Join(all, "\n"); !strings.Contains(text, c.want) {
				t.Errorf("%s\nwant %s", text, c.want)
			}
		})
	}
}
