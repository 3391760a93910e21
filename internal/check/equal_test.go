package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEqual(t *testing.T) {
	c := component(t, map[string]string{"staging/a.yaml": configMap,
		"staging/b.yaml": strings.Replace(configMap, "name: a", "name: b", 1)})
	leave(t, &c, "staging/b.yaml", "not tracked by Git")
	got := run(t, c, Options{})
	if len(got) != 1 || short(got[0]) != "error equal staging:0" ||
		!strings.Contains(got[0].Message, "components/web/staging/b.yaml (not tracked by Git)") {
		t.Error(show(got))
	}
}

func TestEqualWhenTheCheckoutDoesNotBuild(t *testing.T) {
	c := component(t, map[string]string{"staging/a.yaml": configMap, "staging/Kustomization": "resources: [nowhere]\n"})
	leave(t, &c, "staging/Kustomization", "ignored")
	got := run(t, c, Options{})
	if len(got) != 1 || short(got[0]) != "error equal staging:0" || strings.Contains(got[0].Message, c.Workspace) {
		t.Error(show(got))
	}
}

func TestEqualWhenAFileChanged(t *testing.T) {
	c := component(t, map[string]string{"staging/a.yaml": configMap})
	full := filepath.Join(c.Workspace, c.Root, "staging/a.yaml")
	if err := os.WriteFile(full, []byte(strings.Replace(configMap, "a: b", "a: c", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := run(t, c, Options{}); len(got) != 1 || short(got[0]) != "error equal staging:0" {
		t.Error(show(got))
	}
}

func TestEqualIgnoresWhatNoBuildReads(t *testing.T) {
	c := component(t, map[string]string{"staging/kustomization.yaml": listsA, "staging/a.yaml": configMap,
		"README.md": "x", "staging/other.yaml": configMap})
	leave(t, &c, "README.md", "ignored")
	leave(t, &c, "staging/other.yaml", "ignored")
	if got := run(t, c, Options{}); len(got) != 0 {
		t.Error(show(got))
	}
}
