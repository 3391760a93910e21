package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
)

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
