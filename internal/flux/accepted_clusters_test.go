package flux

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/flux/fluxtest"
	"github.com/stratio/keos-oci/internal/sign"
)

// TestClustersAreAccepted: every file of a cluster, with and without options, and what its ResourceSet makes.
func TestClustersAreAccepted(t *testing.T) {
	v := fluxtest.CRDs(t)
	full := cluster(t, "production", "latest-stable")
	full.Access = Access{PullSecret: "login", CertSecret: "ca", Insecure: true, Provider: "aws", ServiceAccount: "sa",
		Registry: "registry.example.com:5000/x"}
	full.Trust = TrustSecrets{Root: "sigstore"}
	full.Settings = []Setting{{"CONTAINER_REGISTRY_URL", "registry.example.com:11443"}, {"STRATIO_SIZE", "S"}, {"EMPTY", ""}, {"NUMBER", "7"}}
	full.Flux = Distribution{Chart: "oci://registry.example.com/charts/flux-operator", ChartSecret: "c", PullSecret: "f", Type: "aws",
		Size: "large"}
	keyed := cluster(t, "staging", "latest")
	keyed.Fleet.Policies, keyed.Trust.Key = Policies{"latest": sign.Policy{Key: "k"}, "latest-stable": {Key: "k"}}, "cosign"
	for what, c := range map[string]Cluster{"plain": cluster(t, "staging", "latest"), "full": full, "keyed": keyed} {
		t.Run(what, func(t *testing.T) {
			files, err := c.Files()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if strings.HasSuffix(f.Path, "values.yaml") { // of a chart
					continue
				}
				for _, err := range v.YAML(f.Content) {
					t.Errorf("%s: %v\n%s", f.Path, err, f.Content)
				}
				if strings.HasSuffix(f.Path, "flux-operator.yaml") && len(rendered(t, v, f.Content, nil)) != 2 {
					t.Errorf("%s renders to something else than a source and a release", f.Path)
				}
			}
			synced(t, v, c, files)
		})
	}
}

// synced applies the FluxInstance's patch to the OCIRepository that Flux Operator makes of its sync.
func synced(t testing.TB, v *fluxtest.Validator, c Cluster, files []fileset.File) {
	t.Helper()
	i := slices.IndexFunc(files, func(f fileset.File) bool { return strings.HasSuffix(f.Path, "flux-instance.yaml") })
	instance := documents(t, files[i].Content)[0]
	patch, _ := at(instance, "spec", "kustomize", "patches", 0, "patch").(string)
	spec := map[string]any{"interval": "1m", "url": at(instance, "spec", "sync", "url"),
		"ref": map[string]any{"tag": at(instance, "spec", "sync", "ref")}}
	source := map[string]any{"apiVersion": sourceAPI, "kind": "OCIRepository",
		"metadata": map[string]any{"name": "flux-system", "namespace": "flux-system"}, "spec": spec}
	var operations []any
	if err := json.Unmarshal(toJSON(t, patch), &operations); err != nil {
		t.Fatal(err)
	}
	for _, o := range operations {
		field, _ := strings.CutPrefix(at(o, "path").(string), "/spec/")
		spec[field] = at(o, "value")
	}
	for _, err := range v.Object(source) {
		t.Errorf("%v\n%v", err, source)
	}
	verifies(t, source)
	if c.Trust.Root != "" && at(source, "spec", "verify", "trustedRootSecretRef", "name") != c.Trust.Root {
		t.Errorf("the trusted root is not used: %v", source)
	}
}

func TestPairsAreAccepted(t *testing.T) {
	v := fluxtest.CRDs(t)
	infra := follow(t, component.Infra, "ingress", "configs/production", "controllers/production")
	frontend := app(t, "frontend")
	frontend.DependsOn, frontend.Pin = []string{"ingress"}, Pin{Semver: ">=1.0.0"}
	files, err := Pairs{Components: []Followed{infra, frontend}, Channel: "latest-stable", Environment: "production", TargetNamespace: "web",
		KustomizeAs:    "flux",
		SubstituteFrom: "settings", Access: Access{PullSecret: "p", CertSecret: "c", Provider: "generic"}, Trust: TrustSecrets{Root: "r"}}.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, err := range v.YAML(f.Content) {
			t.Errorf("%v\n%s", err, f.Content)
		}
	}
	if after := at(documents(t, files[1].Content)[1], "spec", "dependsOn", 0, "name"); after != "ingress-configs" {
		t.Errorf("frontend waits for %v, want the last phase of ingress", after)
	}
}

// TestFleetPairIsAccepted: the pair of a fleet is decrypted by what the cluster's own folder needs, and does not wait for itself.
func TestFleetPairIsAccepted(t *testing.T) {
	v := fluxtest.CRDs(t)
	fleet := follow(t, component.Fleet, "fleet", "clusters/prod/default", "clusters/staging")
	var looked string
	fleet.EncryptedIn = func(folder string) (string, error) {
		looked = folder
		return "clusters/prod/default/secret.yaml", nil
	}
	pairs := Pairs{Components: []Followed{fleet}, Channel: "latest-stable", Environment: "prod", SubstituteFrom: "settings"}
	if _, err := pairs.Files(); !errors.Is(err, ErrInput) || looked != "clusters/prod/default" {
		t.Errorf("%v, looked in %s", err, looked)
	}
	pairs.Decryption = "sops-age"
	files, err := pairs.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range v.YAML(files[0].Content) {
		t.Errorf("%v\n%s", err, files[0].Content)
	}
	k := documents(t, files[0].Content)[1]
	for key, want := range map[string]any{"path": "./clusters/prod/default", "wait": false, "prune": true} {
		if got := at(k, "spec", key); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	if at(k, "spec", "decryption", "secretRef", "name") != "sops-age" || at(k, "spec", "postBuild") == nil {
		t.Errorf("%v", k)
	}
	pairs.SourceOnly, pairs.Decryption, pairs.Environment = true, "", ""
	if files, err = pairs.Files(); err != nil || len(documents(t, files[0].Content)) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
