package trust

import (
	"testing"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/sign"
)

// rules are those of a checkout with a remote and without keys.
func rules(remote string) *Rules {
	return &Rules{Verifier: sign.NewVerifier(sign.VerifierOptions{}), Remote: func() (string, error) { return remote, nil }}
}

func TestNormalise(t *testing.T) {
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
		if got := Normalise(in); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", in, got, want)
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
		ps, err := rules("https://github.com/org/apps").Artifacts(c, test.tag, "")
		if err != nil || len(ps) != 1 {
			t.Fatal(ps, err)
		}
		if got := ps[0].Names(sign.Identity{Issuer: GitHubIssuer, Subject: test.subject}); got != test.want {
			t.Errorf("%s by %s: %v", test.tag, test.subject, got)
		}
		if ps[0].Names(sign.Identity{Issuer: "https://evil.example.com", Subject: test.subject}) {
			t.Errorf("%s: any issuer will do", test.tag)
		}
	}
}
