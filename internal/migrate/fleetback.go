package migrate

import (
	"bytes"
	"context"
	"path"

	"github.com/stratio/keos-oci/internal/yamledit"
)

// keep writes what makes the cluster follow Git into a file, one commit before the entry changes: to revert that commit leaves it there.
func (s *fleetStep) keep(e *edits) error {
	entry, err := e.now(s.Entry)
	if err != nil {
		return err
	}
	return e.put(s.WayBack, append([]byte(wayBackMark(s.cluster, s.Entry)), entry...))
}

func wayBackFile(cluster string) string { return path.Join("way-back", cluster+".yaml") }

func wayBackMark(cluster, file string) string {
	return "# " + marker + "what made " + cluster + " follow Git, of " + file + "\n"
}

// BackFleet lets a cluster follow the fleet's Git repository again.
func BackFleet(ctx context.Context, req Request) (*FleetStep, *Plan, []Change, error) {
	folders, err := req.folders()
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := req.Fleet.follow(ctx, folders[0], req.Workspaces, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	entry, plan := l.appliers[0], &Plan{Clusters: []ClusterPlan{}}
	s := &fleetStep{landscape: l, FleetStep: &FleetStep{Cluster: l.cluster, Step: StepDone, entry: entry, Entry: entry.File,
		Managed: l.entryManaged(), WayBack: wayBackFile(l.cluster)}}
	if entry.Kind == gitRepository {
		return s.FleetStep, plan, nil, nil
	}
	s.Step = StepEntry
	e := newEdits(req.Fleet)
	l.stops = nil // what keeps a cluster from moving does not keep it from going back
	if err := s.restoreEntry(e); err != nil || len(l.stops) > 0 {
		plan.Stops = l.stops
		return s.FleetStep, plan, nil, err
	}
	for _, a := range l.appliers[1:] {
		if a.Source != l.own {
			continue
		}
		if err := l.restore(e, a, fleetMark(a)); err != nil {
			return nil, nil, nil, err
		}
	}
	return s.FleetStep, plan, e.changes(), nil
}

// restoreEntry lets the entry follow Git again. It keeps what people changed of it since.
func (s *fleetStep) restoreEntry(e *edits) error {
	if s.byInstance {
		return s.restoreInstance(e)
	}
	entry := s.appliers[0]
	before, err := e.now(s.Entry)
	if err != nil {
		return err
	}
	err = e.edit(s.Entry, func(file []byte) ([]byte, error) {
		after, err := yamledit.RestoreFields(file, idOf(entry), fleetMark(entry))
		if err != nil {
			return nil, err
		}
		return yamledit.RemoveDocument(after, marker+"fleet of "+s.cluster)
	})
	if after, _ := e.now(s.Entry); err == nil && bytes.Equal(before, after) {
		s.stopWayBack("has no comment of migrate that says how it followed Git")
	}
	return err
}

func (s *fleetStep) stopWayBack(why string) {
	s.stop(s.entry.place, "way-back", s.Entry+" "+why, "let it follow Git by hand; what it was is in "+s.WayBack)
}
