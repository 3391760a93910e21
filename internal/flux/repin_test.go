package flux

import (
	"errors"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux/fluxtest"
)

// whole is infrastructure that is versioned as one, with Kustomizations of its own inside.
func infrastructure(t testing.TB, pin Pin) Pairs {
	f := follow(t, component.Infra, "infrastructure", "infrastructure")
	f.Pin = pin
	return Pairs{Components: []Followed{f}, Channel: "latest-stable", Environment: "infrastructure", Redirect: true,
		Substitute: []Setting{{"meta_cluster_name", "demo"}, {"meta_productive", "true"}, {"empty", ""}}}
}

func TestRepinMovesOneCluster(t *testing.T) {
	v := fluxtest.CRDs(t)
	files, err := infrastructure(t, Pin{Tag: "v0.1.0"}).Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range v.YAML(files[0].Content) {
		t.Errorf("%v\n%s", err, files[0].Content)
	}
	k := documents(t, files[0].Content)[1]
	if at(k, "spec", "path") != "./infrastructure" || at(k, "spec", "postBuild", "substitute", "meta_productive") != "true" {
		t.Errorf("%v", k)
	}
	if patch, _ := at(k, "spec", "patches", 0, "patch").(string); !strings.Contains(patch, "kind: OCIRepository\n    name: infrastructure\n") {
		t.Errorf("inner Kustomizations are left alone: %v", at(k, "spec", "patches"))
	}
	mine := strings.Replace(string(files[0].Content), "    tag: v0.1.0\n", "    tag: v0.1.0 # approved in CHG-1\n", 1)
	mine = "# Everything for the demo cluster.\n" + strings.Replace(mine, "  interval: 5m\n", "  interval: 1m   # hurry\n\n", 1)

	after, changed, err := infrastructure(t, Pin{Tag: "v0.2.0"}).repin("infrastructure.yaml", []byte(mine))
	if want := strings.Replace(mine, "    tag: v0.1.0 # approved in CHG-1\n", "    tag: v0.2.0\n", 1); err != nil || string(after) != want ||
		len(changed) != 1 {
		t.Fatalf("%v %v\n%s", err, changed, after)
	}
	again, changed, err := infrastructure(t, Pin{Tag: "v0.2.0"}).repin("infrastructure.yaml", after)
	if err != nil || string(again) != string(after) || len(changed) > 0 {
		t.Errorf("the second time: %v %v\n%s", err, changed, again)
	}
	back, _, err := infrastructure(t, Pin{Tag: "v0.1.0"}).repin("infrastructure.yaml", after)
	if err != nil || !strings.Contains(string(back), "    tag: v0.1.0\n") {
		t.Errorf("back: %v\n%s", err, back)
	}
	branch, _, err := infrastructure(t, Pin{Tag: "latest"}).repin("infrastructure.yaml", after)
	if err != nil || !strings.Contains(string(branch), "    tag: latest\n") || !strings.Contains(string(branch), "@refs/heads/main$") ||
		strings.Contains(string(branch), "refs/tags") {
		t.Errorf("a cluster for tests, whose signer is another: %v\n%s", err, branch)
	}
	for _, err := range v.YAML(branch) {
		t.Error(err)
	}
}

func TestRepinRefuses(t *testing.T) {
	p := infrastructure(t, Pin{Tag: "v0.2.0"})
	for content, want := range map[string]string{
		"":  "has no OCIRepository of oci://ghcr.io/org/apps/infrastructure",
		"{": "infrastructure.yaml: ",
		"kind: OCIRepository\nspec: {url: oci://other}\n":                                                 "has no OCIRepository",
		"kind: OCIRepository\nspec: {url: 'oci://ghcr.io/org/apps/infrastructure', ref: {tag: v0.1.0}}\n": "infrastructure.yaml:2: spec is not written as a block",
	} {
		if _, _, err := p.repin("infrastructure.yaml", []byte(content)); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}

// TestLayers: one layer waits for the other, and is ready when the objects of its health checks are.
func TestLayers(t *testing.T) {
	v := fluxtest.CRDs(t)
	layer := func(name string, after ...string) Followed {
		f := follow(t, component.Infra, name, "production", "staging")
		f.DependsOn = after
		return f
	}
	infra := layer("infra")
	check, err := parseHealth("apps/v1/Deployment/ingress/nginx")
	if err != nil {
		t.Fatal(err)
	}
	infra.Health = []Health{check}
	files, err := Pairs{Components: []Followed{infra, layer("system", "infra"), layer("apps", "system"), layer("3rd", "system")},
		Channel:     "latest",
		Environment: "production"}.Files()
	if err != nil {
		t.Fatal(err)
	}
	for i, after := range []any{nil, "infra", "system", "system"} {
		for _, err := range v.YAML(files[i].Content) {
			t.Errorf("%v\n%s", err, files[i].Content)
		}
		k := documents(t, files[i].Content)[1]
		if got := at(k, "spec", "dependsOn", 0, "name"); got != after {
			t.Errorf("%s waits for %v, want %v", files[i].Path, got, after)
		}
		if watched := at(k, "spec", "healthChecks", 0, "name"); (watched == "nginx") != (i == 0) || at(k, "spec", "wait") != (i != 0) {
			t.Errorf("%s watches %v", files[i].Path, k)
		}
	}
	for _, bad := range []string{"Deployment/x", "apps/v1/Deployment/X_Y/nginx", "a/b/c/d/e/f"} {
		if _, err := parseHealth(bad); err == nil {
			t.Errorf("%s is taken for an object", bad)
		}
	}
}
