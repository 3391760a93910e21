package check

import (
	"fmt"
	"strings"
	"testing"
)

func kustomizationOf(name, path string) string {
	return fmt.Sprintf("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: %s\nspec:\n  interval: 5m\n  prune: true\n"+
		"  sourceRef: {kind: GitRepository, name: flux-system}\n  path: %s\n", name, path)
}

// TestSelf: a Kustomization in a folder that it applies as a whole owns itself, and undoes what its owner said.
func TestSelf(t *testing.T) {
	testRules(t, []rule{
		{name: "in its own folder", files: map[string]string{"staging/sync.yaml": kustomizationOf("vault", "./staging"),
			"staging/a.yaml": configMap},
			want: []string{"error self staging/sync.yaml:9"}},
		{name: "below it", files: map[string]string{"staging/vault/sync.yaml": kustomizationOf("vault", "./staging/"),
			"staging/a.yaml": configMap},
			want: []string{"error self staging/vault/sync.yaml:9"}},
		{name: "in the whole artifact", files: map[string]string{"staging/sync.yaml": kustomizationOf("vault", "./"),
			"staging/a.yaml": configMap},
			want: []string{"error self staging/sync.yaml:9"}},
		{name: "without a path", files: map[string]string{"staging/sync.yaml": strings.Replace(kustomizationOf("vault", "x"), "  path: x\n", "",
			1), "staging/a.yaml": configMap},
			want: []string{"error self staging/sync.yaml:6"}},
		{name: "of another artifact", files: map[string]string{"staging/sync.yaml": strings.Replace(kustomizationOf("podinfo", "./"),
			"kind: GitRepository, name: flux-system", "kind: OCIRepository, name: podinfo", 1) +
			"---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: podinfo}\nspec: {url: \"oci://ghcr.io/x/podinfo\"}\n", "staging/a.yaml": configMap}},
		{name: "of a source in the same file", files: map[string]string{"staging/sync.yaml": strings.Replace(kustomizationOf("ext", "./staging"),
			"name: flux-system}", "name: ext}", 1) +
			"---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: ext}\nspec: {url: \"https://example.com/x\"}\n", "staging/a.yaml": configMap},
			want: []string{"warning image-automation staging/sync.yaml:11"}},
		{name: "of a source that is elsewhere", files: map[string]string{"staging/sync.yaml": strings.Replace(kustomizationOf("ext", "./"),
			"name: flux-system}", "name: ext}", 1), "staging/a.yaml": configMap},
			want: []string{"warning self staging/sync.yaml:9"}},
		{name: "with a kustomization that chooses", files: map[string]string{"staging/sync.yaml": kustomizationOf("vault", "./staging/vault"),
			"staging/vault/kustomization.yaml": listsA, "staging/vault/a.yaml": configMap, "staging/vault/sync2.yaml": kustomizationOf("x",
				"./staging/vault")}},
		{name: "of another folder", files: map[string]string{"staging/sync.yaml": kustomizationOf("vault", "./vault"),
			"vault/a.yaml": configMap}},
		{name: "of a folder that the settings choose", files: map[string]string{"staging/sync.yaml": kustomizationOf("vault", "./${ENV}"),
			"staging/a.yaml": configMap}},
		{name: "the one that bootstraps a cluster", files: map[string]string{"staging/flux-system/gotk-sync.yaml": kustomizationOf("flux-system",
			"./staging"), "staging/a.yaml": configMap}},
	})
}
