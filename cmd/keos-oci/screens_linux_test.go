package main

import (
	"os"
	"regexp"
	"testing"
)

const terminalGuide = "../../docs/guides/terminal.md"

var (
	guideScreen = regexp.MustCompile("(?ms)^<!-- screen: ([a-z]+) -->\n\n```console\n(.*?)^```$")
	screenSum   = regexp.MustCompile(`sha256:[0-9a-f]{12}`)
	screenHost  = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	screenTime  = regexp.MustCompile(`( / [0-9]+  |: )[0-9]+s\b`)
	screenKey   = regexp.MustCompile(`key [A-Za-z0-9+/]{43}=`)
)

// screens are the blocks of a guide that show what a person sees. With UPDATE=1 the guide gets what is on the screen.
type screens struct {
	t     *testing.T
	text  string
	shown map[string]string
}

func readScreens(t *testing.T) *screens {
	t.Helper()
	raw, err := os.ReadFile(terminalGuide)
	if err != nil {
		t.Fatal(err)
	}
	return &screens{t, string(raw), map[string]string{}}
}

// shows keeps what is on the screen after a command, without what differs from run to run.
func (s *screens) shows(name, command string, run *ptyRun) {
	text := run.lines()
	text = screenSum.ReplaceAllString(text, "sha256:5f0c3d1e9a7b")
	text = screenHost.ReplaceAllString(text, "registry.example.com")
	text = screenKey.ReplaceAllString(text, "key x4yrKbGmJkzqXc2hPqvBqDgmZkgzVO5TtGxTxZ0Qz1A=")
	text = screenTime.ReplaceAllString(text, "${1}3s")
	s.shown[name] = "$ " + command + "\n" + text
}

// save compares the guide with what was seen, or rewrites it.
func (s *screens) save() {
	s.t.Helper()
	after := guideScreen.ReplaceAllStringFunc(s.text, func(block string) string {
		m := guideScreen.FindStringSubmatch(block)
		seen, ok := s.shown[m[1]]
		delete(s.shown, m[1])
		switch {
		case !ok:
			s.t.Errorf("%s has the screen %s, which nobody saw", terminalGuide, m[1])
			return block
		case seen != m[2] && os.Getenv("UPDATE") == "":
			s.t.Errorf("%s, screen %s (UPDATE=1 rewrites it): got\n%swant\n%s", terminalGuide, m[1], seen, m[2])
		}
		return "<!-- screen: " + m[1] + " -->\n\n```console\n" + seen + "```"
	})
	for name := range s.shown {
		s.t.Errorf("%s lacks the screen %s", terminalGuide, name)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(terminalGuide, []byte(after), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
}
