package trust

import (
	"strings"
	"testing"
	"time"

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
		if got := ps[0].MatchesName(sign.Identity{Issuer: GitHubIssuer, Subject: test.subject}); got != test.want {
			t.Errorf("%s by %s: %v", test.tag, test.subject, got)
		}
		if ps[0].MatchesName(sign.Identity{Issuer: "https://evil.example.com", Subject: test.subject}) {
			t.Errorf("%s: any issuer will do", test.tag)
		}
	}
}

// TestDefaultClaims: what a cluster cannot see of a certificate, we do: whose run it was, of what, and what started it. Owner and
// repository are compared without case.
func TestDefaultClaims(t *testing.T) {
	c := component.Component{Name: "frontend", GitTag: "frontend/v{version}", Channels: component.Channels{
		{Name: "latest", From: component.FromBranch, Branch: "main"}, {Name: "latest-stable", From: component.FromVersion}}}
	const workflow = "https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main"
	good := sign.Signed{Identity: sign.Identity{Issuer: GitHubIssuer, Subject: workflow},
		Claims: sign.Claims{Repository: "https://github.com/org/apps",
			RepositoryID: "1", Ref: "refs/heads/main", Caller: workflow, Workflow: workflow, Trigger: "push"}}
	for what, test := range map[string]struct {
		change func(*sign.Signed)
		want   string // "" accepts
	}{
		"as it is": {func(*sign.Signed) {}, ""},
		"other case": {func(s *sign.Signed) {
			s.Subject = "https://github.com/Org/Apps/.github/workflows/publish.yaml@refs/heads/main"
			s.Claims.Repository = "https://github.com/ORG/apps"
		}, ""},
		"by hand":                 {func(s *sign.Signed) { s.Claims.Trigger = "workflow_dispatch" }, ""},
		"a pull request's target": {func(s *sign.Signed) { s.Claims.Trigger = "pull_request_target" }, "event pull_request_target"},
		"no trigger":              {func(s *sign.Signed) { s.Claims.Trigger = "" }, "event (none)"},
		"another repository's run": {func(s *sign.Signed) { s.Claims.Repository = "https://github.com/evil/x" },
			"of the repository https://github.com/evil/x"},
		"called by another": {func(s *sign.Signed) {
			s.Claims.Caller = "https://github.com/evil/x/.github/workflows/a.yaml@refs/heads/main"
		}, "another repository"},
		"a name that begins alike": {func(s *sign.Signed) { s.Claims.Repository = "https://github.com/org/apps-evil" }, "apps-evil"},
		"called by another branch": {func(s *sign.Signed) { s.Claims.Ref = "refs/heads/evil" }, "refs/heads/evil"},
		"no claims":                {func(s *sign.Signed) { s.Claims = sign.Claims{} }, "(none)"},
		"another subject":          {func(s *sign.Signed) { s.Subject += "x" }, "expected"},
		"another issuer":           {func(s *sign.Signed) { s.Issuer = "https://gitlab.com" }, "expected"},
		"an email":                 {func(s *sign.Signed) { s.Issuer, s.Subject = "https://accounts.google.com", "me@example.com" }, "expected"},
	} {
		ps, err := rules("https://github.com/org/apps").Artifacts(c, "latest", "")
		if err != nil {
			t.Fatal(err)
		}
		s := good
		test.change(&s)
		if err := ps.Judge(s); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", what, err, test.want)
		}
	}
}

// TestConfiguredIdentities: each field of an identity, several of them, and what flags change.
func TestConfiguredIdentities(t *testing.T) {
	c := component.Component{Name: "frontend", GitTag: "frontend/v{version}"}
	reusable := component.Identity{Issuer: GitHubIssuer, Subject: "https://github.com/org/shared/.github/workflows/release.yaml@refs/tags/v3",
		RepositoryID: "7"}
	ownCase := component.Identity{Issuer: GitHubIssuer,
		Subject: "https://github.com/ORG/apps/.github/workflows/queue.yaml@refs/tags/frontend/v1.0.0", Triggers: []string{"merge_group"}}
	queued := func(trigger string) sign.Signed {
		s := sign.Signed{Identity: sign.Identity{Issuer: GitHubIssuer, Subject: ownCase.Subject},
			Claims: sign.Claims{Repository: "https://github.com/ORG/apps",
				Ref: "refs/tags/frontend/v1.0.0", Caller: ownCase.Subject, Workflow: ownCase.Subject, Trigger: trigger}}
		return s
	}
	gitlab := component.Identity{Issuer: "https://gitlab.com",
		SubjectRegexp: `https://gitlab\.com/org/apps//\.gitlab-ci\.yml@refs/tags/{component}/v{version}`}
	c.Channels = component.Channels{{Name: "latest", From: component.FromBranch, Branch: "main"},
		{Name: "latest-stable", From: component.FromVersion, Identities: []component.Identity{reusable, gitlab, ownCase}}}
	called := func(ref, id string) sign.Signed {
		return sign.Signed{Identity: sign.Identity{Issuer: reusable.Issuer, Subject: reusable.Subject},
			Claims: sign.Claims{Repository: "https://github.com/org/apps", RepositoryID: id,
				Ref: ref, Caller: "https://github.com/org/apps/.github/workflows/x.yaml@" + ref, Workflow: reusable.Subject, Trigger: "push"}}
	}
	onGitLab := func(ref string) sign.Signed {
		return sign.Signed{Identity: sign.Identity{Issuer: "https://gitlab.com", Subject: "https://gitlab.com/org/apps//.gitlab-ci.yml@" + ref}}
	}
	for what, test := range map[string]struct {
		tag  string
		by   sign.Signed
		want bool
	}{
		"the version's own run":        {"v1.0.0", called("refs/tags/frontend/v1.0.0", "7"), true},
		"an event that is allowed":     {"v1.0.0", queued("merge_group"), true},
		"one that is not any more":     {"v1.0.0", queued("push"), false},
		"another version's run":        {"v1.0.1", called("refs/tags/frontend/v1.0.0", "7"), false},
		"another component's run":      {"v1.0.0", called("refs/tags/backend/v1.0.0", "7"), false},
		"a branch's run":               {"v1.0.0", called("refs/heads/main", "7"), false},
		"a repository of another id":   {"v1.0.0", called("refs/tags/frontend/v1.0.0", "8"), false},
		"any version on the channel":   {"latest-stable", called("refs/tags/frontend/v9.0.0", "7"), true},
		"the other host":               {"v1.0.0", onGitLab("refs/tags/frontend/v1.0.0"), true},
		"the other host's next":        {"v1.0.0", onGitLab("refs/tags/frontend/v1.0.1"), false},
		"the other host's channel":     {"latest-stable", onGitLab("refs/tags/frontend/v1.0.1"), true},
		"the other host's pre-release": {"latest-stable", onGitLab("refs/tags/frontend/v1.0.1-rc.1"), true},
	} {
		ps, err := rules("https://github.com/org/apps").Artifacts(c, test.tag, "")
		if err != nil || len(ps) != 3 {
			t.Fatal(ps, err)
		}
		if err := ps.Judge(test.by); (err == nil) != test.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	asked := rules("https://github.com/org/apps")
	before, err := asked.Movers(c, c.Channels[1])
	if err != nil {
		t.Fatal(err)
	}
	asked.FromFlags = sign.Policy{Issuer: "https://evil", Subject: "me"}
	after, err := asked.Movers(c, c.Channels[1])
	if err != nil || after.String() != before.String() {
		t.Errorf("flags about artifacts change who may move: %s, %v", after, err)
	}
}

// TestFormerNames: what the repository signed under its former name counts until the day of the rename, and nothing newer.
func TestFormerNames(t *testing.T) {
	c := component.Component{Name: "frontend", GitTag: "frontend/v{version}", Channels: component.Channels{
		{Name: "latest", From: component.FromBranch, Branch: "main"}, {Name: "latest-stable", From: component.FromVersion}}}
	r := rules("https://github.com/new/apps")
	until := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	r.Formerly = []component.Former{{Repository: "Old/apps", Until: until}}
	by := func(name string, at time.Time) sign.Signed {
		workflow := "https://github.com/" + name + "/.github/workflows/release.yaml@refs/tags/frontend/v1.0.0"
		return sign.Signed{Identity: sign.Identity{Issuer: GitHubIssuer, Subject: workflow}, Time: at,
			Claims: sign.Claims{Repository: "https://github.com/" + name,
				Ref: "refs/tags/frontend/v1.0.0", Caller: workflow, Workflow: workflow, Trigger: "push"}}
	}
	for what, ps := range map[string]func() (sign.Policies, error){
		"artifacts": func() (sign.Policies, error) { return r.Artifacts(c, "v1.0.0", "") },
		"movers":    func() (sign.Policies, error) { return r.Movers(c, c.Channels[1]) },
	} {
		list, err := ps()
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name string
			at   time.Time
			want bool
		}{{"new/apps", until.Add(time.Hour), true}, {"new/apps", until.Add(-time.Hour), true}, {"old/apps", until.Add(-time.Hour), true},
			{"old/apps", until, false}, {"old/apps", until.Add(time.Hour), false}, {"old/apps", time.Time{}, false}, {"older/apps",
				until.Add(-time.Hour), false}} {
			if err := list.Judge(by(test.name, test.at)); (err == nil) != test.want {
				t.Errorf("%s: %s at %s: %v", what, test.name, test.at, err)
			}
		}
	}
	// The same on another host, where the identity is configured.
	g := rules("https://gitlab.example.com/group/new/apps")
	g.Formerly = []component.Former{{Repository: "group/apps", Until: until}}
	c.Channels[1].Identities = []component.Identity{{Issuer: "https://gitlab.example.com",
		SubjectRegexp: `https://gitlab\.example\.com/group/new/apps//\.gitlab-ci\.yml@.*`}}
	list, err := g.Artifacts(c, "v1.0.0", "")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for at, want := range map[time.Time]bool{until.Add(-time.Hour): true, until: false} {
		was := sign.Signed{Identity: sign.Identity{Issuer: "https://gitlab.example.com",
			Subject: "https://gitlab.example.com/group/apps//.gitlab-ci.yml@refs/tags/frontend/v1.0.0"}, Time: at}
		if err := list.Judge(was); (err == nil) != want {
			t.Errorf("GitLab at %s: %v", at, err)
		}
	}
	c.Channels[1].Identities = []component.Identity{{Issuer: "https://accounts.example.com", Subject: "me@example.com"}}
	if list, err := g.Artifacts(c, "v1.0.0", ""); err != nil || len(list) != 1 {
		t.Errorf("an identity without the repository's name has no former one: %v, %v", list, err)
	}
	c.Channels[1].Identities = nil
	for former, want := range map[bool]string{false: `https://github\.com/new/apps/\.github/workflows/[^/@]+@refs/heads/main`,
		true: `https://github\.com/(new/apps|Old/apps)/\.github/workflows/[^/@]+@refs/heads/main`} {
		p, err := r.ForClusters(c, "latest", former)
		if err != nil || p.SubjectPattern != want || p.Issuer != GitHubIssuer {
			t.Errorf("former %v: %+v, %v", former, p, err)
		}
	}
}
