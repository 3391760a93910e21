package migrate

import "testing"

// TestProgressLeavesOutTheFleet: a Kustomization that takes its files from a cluster's folder of the fleet does not move, although the
// source of a component is written into the same file.
func TestProgressLeavesOutTheFleet(t *testing.T) {
	req := request(t, "keos", nil)
	req.Clusters = []string{"dev1"}
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	states, err := Progress(t.Context(), Request{Fleet: fleetOf(t, req.Fleet.Dir), Clusters: req.Clusters})
	if err != nil || len(states) != 5 {
		t.Fatalf("%v: %+v", err, states)
	}
	for _, s := range states {
		if s.State != StatePrepared || s.Kustomization == "demo-apps/apps-uploader-secrets" {
			t.Errorf("%+v", s)
		}
	}
}
