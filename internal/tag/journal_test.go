package tag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// journal builds records oldest first from "from>to" with an optional action, and the channel's present digest.
func journal(names string, moves ...string) Journal {
	j := Journal{Current: digest.Digest(names)}
	for i, m := range moves {
		path, action, _ := strings.Cut(m, " ")
		from, to, _ := strings.Cut(path, ">")
		e := Entry{Tag: fmt.Sprint("r", i), Digest: digest.Digest(fmt.Sprint("d", i)),
			Record: Record{From: digest.Digest(from), To: digest.Digest(to),
				Version: "v" + to + ".0.0", FromVersion: "v" + from + ".0.0", Action: ActionPromote}}
		if i > 0 {
			e.Previous = digest.Digest(fmt.Sprint("d", i-1))
		}
		switch action {
		case "bad":
			e.Err = errors.New("bad")
		case "open", "done", "other":
			e.Request, e.Marked = map[string]string{"open": "me", "done": "me", "other": "other"}[action], action == "done"
		case "":
		default:
			e.Action = Action(action)
		}
		j.Entries = append([]Entry{e}, j.Entries...)
	}
	return j
}

func TestStanding(t *testing.T) {
	for _, c := range []struct {
		name  string
		j     Journal
		want  Agreement
		waits string
	}{
		{"nothing at all", journal(""), Settled, ""},
		{"never recorded", journal("1"), Unrecorded, ""},
		{"one move", journal("1", ">1"), Settled, ""},
		{"first move killed", journal("", ">1"), Pending, "r0"},
		{"three moves", journal("3", ">1", "1>2", "2>3"), Settled, ""},
		{"last one killed", journal("2", ">1", "1>2", "2>3"), Pending, "r2"},
		{"moved by hand to something new", journal("9", ">1", "1>2"), Outside, ""},
		{"moved by hand to something old", journal("1", ">1", "1>2", "2>3"), Outside, ""},
		{"rolled back", journal("1", ">1", "1>2", "2>1 rollback"), Settled, ""},
		{"a race was lost by the newer record", journal("2", ">1", "1>2", "1>3"), Settled, ""},
		{"a race was lost by the older record", journal("3", ">1", "1>2", "1>3"), Settled, ""},
		{"an invalid record does not count", journal("1", ">1", "1>2 bad"), Settled, ""},
		{"only invalid records", journal("1", ">1 bad"), Unrecorded, ""},
	} {
		got, waiting := c.j.Agreement()
		if got != c.want || waiting.Tag != c.waits {
			t.Errorf("%s: %s %s, want %s %s", c.name, got, waiting.Tag, c.want, c.waits)
		}
	}
}

func TestWhereARollbackGoes(t *testing.T) {
	for _, c := range []struct {
		name string
		j    Journal
		want string
	}{
		{"one back", journal("3", ">1", "1>2", "2>3"), "2"},
		{"a second time, not forward again", journal("2", ">1", "1>2", "2>3", "3>2 rollback"), "1"},
		{"promoted again after a rollback", journal("3", ">1", "1>2", "2>3", "3>2 rollback", "2>3"), "2"},
		{"the first version", journal("1", ">1"), ""},
		{"nothing", journal(""), ""},
		{"an invalid record steers nothing", journal("3", ">1", "1>3", "2>3 bad"), "1"},
		{"below a version that a rollback named", journal("2", ">1", "1>3", "3>4", "4>2 rollback"), "1"},
		{"from what another tool put there", journal("9", ">1", "1>2", "2>3 done"), "3"},
		{"from where another tool put it back", journal("2", ">1", "1>2", "2>3 done"), "3"},
		{"after that was adopted", journal("2", ">1", "1>2", "2>3", "3>2 adopt"), "1"},
	} {
		got, err := View{Name: "c", Digest: c.j.Current, Journal: c.j}.Previous()
		first := append(got, Target{})[0]
		if first.Digest != digest.Digest(c.want) || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q %v, want %q", c.name, first.Digest, err, c.want)
		}
		if err != nil && !errors.Is(err, ErrNoPrevious) {
			t.Error(err)
		}
	}
}

func TestFindings(t *testing.T) {
	clean := journal("3", ">1", "1>2", "2>3")
	if got := clean.Findings(); got != nil {
		t.Error(got)
	}
	fork := journal("2", ">1", "1>2", "1>3")
	fork.Entries[0].Previous = fork.Entries[1].Previous
	if got := fork.Findings(); len(got) != 1 || !strings.HasPrefix(got[0], "fork: r2 and r1") {
		t.Error(got)
	}
	gone := journal("3", ">1", "1>2", "2>3")
	gone.Entries = append(gone.Entries[:1], gone.Entries[2:]...)
	if got := gone.Findings(); len(got) != 1 || !strings.HasPrefix(got[0], "gap: the record before r2 is gone") {
		t.Error(got)
	}
	partial := journal("3", ">1", "1>2", "2>3")
	partial.Entries, partial.Partial = partial.Entries[:2], true
	if got := partial.Findings(); got != nil {
		t.Error("what was not read is not gone:", got)
	}
}

func TestDecisions(t *testing.T) {
	v := func(j Journal) View {
		return View{Name: "latest-stable", Digest: j.Current, Version: j.VersionOf(j.Current), Journal: j, Request: "me",
			Versions: []string{"v3.0.0", "v2.5.0", "v2.0.0", "v1.0.0"}}
	}
	to := func(d string) Target { return Target{Version: "v" + d + ".0.0", Digest: digest.Digest(d)} }
	again := func(version, d string) Target { return Target{version, digest.Digest(d)} }
	for _, c := range []struct {
		name   string
		verb   Action
		view   View
		target Target
		want   string // move, write, adopt, with the number of records that are closed, or the error; then a part of the note
	}{
		{"first", ActionPromote, v(journal("")), to("1"), "move write"},
		{"forward", ActionPromote, v(journal("1", ">1")), to("2"), "move write"},
		{"there already", ActionPromote, v(journal("2", "1>2")), to("2"), "write: is there already, which is recorded"},
		{"backwards", ActionPromote, v(journal("2", "1>2")), to("1"), "backwards"},
		{"pre-release", ActionPromote, v(journal("")), again("v1.0.0-rc.1", "1"), "pre-release"},
		{"build metadata", ActionPromote, v(journal("")), again("v1.0.0+b", "1"), "invalid version"},
		{"completes what is pending", ActionPromote, v(journal("1", ">1 done", "1>2 open")), to("2"),
			"move write closes 1: completes the pending move r1"},
		{"closes what is pending", ActionPromote, v(journal("1", ">1 done", "1>2 open")), to("3"),
			"move write closes 1: the unfinished move to v2.0.0"},
		{"after a move by hand", ActionPromote, v(journal("9", ">1 done")), to("3"), "move write adopt: had been moved outside"},
		{"to where it was moved by hand", ActionPromote, v(journal("3", ">1 done")), to("3"), "write adopt: was moved there outside"},
		{"the same digest as another version", ActionPromote, v(journal("2", "1>2")), again("v2.0.1", "2"),
			"write: v2.0.1 is what latest-stable points to already, as v2.0.0"},
		{"explicitly, what was rolled back", ActionPromote, v(journal("1", ">1", "1>2", "2>1 rollback")), to("2"), "move write"},
		{"what was rolled back", ActionPublish, v(journal("1", ">1", "1>2", "2>1 rollback")), to("2"), "held: was rolled back"},
		{"backwards", ActionPublish, v(journal("2", "1>2")), to("1"), ": backwards"},
		{"forward", ActionPublish, v(journal("1", ">1")), to("2"), "move write"},
		{"there already", ActionPublish, v(journal("2", "1>2")), to("2"), ": is there already"},
		{"with the content of what was rolled back", ActionPublish, v(journal("1", ">1", "1>2", "2>1 rollback")), again("v4.0.0", "2"),
			"held: has the content of v2.0.0"},
		{"put back by hand", ActionPublish, v(journal("1", ">1", "1>2 done")), to("2"),
			"held: another tool moved it, and v2.0.0 is not above v2.0.0"},
		{"above what was put back by hand", ActionPublish, v(journal("1", ">1", "1>2 done")), to("3"), "move write adopt"},
		{"after the channel was deleted", ActionPublish, v(journal("", ">1", "1>2 done")), to("2"), "move write"},
		{"below, after it was deleted", ActionPublish, v(journal("", ">1", "1>2 done")), to("1"), "held: v1.0.0 is not above v2.0.0"},
		{"below a move that was begun", ActionPublish, v(journal("1", ">1 done", "1>3 other")), to("2"),
			"held: latest-stable stays where it is: the move to v3.0.0 is unfinished"},
		{"above a move that was begun", ActionPublish, v(journal("1", ">1 done", "1>2 other")), to("3"), "move write closes 1"},
		{"back", ActionRollback, v(journal("2", "1>2")), to("1"), "move write"},
		{"back to where it is", ActionRollback, v(journal("2", "1>2")), to("2"), "write: is there already"},
		{"back to a pre-release", ActionRollback, v(journal("2", "1>2")), again("v1.0.0-rc.1", "1"), "pre-release"},
	} {
		var step Step
		var err error
		switch c.verb {
		case ActionPromote:
			step, err = c.view.Promote(c.target)
		case ActionPublish:
			step, err = c.view.Publish(c.target)
		default:
			step, err = c.view.Rollback(c.target, false)
		}
		if got := describe(step, err); !matches(got, c.want) {
			t.Errorf("%s %s: %q, want %q", c.verb, c.name, got, c.want)
		}
	}
}

// describe says in words what a step does.
func describe(s Step, err error) string {
	if err != nil {
		return err.Error()
	}
	var words []string
	for word, does := range map[string]bool{"1move": s.Move, "2write": s.Write, "3adopt": s.Adopt, "4held": s.NotMoved != ""} {
		if does {
			words = append(words, word)
		}
	}
	slices.Sort(words)
	for i := range words {
		words[i] = words[i][1:]
	}
	if len(s.Closes) > 0 {
		words = append(words, fmt.Sprint("closes ", len(s.Closes)))
	}
	return strings.Join(words, " ") + ": " + s.Note + s.NotMoved
}

func matches(got, want string) bool {
	words, note, ok := strings.Cut(want, ": ")
	if !ok {
		words, note = want, ""
	}
	start, rest, _ := strings.Cut(got, ": ")
	return strings.HasPrefix(got, want) || start == words && strings.Contains(rest, note)
}

// TestOff: what a rollback leaves or passes over stays off the channel until somebody promotes it.
func TestOff(t *testing.T) {
	j := journal("3", ">1", "1>2", "2>3")
	v := View{Name: "c", Digest: "3", Version: "v3.0.0", Versions: []string{"v4.0.0", "v3.0.0", "v2.5.0", "v2.0.0", "v1.5.0-rc.1", "v1.0.0"},
		Journal: j}
	off := func(s Step) string {
		var list []string
		for _, o := range s.Skipped {
			list = append(list, o.Version)
		}
		return strings.Join(list, " ")
	}
	back, err := v.Rollback(Target{"v1.0.0", "1"}, false)
	if err != nil || off(back) != "v3.0.0 v2.5.0 v2.0.0 v1.5.0-rc.1" {
		t.Errorf("off after a rollback: %q %v", off(back), err)
	}
	at := func(version string, off []Target) View {
		v := v
		v.Digest, v.Version = digest.Digest(version[1:2]), version
		v.Journal = Journal{Current: v.Digest,
			Entries: []Entry{{Record: Record{Action: ActionRollback, Version: version, From: "3", FromVersion: "v3.0.0", To: v.Digest, Request: "r",
				Skipped: off}, Tag: "r", Digest: "d", Marked: true}}}
		return v
	}
	low := at("v1.0.0", back.Skipped)
	for _, version := range []string{"v3.0.0", "v2.5.0", "v2.0.0"} {
		if s, _ := low.Publish(Target{version, "x"}); s.NotMoved == "" || s.Move {
			t.Errorf("publish %s after a rollback that passed over it: %+v", version, s)
		}
	}
	if s, _ := low.Publish(Target{"v1.1.0", "y"}); !s.Move || off(s) != "v3.0.0 v2.5.0 v2.0.0 v1.5.0-rc.1" {
		t.Errorf("publish of a repair: %+v", s)
	}
	promoted, err := low.Promote(Target{"v2.5.0", "z"})
	if err != nil || off(promoted) != "v3.0.0" {
		t.Errorf("off after a promotion: %q %v", off(promoted), err)
	}
}

func TestNearest(t *testing.T) {
	v, err := ParseVersion("v1.5.0")
	if err != nil {
		t.Fatal(err)
	}
	got := Nearest(v, []string{"v4.0.0", "v3.0.0", "v2.0.0", "v1.9.0", "v1.4.0", "v1.3.0", "v1.2.0", "v1.1.0"})
	if want := []string{"v3.0.0", "v2.0.0", "v1.9.0", "v1.4.0", "v1.3.0", "v1.2.0"}; !slices.Equal(got, want) {
		t.Error(got)
	}
}
