package flux

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// testStorm: at no instant does a channel name content that a cluster refuses. Flux looks all the time while channels are
// moved and versions published, and never once says that it could not verify what it saw.
func testStorm(t *testing.T, w *world) {
	apps := w.checkout(t, "org/apps", "storm")
	near := apps.prefix
	apps.prefix = strings.Replace(near, w.registry, w.distant(t), 1)
	apps.app("frontend", "one")
	apps.publish(branchJob())
	apps.release("frontend", "v1.0.0")
	apps.app("frontend", "two")
	apps.publish(branchJob())
	two := apps.release("frontend", "v1.1.0")
	production := follower{"storm-production", "frontend", "latest-stable", "production"}
	staging := follower{"storm-staging", "frontend", "latest", "staging"}
	apps.follow(t, production, "--cluster-registry", near)
	apps.follow(t, staging, "--cluster-registry", near)
	production.runs(t, w, two, "two")
	staging.runs(t, w, two, "two")

	inProduction, inStaging := w.observe(t, production), w.observe(t, staging)
	const moves = 50
	for range moves / 2 {
		apps.rollback("frontend")
		apps.promote("frontend", "v1.1.0")
	}
	inProduction.stop(t, moves/5)
	production.runs(t, w, two, "two")

	inProduction = w.observe(t, production)
	const releases = 10
	last := two
	for i := range releases {
		apps.app("frontend", fmt.Sprint(i))
		apps.publish(branchJob())
		last = apps.release("frontend", fmt.Sprintf("v2.0.%d", i))
	}
	inProduction.stop(t, releases/5)
	inStaging.stop(t, releases/5)
	production.runs(t, w, last, fmt.Sprint(releases-1))
	staging.runs(t, w, last, fmt.Sprint(releases-1))
	for line := range strings.Lines(w.source.said(t)) {
		if strings.Contains(line, `"storm-`) && strings.Contains(line, `"level":"error"`) && strings.Contains(line, "verif") {
			t.Errorf("source-controller: %s", line)
		}
	}
}

// distant is the registry as it is for somebody far away, for whom the time between one change and the next is long
// enough for Flux to look in between.
func (w *world) distant(t *testing.T) (host string) {
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: w.registry})
		r.Out.Host = r.In.Host // by which the registry says where an upload goes on
	}}
	server := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/") {
			time.Sleep(150 * time.Millisecond)
		}
		proxy.ServeHTTP(res, req)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// observer has Flux look at a source ten times a second, and reads every status that it ever gets.
type observer struct {
	source  ref
	cancel  context.CancelFunc
	work    sync.WaitGroup
	err     error // of asking
	updates int
	fetched []string        // the revisions, in the order in which they came
	refused map[string]bool // what Flux said when it was not content
}

func (w *world) observe(t *testing.T, f follower) *observer {
	t.Helper()
	o := &observer{source: source(f.namespace, f.component), refused: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	o.cancel = cancel
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(o.source.object().GroupVersionKind())
	stream, err := w.Watch(ctx, list, client.InNamespace(f.namespace))
	if err != nil {
		t.Fatal(err)
	}
	o.work.Go(func() {
		for event := range stream.ResultChan() {
			if object, ok := event.Object.(*unstructured.Unstructured); ok {
				o.read(object)
			}
		}
	})
	o.work.Go(func() { o.err = o.ask(ctx, w) })
	t.Cleanup(cancel)
	return o
}

func (o *observer) ask(ctx context.Context, w *world) error {
	for {
		_, err := w.reconcile(ctx, o.source)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (o *observer) read(object *unstructured.Unstructured) {
	o.updates++
	if revision := text(object, "status", "artifact", "revision"); len(o.fetched) == 0 || o.fetched[len(o.fetched)-1] != revision {
		o.fetched = append(o.fetched, revision)
	}
	got := conditions(object)
	// On a busy machine source-controller gives up a write of its own ("timed out waiting for the condition") and tries again: then it
	// is not ready for a moment, and has refused nothing.
	again := strings.HasPrefix(got["Ready"].reason, "Progressing")
	if got["Ready"].status == "False" && !again || got["SourceVerified"].status == "False" || got["FetchFailed"].status == "True" ||
		got["Stalled"].status == "True" {
		o.refused[fmt.Sprintf("%+v", got)] = true
	}
}

func (o *observer) end() {
	o.cancel()
	o.work.Wait()
}

// stop ends the observation and checks that Flux was content all the time, and has followed at least so many moves:
// else it did not look often enough for this to mean anything.
func (o *observer) stop(t *testing.T, follows int) {
	t.Helper()
	o.end()
	if o.err != nil {
		t.Error(o.err)
	}
	for said := range o.refused {
		t.Errorf("%s: Flux was not content: %s", o.source, said)
	}
	if len(o.fetched)-1 < follows {
		t.Errorf("%s: Flux followed %d moves only, in %d updates", o.source, len(o.fetched)-1, o.updates)
	}
	t.Logf("%s: Flux followed %d moves, in %d updates", o.source, len(o.fetched)-1, o.updates)
}
