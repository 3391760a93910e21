package component

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func named(names ...string) Set {
	var s Set
	for _, name := range names {
		dir := "components/" + name
		s = append(s, Component{Name: name, Dir: dir, Root: dir, Paths: []string{dir}, decidedBy: []string{ConfigFile}})
	}
	return s
}

func TestSet_Find(t *testing.T) {
	s := named("backend", "frontend", "redis")
	if c, err := s.Find("frontend"); err != nil || c.Name != "frontend" {
		t.Errorf("Find(frontend) = %v, %v", c.Name, err)
	}
	for name, want := range map[string]string{
		"frontned": `unknown component "frontned"; did you mean frontend? known: backend, frontend, redis`,
		"Backend":  `did you mean backend?`,
		"zzz":      `unknown component "zzz"; known: backend, frontend, redis`,
	} {
		_, err := s.Find(name)
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("Find(%s) = %v, want %q", name, err, want)
		}
	}
	if _, err := (Set{}).Find("x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Find in an empty set = %v", err)
	}
}

func TestSet_Find_cutsLongLists(t *testing.T) {
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("c%03d", i))
	}
	_, err := named(names...).Find("nothing-like-it")
	if len(err.Error()) > 400 || !strings.HasSuffix(err.Error(), "c019, …") {
		t.Errorf("Find = %v, want a short list", err)
	}
}

func TestSet_Select(t *testing.T) {
	s := named("a", "b", "c")
	for _, tc := range []struct {
		names []string
		want  string
	}{{nil, "a b c"}, {[]string{"c", "a", "c"}, "a c"}} {
		got, err := s.Select(tc.names...)
		if err != nil || strings.Join(got.Names(), " ") != tc.want {
			t.Errorf("Select(%q) = %v, %v, want %s", tc.names, got.Names(), err, tc.want)
		}
	}
	_, err := s.Select("a", "xxxx", "yyyy")
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "xxxx") || !strings.Contains(err.Error(), "yyyy") {
		t.Errorf("Select = %v, want both unknown names", err)
	}
	if len(s) != 3 || s[0].Name != "a" {
		t.Errorf("Select changed the set: %v", s.Names())
	}
}

func TestSet_ChangedIn(t *testing.T) {
	s := named("a", "ab", "b")
	s = append(s, Component{Name: "wide", Root: "infra", Paths: []string{"infra/x/y", "infra/z.yaml"},
		decidedBy: []string{ConfigFile, "infra/kustomization.yaml"}})
	for _, tc := range []struct {
		files []string
		want  string
	}{
		{nil, ""},
		{[]string{"README.md", "components", "components/abc/x"}, ""},
		{[]string{"components/a/base/x.yaml"}, "a"},
		{[]string{"components/ab"}, "ab"},
		{[]string{"components/ab/x", "components/b/y"}, "ab b"},
		{[]string{"keos-oci.yaml"}, "a ab b wide"},
		{[]string{"components/a/keos-oci.yaml"}, "a"},
		{[]string{"infra/z.yaml"}, "wide"},
		{[]string{"infra/q.yaml"}, ""},
		{[]string{"infra/kustomization.yaml"}, "wide"},
		{[]string{"infra/.sourceignore"}, "wide"},
		{[]string{"infra/x/.sourceignore"}, "wide"},
		{[]string{"infra/q/.sourceignore"}, ""},
		{[]string{".sourceignore"}, "a ab b wide"}, // those above a root hold as well
	} {
		if got := strings.Join(s.ChangedIn(tc.files).Names(), " "); got != tc.want {
			t.Errorf("ChangedIn(%q) = %q, want %q", tc.files, got, tc.want)
		}
	}
}

func TestSet_Shards(t *testing.T) {
	for _, tc := range []struct {
		size, n int
		want    string
	}{
		{0, 3, "[]"}, {5, 1, "[5]"}, {5, 0, "[5]"}, {5, -1, "[5]"}, {5, 2, "[2 3]"}, {2, 5, "[1 1]"}, {256, 3, "[85 85 86]"},
	} {
		s := named(slices.Repeat([]string{"x"}, tc.size)...)
		sizes := []int{}
		for _, shard := range s.Shards(tc.n) {
			sizes = append(sizes, len(shard))
		}
		if got := fmt.Sprint(sizes); got != tc.want {
			t.Errorf("Shards(%d) of %d = %s, want %s", tc.n, tc.size, got, tc.want)
		}
	}
	if got := named("a", "b", "c").Shards(2)[1].Names(); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("second shard = %v, want b c", got)
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ú", "u", 1}, {"same", "same", 0}} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
