package migrate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
)

// TestPhases moves a landscape: prepare changes no Kustomization, switch moves one cluster and not the other, and back gives
// the same bytes. Each phase, done again, has nothing to do.
func TestPhases(t *testing.T) {
	for landscape, clusters := range running {
		t.Run(landscape, func(t *testing.T) {
			req := request(t, landscape, nil)
			first, second := clusters[0], clusters[1]
			before, _ := says(t, req.Fleet, first)
			other, _ := says(t, req.Fleet, second)
			plan, changes, err := Prepare(t.Context(), req, sources())
			do(t, req.Fleet, plan, changes, err)
			for cluster, tag := range map[string]string{first: "latest", second: "latest-stable"} {
				after, tags := says(t, req.Fleet, cluster)
				want := before
				if cluster == second {
					want = other
				}
				if !reflect.DeepEqual(after, want) {
					t.Errorf("prepare changes Kustomizations of %s", cluster)
				}
				for n, got := range tags {
					if got != tag {
						t.Errorf("%s: OCIRepository %s has the tag %s, want %s", cluster, n, got, tag)
					}
				}
				if len(tags) == 0 {
					t.Errorf("%s has no OCIRepository", cluster)
				}
			}
			if _, again, err := Prepare(t.Context(), req, sources()); err != nil || len(again) > 0 {
				t.Errorf("prepare again: %v, %d files", err, len(again))
			}
			prepared := contents(t, req.Fleet)
			one := req
			one.Clusters = []string{first}
			plan, changes, err = Switch(t.Context(), one, nil, false)
			do(t, req.Fleet, plan, changes, err)
			switchedWholly(t, req, first, plan)
			if after, _ := says(t, req.Fleet, second); !reflect.DeepEqual(after, other) {
				t.Errorf("the switch of %s changes %s", first, second)
			}
			if _, again, err := Switch(t.Context(), one, nil, false); err != nil || len(again) > 0 {
				t.Errorf("switch again: %v, %d files", err, len(again))
			}
			changes, behind, err := Back(t.Context(), one, nil)
			if len(behind) > 0 {
				t.Errorf("%q", behind)
			}
			do(t, req.Fleet, &Plan{}, changes, err)
			if !reflect.DeepEqual(contents(t, req.Fleet), prepared) {
				t.Error("back does not give the bytes from before the switch")
			}
		})
	}
}

// switchedWholly checks that each Kustomization of the plan follows its artifact, and only files of the cluster were changed.
func switchedWholly(t *testing.T, req Request, cluster string, plan *Plan) {
	t.Helper()
	states, err := Progress(t.Context(), Request{Fleet: req.Fleet, Workspaces: req.Workspaces, Clusters: []string{cluster}})
	if err != nil || len(states) < len(plan.Clusters[0].Moves) || len(states) == 0 {
		t.Fatal(err, states)
	}
	for _, m := range plan.Clusters[0].Moves {
		i := slices.IndexFunc(states, func(s State) bool { return s.Kustomization == m.Kustomization })
		if i < 0 || states[i].State != StateSwitched || !strings.HasSuffix(states[i].Source, "/"+m.Component) {
			t.Errorf("%s is not switched: %+v", m.Kustomization, states)
		}
		if m.Equal != EqualYes {
			t.Errorf("%s: %s", m.Kustomization, m.Equal)
		}
	}
}

// TestPhaseIsCompleted: a run that ended after any of its files is completed by the next run.
func TestPhaseIsCompleted(t *testing.T) {
	for landscape := range running {
		whole := request(t, landscape, nil)
		plan, changes, err := Prepare(t.Context(), whole, sources())
		do(t, whole.Fleet, plan, changes, err)
		want := contents(t, whole.Fleet)
		for n := 1; n < len(changes); n++ {
			req := request(t, landscape, nil)
			plan, some, err := Prepare(t.Context(), req, sources())
			do(t, req.Fleet, plan, some[:n], err)
			plan, rest, err := Prepare(t.Context(), req, sources())
			do(t, req.Fleet, plan, rest, err)
			if got := contents(t, req.Fleet); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: after %d of %d files the next run gives other files", landscape, n, len(changes))
			}
		}
	}
}

// TestPrepareOfOneCluster: another cluster that shares the files gets no source, is not prepared, and cannot be switched before it is.
func TestPrepareOfOneCluster(t *testing.T) {
	for landscape, clusters := range running {
		req := request(t, landscape, nil)
		all := req.Clusters
		req.Clusters = clusters[:1]
		plan, changes, err := Prepare(t.Context(), req, sources())
		do(t, req.Fleet, plan, changes, err)
		if _, tags := says(t, req.Fleet, clusters[1]); len(tags) > 0 {
			t.Errorf("%s gets %v", clusters[1], tags)
		}
		req.Clusters = clusters[1:]
		states, err := Progress(t.Context(), req)
		if err != nil || len(states) == 0 || slices.ContainsFunc(states, func(s State) bool { return s.State != StateGit }) {
			t.Errorf("%+v %v", states, err)
		}
		plan, _, err = Switch(t.Context(), req, nil, false)
		if err != nil || len(plan.Stops) == 0 || slices.ContainsFunc(plan.Stops, func(s Stop) bool { return s.Code != "prepare" }) {
			t.Errorf("switch of %s: %v %+v", clusters[1], err, plan.Stops)
		}
		req.Clusters = all
		plan, changes, err = Prepare(t.Context(), req, sources())
		do(t, req.Fleet, plan, changes, err)
		if _, tags := says(t, req.Fleet, clusters[1]); len(tags) == 0 || len(changes) != 1 {
			t.Errorf("%s gets %v by %d files", clusters[1], tags, len(changes))
		}
	}
}

// TestSwitchOfOneComponent: the others stay on Git.
func TestSwitchOfOneComponent(t *testing.T) {
	req := request(t, "keos", nil)
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	req.Clusters = []string{"dev1"}
	chosen := plan.Clusters[0].Moves[0].Component
	plan, changes, err = Switch(t.Context(), req, []string{chosen}, false)
	do(t, req.Fleet, plan, changes, err)
	states, err := Progress(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if want := strings.HasSuffix(s.Source, "/"+chosen); (s.State == StateSwitched) != want {
			t.Errorf("%+v", s)
		}
	}
}

// TestStops: what is in the way stops the plan at its place, with what to do.
func TestStops(t *testing.T) {
	for code, break_ := range map[string]func(t *testing.T, req *Request){
		"workspace": func(_ *testing.T, req *Request) {
			other := req.Workspaces[0]
			other.URL = "https://elsewhere.example.com/x/" + lastOf(other.URL)
			req.Workspaces[0].URL = other.URL + ".git"
			req.Workspaces = []Workspace{req.Workspaces[0], other}
		},
		"branch": func(_ *testing.T, req *Request) { req.Workspaces[1].Channels = map[string]string{"main": "latest"} },
		"artifact": func(_ *testing.T, req *Request) {
			req.Workspaces[1].Artifact = func(context.Context, component.Component, string) (string, error) {
				return "", errors.New("no such tag")
			}
		},
		"differs": func(t *testing.T, req *Request) {
			artifact := req.Workspaces[1].Artifact
			req.Workspaces[1].Artifact = func(ctx context.Context, c component.Component, channel string) (string, error) {
				from, err := artifact(ctx, c, channel)
				dir := filepath.Join(t.TempDir(), c.Name)
				if err == nil {
					err = os.CopyFS(dir, os.DirFS(from))
				}
				return dir, errors.Join(err, filepath.WalkDir(dir, func(full string, entry os.DirEntry, err error) error {
					data, _ := os.ReadFile(full)
					if err != nil || entry.IsDir() || !strings.Contains(string(data), "kind: Deployment") && !strings.Contains(string(data),
						"kind: HelmRelease") && !strings.Contains(string(data), "kind: ConfigMap") {
						return err
					}
					return os.WriteFile(full, []byte(strings.Replace(string(data), "metadata:\n", "metadata:\n  labels: {new: label}\n", 1)), 0o600)
				}))
			}
		},
	} {
		t.Run(code, func(t *testing.T) {
			req := request(t, "d1", nil)
			break_(t, &req)
			plan, err := NewPlan(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Stops) == 0 {
				t.Fatal("nothing stops the plan")
			}
			for _, s := range plan.Stops {
				if s.Code != code || s.File == "" || s.Line == 0 || s.Do == "" {
					t.Errorf("%+v", s)
				}
			}
			if _, changes, err := Prepare(t.Context(), req, sources()); err != nil || len(changes) > 0 {
				t.Errorf("prepare goes on: %v, %d files", err, len(changes))
			}
		})
	}
}

// TestBackSaysWhatIsBehind: a branch that went on has other objects than what runs.
func TestBackSaysWhatIsBehind(t *testing.T) {
	req := request(t, "d1", nil)
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	req.Clusters = []string{"staging"}
	plan, changes, err = Switch(t.Context(), req, nil, false)
	do(t, req.Fleet, plan, changes, err)
	for i := range req.Workspaces {
		req.Workspaces[i].Artifact = func(context.Context, component.Component, string) (string, error) { return t.TempDir(), nil }
	}
	_, behind, err := Back(t.Context(), req, nil)
	if err != nil || len(behind) != len(plan.Clusters[0].Moves) {
		t.Errorf("%v, %q", err, behind)
	}
}

// TestInstance: a cluster whose entry is a FluxInstance is followed as one with gotk-sync.yaml, with the patches that give it its settings.
func TestInstance(t *testing.T) {
	req := request(t, "d1", nil)
	before, err := NewPlan(t.Context(), Request{Fleet: req.Fleet, Workspaces: req.Workspaces, Clusters: []string{"staging"}})
	if err != nil {
		t.Fatal(err)
	}
	sync := "clusters/staging/flux-system/gotk-sync.yaml"
	replaceIn(t, req.Fleet.Dir, "clusters/staging/flux-system/kustomization.yaml", "  - gotk-sync.yaml\n", "")
	if err := os.Remove(filepath.Join(req.Fleet.Dir, sync)); err != nil {
		t.Fatal(err)
	}
	instance := "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata:\n  name: flux\n  namespace: flux-system\nspec:\n  sync:\n    kind: GitRepository\n" +
		"    url: " + remoteOf("d1", "fleet") +
		"\n    ref: refs/heads/main\n    path: clusters/staging\n  kustomize:\n    patches:\n    - target: {kind: Kustomization}\n      patch: |\n" +
		"        - op: add\n          path: /spec/postBuild\n          value: {substituteFrom: [{kind: ConfigMap, name: flux-runtime-info}]}\n"
	if err := os.WriteFile(filepath.Join(req.Fleet.Dir, "clusters/staging/flux-system/flux-instance.yaml"), []byte(instance),
		0o600); err != nil {
		t.Fatal(err)
	}
	after, err := NewPlan(t.Context(), Request{Fleet: fleetOf(t, req.Fleet.Dir), Workspaces: req.Workspaces, Clusters: []string{"staging"}})
	if err != nil || len(after.Stops) > 0 {
		t.Fatal(err, after)
	}
	if len(before.Clusters[0].Moves) == 0 || len(after.Clusters[0].Moves) != len(before.Clusters[0].Moves) {
		t.Errorf("%d Kustomizations, %d with gotk-sync.yaml", len(after.Clusters[0].Moves), len(before.Clusters[0].Moves))
	}
}

// TestWriteLeavesEditedFiles: what somebody edits while a phase is planned is not written over.
func TestWriteLeavesEditedFiles(t *testing.T) {
	req := request(t, "keos", nil)
	_, changes, err := Prepare(t.Context(), req, sources())
	if err != nil || len(changes) < 2 {
		t.Fatal(err, len(changes))
	}
	edited := filepath.Join(req.Fleet.Dir, filepath.FromSlash(changes[1].File))
	if err := os.WriteFile(edited, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(req.Fleet.Dir, changes); !errors.Is(err, ErrEdited) || !strings.Contains(err.Error(), changes[1].File) {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(edited); err != nil || string(data) != "# mine\n" {
		t.Errorf("%v: %s", err, data)
	}
}
