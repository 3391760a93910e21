package tag

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]string{"v1.2.3": "v1.2.3", "v0.0.0": "v0.0.0", "v1.3.0-rc.1": "v1.3.0-rc.1",
		"v10.20.30-a-b.7": "v10.20.30-a-b.7"} {
		v, err := ParseVersion(in)
		if err != nil || Version(v) != want {
			t.Errorf("ParseVersion(%q) = %v, %v", in, v, err)
		}
	}
	for in, hint := range map[string]string{"1.2.3": "leading v", "v1.2": "MAJOR", "v01.2.3": "MAJOR", "v1.2.3+b1": "+b1",
		"latest": "leading v", "": "leading v",
		"vv1.2.3": "MAJOR", "v1.2.3 ": "MAJOR", "v1.2.3-": "MAJOR", "V1.2.3": "leading v", "v1.2.3-" + strings.Repeat("a", 130): "128"} {
		if _, err := ParseVersion(in); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), hint) {
			t.Errorf("ParseVersion(%q): %v does not say %q", in, err, hint)
		}
	}
}

func TestCommit(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	for branch, want := range map[string]string{"main": "main-01234567", "feature/x": "feature-x-01234567",
		"release/v1.2": "release-v1.2-01234567",
		"":             "branch-01234567", ".hidden": "hidden-01234567", "añb": "a--b-01234567", "pull/12/merge": "pull-12-merge-01234567", strings.Repeat("x", 300): strings.Repeat("x", 119) + "-01234567"} {
		got := Commit(branch, "0123456789abcdef")
		if got != want || !valid.MatchString(got) {
			t.Errorf("Commit(%q) = %q, want %q", branch, got, want)
		}
	}
}

const a, b digest.Digest = "sha256:a", "sha256:b"

func TestPlans(t *testing.T) {
	s := State{"v1.0.0": a, "latest": a}
	if p, err := s.PlanImmutable("v1.0.0", a); err != nil || p != nil {
		t.Error("the same digest again is no move:", p, err)
	}
	if _, err := s.PlanImmutable("v1.0.0", b); !errors.Is(err, ErrImmutable) || !strings.Contains(err.Error(), "v1.0.0") {
		t.Error("a version changed:", err)
	}
	if p, err := s.PlanImmutable("v1.1.0", b); err != nil || !slices.Equal(p, Plan{{"v1.1.0", "", b}}) {
		t.Error(p, err)
	}
	if p := s.PlanChannel("latest", a); p != nil {
		t.Error(p)
	}
	if p := s.PlanChannel("latest", b); !slices.Equal(p, Plan{{"latest", a, b}}) {
		t.Error(p)
	}
}

func TestApplyStopsAtTheFirstFault(t *testing.T) {
	var wrote []string
	boom := errors.New("boom")
	done, err := Plan{{Tag: "v1"}, {Tag: "v2"}, {Tag: "latest"}}.Apply(t.Context(), func(_ context.Context, tag string) error {
		if tag == "v2" {
			return boom
		}
		wrote = append(wrote, tag)
		return nil
	})
	if !errors.Is(err, boom) || !slices.Equal(wrote, []string{"v1"}) || len(done) != 1 {
		t.Error(wrote, done, err)
	}
}

func TestLegal(t *testing.T) {
	for text, want := range map[string]bool{
		"latest": true, "v1.2.3": true, "main-01234567": true, "_": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false,
		"a b": false, "x\tdescription": false, "x\n:0": false, "$(id)": false, "": false, "-x": false, ".x": false, "ä": false,
	} {
		if Legal(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
