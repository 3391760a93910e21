package sign

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tokenOf makes an ID token that nobody has signed.
func tokenOf(t *testing.T, claims map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return "a." + base64.RawURLEncoding.EncodeToString(raw) + ".c"
}

// TestClockOfTheProvider: a token that was fetched just now is judged by the clock of who gave it.
func TestClockOfTheProvider(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		there time.Time // what the provider's clock says
		exp   time.Time
		want  string
	}{
		"good":                                {now, now.Add(5 * time.Minute), ""},
		"this clock is ahead":                 {now.Add(-time.Hour), now.Add(-55 * time.Minute), ""},
		"this clock is behind, and it is old": {now.Add(time.Hour), now.Add(30 * time.Minute), "has expired at"},
		"it is old":                           {now, now.Add(-time.Minute), "has expired at"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", c.there.UTC().Format(http.TimeFormat))
				fmt.Fprintf(w, `{"value":%q}`, tokenOf(t, map[string]any{"sub": "s", "exp": c.exp.Unix()}))
			}))
			t.Cleanup(server.Close)
			o := TokenOptions{HTTP: http.DefaultClient, Getenv: func(string) string { return server.URL }}
			token, err := o.token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = token.subject(now)
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrTokenExpired) || !strings.Contains(err.Error(), c.want)) {
				t.Error(err)
			}
		})
	}
}

// TestTokenFileOfTheFuture: a file that was written after its token had expired shows that the clock is wrong.
func TestTokenFileOfTheFuture(t *testing.T) {
	now := time.Now()
	for ends, want := range map[time.Time]string{now.Add(-time.Minute): "clock is likely wrong", now.Add(time.Second): "fetch a new one"} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(tokenOf(t, map[string]any{"sub": "s", "exp": ends.Unix()})), 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := TokenOptions{File: file}.token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.subject(now.Add(time.Hour)); !errors.Is(err, ErrTokenExpired) || !strings.Contains(err.Error(), want) {
			t.Error(want, err)
		}
	}
}

// TestRefusedByFulcio: Fulcio says the same of every token that it does not take; the error says what is wrong.
func TestRefusedByFulcio(t *testing.T) {
	now := time.Now()
	token := func(aud any, begins, ends time.Duration) map[string]any {
		return map[string]any{"sub": "s", "aud": aud, "iat": now.Add(begins).Unix(), "exp": now.Add(ends).Unix()}
	}
	good := token("sigstore", 0, 5*time.Minute)
	for name, c := range map[string]struct {
		code   int
		claims map[string]any
		there  time.Duration // how far Fulcio's clock is ahead
		want   []string
		is     error
	}{
		"nothing that can be seen": {400, good, 0, []string{"HTTP 400: There was an error processing the identity token"}, nil},
		"wrong audience": {400, token("other", 0, time.Hour), 0, []string{`it is for other, and Fulcio expects sigstore`, "HTTP 400"},
			ErrAudience},
		"wrong audiences":      {400, token([]string{"a", "b"}, 0, time.Hour), 0, []string{"it is for [a b]"}, ErrAudience},
		"one of its audiences": {400, token([]string{"a", "sigstore"}, 0, time.Hour), 0, nil, nil},
		"expired for Fulcio": {401, good, time.Hour,
			[]string{"has expired at", "Fulcio's clock says", "this machine's clock is 1h0m0s behind Fulcio's"}, ErrTokenExpired},
		"not valid yet for Fulcio": {401, good, -time.Hour, []string{"is valid from", "this machine's clock is 1h0m0s ahead of Fulcio's"}, nil},
		"down":                     {500, token("other", 0, time.Hour), time.Hour, []string{"HTTP 500: There was"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			fulcio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", now.Add(c.there+time.Second).UTC().Format(http.TimeFormat)) // headers have whole seconds
				w.WriteHeader(c.code)
				fmt.Fprint(w, `{"code":3,"message":"There was an error processing the identity token"}`)
			}))
			t.Cleanup(fulcio.Close)
			text := tokenOf(t, c.claims)
			a := &authority{http: http.DefaultClient, url: fulcio.URL, now: time.Now, tokens: TokenOptions{Getenv: func(k string) string {
				return map[string]string{"SIGSTORE_ID_TOKEN": text}[k]
			}}}
			_, err := a.credential(t.Context())
			if err == nil || strings.Contains(err.Error(), text) || c.is != nil && !errors.Is(err, c.is) {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if got := strings.ReplaceAll(strings.ReplaceAll(err.Error(), "59m59s", "1h0m0s"), "1h0m1s", "1h0m0s"); !strings.Contains(got, want) {
					t.Errorf("%s lacks %s", err, want)
				}
			}
			if c.there == 0 && strings.Contains(err.Error(), "clock") {
				t.Error(err)
			}
		})
	}
}

// TestLifetime: how long a certificate counts is a matter of its authority's clock.
func TestLifetime(t *testing.T) {
	begins := time.Unix(1_700_000_000, 0)
	leaf := &x509.Certificate{NotBefore: begins, NotAfter: begins.Add(10 * time.Minute)}
	for there, want := range map[time.Time]time.Duration{{}: 10 * time.Minute, begins: 10 * time.Minute,
		begins.Add(3 * time.Minute): 7 * time.Minute, begins.Add(-time.Hour): 10 * time.Minute} {
		if got := lifetime(leaf, clock{there: there}); got != want {
			t.Errorf("%s: %s", there, got)
		}
	}
}

// TestClockThatJumps: this machine's clock may be set while a run lasts. What is measured is what has passed.
func TestClockThatJumps(t *testing.T) {
	a := &authority{now: time.Now, tokens: TokenOptions{Getenv: func(string) string { return "" }}}
	for name, wall := range map[string]time.Time{"set back": time.Now().Add(24 * time.Hour), "set forward": time.Now().Add(-24 * time.Hour)} {
		now := time.Now()
		if !strings.Contains(now.String(), " m=") {
			t.Skip("no monotonic clock here")
		}
		a.current = &credential{asked: now, lasts: 10 * time.Minute, leaf: &x509.Certificate{NotAfter: wall}}
		if got, err := a.credential(context.Background()); got != a.current || err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
