package flux

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	kubernetes "sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux/fluxtest"
)

// TestTenantsAreAccepted renders ResourceSets with every option as two clusters do. All objects are accepted, and each
// OCIRepository demands one anchored identity or a key.
func TestTenantsAreAccepted(t *testing.T) {
	v := fluxtest.CRDs(t)
	infra := func(name string) Followed {
		return follow(t, component.Infra, name, "configs/production", "configs/staging", "controllers/production", "controllers/staging")
	}
	two := []Followed{app(t, "frontend"), app(t, "backend")}
	with := func(f Followed, change func(*Followed)) Followed { change(&f); return f }
	for what, c := range map[string]struct {
		tenants Tenants
		objects int
		refused string
	}{
		"apps": {Tenants{Kind: component.App, Components: two, Access: Access{PullSecret: "ghcr-auth"},
			DependsOn: []string{"resourceset/infra"}}, 14, ""},
		"without a login": {Tenants{Kind: component.App, Components: two}, 12, ""},
		"infra": {Tenants{Kind: component.Infra, Components: []Followed{infra("ingress"), infra("dns")}, Access: Access{PullSecret: "x"},
			DependsOn: []string{"kustomization/dns/infra-configs"}}, 16, ""},
		"infra as one": {Tenants{Kind: component.Infra, Components: []Followed{follow(t, component.Infra, "ingress", "production", "staging")}}, 6, ""},
		"phases that differ": {Tenants{Kind: component.Infra, Components: []Followed{infra("ingress"),
			follow(t, component.Infra, "crds", "controllers/production", "controllers/staging"), follow(t, component.Infra, "dns", "production",
				"staging")}}, 19, ""},
		"phases that differ, and dependencies": {Tenants{Kind: component.Infra,
			Components: []Followed{with(infra("ingress"), func(f *Followed) { f.DependsOn = []string{"dns"} }),
				follow(t, component.Infra, "dns", "configs/production", "configs/staging")}}, 13, ""},
		"signers of each component": {Tenants{Kind: component.App, Components: two, Signer: SignerComponent}, 12, ""},
		"names that are no texts": {Tenants{Kind: component.App,
			Components: []Followed{app(t, "1e3"), app(t, "on"), app(t, "007")}}, 18, ""},
		"names that are no texts, with providers": {Tenants{Kind: component.App, Components: []Followed{app(t, "1e3"), app(t, "on")},
			Providers: true}, 12, ""},
		"pins": {Tenants{Kind: component.App, Components: []Followed{with(app(t, "a"), func(f *Followed) { f.Pin.Tag = "v1.2.3" }),
			with(app(t, "b"), func(f *Followed) { f.Pin.Semver = ">=1.0.0 <2.0.0" }), with(app(t, "c"),
				func(f *Followed) { f.Pin.Digest = "sha256:" + strings.Repeat("b", 64) }), app(t, "d")}}, 24, ""},
		"pins with signers of each": {Tenants{Kind: component.App, Signer: SignerComponent,
			Components: []Followed{with(app(t, "a"), func(f *Followed) { f.Pin.Tag = "latest" }),
				with(app(t, "b"), func(f *Followed) { f.Pin.Semver = "1.x" }), app(t, "d")}}, 18, ""},
		"pins of clusters":                      {Tenants{Kind: component.App, Components: two, ClusterPins: true}, 12, ""},
		"pins of clusters with signers of each": {Tenants{Kind: component.App, Components: two, ClusterPins: true, Signer: SignerComponent}, 12, ""},
		"dependencies and literal content": {Tenants{Kind: component.App,
			Components: []Followed{with(app(t, "frontend"), func(f *Followed) { f.DependsOn = []string{"backend"} }),
				with(app(t, "backend"), func(f *Followed) { f.NoSubstitute = true })}}, 12, ""},
		"providers": {Tenants{Kind: component.App, Components: two, Providers: true,
			Access: Access{PullSecret: "login", CertSecret: "ca"}}, 16, ""},
		"providers with signers": {Tenants{Kind: component.App, Components: two, Providers: true, Signer: SignerComponent}, 12, ""},
		"providers of a cloud": {Tenants{Kind: component.App, Components: two, Providers: true,
			Access: Access{Provider: "aws", ServiceAccount: "ecr"}}, 12, ""},
		"providers with ranges": {Tenants{Kind: component.App,
			Components: []Followed{with(app(t, "b"), func(f *Followed) { f.Pin.Semver = ">=1.0.0 <2.0.0" }),
				with(app(t, "c"), func(f *Followed) { f.Pin.Tag = "v1.0.0" })}, Providers: true}, 12, ""},
		"a private registry": {Tenants{Kind: component.App, Components: two,
			Access: Access{Registry: "registry.example.com:11443/keos/apps", PullSecret: "p", CertSecret: "c", Insecure: true},
			Trust:  TrustSecrets{Root: "sigstore"}}, 18, ""},
		"a registry of each cluster": {Tenants{Kind: component.App, Components: two, Access: Access{Registry: "${CLUSTER_DOMAIN}:5000/apps"}}, 12, ""},
		"two registries": {Tenants{Kind: component.App, Components: []Followed{app(t, "a"), with(app(t, "b"), func(f *Followed) {
			f.Component.Repository = name.MustParseReference("registry.example.com:5000/other/b").Context()
		})}}, 12, ""},
		"a cloud":         {Tenants{Kind: component.App, Components: two, Access: Access{Provider: "azure"}}, 12, ""},
		"one environment": {Tenants{Kind: component.App, Components: two, Environment: "staging"}, 12, ""},
		"folders of another depth": {Tenants{Kind: component.App,
			Components: []Followed{follow(t, component.App, "pod", "apps/production/pod", "apps/staging/pod"),
				follow(t, component.App, "flat", ".")}}, 12, ""},
		"one app of an environment": {Tenants{Kind: component.App,
			Components: []Followed{with(follow(t, component.App, "pod", "staging/pod"),
				func(f *Followed) { f.Component.Dir = "apps/base/pod" })}}, 6, ""},
		"folders of no pattern": {Tenants{Kind: component.App, Components: []Followed{follow(t, component.App, "pod", "a/b", "c/d")}}, 0,
			"cannot tell which part of its variants (a/b, c/d)"},
		"a name that is too long": {Tenants{Kind: component.App, Components: []Followed{app(t, strings.Repeat("a", 64))}}, 0, "at most 63"},
		"a key pair without a Secret": {Tenants{Kind: component.App,
			Components: []Followed{with(app(t, "a"), func(f *Followed) { f.Policies = Policies{"latest": {Key: "k"}} })}}, 0, "--key-secret"},
		"a Secret without a key pair": {Tenants{Kind: component.App, Components: two, Trust: TrustSecrets{Key: "k"}}, 0, "keyless"},
		"a key and certificates": {Tenants{Kind: component.App, Trust: TrustSecrets{Key: "k"},
			Components: []Followed{app(t, "b"), with(app(t, "a"),
				func(f *Followed) { f.Policies = Policies{"latest": {Key: "k"}} })}}, 0, "keyless"},
		"encrypted content": {Tenants{Kind: component.App, Decryption: "sops-age",
			Components: []Followed{with(app(t, "a"), func(f *Followed) { f.Encrypted = "x.yaml" }),
				with(app(t, "b"), func(f *Followed) { f.Encrypted = "y.yaml" })}}, 14, ""},
		"content of which some is encrypted": {Tenants{Kind: component.App, Decryption: "sops-age", Components: []Followed{app(t, "a"),
			with(app(t, "b"), func(f *Followed) { f.Encrypted = "y.yaml" })}}, 13, ""},
		"encrypted content without a key": {Tenants{Kind: component.App,
			Components: []Followed{app(t, "a"), with(app(t, "b"), func(f *Followed) { f.Encrypted = "y.yaml" })}}, 0,
			"component b has the file y.yaml, which SOPS encrypted"},
		"a key pair": {Tenants{Kind: component.App, Trust: TrustSecrets{Key: "cosign"},
			Components: []Followed{with(app(t, "a"),
				func(f *Followed) { f.Policies = Policies{"latest": {Key: "k"}, "latest-stable": {Key: "k"}} })}}, 7, ""},
		"twice the same name": {Tenants{Kind: component.App, Components: []Followed{app(t, "a"), app(t, "a")}}, 0,
			"two components are named a"},
		"a digest that is looked up": {Tenants{Kind: component.App, Providers: true,
			Components: []Followed{with(app(t, "a"), func(f *Followed) { f.Pin.Digest = "sha256:" + strings.Repeat("b", 64) })}}, 0, "cannot find"},
		"no such environment":         {Tenants{Kind: component.App, Components: two, Environment: "test"}, 0, "has no test"},
		"an environment that is none": {Tenants{Kind: component.App, Components: two, Environment: "on"}, 0, "does not read it as a text"},
		"not GitHub, by the cluster": {Tenants{Kind: component.App, Signer: SignerCluster,
			Components: []Followed{with(app(t, "a"),
				func(f *Followed) { f.Policies = Policies{"latest": {Issuer: "https://a", Subject: "b"}} })}}, 0,
			"workflows of one GitHub repository"},
		"one identity for all": {Tenants{Kind: component.App, Components: []Followed{with(app(t, "a"), func(f *Followed) {
			f.Policies = Policies{"latest": {Issuer: "https://a", Subject: "b+c@d.e"}, "latest-stable": {Issuer: "https://a", Subject: "b+c@d.e"}}
		})}}, 6, ""},
	} {
		t.Run(what, func(t *testing.T) {
			file, err := c.tenants.File()
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("%v, want %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, of := range []Cluster{cluster(t, "staging", "latest"), cluster(t, "production", "latest-stable")} {
				objects := rendered(t, v, file.Content, settingsOf(t, of))
				if len(objects) != c.objects {
					t.Errorf("%d objects, want %d\n%s", len(objects), c.objects, file.Content)
				}
				for _, o := range objects {
					if o["kind"] == "OCIRepository" {
						verifies(t, o)
					}
				}
			}
		})
	}
}

// verifies checks that an OCIRepository accepts one signer and no other by accident.
func verifies(t testing.TB, o map[string]any) {
	t.Helper()
	identities, _ := at(o, "spec", "verify", "matchOIDCIdentity").([]any)
	if at(o, "spec", "verify", "secretRef", "name") != nil && len(identities) == 0 {
		return
	}
	if len(identities) != 1 {
		t.Fatalf("%d identities: %v", len(identities), o)
	}
	for _, field := range []string{"issuer", "subject"} {
		if text, _ := at(identities[0], field).(string); len(text) < 5 || text[0] != '^' || text[len(text)-1] != '$' {
			t.Errorf("%s %q is not anchored", field, text)
		}
	}
}

// TestSignersAndPins: what is followed, and whose signature that takes, on two clusters of which one has pins.
func TestSignersAndPins(t *testing.T) {
	v := fluxtest.CRDs(t)
	frontend, backend := app(t, "frontend"), app(t, "backend")
	digest := "sha256:" + strings.Repeat("c", 64)
	pinned := cluster(t, "staging", "latest")
	pinned.Components = []Followed{frontend, backend}
	for pin, want := range map[string]struct {
		pin           Pin
		key, followed string
	}{
		"none": {Pin{}, "tag", "latest"}, "version": {Pin{Tag: "v1.2.3"}, "tag", "v1.2.3"}, "range": {Pin{Semver: ">=1.0.0 <2.0.0"}, "semver",
			">=1.0.0 <2.0.0"}, "digest": {Pin{Digest: digest}, "digest", digest},
	} {
		for _, signer := range []Signer{SignerCluster, SignerComponent} {
			t.Run(fmt.Sprint(pin, " ", signer), func(t *testing.T) {
				file, err := Tenants{Kind: component.App, Components: pinned.Components, ClusterPins: true, Signer: signer}.File()
				if err != nil {
					t.Fatal(err)
				}
				of := pinned
				if !want.pin.IsZero() {
					of.Pins = []ComponentPin{{frontend.Component, frontend.Policies, want.pin}}
				}
				objects := rendered(t, v, file.Content, settingsOf(t, of))
				source := find(t, objects, "OCIRepository", "frontend", "apps")
				if got := at(source, "spec", "ref", want.key); got != want.followed {
					t.Errorf("%s is %v, want %s", want.key, got, want.followed)
				}
				subject := subjectOf(source).(string)
				release := strings.Contains(subject, "@refs/tags/frontend/v")
				if release == want.pin.IsZero() {
					t.Errorf("signed by %s", subject)
				}
				if other := subjectOf(find(t, objects, "OCIRepository", "backend", "apps")).(string); !strings.HasSuffix(other, "@refs/heads/main$") {
					t.Errorf("the neighbour is signed by %s", other)
				}
			})
		}
	}
	production := settingsOf(t, cluster(t, "production", "latest-stable"))
	own, err := Tenants{Kind: component.App, Components: pinned.Components, Signer: SignerComponent}.File()
	if err != nil {
		t.Fatal(err)
	}
	objects := rendered(t, v, own.Content, production)
	if got := subjectOf(find(t, objects, "OCIRepository", "frontend",
		"apps")); got != `^https://github[.]com/org/apps/[.]github/workflows/[^/@]+@refs/tags/frontend/v[0-9]+[.][0-9]+[.][0-9]+$` {
		t.Errorf("on production, frontend is signed by %v", got)
	}
}

// TestTemplatesFailClosed: an input without a signer is an error, and not a pattern that accepts everybody.
func TestTemplatesFailClosed(t *testing.T) {
	file, err := Tenants{Kind: component.App, Components: []Followed{app(t, "frontend")}, Signer: SignerComponent}.File()
	if err != nil {
		t.Fatal(err)
	}
	set := documents(t, file.Content)[0]
	delete(at(set, "spec", "inputs", 0, "signers").(map[string]any), AnyVersion)
	if objects, err := fluxtest.Render(set, settingsOf(t, cluster(t, "production", "latest-stable"))); err == nil {
		raw, _ := json.Marshal(objects)
		t.Errorf("rendered %s", raw)
	}
	if _, err := fluxtest.Render(set, settingsOf(t, cluster(t, "staging", "latest"))); err != nil {
		t.Errorf("a channel that has its signer: %v", err)
	}
}

func TestPoliciesAreAccepted(t *testing.T) {
	v := fluxtest.CRDs(t)
	file, err := Allowlist{Sources: []string{"oci://ghcr.io/org/", "https://github.com/org/"}}.File()
	if err != nil {
		t.Fatal(err)
	}
	objects := rendered(t, v, file.Content, nil)
	if len(objects) != 3 || at(find(t, objects, "ConfigMap", "flux-system", "flux-allowlist"), "data",
		"sources") != "oci://ghcr.io/org/ https://github.com/org/" {
		t.Errorf("%v", objects)
	}
}

func toJSON(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := kubernetes.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestDecryption: what is encrypted is decrypted on the cluster, by the key of its namespace, and nothing else is.
func TestDecryption(t *testing.T) {
	v := fluxtest.CRDs(t)
	encrypted := app(t, "b")
	encrypted.Encrypted = "y.yaml"
	file, err := Tenants{Kind: component.App, Decryption: "sops-age", Components: []Followed{app(t, "a"), encrypted}}.File()
	if err != nil {
		t.Fatal(err)
	}
	objects := rendered(t, v, file.Content, settingsOf(t, cluster(t, "production", "latest-stable")))
	find(t, objects, "Secret", "b", "sops-age")
	if got := at(find(t, objects, "Kustomization", "b", "apps"), "spec", "decryption", "secretRef", "name"); got != "sops-age" {
		t.Errorf("b is decrypted with %v", got)
	}
	if got := at(find(t, objects, "Kustomization", "a", "apps"), "spec", "decryption"); got != nil {
		t.Errorf("a is decrypted with %v", got)
	}
	for _, o := range objects {
		if o["kind"] == "Secret" && at(o, "metadata", "namespace") == "a" {
			t.Error("a has the key")
		}
	}
	c := cluster(t, "production", "latest-stable")
	c.Encrypted = Encrypted{Cluster: "clusters/c1/x.yaml", Tenants: "tenants/y.yaml"}
	if _, err := c.Files(); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "clusters/c1/x.yaml") {
		t.Error(err)
	}
	c.Decryption = "sops-age"
	files, err := c.Files()
	if err != nil {
		t.Fatal(err)
	}
	tenants, instance := documents(t, files[0].Content)[0], documents(t, files[1].Content)[0]
	if got := at(tenants, "spec", "decryption", "secretRef", "name"); got != "sops-age" {
		t.Errorf("tenants are decrypted with %v", got)
	}
	if got := at(instance, "spec", "kustomize", "patches", 1, "patch"); !strings.Contains(fmt.Sprint(got), "name: sops-age") {
		t.Errorf("the fleet is decrypted with %v", got)
	}
	if !slices.ContainsFunc(c.Secrets(), func(s Setting) bool { return s.Key == "sops-age" }) {
		t.Error("the cluster does not need the key")
	}
}
