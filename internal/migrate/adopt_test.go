package migrate

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/component"
)

// forward are the steps in their order, and how many files each changes in the landscape adopt.
func forward() []struct {
	step  string
	files int
} {
	return []struct {
		step  string
		files int
	}{{StepPruneOff, 3}, {StepSuspend, 1}, {StepNewOwners, 1}, {StepRemove, 2}, {StepPruneOn, 2}}
}

// TestAdopt takes a layer's objects over by one Kustomization for each app. Each step waits for the one before, and is done once.
func TestAdopt(t *testing.T) {
	req, m := adoptable(t, "staging", nil)
	before := contents(t, fleetOf(t, m.dir))
	if got := m.owners(); !maps.Equal(got, map[string]int{"apps": 4}) {
		t.Fatalf("%v", got)
	}
	for i, want := range forward() {
		found, changes := m.step(req)
		if found.Step != want.step || len(changes) != want.files || found.Err() != nil {
			t.Fatalf("step %s changes %d files: %+v", want.step, len(changes), found)
		}
		if found.Objects != 4 && i < 4 {
			t.Errorf("%s: %d objects", want.step, found.Objects)
		}
		again, more := m.step(req)
		if len(more) > 0 || !errors.Is(again.Err(), ErrIncomplete) || again.Step == want.step {
			t.Errorf("%s again: %d files, %+v", want.step, len(more), again)
		}
		for _, w := range again.Waits {
			if w.Code != codeWaiting || w.File == "" || w.Line == 0 || w.Do == "" {
				t.Errorf("%+v", w)
			}
		}
		m.sync("staging")
		m.safe(want.step)
	}
	if found, changes := m.step(req); found.Step != StepDone || found.Err() != nil || len(changes) > 0 {
		t.Errorf("%+v", found)
	}
	if got := m.owners(); !maps.Equal(got, map[string]int{"web": 2, "redis": 2}) {
		t.Errorf("%v", got)
	}
	after := contents(t, fleetOf(t, m.dir))
	for file, text := range before {
		list := file == "clusters/staging/kustomization.yaml"
		if after[file] != text && !list && file != "clusters/staging/apps.yaml" {
			t.Errorf("%s is changed:\n%s", file, after[file])
		}
		if list && !strings.HasSuffix(after[file], "  - system.yaml\n  - ../../adopt/staging/redis.yaml\n  - ../../adopt/staging/web.yaml\n") {
			t.Errorf("%s", after[file])
		}
	}
	if _, found := after["clusters/staging/apps.yaml"]; found {
		t.Error("apps.yaml is there")
	}
}

// TestAdoptIsCompleted: a run that ended after any of its files is completed by the next run.
func TestAdoptIsCompleted(t *testing.T) {
	for i, want := range forward() {
		for n := 1; n < want.files; n++ {
			var texts []map[string]string
			for _, some := range []int{want.files, n} {
				req, m := adoptable(t, "staging", nil)
				for range i {
					m.step(req)
					m.sync("staging")
				}
				req.Fleet = fleetOf(t, m.dir)
				_, changes, err := Adopt(t.Context(), req, m)
				if err != nil || len(changes) != want.files {
					t.Fatal(err, len(changes))
				}
				if err := Write(m.dir, changes[:some]); err != nil {
					t.Fatal(err)
				}
				m.step(req)
				texts = append(texts, contents(t, fleetOf(t, m.dir)))
			}
			if !reflect.DeepEqual(texts[0], texts[1]) {
				t.Errorf("%s: after %d of %d files the next run gives other files", want.step, n, want.files)
			}
		}
	}
}

// TestAdoptBack goes back from each step, whether the cluster has seen it or not, and then forward again to the end.
func TestAdoptBack(t *testing.T) {
	for steps := range 4 {
		for _, seen := range []bool{true, false} {
			req, m := adoptable(t, "staging", nil)
			m.behind = !seen
			before := contents(t, fleetOf(t, m.dir))
			for i := range steps {
				m.step(req)
				if seen || i < steps-1 {
					m.sync("staging")
				}
			}
			req.Back = true
			if !m.run(req, 4) {
				t.Errorf("back from step %d does not end", steps)
			}
			if got := m.owners(); !maps.Equal(got, map[string]int{"apps": 4}) {
				t.Errorf("back from step %d: %v", steps, got)
			}
			if after := contents(t, fleetOf(t, m.dir)); !reflect.DeepEqual(after, before) {
				t.Errorf("back from step %d does not give the bytes from before", steps)
			}
		}
	}
}

// TestAdoptBackIsCompleted: a run of the way back that ended after any of its files is completed by the next run, and the
// way goes on to the bytes from before.
func TestAdoptBackIsCompleted(t *testing.T) {
	killed := 0
	for steps := range 3 {
		for n := 1; ; n++ {
			req, m := adoptable(t, "staging", nil)
			before := contents(t, fleetOf(t, m.dir))
			for range 3 {
				m.step(req)
				m.sync("staging")
			}
			req.Back = true
			for range steps {
				m.step(req)
				m.sync("staging")
			}
			req.Fleet = fleetOf(t, m.dir)
			_, changes, err := Adopt(t.Context(), req, m)
			if err != nil {
				t.Fatal(err)
			}
			if n >= len(changes) {
				break
			}
			killed++
			if err := Write(m.dir, changes[:n]); err != nil {
				t.Fatal(err)
			}
			if !m.run(req, 5) {
				t.Errorf("after %d steps back and %d files the way does not end", steps, n)
			}
			if after := contents(t, fleetOf(t, m.dir)); !reflect.DeepEqual(after, before) {
				t.Errorf("after %d steps back and %d files: other bytes than before", steps, n)
			}
			if got := m.owners(); !maps.Equal(got, map[string]int{"apps": 4}) {
				t.Errorf("after %d steps back and %d files: %v", steps, n, got)
			}
		}
	}
	if killed < 2 {
		t.Errorf("%d runs were killed", killed)
	}
}

// TestAdoptBackWithoutArtifacts: neither a registry that is down nor a newer layer keeps objects from going back.
func TestAdoptBackWithoutArtifacts(t *testing.T) {
	req, m := adoptable(t, "staging", nil)
	for range 3 {
		m.step(req)
		m.sync("staging")
	}
	replaceIn(t, m.dir, "apps/base/web/web.yaml", "replicas: 1", "replicas: 2")
	if found, _ := m.look(req); len(found.Stops) != 1 || found.Stops[0].Code != "differs" {
		t.Errorf("%+v", found)
	}
	req.Workspaces[0].Artifact = func(context.Context, component.Component, string) (string, error) { return "", errClosed }
	req.Back = true
	m.step(req)
	m.sync("staging")
	web := kustomizationRef(name{fluxNamespace, "web"})
	o := m.objects[web]
	o.Inventory = append(o.Inventory, cluster.ID{Namespace: "web", Name: "new", Kind: "ConfigMap"})
	m.objects[web] = o
	if found, _ := m.look(req); len(found.Notes) != 1 || !strings.Contains(found.Notes[0], "ConfigMap web/new") || found.Err() != nil {
		t.Errorf("what only a new owner has applied: %+v", found)
	}
	if !m.run(req, 4) {
		t.Error("the way back does not end")
	}
	if got := m.owners(); !maps.Equal(got, map[string]int{"apps": 4}) {
		t.Errorf("%v", got)
	}
}

// TestAdoptTurnsBack: in the middle of the way back it can go forward again.
func TestAdoptTurnsBack(t *testing.T) {
	for back := range 4 {
		req, m := adoptable(t, "staging", nil)
		for range 3 {
			m.step(req)
			m.sync("staging")
		}
		req.Back = true
		for range back {
			m.step(req)
			m.sync("staging")
		}
		req.Back = false
		if !m.run(req, 8) {
			t.Errorf("after %d steps back it does not go on", back)
		}
		if got := m.owners(); !maps.Equal(got, map[string]int{"web": 2, "redis": 2}) {
			t.Errorf("after %d steps back: %v", back, got)
		}
	}
}

// run does steps, each of which the cluster sees, until all is done.
func (m *model) run(req AdoptRequest, atMost int) bool {
	m.t.Helper()
	for range atMost + 1 {
		found, changes := m.step(req)
		if len(found.Stops) > 0 {
			m.t.Errorf("%+v", found)
			return false
		}
		if again, more := m.look(req); len(changes) > 0 && !m.behind && (len(more) > 0 || again.Err() == nil) {
			m.t.Errorf("%s again: %d files, %+v", found.Step, len(more), again)
		}
		if found.Step == StepDone && found.Err() == nil {
			return true
		}
		m.sync(req.Clusters[0])
		m.safe(found.Step)
	}
	return false
}

func read(t *testing.T, root, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, root, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, root, file string) {
	t.Helper()
	if err := os.Remove(filepath.Join(root, file)); err != nil {
		t.Fatal(err)
	}
}
