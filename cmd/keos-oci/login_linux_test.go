package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTypedLogin: user and password may be pasted as two lines at once. The password is not shown, and the login is where docker login
// writes it.
func TestTypedLogin(t *testing.T) {
	p := newPerson(t)
	p.registry.RequireBasic("ana:secret word")
	p.env = append(p.env, "DOCKER_CONFIG="+filepath.Join(p.dir, "docker"))
	run := p.starts("login", p.registry.Host(), "--plain-http")
	p.sees(run, "User of "+p.registry.Host()+":")
	run.types(t, "ana\nsecret word\n")
	p.ends(run, exitDone)
	config, err := os.ReadFile(filepath.Join(p.dir, "docker", "config.json"))
	if err != nil || !strings.Contains(string(config), "YW5hOnNlY3JldCB3b3Jk") {
		t.Errorf("%s %v\n%v", config, err, run)
	}
	run = p.starts("login", p.registry.Host(), "--plain-http")
	p.sees(run, "User of ")
	run.types(t, "ana\n")
	p.sees(run, "Password:")
	run.until(t, "the terminal hides what is typed", func() bool { return !run.echoes(t) })
	run.types(t, "secret word\n")
	p.ends(run, exitDone)
	if run.showed("secret word") {
		t.Error(run)
	}
}
