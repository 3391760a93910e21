package sign

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTokenSources(t *testing.T) {
	env := map[string]string{}
	o := TokenOptions{HTTP: http.DefaultClient, Getenv: func(k string) string { return env[k] }}
	if _, err := o.token(t.Context()); !errors.Is(err, ErrNoToken) || !strings.Contains(err.Error(), "--key") {
		t.Error(err)
	}
	env["GITHUB_ACTIONS"] = "true"
	if _, err := o.token(t.Context()); !errors.Is(err, ErrNoToken) || !strings.Contains(err.Error(), "id-token: write") {
		t.Error(err)
	}
	env["SIGSTORE_ID_TOKEN"] = "from env"
	if got, err := o.token(t.Context()); err != nil || got.text != "from env" {
		t.Error(got, err)
	}
	o.File = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(o.File, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := o.token(t.Context()); err != nil || got.text != "from file" {
		t.Error(got, err)
	}
	o.File = "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl"
	if _, err := o.token(t.Context()); !errors.Is(err, ErrNoToken) || strings.Contains(err.Error(), "eyJ") {
		t.Error("a token on the command line:", err)
	}
	now := time.Unix(1_700_000_000, 0)
	for token, want := range map[string]string{
		"a.eyJzdWIiOiJzIiwiZXhwIjoxNjk5OTk5OTk5fQ.c": "expired", // {"sub":"s","exp":1699999999}
		"a.b": "no JWT", "a.!.c": "no JWT", "a.eA.c": "no JSON", "a.e30.c": "no subject",
	} {
		if _, err := (idToken{text: token}).subject(now); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", token, err)
		}
	}
	if got, err := (idToken{text: "a.eyJzdWIiOiJzIiwiZXhwIjoxNjk5OTk5OTk5fQ.c"}).subject(now.Add(-time.Hour)); err != nil || got != "s" {
		t.Error(got, err)
	}
}

// TestCertificateIsRenewedInTime: a run that outlives its certificate asks for another before the old one ends.
func TestCertificateIsRenewedInTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := &authority{now: func() time.Time { return now }, tokens: TokenOptions{Getenv: func(string) string { return "" }}}
	a.current = &credential{asked: now, lasts: 10 * time.Minute}
	first := a.current
	for _, c := range []struct {
		after time.Duration
		same  bool
	}{{0, true}, {8 * time.Minute, true}, {9*time.Minute + time.Second, false}, {11 * time.Minute, false}} {
		now = time.Unix(1_700_000_000, 0).Add(c.after)
		a.failed = nil
		got, err := a.credential(t.Context())
		if c.same && got != first {
			t.Errorf("after %s: renewed", c.after)
		}
		if !c.same && !errors.Is(err, ErrNoToken) { // it asks for a token, of which there is none here
			t.Errorf("after %s: not renewed: %v", c.after, err)
		}
	}
}

// TestFailureIsSharedByTheRun: a hundred components do not each wait for a certificate authority that does not answer.
func TestFailureIsSharedByTheRun(t *testing.T) {
	asked := 0
	a := &authority{now: time.Now, tokens: TokenOptions{Getenv: func(k string) string {
		if k == "SIGSTORE_ID_TOKEN" {
			asked++
		}
		return ""
	}}}
	for range 3 {
		if _, err := a.credential(t.Context()); !errors.Is(err, ErrNoToken) {
			t.Error(err)
		}
	}
	if asked != 1 {
		t.Errorf("looked for a token %d times", asked)
	}
}
