package flux

import (
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
)

// TestPaths: what a cluster builds, for an environment that is known and for one that its settings name.
func TestPaths(t *testing.T) {
	for _, tc := range []struct {
		variants              []string
		dir, phase            string
		production, anyOfThem string
	}{
		{[]string{"production", "staging"}, "components/a", "", "./production", "./${ENVIRONMENT}"},
		{[]string{"controllers/production", "controllers/staging"}, "components/a", "controllers", "./controllers/production",
			"./controllers/${ENVIRONMENT}"},
		{[]string{"production/podinfo", "staging/podinfo"}, "apps/base/podinfo", "", "./production/podinfo", "./${ENVIRONMENT}/podinfo"},
		{[]string{"production/podinfo"}, "apps/production/podinfo", "", "./production/podinfo", "./${ENVIRONMENT}/podinfo"},
		{[]string{"apps/production/podinfo", "apps/staging/podinfo"}, "apps/base/podinfo", "", "./apps/production/podinfo",
			"./apps/${ENVIRONMENT}/podinfo"},
		{[]string{"apps/production/podinfo"}, "apps/base/podinfo", "", "./apps/production/podinfo", "./apps/${ENVIRONMENT}/podinfo"},
		{[]string{"."}, "components/a", "", ".", "."},
		{[]string{"production/b", "staging/c"}, "a", "", "./production/b", "./${ENVIRONMENT}"},
	} {
		c := component.Component{Name: "podinfo", Dir: tc.dir, Variants: tc.variants}
		for environment, want := range map[string]string{"production": tc.production, "${ENVIRONMENT}": tc.anyOfThem} {
			if got, err := phasePath(c, tc.phase, environment); got != want || err != nil {
				t.Errorf("%v: %s builds %s, %v, want %s", tc.variants, environment, got, err, want)
			}
		}
	}
}

// TestClusterFolder: what a cluster builds of a fleet.
func TestClusterFolder(t *testing.T) {
	variants := []string{"clusters/eos/default", "clusters/one", "clusters/one/apps", "clusters/two/a", "clusters/two/a/x",
		"clusters/two/b", "other/x"}
	f := Followed{Component: component.Component{Name: "fleet", Kind: component.Fleet, Dir: ".", Variants: variants},
		Clusters: []string{"clusters/eos", "clusters/new", "clusters/one", "clusters/two"}}
	for cluster, want := range map[string]string{
		"one": "./clusters/one", "clusters/one": "./clusters/one", "./clusters/one/": "./clusters/one",
		"clusters/one/apps": "./clusters/one/apps",
		"eos":               "./clusters/eos/default", "clusters/eos/default": "./clusters/eos/default", "new": "./clusters/new", "other/x": "./other/x",
		"${CLUSTER_NAME}": "./clusters/${CLUSTER_NAME}",
		"two":             "", "no": "", "": "", ".": "", "..": "", "no/x": "", "clusters": "", "_TEMPLATE": "",
	} {
		got, err := clusterFolder(f, cluster)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", cluster, got, err, want)
		}
	}
	_, err := clusterFolder(f, "two")
	if err == nil || !strings.Contains(err.Error(), "clusters/two/a or clusters/two/b") {
		t.Error(err)
	}
}
