package flux

import (
	"maps"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux/fluxtest"
)

// settingsOf is what a cluster of an environment has in its runtime-info, as generate cluster writes it.
func settingsOf(t testing.TB, c Cluster) map[string]string {
	t.Helper()
	files, err := c.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Path, "runtime-info.yaml") {
			data := map[string]string{}
			for k, v := range documents(t, f.Content)[0]["data"].(map[string]any) {
				data[k] = v.(string)
			}
			return data
		}
	}
	t.Fatal("no runtime-info")
	return nil
}

func cluster(t testing.TB, environment, channel string) Cluster {
	fleet := follow(t, component.Fleet, "fleet", "clusters/prod")
	return Cluster{Name: "c1", Environment: environment, Channel: channel, Domain: "c1.example.com", Fleet: fleet}
}

func documents(t testing.TB, content []byte) []map[string]any {
	t.Helper()
	all, err := fluxtest.Documents(content)
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	return all
}

// rendered is what a cluster makes of a file with a ResourceSet, all of it accepted by the API server.
func rendered(t testing.TB, v *fluxtest.Validator, content []byte, settings map[string]string) []map[string]any {
	t.Helper()
	var set map[string]any
	var providers []fluxtest.Provider
	for _, d := range documents(t, content) {
		for _, err := range v.Object(d) {
			t.Errorf("%v\n%s", err, content)
		}
		if d["kind"] == "ResourceSetInputProvider" {
			providers = append(providers, exported(t, v, d, settings))
			continue
		}
		set = d
	}
	for _, err := range fluxtest.Expressions(set) {
		t.Error(err)
	}
	objects, err := fluxtest.Render(set, settings, providers...)
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	for _, o := range objects {
		for _, err := range v.Object(o) {
			t.Errorf("%v\n%v", err, o)
		}
	}
	return objects
}

// exported is what a provider gives once it found its tag.
func exported(t testing.TB, v *fluxtest.Validator, d map[string]any, settings map[string]string) fluxtest.Provider {
	t.Helper()
	d, err := fluxtest.Substitute(d, settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range v.Object(d) {
		t.Error(err)
	}
	inputs := maps.Clone(at(d, "spec", "defaultValues").(map[string]any))
	tag := "v1.5.0"
	if include, ok := at(d, "spec", "filter", "includeTag").(string); ok {
		tag = strings.ReplaceAll(strings.Trim(include, "^$"), `\.`, ".")
	}
	maps.Copy(inputs, fluxtest.OCIArtifactTag(tag, "sha256:"+strings.Repeat("a", 64)))
	labels := map[string]string{}
	for k, value := range at(d, "metadata", "labels").(map[string]any) {
		labels[k] = value.(string)
	}
	return fluxtest.Provider{Name: at(d, "metadata", "name").(string), Labels: labels, Inputs: []map[string]any{inputs}}
}

// at walks into an object.
func at(o any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := o.(map[string]any)
			o = m[key]
		case int:
			l, _ := o.([]any)
			if key >= len(l) {
				return nil
			}
			o = l[key]
		}
	}
	return o
}

// find is the object of a kind in a namespace (or of a name, for those without).
func find(t testing.TB, objects []map[string]any, kind, namespace, name string) map[string]any {
	t.Helper()
	for _, o := range objects {
		if o["kind"] == kind && at(o, "metadata", "name") == name && (namespace == "" || at(o, "metadata", "namespace") == namespace) {
			return o
		}
	}
	t.Fatalf("no %s %s/%s among %d objects", kind, namespace, name, len(objects))
	return nil
}

func subjectOf(o map[string]any) any {
	return at(o, "spec", "verify", "matchOIDCIdentity", 0, "subject")
}
