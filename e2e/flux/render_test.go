package flux

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRenderGoldens compares the goldens that internal/resourceset is tested with to what the pinned Flux Operator makes of the same
// ResourceSets. With UPDATE=1 it writes them.
func TestRenderGoldens(t *testing.T) {
	cli := lookFor("flux-operator-cli", filepath.SplitList(os.Getenv("KEOS_OCI_E2E_TOOLS")))
	if cli == "" {
		if os.Getenv("KEOS_OCI_TEST_ALL") != "" {
			t.Fatal("flux-operator-cli not found: is it built, and does KEOS_OCI_E2E_TOOLS name its folder?")
		}
		t.Skip("needs flux-operator-cli: run make e2e-flux")
	}
	const folder = "../../testdata/resourceset"
	for name, set := range renderCases(t, folder) {
		t.Run(name, func(t *testing.T) {
			got := operatorBuilds(t, cli, set)
			golden := filepath.Join(folder, name+".golden.yaml")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("the operator writes something else (%v); make render-goldens writes %s:\n%s", err, golden, got)
			}
		})
	}
}

// renderCases are the ResourceSets by the name of their golden: the samples, and what generate writes for tenants.
func renderCases(t *testing.T, folder string) map[string]string {
	t.Helper()
	cases := map[string]string{}
	for prefix, pattern := range map[string]string{"": folder + "/*.yaml", "tenants-": "../../testdata/flux/golden/tenants/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no ResourceSets in %s: %v", pattern, err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".yaml")
			if strings.HasSuffix(name, ".golden") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cases[prefix+name] = string(text)
		}
	}
	return cases
}

// operatorBuilds gives what the operator prints for a file with a ResourceSet and the providers of its inputs. What it
// refuses, and what has no objects, is a comment.
func operatorBuilds(t *testing.T, cli, text string) []byte {
	t.Helper()
	set, providers, _ := strings.Cut(text, "\n---\n")
	dir := t.TempDir()
	args := []string{"build", "resourceset", "-f", filepath.Join(dir, "set.yaml")}
	files := map[string]string{"set.yaml": set}
	if providers != "" {
		files["providers.yaml"] = providers
		args = append(args, "--inputs-from-provider", filepath.Join(dir, "providers.yaml"))
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), cli, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return stdout.Bytes()
	case !errors.As(err, &failed):
		t.Fatal(err)
	case strings.Contains(stderr.String(), "no objects were generated"):
		return []byte("# no objects\n")
	}
	t.Logf("refused: %s", stderr.String())
	return []byte("# refused\n")
}
