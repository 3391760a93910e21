package yamledit

import (
	"errors"
	"strings"
	"testing"
)

const twoApps = `# first
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: apps  # all of them
spec:
  # how often
  interval: 10m
  prune: true
---
# second
apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata:
  name: set
spec:
  resources:
    - apiVersion: v1
      kind: Namespace
      metadata:
        name: web
    - apiVersion: kustomize.toolkit.fluxcd.io/v1
      kind: Kustomization
      spec:
        prune: true
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: last
`

func kustomizationApps() ID {
	return ID{Group: "kustomize.toolkit.fluxcd.io", Kind: "Kustomization", Name: "apps"}
}

// TestAddField: a field comes with its comment, again changes nothing, and goes with it.
func TestAddField(t *testing.T) {
	set := ID{Group: "fluxcd.controlplane.io", Kind: "ResourceSet", Name: "set"}
	for path, c := range map[string]struct {
		id   ID
		want string
	}{
		"spec.suspend":                  {kustomizationApps(), "  # how often\n  # it is off\n  suspend: true\n  interval: 10m\n"},
		"spec.resources.1.spec.suspend": {set, "      spec:\n        # it is off\n        suspend: true\n        prune: true\n"},
	} {
		after, err := AddField([]byte(twoApps), c.id, "it is off", Field{path, "true"})
		if err != nil || !strings.Contains(string(after), c.want) {
			t.Fatalf("%v: %s", err, after)
		}
		if again, err := AddField(after, c.id, "it is off", Field{path, "true"}); err != nil || string(again) != string(after) {
			t.Errorf("again: %v: %s", err, again)
		}
		if undone, err := RemoveField(after, c.id, "it is off", path); err != nil || string(undone) != twoApps {
			t.Errorf("undone: %v: %s", err, undone)
		}
	}
	if _, err := AddField([]byte(twoApps), set, "mark", Field{"spec.resources.suspend", "true"}); !errors.Is(err, ErrUnsafe) {
		t.Errorf("a field of a list: %v", err)
	}
	if _, err := AddField([]byte(twoApps), kustomizationApps(), "mark", Field{"spec.prune", "false"}); !errors.Is(err, ErrUnsafe) {
		t.Errorf("a field that is there: %v", err)
	}
	if same, err := RemoveField([]byte(twoApps), kustomizationApps(), "mark", "spec.prune"); err != nil || string(same) != twoApps {
		t.Errorf("a field of others: %v: %s", err, same)
	}
	edited := strings.Replace(twoApps, "  interval", "  # mark\n  interval", 1)
	if _, err := RemoveField([]byte(edited), kustomizationApps(), "mark", "spec.suspend"); !errors.Is(err, ErrUnsafe) {
		t.Errorf("a comment without its field: %v", err)
	}
}

// TestReplaceFieldsInLists: an index leads into a list.
func TestReplaceFieldsInLists(t *testing.T) {
	set := ID{Group: "fluxcd.controlplane.io", Kind: "ResourceSet", Name: "set"}
	after, err := ReplaceFields([]byte(twoApps), set, "mark", []Field{{"spec.resources.1.spec.prune", "false"}})
	if err != nil || !strings.Contains(string(after), "        prune: false\n") {
		t.Fatalf("%v: %s", err, after)
	}
	if undone, err := RestoreFields(after, set, "mark"); err != nil || string(undone) != twoApps {
		t.Errorf("%v: %s", err, undone)
	}
	if _, err := ReplaceFields([]byte(twoApps), set, "mark", []Field{{"spec.resources.2.spec.prune", "false"}}); !errors.Is(err, ErrUnsafe) {
		t.Errorf("%v", err)
	}
}

// TestRemoveObject: the document goes with its comments, and the others stay byte for byte.
func TestRemoveObject(t *testing.T) {
	first, rest, _ := strings.Cut(twoApps, "---\n")
	middle, last, _ := strings.Cut(rest, "---\n")
	for id, want := range map[ID]string{
		kustomizationApps(): "---\n" + rest,
		{Group: "fluxcd.controlplane.io", Kind: "ResourceSet", Name: "set"}: first + "---\n" + last,
		{Kind: "ConfigMap", Name: "last"}:                                   first + "---\n" + middle,
	} {
		if after, err := RemoveObject([]byte(twoApps), id); err != nil || string(after) != want {
			t.Errorf("%s: %v:\n%s", id, err, after)
		}
	}
	if after, err := RemoveObject([]byte(first), kustomizationApps()); err != nil || len(after) > 0 {
		t.Errorf("the only one: %v: %s", err, after)
	}
	if _, err := RemoveObject([]byte(last), kustomizationApps()); !errors.Is(err, ErrMissing) {
		t.Errorf("none: %v", err)
	}
}

// TestAddMergePatch: a patch that is merged comes and goes as one of operations does.
func TestAddMergePatch(t *testing.T) {
	patch := Patch{Mark: "gone", Target: Target{Kind: "Kustomization", Name: "x"}, Merge: []string{"$patch: delete", "kind: Kustomization"}}
	after, err := AddPatch([]byte(twoApps), kustomizationApps(), patch)
	if err != nil || !strings.Contains(string(after), "$patch: delete\n") {
		t.Fatalf("%v: %s", err, after)
	}
	if undone, err := RemovePatch(after, kustomizationApps(), "gone"); err != nil || string(undone) != twoApps {
		t.Errorf("%v: %s", err, undone)
	}
}
