package migrate

import (
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/cluster"
)

func healthy(kind, namespace, name string) cluster.Object {
	yes := cluster.Condition{Status: "True", Message: "done", Current: true}
	ref := cluster.Ref{Kind: kind, Namespace: namespace, Name: name}
	return cluster.Object{Ref: ref, Ready: yes, Verified: yes, Current: true, Revision: "latest@sha256:abc"}
}

// TestSourceReady: only a source that is as it should be, now, is followed.
func TestSourceReady(t *testing.T) {
	for name, test := range map[string]struct {
		edit  func(*cluster.Object)
		found bool
		want  string // "" is ready
	}{
		"good":             {func(*cluster.Object) {}, true, ""},
		"missing":          {func(*cluster.Object) {}, false, "not in the cluster"},
		"deleted":          {func(o *cluster.Object) { o.Deleting = true }, true, "being deleted"},
		"suspended":        {func(o *cluster.Object) { o.Suspended = true }, true, "suspended"},
		"failed":           {func(o *cluster.Object) { o.Ready.Status, o.Ready.Message = "False", "no\n  such tag" }, true, "no such tag"},
		"failed just now":  {func(o *cluster.Object) { o.Ready.Status, o.Current = "False", false }, true, "done"},
		"failed before":    {func(o *cluster.Object) { o.Ready.Status, o.Ready.Current = "False", false }, true, "last change"},
		"in progress":      {func(o *cluster.Object) { o.Ready.Status = "Unknown" }, true, "done"},
		"changed":          {func(o *cluster.Object) { o.Current = false }, true, "last change"},
		"said nothing":     {func(o *cluster.Object) { o.Ready = cluster.Condition{} }, true, "last change"},
		"not verified":     {func(o *cluster.Object) { o.Verified = cluster.Condition{} }, true, "no SourceVerified"},
		"another tag":      {func(o *cluster.Object) { o.Revision = "v1.0.0@sha256:abc" }, true, "it has v1.0.0, and is to follow latest"},
		"verification old": {func(o *cluster.Object) { o.Verified.Current = false }, true, "not verified"},
		"verification says": {func(o *cluster.Object) {
			o.Verified.Status, o.Verified.Message = "False", "no signatures found"
		}, true, "no signatures found"},
	} {
		o := healthy(cluster.OCIRepository, "web", "web")
		test.edit(&o)
		got := sourceReady(o, test.found, "latest")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestLive: a Kustomization is ready with the source of Git alone, and a cluster that nobody asked says nothing.
func TestLive(t *testing.T) {
	follows := healthy(cluster.Kustomization, "web", "web")
	follows.Source = cluster.Ref{Kind: cluster.OCIRepository, Namespace: "web", Name: "web"}
	asked := map[string]*cluster.State{"dev": {Objects: []cluster.Object{follows}}}
	got := Live([]State{
		{"dev", "web/web", "OCIRepository web/web", StateSwitched}, {"dev", "web/web", "GitRepository web/apps", StatePrepared},
		{"dev", "web/other", "OCIRepository web/web", StateSwitched}, {"pro", "web/web", "OCIRepository web/web", StateSwitched},
	}, asked)
	for i, want := range []struct{ ready, message, revision string }{
		{ReadyYes, "done", "latest@sha256:abc"}, {ReadyNo, "in the cluster its source is OCIRepository web/web", "latest@sha256:abc"},
		{ReadyNo, "it is not in the cluster", ""}, {},
	} {
		if s := got[i]; s.Ready != want.ready || s.Message != want.message || s.Revision != want.revision {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
}

// TestRequire: a plan stops at each source, and later at each Kustomization, that the cluster does not have ready, at its place in Git.
func TestRequire(t *testing.T) {
	req := request(t, "d1", nil)
	req.Clusters = req.Clusters[:1]
	plan, changes, err := Prepare(t.Context(), req, sources())
	do(t, req.Fleet, plan, changes, err)
	live := &cluster.State{}
	if ready, needed := plan.RequireSources("staging", live, nil); ready != 0 || needed != 5 || len(plan.Stops) != 5 {
		t.Fatalf("%d of %d sources: %+v", ready, needed, plan.Stops)
	}
	for _, s := range plan.Stops {
		at := s.Cluster == "staging" && s.File != "" && s.Line > 0
		if s.Code != codeNotReady || !at || !strings.Contains(s.Do, "flux reconcile kustomization ") {
			t.Errorf("%+v", s)
		}
	}
	for _, m := range plan.Clusters[0].Moves {
		live.Objects = append(live.Objects, healthy(cluster.OCIRepository, m.applier.Namespace, m.Component))
	}
	plan.Stops = nil
	for n, components := range map[int][]string{1: {"frontend"}, 5: nil} {
		if ready, needed := plan.RequireSources("staging", live, components); ready != n || needed != n || len(plan.Stops) > 0 {
			t.Errorf("%d of %d sources: %+v", ready, needed, plan.Stops)
		}
	}

	plan, changes, err = Switch(t.Context(), req, nil, false)
	do(t, req.Fleet, plan, changes, err)
	if plan, changes, err = Switch(t.Context(), req, nil, false); err != nil || len(changes) > 0 {
		t.Fatal(err, changes)
	}
	for _, a := range plan.Clusters[0].landscape.appliers {
		o := healthy(cluster.Kustomization, a.Namespace, a.Name)
		o.Source = cluster.Ref{Kind: a.Kind, Namespace: a.Source.Namespace, Name: a.Source.Name}
		live.Objects = append(live.Objects, o)
	}
	if ready, switched := plan.RequireSwitched("staging", live, nil); ready != 7 || switched != 7 || len(plan.Stops) > 0 {
		t.Errorf("%d of %d Kustomizations: %+v", ready, switched, plan.Stops)
	}
	for i := range live.Objects {
		if o := &live.Objects[i]; o.Kind == cluster.Kustomization && o.Source.Kind == cluster.OCIRepository {
			o.Source.Kind = cluster.GitRepository
		}
	}
	ready, switched := plan.RequireSwitched("staging", live, []string{"frontend"})
	if ready != 0 || switched != 1 || len(plan.Stops) != 1 || !strings.Contains(plan.Stops[0].Do, "push the commit") {
		t.Errorf("%d of %d Kustomizations: %+v", ready, switched, plan.Stops)
	}
}

// TestOneLine: what a controller says is one line, and never cut inside a letter.
func TestOneLine(t *testing.T) {
	got := oneLine(strings.Repeat("é \n", 400))
	if len(got) > maxMessage+len("…") || strings.ContainsAny(got, "\n\ufffd") || !strings.HasSuffix(got, "…") {
		t.Error(got)
	}
}
