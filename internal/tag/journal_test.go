package tag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

func TestRecordTags(t *testing.T) {
	at := time.Date(2026, 11, 20, 14, 38, 12, 123e6, time.UTC)
	got := RecordTag("latest-stable", at, [2]byte{0x9f, 0x3a})
	if got != "latest-stable.20261120T143812123Z.9f3a" {
		t.Error(got)
	}
	for _, channel := range []string{"latest-stable", "a.b", "x.20261120T143812123Z.9f3a"} {
		tag := RecordTag(channel, at, [2]byte{})
		if c, parsed, ok := ParseRecordTag(tag); !ok || c != channel || !parsed.Equal(at) {
			t.Errorf("%s: %q %s %v", tag, c, parsed, ok)
		}
	}
	for _, tag := range []string{"latest", "v1.2.3", "latest.20261120T143812123Z", "latest.20261120T143812Z.9f3a", "latest.20261320T143812123Z.9f3a", ".20261120T143812123Z.9f3a"} {
		if _, _, ok := ParseRecordTag(tag); ok {
			t.Errorf("%s was taken for a record", tag)
		}
	}
	list := []string{"latest.20261120T143812123Z.0001", "latest", "latest-stable.20270101T000000000Z.0001", "latest.20261120T143812124Z.0000"}
	if got := RecordTags(list, "latest"); !slices.Equal(got, []string{list[3], list[0]}) {
		t.Error(got)
	}
}

// journal builds records oldest first from "from>to" with an optional action, and the channel's present digest.
func journal(names string, moves ...string) Journal {
	j := Journal{Names: digest.Digest(names)}
	for i, m := range moves {
		path, action, _ := strings.Cut(m, " ")
		from, to, _ := strings.Cut(path, ">")
		e := Entry{Tag: fmt.Sprint("r", i), Digest: digest.Digest(fmt.Sprint("d", i)), Record: Record{From: digest.Digest(from), To: digest.Digest(to),
			Version: "v" + to + ".0.0", FromVersion: "v" + from + ".0.0", Action: ActionPromote}}
		if i > 0 {
			e.Previous = digest.Digest(fmt.Sprint("d", i-1))
		}
		switch action {
		case "bad":
			e.Err = errors.New("bad")
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
		want  Standing
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
		got, waiting := c.j.Standing()
		if got != c.want || waiting.Tag != c.waits {
			t.Errorf("%s: %s %s, want %s %s", c.name, got, waiting.Tag, c.want, c.waits)
		}
	}
}

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
	} {
		for i := range c.want {
			if got := c.j.State(len(c.want) - 1 - i); got != c.want[i] {
				t.Errorf("%s: record %d is %s, want %s", c.name, i, got, c.want[i])
			}
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
	} {
		got, err := View{Name: "c", Digest: c.j.Names, Journal: c.j}.Previous()
		if got.Digest != digest.Digest(c.want) || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q %v, want %q", c.name, got.Digest, err, c.want)
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
	if got := gone.Findings(); len(got) != 1 || !strings.HasPrefix(got[0], "dangling: the record before r2 is gone") {
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
		return View{Name: "latest-stable", Digest: j.Names, Version: j.VersionOf(j.Names), Journal: j}
	}
	to := func(d string) Target { return Target{Version: "v" + d + ".0.0", Digest: digest.Digest(d)} }
	for _, c := range []struct {
		name   string
		view   View
		target Target
		step   Step
		err    error
	}{
		{"first", v(journal("")), to("1"), Step{Move: true, Write: true}, nil},
		{"forward", v(journal("1", ">1")), to("2"), Step{Move: true, Write: true}, nil},
		{"there already", v(journal("2", "1>2")), to("2"), Step{Note: "latest-stable is there already"}, nil},
		{"backwards", v(journal("2", "1>2")), to("1"), Step{}, ErrBackwards},
		{"pre-release", v(journal("")), Target{"v1.0.0-rc.1", "1"}, Step{}, ErrPrerelease},
		{"build metadata", v(journal("")), Target{"v1.0.0+b", "1"}, Step{}, ErrVersion},
		{"completes what is pending", v(journal("1", ">1", "1>2")), to("2"), Step{Move: true, Note: "completes the pending move r1"}, nil},
		{"supersedes what is pending", v(journal("1", ">1", "1>2")), to("3"), Step{Move: true, Write: true}, nil},
		{"after a move by hand", v(journal("9", ">1")), to("3"), Step{Move: true, Write: true, Adopt: true, Note: "latest-stable had been moved outside keos-oci, which is recorded first"}, nil},
		{"to where it was moved by hand", View{Name: "latest-stable", Digest: "3", Journal: journal("3", ">1")}, to("3"), Step{Adopt: true, Note: "latest-stable was moved there outside keos-oci, which is recorded now"}, nil},
		{"the same digest as another version", v(journal("2", "1>2")), Target{"v2.0.1", "2"}, Step{Note: "latest-stable is there already"}, nil},
		{"explicitly, what was rolled back", v(journal("1", ">1", "1>2", "2>1 rollback")), to("2"), Step{Move: true, Write: true}, nil},
	} {
		step, err := c.view.Promote(c.target)
		if step != c.step || !errors.Is(err, c.err) {
			t.Errorf("promote %s: %+v %v, want %+v %v", c.name, step, err, c.step, c.err)
		}
	}
	if s := v(journal("1", ">1", "1>2", "2>1 rollback")).Publish(to("2")); s.Move || !strings.Contains(s.Note, "rolled back") {
		t.Errorf("publish puts a rolled-back version on the channel: %+v", s)
	}
	if s := v(journal("2", "1>2")).Publish(to("1")); s.Move || !strings.Contains(s.Note, "backwards") {
		t.Errorf("publish goes back: %+v", s)
	}
	if s := v(journal("1", ">1")).Publish(to("2")); !s.Move || !s.Write {
		t.Errorf("publish does not move: %+v", s)
	}
	if s := v(journal("2", "1>2")).Rollback(to("1")); !s.Move {
		t.Errorf("rollback may not go back: %+v", s)
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
