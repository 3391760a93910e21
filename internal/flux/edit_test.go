package flux

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
)

// follow makes a component of a workspace in GitHub's org/apps, as discovery and the default policies would.
func follow(t testing.TB, kind component.Kind, componentName string, variants ...string) Followed {
	t.Helper()
	repository, err := name.NewRepository("ghcr.io/org/apps/" + componentName)
	if err != nil {
		t.Fatal(err)
	}
	github := func(ref string) sign.Policy {
		return sign.Policy{Issuer: "https://token.actions.githubusercontent.com",
			SubjectPattern: `https://github\.com/org/apps/\.github/workflows/[^/@]+@` + ref}
	}
	release := github("refs/tags/" + componentName + `/v[0-9]+\.[0-9]+\.[0-9]+`)
	c := component.Component{Name: componentName, Kind: kind, Repository: repository, Variants: variants, Channels: component.Channels{
		{Name: "latest", From: component.FromBranch, Branch: "main"}, {Name: "latest-stable", From: component.FromVersion}}}
	for _, phase := range []string{"controllers", "configs"} {
		if slices.ContainsFunc(variants, func(v string) bool { return strings.HasPrefix(v, phase+"/") }) {
			c.Phases = append(c.Phases, phase)
		}
	}
	return Followed{Component: c, Policies: Policies{"latest": github("refs/heads/main"), "latest-stable": release, AnyVersion: release}}
}

func app(t testing.TB, name string) Followed {
	return follow(t, component.App, name, "production", "staging")
}

// apps is the edit that onboards apps of these names.
func apps(t testing.TB, names ...string) Edit {
	e := Edit{File: "apps.yaml", Tenants: Tenants{Kind: component.App}}
	for _, n := range names {
		e.Components = append(e.Components, app(t, n))
	}
	return e
}

const d2Head = `# Apps of all clusters.
apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata: {name: apps, namespace: flux-system}   # flow, on purpose
spec:
`

const d2Tail = `  resources:
    - apiVersion: source.toolkit.fluxcd.io/v1
      kind: OCIRepository
      metadata: {name: apps, namespace: << inputs.tenant >>}
      spec: {interval: 5m, ref: {tag: << inputs.tag >>}, url: "oci://ghcr.io/org/apps/<< inputs.tenant >>"}
# the end
`

func TestEditAddsWhatIsMissing(t *testing.T) {
	for what, c := range map[string]struct {
		before, after string
		edit          Edit
	}{
		"like its neighbours, with comments, blank lines and quotes kept": {
			before: d2Head +
				"  inputs:\n    # the shop window\n    - tenant: 'frontend'   # first\n      tag: \"${ARTIFACT_TAG}\"\n\n      team: blue\n    - tenant: 'backend'\n      tag: \"${ARTIFACT_TAG}\" # as all\n      team: blue\n\n" + d2Tail,
			after: d2Head +
				"  inputs:\n    # the shop window\n    - tenant: 'frontend'   # first\n      tag: \"${ARTIFACT_TAG}\"\n\n      team: blue\n    - tenant: 'backend'\n      tag: \"${ARTIFACT_TAG}\" # as all\n      team: blue\n    - tenant: 'cart'\n      tag: \"${ARTIFACT_TAG}\"\n      team: blue\n\n" + d2Tail,
			edit: apps(t, "backend", "cart", "frontend"),
		},
		"in the columns of its neighbours": {
			before: d2Head + "  inputs:\n  -   tenant: frontend\n      tag: latest\n" + d2Tail,
			after:  d2Head + "  inputs:\n  -   tenant: frontend\n      tag: latest\n  -   tenant: cart\n      tag: latest\n" + d2Tail,
			edit:   apps(t, "cart"),
		},
		"with its own name in other values": {
			before: d2Head +
				"  inputs:\n    - tenant: frontend\n      tag: latest\n      url: oci://registry.example.com/frontend-team/frontend\n      owner: {name: frontend, room: 7}\n" + d2Tail,
			after: d2Head +
				"  inputs:\n    - tenant: frontend\n      tag: latest\n      url: oci://registry.example.com/frontend-team/frontend\n      owner: {name: frontend, room: 7}\n    - tenant: cart\n      tag: latest\n      url: oci://registry.example.com/frontend-team/cart\n      owner: {name: cart, room: 7}\n" + d2Tail,
			edit: apps(t, "cart"),
		},
		"without a neighbour's pin": {
			before: d2Head + "  inputs:\n    - tenant: a\n      tag: \"${ARTIFACT_TAG}\"\n    - tenant: b\n      tag: v1.0.0\n" + d2Tail,
			after: d2Head +
				"  inputs:\n    - tenant: a\n      tag: \"${ARTIFACT_TAG}\"\n    - tenant: b\n      tag: v1.0.0\n    - tenant: cart\n      tag: \"${ARTIFACT_TAG}\"\n" + d2Tail,
			edit: apps(t, "cart"),
		},
		"at the end of the file, without a line end": {
			before: d2Head +
				"  resources:\n    - {apiVersion: v1, kind: Namespace, metadata: {name: << inputs.tenant >>}}\n  inputs:\n    - tenant: a",
			after: d2Head +
				"  resources:\n    - {apiVersion: v1, kind: Namespace, metadata: {name: << inputs.tenant >>}}\n  inputs:\n    - tenant: a\n    - tenant: cart\n",
			edit: apps(t, "cart"),
		},
		"with Windows' line ends": {
			before: strings.ReplaceAll(d2Head+"  inputs:\n    - tenant: a\n      tag: x\n"+d2Tail, "\n", "\r\n"),
			after:  strings.ReplaceAll(d2Head+"  inputs:\n    - tenant: a\n      tag: x\n    - tenant: cart\n      tag: x\n"+d2Tail, "\n", "\r\n"),
			edit:   apps(t, "cart"),
		},
		"to an empty list": {
			before: d2Head + "  inputs: []\n" + d2Tail,
			after: d2Head +
				"  inputs:\n    - tenant: \"cart\"\n      tag: \"${ARTIFACT_TAG}\"\n      environment: \"${ENVIRONMENT}\"\n      artifactSubjectWorkflow: \"${ARTIFACT_SUBJECT_WORKFLOW}\"\n      artifactSubjectGitRef: \"${ARTIFACT_SUBJECT_GIT_REF}\"\n" + d2Tail,
			edit: apps(t, "cart"),
		},
		"where there are no inputs yet": {
			before: d2Head + d2Tail,
			after: d2Head +
				"  inputs:\n    - tenant: \"cart\"\n      tag: \"${ARTIFACT_TAG}\"\n      environment: \"${ENVIRONMENT}\"\n      artifactSubjectWorkflow: \"${ARTIFACT_SUBJECT_WORKFLOW}\"\n      artifactSubjectGitRef: \"${ARTIFACT_SUBJECT_GIT_REF}\"\n" + d2Tail,
			edit: apps(t, "cart"),
		},
		"keys that the resources need": {
			before: d2Head + "  inputs:\n    - tenant: a\n      tag: x # pinned by hand\n    - tenant: cart\n\n" + d2Tail,
			after:  d2Head + "  inputs:\n    - tenant: a\n      tag: x # pinned by hand\n    - tenant: cart\n      tag: x\n\n" + d2Tail,
			edit:   apps(t, "cart"),
		},
		"in flow style, as its neighbours": {
			before: d2Head + "  inputs:\n    - {tenant: a, tag: \"x\"}\n" + d2Tail,
			after:  d2Head + "  inputs:\n    - {tenant: a, tag: \"x\"}\n    - {tenant: cart, tag: \"x\"}\n" + d2Tail,
			edit:   apps(t, "cart"),
		},
		"named by another key": {
			before: d2Head + "  inputs:\n    - app: a\n      tag: x\n" + strings.ReplaceAll(d2Tail, "inputs.tenant", "inputs.app"),
			after: d2Head + "  inputs:\n    - app: a\n      tag: x\n    - app: cart\n      tag: x\n" +
				strings.ReplaceAll(d2Tail, "inputs.tenant", "inputs.app"),
			edit: apps(t, "cart"),
		},
		"names that YAML would read as something else": {
			before: d2Head + "  inputs:\n    - tenant: a\n      tag: x\n" + d2Tail,
			after:  d2Head + "  inputs:\n    - tenant: a\n      tag: x\n    - tenant: \"1e3\"\n      tag: x\n    - tenant: \"on\"\n      tag: x\n" + d2Tail,
			edit:   apps(t, "1e3", "on"),
		},
		"beside other documents": {
			before: "kind: Namespace\napiVersion: v1\nmetadata: {name: x}\n---\n" + d2Head + "  inputs:\n    - tenant: a\n      tag: x\n" + d2Tail +
				"---\n# nothing but a comment\n",
			after: "kind: Namespace\napiVersion: v1\nmetadata: {name: x}\n---\n" + d2Head +
				"  inputs:\n    - tenant: a\n      tag: x\n    - tenant: cart\n      tag: x\n" + d2Tail + "---\n# nothing but a comment\n",
			edit: apps(t, "cart"),
		},
	} {
		t.Run(what, func(t *testing.T) {
			change, err := c.edit.Apply([]byte(c.before))
			if err != nil {
				t.Fatal(err)
			}
			if string(change.Content) != c.after {
				t.Fatalf("got\n%s\nwant\n%s", change.Content, c.after)
			}
			again, err := c.edit.Apply(change.Content)
			if err != nil || string(again.Content) != c.after || len(again.Added)+len(again.Updated)+len(again.Removed) > 0 {
				t.Errorf("the second time: %v, %+v", err, again)
			}
		})
	}
}

func TestEditPrunesOnlyWhenAsked(t *testing.T) {
	before := d2Head +
		"  inputs:\n    # about a\n    - tenant: a\n      tag: x\n    # about b,\n    # on two lines\n    - tenant: b\n      tag: x\n    # about c\n    - tenant: c\n      tag: x\n" + d2Tail
	e := apps(t, "a", "d")
	kept, err := e.Apply([]byte(before))
	if err != nil || !strings.Contains(string(kept.Content), "- tenant: b") || !slices.Equal(kept.Added, []string{"d"}) {
		t.Fatalf("%v\n%s", err, kept.Content)
	}
	e.Prune = true
	got, err := e.Apply([]byte(before))
	want := d2Head + "  inputs:\n    # about a\n    - tenant: a\n      tag: x\n    - tenant: d\n      tag: x\n" + d2Tail
	if err != nil || string(got.Content) != want || !slices.Equal(got.Removed, []string{"b", "c"}) {
		t.Fatalf("%v %v\n%s", err, got.Removed, got.Content)
	}
	e.Components = e.Components[:0]
	if _, err := e.Apply([]byte(before)); !errors.Is(err, ErrInput) {
		t.Errorf("a ResourceSet without inputs: %v", err)
	}
}

func TestEditPinsInPlace(t *testing.T) {
	before := d2Head +
		"  inputs:\n    - tenant: a\n      tag: \"${ARTIFACT_TAG}\"   # the cluster's\n      environment: e\n    - tenant: b\n      tag: \"${ARTIFACT_TAG}\"\n" + d2Tail
	pinned := strings.Replace(before, "\"${ARTIFACT_TAG}\"   # the cluster's", "\"v1.2.3\" # the cluster's", 1)
	e := apps(t, "a")
	pin := func(text, on string) (string, error) {
		var err error
		if e.Components[0].Pin, err = ParsePin(e.Components[0].Component, text); err != nil {
			t.Fatal(err)
		}
		change, err := e.Apply([]byte(on))
		return string(change.Content), err
	}
	if got, err := pin("v1.2.3", before); err != nil || got != pinned {
		t.Errorf("%v\n%s", err, got)
	}
	if got, err := pin("v1.2.3", pinned); err != nil || got != pinned {
		t.Errorf("again: %v\n%s", err, got)
	}
	if got, err := pin("none", pinned); err != nil || got != strings.Replace(before, "   # the", " # the", 1) {
		t.Errorf("back: %v\n%s", err, got)
	}
	if _, err := pin(">=1.0.0 <2.0.0", before); !errors.Is(err, ErrInput) {
		t.Errorf("resources that know no range: %v", err)
	}
	knows := strings.Replace(before, "ref: {tag: << inputs.tag >>}",
		`ref: {tag: << inputs.tag >>, semver: '<< get inputs "semver" >>', digest: '<< get inputs "digest" >>'}`, 1)
	ranged, err := pin(">=1.0.0 <2.0.0", knows)
	if err != nil || !strings.Contains(ranged, "      environment: e\n      semver: \">=1.0.0 <2.0.0\"\n    - tenant: b") {
		t.Errorf("%v\n%s", err, ranged)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	if got, err := pin(digest, ranged); err != nil || strings.Contains(got, ">=1.0.0") || !strings.Contains(got, `digest: "`+digest) {
		t.Errorf("a range becomes a digest: %v\n%s", err, got)
	}
	first := strings.Replace(knows, "- tenant: a\n", "- semver: 1.x\n      tenant: a\n", 1)
	if got, err := pin("none", first); err != nil || strings.Contains(got, "1.x") || !strings.Contains(got, "    - tenant: a\n") {
		t.Errorf("a range at the beginning is dropped: %v\n%s", err, got)
	}
	if got, err := pin("none", ranged); err != nil || got != knows {
		t.Errorf("a range is dropped: %v\n%s", err, got)
	}
}

func TestEditRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for what, c := range map[string]struct{ content, want string }{
		"another kind": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
			"has no ResourceSet of fluxcd.controlplane.io, only ConfigMap"},
		"no YAML":          {"{", "apps.yaml: "},
		"an empty file":    {"", "has no ResourceSet"},
		"another group":    {strings.Replace(d2Head, "fluxcd.controlplane.io/v1", "example.com/v1", 1) + d2Tail, "has no ResourceSet"},
		"two ResourceSets": {d2Head + d2Tail + "---\n" + d2Head + d2Tail, "apps.yaml:14: a second ResourceSet"},
		"providers": {d2Head + "  inputsFrom:\n    - {kind: ResourceSetInputProvider, name: x}\n" + d2Tail,
			"apps.yaml:7: the inputs come from providers"},
		"a flow list":          {d2Head + "  inputs: [{tenant: a}]\n" + d2Tail, "apps.yaml:6: inputs is not written with one item on each line"},
		"inputs of no name":    {d2Head + "  inputs:\n    - tag: x\n" + d2Tail, "do not all have one of the keys tenant"},
		"an input of one word": {d2Head + "  inputs:\n    - x\n" + d2Tail, "apps.yaml:7: an input that is not a mapping"},
		"a dash alone":         {d2Head + "  inputs:\n    -\n      tenant: x\n" + d2Tail, "does not begin right after its dash"},
		"an unknown need": {d2Head + "  inputs:\n    - tenant: a\n      tag: x\n" +
			strings.Replace(d2Tail, "interval: 5m", "interval: << inputs.every >>", 1),
			"the resources use inputs.every, and nothing says what it is for cart"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := apps(t, "cart").Apply([]byte(c.content))
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := apps(t, "no_name").Apply([]byte(d2Head + d2Tail)); !errors.Is(err, ErrName) {
		t.Error(err)
	}
}

// FuzzEdit: whatever the file, an edit changes its inputs alone or refuses, and the second one changes nothing.
func FuzzEdit(f *testing.F) {
	f.Add(d2Head + "  inputs:\n    - tenant: a\n      tag: x\n" + d2Tail)
	f.Add(d2Head + "  inputs:\n  - tenant: a\n    tag: |\n      x\n\n    # c\n" + d2Tail)
	f.Add(d2Head + "  inputs:\n    - &a\n      tenant: a\n    - <<: *a\n      tenant: b\n" + d2Tail)
	f.Fuzz(func(t *testing.T, content string) {
		e := apps(t, "cart", "a")
		change, err := e.Apply([]byte(content))
		if err != nil {
			return
		}
		again, err := e.Apply(change.Content)
		if err != nil || string(again.Content) != string(change.Content) {
			t.Errorf("the second time: %v\n%q\n%q", err, change.Content, again.Content)
		}
	})
}
