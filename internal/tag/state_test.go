package tag

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

func TestStates(t *testing.T) {
	for _, c := range []struct {
		name string
		j    Journal
		want []string // oldest first
	}{
		{"done", journal("2", ">1", "1>2"), []string{"done", "done"}},
		{"pending", journal("1", ">1", "1>2"), []string{"done", "pending"}},
		{"invalid", journal("1", ">1", "1>2 bad"), []string{"done", "invalid"}},
		{"race", journal("2", ">1", "1>2", "1>3"), []string{"done", "done", "overtaken"}},
		{"race, then a move", journal("4", ">1", "1>2", "1>3", "2>4"), []string{"done", "done", "overtaken", "done"}},
		{"there and back", journal("1", ">1", "1>2", "2>1 rollback"), []string{"done", "done", "done"}},
		{"marked, and moved by hand", journal("1", ">1 done", "1>2 done"), []string{"done", "done"}},
		{"not marked yet", journal("2", ">1 done", "1>2 open"), []string{"done", "done"}},
		{"not marked, before one that is", journal("3", ">1 done", "1>2 open", "1>3 done"), []string{"done", "overtaken", "done"}},
		{"not marked, and moved by hand", journal("9", ">1 done", "1>2 open"), []string{"done", "overtaken"}},
	} {
		for i := range c.want {
			if got := c.j.State(len(c.want) - 1 - i); got != c.want[i] {
				t.Errorf("%s: record %d is %s, want %s", c.name, i, got, c.want[i])
			}
		}
	}
}

// TestBegun: what a command finds of moves that were begun before.
func TestBegun(t *testing.T) {
	now := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	view := func(request string, age time.Duration, moves ...string) View {
		j := journal("1", moves...)
		for i := range j.Entries {
			j.Entries[i].Time = now.Add(-age)
		}
		return View{Name: "c", Digest: "1", Version: "v1.0.0", Journal: j, Request: request, Now: now}
	}
	closed := view("me", time.Hour, ">1 done", "1>2 open", "1>1 close")
	closed.Journal.Entries[0].Closes = []digest.Digest{"d1"}
	closed.Journal.Entries[0].Request = "other"
	withdrawn := view("me", time.Hour, ">1 done", "1>2 open", "1>1 withdraw")
	withdrawn.Journal.Entries[0].Closes, withdrawn.Journal.Entries[0].Request = []digest.Digest{"d1"}, "me"
	watched := view("me", time.Minute, ">1 done", "1>2 other")
	watched.Seen = map[string]time.Time{"r1": now.Add(-DeadWatch)}
	forced := view("me", time.Second, ">1 done", "1>2 other")
	forced.Force = true
	for name, c := range map[string]struct {
		view View
		done bool
		err  string
	}{
		"nothing":                       {view("me", 0, ">1 done"), false, ""},
		"its own":                       {view("me", 0, ">1 done", "1>2 open"), false, ""},
		"of another, just now":          {view("me", time.Second, ">1 done", "1>2 other"), true, "is under way (record r1, 1s ago)"},
		"of another, with a fast clock": {view("me", -time.Hour, ">1 done", "1>2 other"), true, "by a clock that is ahead"},
		"of another, dead":              {view("me", 16*time.Minute, ">1 done", "1>2 other"), false, ""},
		"of another, watched":           {watched, false, ""},
		"of another, forced":            {forced, false, ""},
		"closed by another":             {closed, true, "record r2 closed the move"},
		"withdrawn":                     {withdrawn, false, ""},
		"legacy, just now":              {view("me", time.Second, ">1", "1>2"), true, "is under way"},
	} {
		_, done, err := c.view.Resume(ActionPromote, "v2.0.0")
		if done != c.done || (err == nil) != (c.err == "") || err != nil &&
			(!strings.Contains(err.Error(), c.err) || !errors.Is(err, ErrConflict)) {
			t.Errorf("%s: %v %v, want %v %q", name, done, err, c.done, c.err)
		}
	}
	marked := journal("1", ">1 done", "1>2 done", "1>1 close")
	marked.Entries[0].Closes = []digest.Digest{"d1"}
	if got := marked.State(1); got != StateClosed {
		t.Errorf("a mark on a move that was closed makes it %s", got)
	}
	marked.Current = "2"
	if got := marked.State(1); got != StateDone {
		t.Errorf("a move that was made after it was closed is %s", got)
	}
	marked.Entries[0].Action = ActionWithdraw
	if got := marked.State(1); got != StateClosed {
		t.Errorf("a mark on a move that its writer withdrew makes it %s", got)
	}
	repeated := view("me", time.Hour, ">1 done", "1>2 done", "2>1 rollback")
	repeated.Journal.Entries[0].Request = "later"
	if step, done, err := repeated.Resume(ActionPromote, "v2.0.0"); !done || err != nil || step.Move ||
		!strings.Contains(step.Note, "this command was done before: record r1; c was moved on since") {
		t.Errorf("a command that is repeated: %+v %v %v", step, done, err)
	}
}
