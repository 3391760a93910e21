package check

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/kustomize"
)

// corpora finds the real repositories, which are not part of this one.
func corpora(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KEOS_OCI_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the real repositories are not there (%v); set KEOS_OCI_CORPORA to their folder", err)
	}
	return dir
}

// packed is a component of a checkout as a tarball would hold it.
func packed(t testing.TB, workspace, root string, variants ...string) Component {
	t.Helper()
	c := Component{Name: path.Base(root), Workspace: workspace, Root: root, Unpacked: t.TempDir(), Variants: variants}
	top := filepath.Join(workspace, root)
	err := filepath.WalkDir(top, func(full string, entry fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(top, full)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == ".github"):
			return filepath.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(c.Unpacked, rel), 0o755)
		}
		c.Files = append(c.Files, filepath.ToSlash(rel))
		data, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(c.Unpacked, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.Files)
	return c
}

// overlays are the folders of a component that a cluster may select.
func overlays(t testing.TB, workspace, root string) []string {
	t.Helper()
	var out []string
	top := filepath.Join(workspace, root)
	_ = filepath.WalkDir(top, func(full string, entry fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(top, filepath.Dir(full))
		if err == nil && kustomize.IsFile(full) && path.Base(rel) != "base" && path.Base(rel) != "common" {
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	return out
}

// realComponents lists every component of the corpora: components/<name> of five repositories, and the fleets.
func realComponents(t testing.TB) []Component {
	t.Helper()
	dir := corpora(t)
	var out []Component
	for _, repo := range []string{"d2-apps", "d2-infra", "keos-apps", "keos-system-services"} {
		workspace := filepath.Join(dir, repo)
		found, err := os.ReadDir(filepath.Join(workspace, "components"))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range found {
			root := "components/" + entry.Name()
			out = append(out, packed(t, workspace, root, overlays(t, workspace, root)...))
		}
	}
	return append(out,
		packed(t, filepath.Join(dir, "d2-fleet"), ".", "clusters/staging", "clusters/prod-eu", "clusters/prod-us",
			"clusters/update", "tenants"),
		packed(t, filepath.Join(dir, "keos-fleet"), ".", "clusters/eosdev2/default", "clusters/eosdev2/override/apps",
			"clusters/eosdev2/override/system-services", "clusters/eosdev2/secrets/dg-s3-agent",
			"clusters/eosdev2-old/default", "domain/apps/talk-to-your-data/prerequisites",
			"domain/apps/talk-to-your-data/components", "domain/system-services/talk-to-your-data"))
}

// TestRunOnRealRepositories runs the gate on real repositories: nothing of D2 is refused, and of KEOS only
// the two plaintext Secrets, until they are allowed.
func TestRunOnRealRepositories(t *testing.T) {
	var errors []string
	for _, c := range realComponents(t) {
		findings, err := Run(t.Context(), c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			t.Logf("%s %s: %s", f.Severity, filepath.Base(c.Workspace), f)
			if f.Severity == finding.Error {
				errors = append(errors, filepath.Base(c.Workspace)+"/"+f.File+" "+f.Rule)
			}
		}
		allow := []Allowance{{Path: "clusters/_TEMPLATE/**", Reason: "placeholders"},
			{Path: "components/connectors-management/base/values.yaml", Reason: "test"}}
		if left := errorsOf(run(t, c, Options{Allow: allow})); len(left) > 0 {
			t.Errorf("refused in spite of the allowances: %v", left)
		}
	}
	want := []string{
		"keos-apps/components/connectors-management/base/values.yaml secret",
		"keos-fleet/clusters/_TEMPLATE/secrets/dg-s3-agent/secret.yaml secret",
	}
	if !slices.Equal(errors, want) {
		t.Errorf("errors are\n%s\nwant\n%s", strings.Join(errors, "\n"), strings.Join(want, "\n"))
	}
}

// TestRenderEqualsFlux compares with the library that runs in kustomize-controller, for every variant.
func TestRenderEqualsFlux(t *testing.T) {
	for _, c := range realComponents(t) {
		for _, variant := range c.Variants {
			equalsFlux(t, c, variant)
		}
	}
}

// equalsFlux compares Render with what runs in kustomize-controller.
func equalsFlux(t *testing.T, c Component, variant string) {
	t.Helper()
	want := fluxBuild(t, c, variant)
	rendersAs(t, c, variant, want)
}

// fluxBuild builds a variant with fluxcd/pkg/kustomize, writing as the controller does.
func fluxBuild(t *testing.T, c Component, variant string) string {
	t.Helper()
	dir := filepath.Join(c.Unpacked, variant)
	action, err := fluxkustomize.NewGenerator(c.Unpacked, emptyKustomization()).WriteFile(dir, fluxkustomize.WithSaveOriginalKustomization())
	if err != nil {
		t.Fatal(err)
	}
	built, err := fluxkustomize.SecureBuild(c.Unpacked, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := fluxkustomize.CleanDirectory(dir, action); err != nil {
		t.Fatal(err)
	}
	want, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(want)
}

func rendersAs(t *testing.T, c Component, variant, want string) {
	t.Helper()
	got, err := kustomize.Render(t.Context(), c.Unpacked, variant, kustomize.Options{})
	if err != nil || string(got) != want {
		t.Errorf("%s %s: Render gives %v\n%s\nFlux gives\n%s", c.Name, variant, err, got, want)
	}
}
