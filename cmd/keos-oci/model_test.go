package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
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

// moved is where a command says that it moved the channel, and from where it saw that it went. ok says that it reports it as done. Publish
// says it by the tags.
func (a *actor) moved(channel string) (to digest.Digest, from digest.Digest, ok bool) {
	if a.isKilled() {
		return "", "", false
	}
	var moves release.MoveResult
	var published release.PublishResult
	if json.Unmarshal([]byte(a.result.stdout), &moves) == nil && moves.Action != "" {
		c := moves.Components[0]
		return c.To, c.From, c.Status == release.StatusMoved
	}
	if json.Unmarshal([]byte(a.result.stdout), &published) == nil {
		for _, m := range published.Components[0].Tags {
			if m.Tag == channel {
				return m.To, m.From, true
			}
		}
	}
	return "", "", false
}

// judge says what is wrong at the end.
func (w *world) judge(actors ...*actor) []string {
	h := w.history()
	w.mu.Lock()
	defer w.mu.Unlock()
	var wrong []string
	byName := map[string]*actor{}
	for _, a := range actors {
		byName[a.name] = a
		if why := w.judgeMove(a); why != "" {
			wrong = append(wrong, a.name+" "+why)
		}
	}
	for i, x := range w.writes {
		if a := byName[x.by]; a != nil && i > 0 && !a.isKilled() {
			if before := byName[w.writes[i-1].by]; before != nil && before != a && before.reports() && w.loses(i, a, h) {
				wrong = append(wrong, fmt.Sprintf("%s wrote over the move of %s, which was reported, without having seen it", x.by, before.name))
			}
		}
	}
	return wrong
}

// judgeMove compares what a command reports with what it wrote.
func (w *world) judgeMove(a *actor) string {
	to, from, ok := a.moved("latest-stable")
	if !ok {
		return ""
	}
	at := -1 // its last write: one before it may have lost its answer
	for i, x := range w.writes {
		if x.by == a.name && x.made == to {
			at = i
		}
	}
	switch {
	case a.result.code != 0:
		return fmt.Sprintf("moved, and its exit code is %d", a.result.code)
	case at < 0:
		return "reports a move that it did not make"
	case w.writes[at].before != from && !w.foreignSince(at, from):
		return fmt.Sprintf("wrote over %s and says that it came from %s", w.writes[at].before, from)
	}
	return ""
}

// reports reports whether a command says that it moved the channel.
func (a *actor) reports() bool {
	_, _, ok := a.moved("latest-stable")
	return ok
}

// loses reports whether a write is over something that its command had not seen. A publication that fails does not say what
// it saw: its record does. Known exception: another tool writes what a live move is about to write. Then the next command
// takes that move for done, and the late write of that move is over what the next command wrote. If nothing came after it,
// the journal shows it as moved outside.
func (w *world) loses(i int, a *actor, h release.HistoryResult) bool {
	_, from, _ := a.moved("latest-stable")
	saw := []digest.Digest{from}
	if from == "" {
		saw = nil
		for _, m := range h.Moves {
			if m.To == w.writes[i].made {
				saw = append(saw, m.From)
			}
		}
	}
	if slices.Contains(saw, w.writes[i].before) {
		return false
	}
	excused := slices.ContainsFunc(saw, func(d digest.Digest) bool { return w.foreignSince(i, d) })
	return !excused || i == len(w.writes)-1 && h.Standing != tag.Outside
}

// foreignSince reports whether another tool wrote the channel between where a command saw it and its write, which nothing can prevent.
func (w *world) foreignSince(at int, from digest.Digest) bool {
	for _, x := range slices.Backward(w.writes[:at]) {
		switch {
		case x.by == another:
			return true
		case x.made == from:
			return false
		}
	}
	return false
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

// TestInterleavings: of two commands, each stops at each step of its move while the other one goes up to each of its own. No
// version changes, no move that was reported is lost, and the journal has its end.
func TestInterleavings(t *testing.T) {
	s := shelfOf(t)
	pairs := [][2]string{{"promote", "rollback"}, {"promote", "promote"}, {"rollback", "promote"}, {"rollback", "rollback"},
		{"release", "rollback"}, {"rollback", "release"},
		{"release", "patch"}, {"patch", "release"}, {"promote", "release"}, {"release", "promote"}, {"back", "promote"}, {"publish",
			"release"}, {"release", "publish"},
		{"publish", "patch"}, {"patch", "publish"}}
	var runs sideBySide
	for _, pair := range pairs {
		for _, first := range steps() {
			for _, second := range steps() {
				if second != stepEnd && !slices.Contains([]step{stepRecord, stepList, stepTag, stepMark}, second) || first == stepEnd &&
					second != stepEnd {
					continue // stopping the second where nothing is shared adds nothing
				}
				runs.add(fmt.Sprintf("%s and %s, %s %s", pair[0], pair[1], first, second), func(t *testing.T) {
					interleave(t, s.world(t, false), pair, first, second)
				})
			}
		}
	}
	runs.run(t, 16)
}

// sideBySide is subtests that wait more than they compute: more of them than there are cores run at once, which t.Parallel does not do.
type sideBySide []struct {
	name string
	run  func(*testing.T)
}

func (s *sideBySide) add(name string, run func(*testing.T)) {
	*s = append(*s, struct {
		name string
		run  func(*testing.T)
	}{name, run})
}

func (s *sideBySide) run(t *testing.T, limit int) {
	var group errgroup.Group
	group.SetLimit(limit)
	for _, sub := range *s {
		group.Go(func() error { t.Run(sub.name, sub.run); return nil })
	}
	_ = group.Wait()
}

func interleave(t *testing.T, w *world, pair [2]string, first, second step) {
	a := w.start("first "+pair[0], commands()[pair[0]]...)
	a.goOn(first)
	b := w.start("second "+pair[1], commands()[pair[1]]...)
	b.goOn(second)
	a.finish()
	b.finish()
	for _, wrong := range w.judge(a, b) {
		t.Error(wrong)
	}
	w.settled(a, b)
	if t.Failed() {
		t.Logf("%s\n%v\n%s\n%v\n%+v", a.name, a.result, b.name, b.result, w.writes)
	}
}

// settled checks that nothing is left open where no command was killed, and that what is reported as moved is on record as done.
func (w *world) settled(actors ...*actor) {
	w.t.Helper()
	h := w.history()
	if h.Standing != tag.Settled {
		w.t.Errorf("the journal is %s", h.Standing)
	}
	for _, m := range h.Moves {
		if m.State == tag.StatePending || m.State == tag.StateInvalid {
			w.t.Errorf("%s is %s", m.Tag, m.State)
		}
	}
	for _, a := range actors {
		if a.result.code != 0 && a.result.code != 3 {
			w.t.Errorf("%s: exit code %d", a.name, a.result.code)
		}
		to, _, ok := a.moved("latest-stable")
		if ok && !slices.ContainsFunc(h.Moves, func(m release.HistoryMove) bool { return m.To == to && m.State == tag.StateDone }) {
			w.t.Errorf("the move of %s is not on record", a.name)
		}
	}
}

func (w *world) history() release.HistoryResult {
	w.t.Helper()
	var h release.HistoryResult
	a := w.start("history", "history", "frontend", "--limit", "100")
	a.finish()
	if err := json.Unmarshal([]byte(a.result.stdout), &h); err != nil {
		w.t.Fatalf("%v: %v", err, a.result)
	}
	return h
}

// TestAccidentsOfTwo: what TestInterleavings does, with answers that are lost, commands that are killed or get a signal, and
// another tool that moves the channel, at random. A failure prints its seed.
func TestAccidentsOfTwo(t *testing.T) {
	s := shelfOf(t)
	seed := uint64(20261127)
	runs := 60
	if text := os.Getenv("KEOS_OCI_SEED"); text != "" {
		fmt.Sscan(text, &seed)
		fmt.Sscan(os.Getenv("KEOS_OCI_RUNS"), &runs)
	}
	names := []string{"release", "patch", "promote", "rollback", "back", "publish"}
	var all sideBySide
	for i := range runs {
		all.add(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed+uint64(i), 1))
			accident(t, s.world(t, i%4 == 3), random, names)
		})
	}
	all.run(t, 24)
}

// accident runs two or three commands at random, with accidents.
func accident(t *testing.T, w *world, random *rand.Rand, names []string) {
	var actors []*actor
	foreign := false
	for i := range 2 + random.IntN(2) {
		verb := names[random.IntN(len(names))]
		a := w.start(fmt.Sprintf("%d %s", i, verb), commands()[verb]...)
		if at := steps()[random.IntN(len(steps())-1)]; random.IntN(2) == 0 {
			does := []fault{faultLost, faultDrop, faultKill}[random.IntN(3)]
			once := false
			a.fault = func(s step, _ *http.Request) fault {
				if s != at || once {
					return faultNone
				}
				once = true
				return does
			}
		}
		actors = append(actors, a)
	}
	for range 6 {
		a := actors[random.IntN(len(actors))]
		select {
		case <-a.done:
			continue
		default:
		}
		switch random.IntN(12) {
		case 0:
			a.cancel(context.Canceled)
		case 1:
			foreign = true
			w.crane([]string{"v1.0.0", "v1.2.0"}[random.IntN(2)])
		}
		a.goOn(steps()[1+random.IntN(len(steps())-1)])
	}
	for _, a := range actors {
		a.finish()
	}
	for _, wrong := range w.judge(actors...) {
		t.Error(wrong)
	}
	w.aftermath(foreign)
	if t.Failed() {
		for _, a := range actors {
			t.Logf("%s\n%v", a.name, a.result)
		}
		t.Logf("%+v", w.writes)
	}
}

// another is who moved the channel beside keos-oci.
const another = "another tool"

// crane moves the channel as another tool does.
func (w *world) crane(version string) { w.tagByHand("frontend", version, "latest-stable") }

// aftermath checks that every state is reported and can be closed: a rollback with --now closes open moves, and then all is settled.
func (w *world) aftermath(foreign bool) {
	w.t.Helper()
	h := w.history()
	if last := len(w.writes) - 1; foreign && last >= 0 && w.writes[last].by == another && w.writes[last].made != w.writes[last].before &&
		h.Standing != tag.Outside && h.Standing != tag.Pending && h.Digest != w.newestDone(h) {
		w.t.Errorf("another tool moved the channel last, and the journal is %s", h.Standing)
	}
	end := w.start("cancel", "cancel", "frontend", "--now")
	end.finish()
	if end.result.code != 0 {
		w.t.Errorf("cancel: %v", end.result)
	}
	back := w.start("back", "rollback", "frontend", "v1.0.0")
	back.finish()
	if back.result.code != 0 {
		w.t.Errorf("rollback: %v", back.result)
	}
	if h := w.history(); h.Standing != tag.Settled || h.Digest != w.resolve("v1.0.0") {
		w.t.Errorf("after a rollback the journal is %s: %+v", h.Standing, h.Moves[0])
	}
}

func (w *world) newestDone(h release.HistoryResult) digest.Digest {
	for _, m := range h.Moves {
		if m.State == tag.StateDone && m.Moves() {
			return m.To
		}
	}
	return ""
}
