package check

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkRun checks one component of the usual shape: eight files, three kustomizations, two variants.
func BenchmarkRun(b *testing.B) {
	c := usual(b)
	run(b, c, Options{}) // loads the OpenAPI schema
	b.ReportAllocs()
	for b.Loop() {
		if got := run(b, c, Options{}); len(got) != 0 {
			b.Fatal(show(got))
		}
	}
}

func BenchmarkRunOnADashboard(b *testing.B) {
	dashboard := `{"panels": [`
	for i := range 1000 {
		dashboard += fmt.Sprintf(`{"title": "Requests %d", "datasource": "${DS_PROMETHEUS}"},`+"\n", i)
	}
	c := component(b, map[string]string{"staging/kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [d.json]\n",
		"staging/d.json": dashboard + "{}]}"})
	b.ReportAllocs()
	for b.Loop() {
		run(b, c, Options{})
	}
}

func usual(t testing.TB) Component {
	release := func(name string) string {
		return fmt.Sprintf(`apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata:
  name: %[1]s-chart
spec:
  interval: 1h
  url: oci://registry.example.com/charts/%[1]s
  ref:
    semver: 8.6.3 # {"$imagepolicy": "apps:backend-%[1]s:tag"}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: %[1]s
spec:
  releaseName: %[1]s
  chartRef:
    kind: OCIRepository
    name: %[1]s-chart
  interval: 1h
  install:
    strategy:
      name: RetryOnFailure
  values:
    clusterDomain: cluster.local
    host: %[1]s.${CLUSTER_DOMAIN}
    image:
      repository: example/%[1]s
    metrics:
      image:
        repository: example/%[1]s-exporter
`, name)
	}
	patch := func(name, memory string) string {
		return "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: " + name +
			"\nspec:\n  values:\n    resources:\n      limits:\n        memory: " + memory + "\n"
	}
	overlay := "resources:\n  - ../base\npatches:\n  - path: memcached-values.yaml\n  - path: redis-values.yaml\n"
	c := component(t, map[string]string{
		"base/kustomization.yaml": "resources:\n  - memcached.yaml\n  - redis.yaml\n",
		"base/memcached.yaml":     release("memcached"), "base/redis.yaml": release("redis"),
		"staging/kustomization.yaml": overlay, "staging/memcached-values.yaml": patch("memcached", "128Mi"),
		"staging/redis-values.yaml": patch("redis", "128Mi"), "production/kustomization.yaml": overlay,
		"production/memcached-values.yaml": patch("memcached", "256Mi"), "production/redis-values.yaml": patch("redis", "256Mi"),
	})
	c.Variants = []string{"production", "staging"}
	return c
}

// TestMemoryStaysFlat runs many components and looks at what remains: the schema, once.
func TestMemoryStaysFlat(t *testing.T) {
	c := usual(t)
	run(t, c, Options{})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range 50 {
		run(t, c, Options{})
	}
	after := heap()
	t.Logf("heap %d KiB before, %d KiB after", before>>10, after>>10)
	if after > before+4<<20 {
		t.Errorf("heap grew from %d to %d bytes", before, after)
	}
}
