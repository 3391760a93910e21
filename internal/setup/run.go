package setup

import (
	"cmp"
	"crypto/rand"
	"os/user"
	"strings"
)

// WhoRuns gives the actor and the run for the journal: those of the CI system, else the user of this machine.
func WhoRuns(getenv func(string) string) (actor, runURL string) {
	if actor = getenv("GITHUB_ACTOR"); actor != "" {
		if id := getenv("GITHUB_RUN_ID"); id != "" {
			runURL = getenv("GITHUB_SERVER_URL") + "/" + getenv("GITHUB_REPOSITORY") + "/actions/runs/" + id
		}
		return actor, runURL
	}
	if getenv("GITLAB_CI") == "true" && getenv("GITLAB_USER_LOGIN") != "" {
		return getenv("GITLAB_USER_LOGIN"), getenv("CI_JOB_URL")
	}
	if u, err := user.Current(); err == nil {
		return u.Username, ""
	}
	return "", ""
}

// RequestOf is the name of a request: what the user gives, else the CI run without its attempt, else a random text.
func RequestOf(given, runURL string) string {
	if given == "" {
		given, _, _ = strings.Cut(runURL, "/attempts/")
	}
	return cmp.Or(given, rand.Text())
}
