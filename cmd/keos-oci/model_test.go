package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// The model checker runs real commands in this process, each behind a gate of its own that lets one request through at a time. A
// schedule says which command goes on, and up to which step of the protocol of moves (docs/guides/moves.md).

// step is a request at which a schedule may stop a command: the shared state that the protocol is about.
type step string

const (
	stepPrepare  step = "prepare"  // the first request
	stepRecord   step = "record"   // PUT of the record
	stepList     step = "list"     // the list of tags after it
	stepChannel  step = "channel"  // the channel is read again
	stepTag      step = "tag"      // PUT of the channel
	stepReadBack step = "readback" // the channel is read back
	stepMark     step = "mark"     // PUT of the mark
	stepEnd      step = "end"
)

func steps() []step {
	return []step{stepPrepare, stepRecord, stepList, stepChannel, stepTag, stepReadBack, stepMark, stepEnd}
}

// world is one registry and its observer.
type world struct {
	*observer
	t       *testing.T
	dir     string // the checkout
	away    string // a folder without one
	key     string
	opened  *sign.PrivateKey
	channel string // path of the channel's manifest
}

// actor is one command in the world.
type actor struct {
	name   string
	args   []string
	server *httptest.Server
	cancel context.CancelCauseFunc // ends the command, as a signal does

	mu      sync.Mutex
	after   step          // the last one that it passed
	upTo    step          // it stops there
	wake    chan struct{} // closed to let it go on
	stopped chan struct{} // closed when it stopped, or ended
	fault   func(step, *http.Request) fault
	killed  chan struct{} // closed when nothing of it arrives any more

	done   chan struct{}
	result result
}

// fault is what happens to a request beside being answered.
type fault int

const (
	faultNone fault = iota
	faultLost       // it takes effect, and its answer is lost
	faultDrop       // it does not take effect, and its answer is lost
	faultKill       // nothing of the command arrives from here on
)

func (w *world) start(name string, args ...string) *actor {
	a := &actor{name: name, args: args, upTo: stepPrepare, wake: make(chan struct{}), stopped: make(chan struct{}), done: make(chan struct{}),
		killed: make(chan struct{})}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(a, rw, r) }))
	a.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.server.Start()
	w.t.Cleanup(func() { a.server.CloseClientConnections(); a.server.Close() })
	ctx, cancel := context.WithCancelCause(w.t.Context())
	a.cancel = cancel
	go func() {
		var out, errs bytes.Buffer
		in, _ := os.Open(os.DevNull)
		defer in.Close()
		run := &app{in: in, out: &out, err: &errs, getenv: func(string) string { return "" },
			keys: func(string) *sign.PrivateKey { return w.opened }}
		code := run.run(ctx, append([]string{"-C", w.checkoutOf(args[0]), "--registry", strings.TrimPrefix(a.server.URL, "http://") + "/r/apps",
			"--key", w.keyOf(args[0]), "-o", "json", "--log-level", "error"}, args...))
		a.mu.Lock()
		a.result = result{code, out.String(), errs.String()}
		a.after = stepEnd
		a.mu.Unlock()
		close(a.done)
	}()
	select {
	case <-a.stopped:
	case <-a.done:
	case <-a.killed:
	}
	return a
}

// checkoutOf is where a verb runs: only publish needs a checkout.
func (w *world) checkoutOf(verb string) string {
	if verb == "publish" {
		return w.dir
	}
	return w.away
}

// keyOf is the private key, or for verbs that only look the public one.
func (w *world) keyOf(verb string) string {
	if verb == "history" {
		return publicOf(w.key)
	}
	return w.key
}

// next says which step a request is, "" for those that no schedule stops at.
func (a *actor) next(r *http.Request, channel string) step {
	put, tail := r.Method == http.MethodPut, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	_, _, record := tag.ParseRecordTag(tail)
	switch {
	case a.after == "":
		return stepPrepare
	case put && record:
		return stepRecord
	case put && tag.IsDoneTag(tail):
		return stepMark
	case put && r.URL.Path == channel:
		return stepTag
	case r.Method == http.MethodHead && r.URL.Path == channel && (a.after == stepTag || a.after == stepReadBack):
		return stepReadBack
	case r.Method == http.MethodHead && r.URL.Path == channel && a.after == stepList:
		return stepChannel
	case strings.HasSuffix(r.URL.Path, "/tags/list") && (a.after == stepRecord || a.after == stepList || a.after == stepTag):
		return stepList
	}
	return ""
}

func (w *world) serve(a *actor, rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.mu.Lock()
	at := a.next(r, w.channel)
	if at != "" {
		a.after = at
	}
	if at != "" && at == a.upTo {
		wake := a.wake
		a.upTo = "" // requests beside this one go on
		close(a.stopped)
		a.mu.Unlock()
		select {
		case <-wake:
		case <-r.Context().Done():
		}
		a.mu.Lock()
	}
	does := faultNone
	if a.fault != nil {
		does = a.fault(at, r)
	}
	if does == faultKill && !a.isKilled() {
		close(a.killed)
	}
	a.mu.Unlock()
	if a.isKilled() {
		<-r.Context().Done()
	}
	if a.isKilled() || does == faultDrop {
		panic(http.ErrAbortHandler)
	}
	w.observe(a.name, rw, r, body)
	if does == faultLost {
		panic(http.ErrAbortHandler)
	}
}

func (a *actor) isKilled() bool {
	select {
	case <-a.killed:
		return true
	default:
		return false
	}
}

// goOn lets the command go on until it stops before a step, or ends.
func (a *actor) goOn(upTo step) {
	a.mu.Lock()
	a.upTo, a.stopped = upTo, make(chan struct{})
	stopped, wake := a.stopped, a.wake
	a.wake = make(chan struct{})
	a.mu.Unlock()
	close(wake)
	select {
	case <-stopped:
	case <-a.done:
	case <-a.killed:
	}
}

// finish lets the command go on to its end.
func (a *actor) finish() {
	a.goOn(stepEnd)
	select {
	case <-a.done:
	case <-a.killed:
	}
}

// shelfOf is the content of a registry in which frontend has v1.0.0 and v1.1.0 behind it and is at v1.1.0, with v1.2.0
// beside. The commit after them is published by its branch, and has no version; the newest commit, where the checkout is, is
// not published.
func shelfOf(t *testing.T) *shelved {
	s := newSandbox(t)
	key := s.key()
	for i, flags := range [][]string{nil, nil, {"--no-promote"}} {
		s.component("frontend", fmt.Sprint(i))
		s.commit(fmt.Sprint(i))
		s.must(append([]string{"publish", "--key", key, "--version", fmt.Sprintf("v1.%d.0", i)}, flags...)...)
	}
	s.component("frontend", "new")
	s.commit("new")
	s.must("publish", "--key", key)
	s.component("frontend", "newest")
	s.commit("newest")
	return s.shelved(key)
}

// openedKey is a private key that many commands share: opening it takes longer than a command.
func openedKey(file string) *sign.PrivateKey {
	return sign.NewPrivateKey(file, func() ([]byte, error) { return []byte("pw"), nil })
}

// shelved is a registry to begin with.
type shelved struct {
	*sandbox
	file    string // the key
	opened  *sign.PrivateKey
	content registrytest.Content
	away    string
	gate    *judge
	known   *known
}

// shelved takes what the registry has now.
func (s *sandbox) shelved(key string) *shelved {
	s.t.Helper()
	content, err := registrytest.ReadContent(os.DirFS(s.content))
	if err != nil {
		s.t.Fatal(err)
	}
	shelf := &shelved{sandbox: s, file: key, opened: openedKey(key), content: content, away: s.t.TempDir(), gate: newJudge(key)}
	upstream, err := content.Handler(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	shelf.known = newObserver(s.t, upstream, shelf.gate, nil).known
	return shelf
}

// world copies the registry. With api, it is one with the referrers API.
func (s *shelved) world(t *testing.T, api bool) *world {
	t.Helper()
	upstream, err := s.content.Handler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if api {
		upstream = copyToAPI(t, upstream)
	}
	return &world{observer: newObserver(t, upstream, s.gate, s.known), t: t, dir: s.dir, away: s.away, key: s.file, opened: s.opened,
		channel: "/v2/r/apps/frontend/manifests/latest-stable"}
}

// copyToAPI pushes what a registry has to another one, which has the referrers API.
func copyToAPI(t *testing.T, from http.Handler) http.Handler {
	t.Helper()
	source, target := httptest.NewServer(from), ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0)))
	defer source.Close()
	server := httptest.NewServer(target)
	defer server.Close()
	at := func(s *httptest.Server) name.Repository {
		return mustRepository(t, strings.TrimPrefix(s.URL, "http://")+"/r/apps/frontend")
	}
	tags, err := remote.List(at(source))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tags {
		if err := crane.Copy(at(source).Tag(name).String(), at(server).Tag(name).String(), crane.Insecure); err != nil {
			t.Fatal(err)
		}
	}
	return target
}

// commands are what the schedules interleave. A release gives a version to what the branch has published; patch and publish
// are the first ones that publish their content.
func commands() map[string][]string {
	return map[string][]string{
		"release":  {"publish", "frontend", "--version", "v1.3.0", "--commit", "HEAD~1"},
		"patch":    {"publish", "frontend", "--version", "v1.2.1"},
		"promote":  {"promote", "frontend", "v1.2.0"},
		"rollback": {"rollback", "frontend"},
		"back":     {"rollback", "frontend", "v1.0.0"},
		"publish":  {"publish", "frontend"},
	}
}
