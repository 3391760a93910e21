package tag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestDoubts: why the newest record is in doubt, and what ends the doubt.
func TestDoubts(t *testing.T) {
	numbered := func(j Journal) Journal {
		for i := range j.Entries {
			j.Entries[i].Sequence = len(j.Entries) - i
		}
		return j
	}
	without := func(j Journal, i int) Journal {
		j.Entries = slices.Delete(j.Entries, i, i+1)
		return j
	}
	part := func(j Journal, n int) Journal {
		j.Entries, j.Partial = j.Entries[:n], true
		return j
	}
	unread := func(j Journal, i int) Journal {
		j.Entries[i].Err, j.Entries[i].Unchecked = errors.New("no answer"), true
		return j
	}
	ignoring := func(j Journal, what string) Journal {
		j.Entries[0].Ignores = []string{what}
		return j
	}
	skipping := func(j Journal) Journal { // the newest one's writer could not read the one before it
		j.Entries[0].Previous, j.Entries[0].Sequence = j.Entries[2].Digest, j.Entries[1].Sequence
		return ignoring(j, j.Entries[1].Tag)
	}
	four := func() Journal { return numbered(journal("4", ">1", "1>2", "2>3", "3>4")) }
	for name, c := range map[string]struct {
		j    Journal
		want string
	}{
		"none":                 {four(), ""},
		"no record":            {journal(""), ""},
		"a newer invalid one":  {numbered(journal("2", ">1", "1>2", "2>3 bad")), "in doubt: invalid record: r2"},
		"an older invalid one": {numbered(journal("3", ">1", "1>2 bad", "1>3")), ""},
		"invalid ones alone": {journal("2", ">1 bad", "1>2 bad"),
			"in doubt: invalid record: r1 is newer than any valid one: bad, and 1 more"},
		"one that cannot be checked":       {unread(four(), 0), "record r3 cannot be checked: no answer"},
		"it outweighs an invalid one":      {unread(numbered(journal("2", ">1", "1>2", "2>3", "3>4 bad")), 1), "record r2 cannot be checked"},
		"the newest is gone":               {without(four(), 0), ""}, // which the channel or an anchor shows
		"one in the middle is gone":        {without(four(), 2), "in doubt: gap: the record before r2"},
		"the oldest is gone":               {without(four(), 3), "in doubt: gap: the record before r1"},
		"the oldest was not read":          {part(four(), 3), ""},
		"only the newest was read":         {part(four(), 1), ""},
		"one is gone of those read":        {part(without(four(), 1), 2), "in doubt: gap: the record before r3"},
		"somebody went on without it":      {ignoring(without(four(), 2), "d1"), ""},
		"somebody went on without reading": {part(skipping(four()), 2), ""},
	} {
		err := c.j.Doubt()
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", name, got, c.want)
		}
	}
	twice := four()
	twice.Entries[0].Sequence = 3
	if list := twice.SameNumber(); len(list) != 1 || list[0][0].Tag != "r3" || list[0][1].Tag != "r2" {
		t.Errorf("a number that is used twice: %v", list)
	}
	if list := skipping(four()).SameNumber(); list != nil {
		t.Errorf("who could not read a record gave his own its number: %v", list)
	}
}
