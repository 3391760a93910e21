package flux

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestFlux starts one world and runs every scenario in it, each in namespaces and repositories of its own.
func TestFlux(t *testing.T) {
	tools := findTools(t)
	// The kernel kills the programs with the thread that started them: it has to live as long as the test.
	runtime.LockOSThread()
	w := newWorld(t, tools, lockdown()...)
	for _, scenario := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"storm", testStorm}, // takes longest, beside all others
		{"direct", testDirect},
		{"refusal", testRefusal},
		{"environments", testEnvironments},
		{"keys", testKeys},
		{"phases", testPhases},
		{"pins", testPins},
		{"tenants", testTenants},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			scenario.run(t, w)
		})
	}
}

// tools are the paths of the programs by name.
type tools map[string]string

// findTools takes the programs from where make has built them, and skips the test where it has not.
func findTools(t *testing.T) tools {
	t.Helper()
	found := tools{"keos-oci": os.Getenv("KEOS_OCI_BIN"), "sigstack": os.Getenv("KEOS_OCI_SIGSTACK")}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "source-controller", "kustomize-controller",
		"flux-operator"} {
		found[name] = lookFor(name, filepath.SplitList(os.Getenv("KEOS_OCI_E2E_TOOLS")))
	}
	for name, file := range found {
		if isFile(file) {
			continue
		}
		if os.Getenv("KEOS_OCI_TEST_ALL") != "" {
			t.Fatalf("%s not found: is it built, and do KEOS_OCI_BIN, KEOS_OCI_SIGSTACK and KEOS_OCI_E2E_TOOLS name it?", name)
		}
		t.Skipf("needs %s and other programs: run make e2e-flux", name)
	}
	return found
}

// lookFor finds a program in folders, and gives nothing where it is in none.
func lookFor(name string, dirs []string) string {
	for _, dir := range dirs {
		if file := filepath.Join(dir, name); isFile(file) {
			return file
		}
	}
	return ""
}

func isFile(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
