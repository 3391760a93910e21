package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestPreCommitHook runs the hook's entry as pre-commit does: it refuses what check refuses. The hook starts for the files that matter.
func TestPreCommitHook(t *testing.T) {
	raw, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID, Entry, Language, Files string
		PassFilenames              *bool `json:"pass_filenames"`
	}
	if err := yaml.Unmarshal(raw, &hooks); err != nil || len(hooks) != 1 {
		t.Fatalf("%d hooks, %v", len(hooks), err)
	}
	hook := hooks[0]
	if hook.ID != "keos-oci-check" || hook.Language != "golang" || hook.PassFilenames == nil || *hook.PassFilenames {
		t.Errorf("%+v", hook)
	}
	files := regexp.MustCompile(hook.Files)
	for file, starts := range map[string]bool{"keos-oci.yaml": true, "components/a/x.yml": true, "components/a/.env": true,
		"components/a/.env.local": true, "prod.env": true, "README.md": false, "components/a/environment.txt": false} {
		if files.MatchString(file) != starts {
			t.Errorf("%s: starts the hook: %t", file, !starts)
		}
	}
	s := checkoutOf(t, "../../testdata/repos/apps", "org/apps")
	words := strings.Fields(hook.Entry)
	run := func() (string, error) {
		cmd := exec.Command(os.Args[0], words[1:]...)
		cmd.Dir, cmd.Env = s.dir, s.env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err != nil || words[0] != "keos-oci" {
		t.Errorf("%v\n%s", err, out)
	}
	s.write("components/cart/base/.env", "A=b\n")
	s.git("add", "-A")
	if out, err := run(); err == nil || !strings.Contains(out, "(dotenv)") {
		t.Errorf("%v\n%s", err, out)
	}
}
