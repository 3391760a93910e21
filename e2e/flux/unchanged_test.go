package flux

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// uids are those of all objects of all clusters.
func (m *migration) uids(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, s := range m.sites {
		maps.Copy(found, s.uids(t))
	}
	return found
}

func (s *site) uids(t *testing.T) map[string]string {
	t.Helper()
	kinds, err := discovery.NewDiscoveryClientForConfigOrDie(s.config(admin)).ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	skipped := []string{"Event", "Endpoints"} // the first come and go, and the API server warns of each look at the second
	for _, group := range kinds {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range group.APIResources {
			if !slices.Contains(kind.Verbs, "list") || !slices.Contains(kind.Verbs, "delete") || slices.Contains(skipped, kind.Kind) {
				continue
			}
			objects := &unstructured.UnstructuredList{}
			objects.SetGroupVersionKind(version.WithKind(kind.Kind))
			if err := s.List(t.Context(), objects); err != nil {
				t.Fatal(err)
			}
			for _, o := range objects.Items {
				found[s.name+": "+kind.Kind+"."+version.Group+" "+o.GetNamespace()+"/"+o.GetName()] = string(o.GetUID())
			}
		}
	}
	return found
}

// same checks that all objects are there as they were: none replaced, none pruned, and none added but what a migration adds.
func (m *migration) same(t *testing.T, after string) {
	t.Helper()
	now := m.uids(t)
	for object, uid := range m.before {
		if now[object] != uid {
			t.Errorf("after %s: %s had the UID %s and has %s", after, object, uid, cmp.Or(now[object], "none"))
		}
	}
	for object := range now {
		_, old := m.before[object]
		if !old && !strings.Contains(object, ": OCIRepository.") && !strings.Contains(object, ": Secret. ") {
			t.Errorf("after %s: %s is new", after, object)
		}
	}
	t.Logf("after %s: compared the UIDs of %d objects", after, len(m.before))
}

// watch measures how long Kustomizations are not ready.
type watch struct {
	site    *site
	since   map[string]time.Time // when one stopped being ready
	longest map[string]time.Duration
	said    map[string]string // by it, last
	stopped chan struct{}
	done    chan struct{}
}

// watchReady looks at all Kustomizations four times a second.
func (s *site) watchReady(t *testing.T) *watch {
	o := &watch{site: s, since: map[string]time.Time{}, longest: map[string]time.Duration{}, said: map[string]string{},
		stopped: make(chan struct{}), done: make(chan struct{})}
	go o.look(t.Context())
	return o
}

func (o *watch) look(ctx context.Context) {
	defer close(o.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.stopped:
			return
		case <-time.After(250 * time.Millisecond):
			if objects, err := o.site.objects(ctx, "Kustomization"); err == nil {
				o.read(objects)
			}
		}
	}
}

func (o *watch) read(objects []unstructured.Unstructured) {
	for _, object := range objects {
		name, got := object.GetNamespace()+"/"+object.GetName(), conditions(&object)["Ready"]
		if got.status == "True" {
			delete(o.since, name)
			continue
		}
		if o.since[name].IsZero() {
			o.since[name] = time.Now()
		}
		if gap := time.Since(o.since[name]); gap > o.longest[name] {
			o.longest[name], o.said[name] = gap, got.reason+": "+got.message
		}
	}
}

// stop ends it, and checks that none was unready for longer than the interval.
func (o *watch) stop(t *testing.T) {
	t.Helper()
	close(o.stopped)
	<-o.done
	for name, gap := range o.longest {
		t.Logf("%s: Kustomization %s was not ready for at most %s: %s", o.site.name, name, gap.Round(100*time.Millisecond), o.said[name])
		if gap > leafInterval {
			t.Errorf("%s: Kustomization %s was not ready for %s: %s", o.site.name, name, gap, o.said[name])
		}
	}
}
