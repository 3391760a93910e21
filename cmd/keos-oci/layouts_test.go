package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/oci"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestBuildsEqual publishes the repositories of each layout to a registry, pulls them with Flux's client, and builds every
// variant with Flux's own library: from the artifact to the same bytes as from the checkout.
func TestBuildsEqual(t *testing.T) {
	own := "../../testdata/repos"
	allowed := "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsecrets:\n  allow: [{path: \"components/connectors-management/base/values.yaml\", " +
		"reason: placeholders}, {path: \"clusters/_TEMPLATE/**\", reason: placeholders}]\n"
	for _, c := range []struct {
		repo, config string
		variants     int
	}{
		{"apps", "", 4}, {"envfirst", "", 4}, {"fleet", "", 3}, {"infra", "", 4}, {"layers", "", 5}, {"whole", "", 3},
		{"d2-apps", "", 4}, {"d2-infra", "", 8}, {"d2-fleet", "", 5}, {"keos-apps", allowed, 15}, {"keos-system-services", "", 5}, {"keos-fleet",
			allowed, 1},
	} {
		t.Run(c.repo, func(t *testing.T) {
			folder := filepath.Join(own, c.repo)
			if _, err := os.Stat(folder); err != nil {
				folder = filepath.Join(corpora(t), c.repo)
			}
			s := checkoutOf(t, folder, "org/gitops")
			if c.config != "" {
				s.write("keos-oci.yaml", c.config)
				s.commit("allow")
			}
			s.must("publish", "--key", s.key())
			if n := buildAll(t, s); n != c.variants {
				t.Errorf("%d variants, want %d", n, c.variants)
			}
		})
	}
}

// buildAll compares the variants of all components, and counts them.
func buildAll(t *testing.T, s *sandbox) (variants int) {
	t.Helper()
	var list struct {
		Components []struct {
			Repository, Root string
			Variants         []string
		}
	}
	if err := json.Unmarshal([]byte(s.must("components", "-o", "json").stdout), &list); err != nil {
		t.Fatal(err)
	}
	client := oci.NewClient(oci.DefaultOptions())
	for _, c := range list.Components {
		out := t.TempDir()
		if _, err := client.Pull(t.Context(), c.Repository+":latest", out); err != nil {
			t.Fatal(err)
		}
		for _, v := range c.Variants {
			variants++
			there, here := fluxBuild(t, s.dir, filepath.Join(c.Root, v)), fluxBuild(t, out, v)
			if there != here {
				t.Errorf("%s %s builds to\n%s\nin the checkout, and from the artifact to\n%s", c.Repository, v, there, here)
			}
		}
	}
	return variants
}

// fluxBuild builds a folder as kustomize-controller does, and leaves it as it was.
func fluxBuild(t *testing.T, root, folder string) string {
	t.Helper()
	dir := filepath.Join(root, folder)
	action, err := kustomize.NewGenerator(root, unstructured.Unstructured{}).WriteFile(dir, kustomize.WithSaveOriginalKustomization())
	if err != nil {
		t.Fatal(err)
	}
	built, err := kustomize.SecureBuild(root, dir, false)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	if err := kustomize.CleanDirectory(dir, action); err != nil {
		t.Fatal(err)
	}
	objects, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(objects)
}
