package release

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

func TestParseRef(t *testing.T) {
	for in, want := range map[string]Ref{"refs/heads/main": {Branch: "main"}, "refs/heads/feature/x": {Branch: "feature/x"},
		"refs/tags/frontend/v1.2.3": {Tag: "frontend/v1.2.3"}, "refs/pull/7/merge": {Branch: "pull/7/merge"}} {
		if got, err := ParseRef(in); err != nil || got != want {
			t.Errorf("ParseRef(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"main", "refs/heads/", "", "refs/remotes/origin/main", "heads/main"} {
		if _, err := ParseRef(in); !errors.Is(err, ErrRef) {
			t.Errorf("ParseRef(%q): %v", in, err)
		}
	}
}

func TestSourceURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://github.com/org/apps.git":         "https://github.com/org/apps",
		"https://github.com/org/apps/":            "https://github.com/org/apps",
		"git@github.com:org/apps.git":             "https://github.com/org/apps",
		"github.com:org/apps":                     "https://github.com/org/apps",
		"ssh://git@github.com:22/org/apps.git":    "https://github.com/org/apps",
		"git://example.com/a/b":                   "https://example.com/a/b",
		"http://git.example.com:8080/a/b.git":     "http://git.example.com:8080/a/b",
		"https://user:secret@example.com/a/b.git": "https://example.com/a/b",
		"/srv/git/apps.git":                       "", "../apps": "", "file:///srv/apps": "", "": "",
	} {
		if got := sourceURL(in); got != want {
			t.Errorf("sourceURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseTarget(t *testing.T) {
	digest := "sha256:" + fmt.Sprintf("%064d", 1)
	for in, want := range map[string]Target{"a": {Component: "a"}, "a:v1.0.0": {Component: "a", Tag: "v1.0.0"}, "a@" + digest: {Component: "a", Digest: "sha256:" + "0000000000000000000000000000000000000000000000000000000000000001"}} {
		if got, err := ParseTarget(in); err != nil || got != want {
			t.Errorf("ParseTarget(%q) = %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"a:", "a@", "a@sha256:abc", "a@latest"} {
		if _, err := ParseTarget(in); err == nil {
			t.Errorf("ParseTarget(%q) was accepted", in)
		}
	}
}

// TestDefaultSubjects: the default policy on GitHub is anchored and scoped to the component and the ref.
func TestDefaultSubjects(t *testing.T) {
	c := component.Component{Name: "frontend", GitTag: "frontend/v{version}", Channels: component.Channels{
		{Name: "latest", From: component.FromBranch, Branch: "main"}, {Name: "latest-stable", From: component.FromVersion}}}
	const repo = "https://github.com/org/apps/.github/workflows/"
	for _, test := range []struct {
		tag, subject string
		want         bool
	}{
		{"latest", repo + "push.yaml@refs/heads/main", true},
		{"latest", repo + "push.yaml@refs/heads/main2", false},
		{"latest", repo + "push.yaml@refs/tags/frontend/v1.0.0", false},
		{"latest", "https://github.com/org/apps-evil/.github/workflows/push.yaml@refs/heads/main", false},
		{"latest", "https://github.com/evil/x/.github/workflows/a@https://github.com/org/apps/.github/workflows/push.yaml@refs/heads/main", false},
		{"main-0123abcd", repo + "push.yaml@refs/heads/main", true},
		{"v1.0.0", repo + "release.yaml@refs/tags/frontend/v1.0.0", true},
		{"v1.0.0", repo + "release.yaml@refs/tags/frontend/v1.0.1", false},
		{"v1.0.0", repo + "release.yaml@refs/tags/backend/v1.0.0", false},
		{"v1.0.0", repo + "push.yaml@refs/heads/main", false},
		{"latest-stable", repo + "release.yaml@refs/tags/frontend/v2.3.4", true},
		{"latest-stable", repo + "release.yaml@refs/tags/frontend/v2x3y4", false},
		{"latest-stable", repo + "release.yaml@refs/tags/backend/v2.3.4", false},
	} {
		p := sign.Policy{Issuer: githubIssuer, SubjectPattern: githubSubject("org/apps", Target{Tag: test.tag}.ref(c))}
		if got := p.Allows(sign.Identity{Issuer: githubIssuer, Subject: test.subject}); got != test.want {
			t.Errorf("%s by %s: %v", test.tag, test.subject, got)
		}
		if p.Allows(sign.Identity{Issuer: "https://evil.example.com", Subject: test.subject}) {
			t.Errorf("%s: any issuer will do", test.tag)
		}
		if _, err := regexp.Compile(p.SubjectPattern); err != nil {
			t.Error(err)
		}
	}
}

func TestCodes(t *testing.T) {
	for want, err := range map[string]error{"immutable": tag.ErrImmutable, "refused": &RefusedError{}, "unauthorized": registry.ErrUnauthorized,
		"backwards": ErrOlder, "unsigned": sign.ErrUnsigned, "identity": sign.ErrWrongIdentity, "failed": errors.New("x")} {
		wrapped := Failures{fmt.Errorf("a: %w", err)}
		if got := Code(wrapped); got != want {
			t.Errorf("Code(%v) = %s, want %s", err, got, want)
		}
		if no := want == "immutable" || want == "backwards" || want == "unsigned" || want == "identity"; IsNo(wrapped) != no {
			t.Errorf("IsNo(%v) = %v", err, !no)
		}
	}
}
