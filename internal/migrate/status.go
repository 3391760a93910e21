package migrate

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// The states of a Kustomization on its way.
const (
	StateGit      = "git"
	StatePrepared = "prepared"
	StateSwitched = "switched"
)

// State is how far a Kustomization of a cluster is.
type State struct {
	Cluster       string `json:"cluster"`
	Kustomization string `json:"kustomization"`
	Source        string `json:"source"`
	State         string `json:"state"`
}

// Progress says how far the Kustomizations of clusters are, those that take their files from the fleet itself left out.
func Progress(ctx context.Context, req Request) ([]State, error) {
	folders, err := req.folders()
	if err != nil {
		return nil, err
	}
	states := []State{}
	for _, folder := range folders {
		l, err := req.Fleet.follow(ctx, folder, req.Workspaces, nil)
		if err != nil {
			return nil, err
		}
		for _, a := range l.appliers {
			if s, ok := l.state(a); ok {
				states = append(states, s)
			}
		}
	}
	return states, nil
}

// state is how far a Kustomization is. It is false for one that takes its files from the fleet.
func (l *landscape) state(a *applier) (State, bool) {
	s := State{l.cluster, a.String(), a.Kind + " " + a.Source.String(), StateGit}
	switch {
	case a.Source == l.own && (a.Kind == ociRepository || within("clusters", repositoryPath(a.Path))):
		return s, false
	case a.Kind == ociRepository:
		s.State = StateSwitched
	case a.Parent != nil && l.isPrepared(a):
		s.State = StatePrepared
	case l.staysInFleet(a):
		return s, false
	}
	return s, true
}

// isPrepared reports whether the file of a Kustomization has a source that prepare wrote, and the cluster gets sources in its namespace:
// clusters share the file.
func (l *landscape) isPrepared(a *applier) bool {
	if !slices.ContainsFunc(slices.Collect(maps.Keys(l.prepared)), func(n name) bool { return n.Namespace == a.Namespace }) {
		return false
	}
	by := l.beside(a)
	if !by.here() {
		return false
	}
	data, err := l.fleet.Read(by.File)
	return err == nil && strings.Contains(string(data), "# "+marker+"source of ")
}
