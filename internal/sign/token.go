package sign

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/oauthflow"
)

// ErrNoToken reports that no source of an ID token is at hand, ErrTokenExpired a token that is too old to be used, ErrAudience one that
// is for another audience than Sigstore.
var (
	ErrNoToken      = errors.New("no identity token")
	ErrTokenExpired = errors.New("the identity token has expired")
	ErrAudience     = errors.New("the identity token is for another audience")
)

// TokenOptions says where ID tokens for keyless signing come from. The first that applies wins: File, GitHub Actions,
// SIGSTORE_ID_TOKEN, the browser.
type TokenOptions struct {
	HTTP        *http.Client
	Getenv      func(string) string
	File        string // a file with the token
	Issuer      string // OIDC issuer of the interactive flow
	ClientID    string // of the interactive flow
	Interactive bool   // a person is at a terminal

	Output io.Writer    // has what the person reads in the interactive flow; nil is os.Stderr
	Log    *slog.Logger // says that the run waits for the person; nil says nothing
}

const audience = "sigstore"

// idToken is an ID token. Its text is a secret: errors never have it.
type idToken struct {
	text  string
	clock clock     // of who gave the token
	saved time.Time // when the file was written that it comes from
}

// clock compares this machine's clock with that of a server. The zero value knows no server.
type clock struct{ here, there time.Time }

// tooFar is the difference between two clocks that is worth a word.
const tooFar = time.Minute

// ahead is how far this machine's clock is ahead of the other, 0 when nothing is known. What a request takes counts for little.
func (c clock) ahead() time.Duration {
	if c.there.IsZero() {
		return 0
	}
	return c.here.Round(0).Sub(c.there)
}

// remark says that this machine's clock is wrong, "" when it is not.
func (c clock) remark(other string) string {
	switch ahead := c.ahead().Round(time.Second); {
	case ahead > tooFar:
		return fmt.Sprintf("this machine's clock is %s ahead of %s", ahead, other)
	case ahead < -tooFar:
		return fmt.Sprintf("this machine's clock is %s behind %s", -ahead, other)
	}
	return ""
}

// token fetches an ID token.
func (o TokenOptions) token(ctx context.Context) (idToken, error) {
	switch {
	case strings.HasPrefix(o.File, "eyJ") && strings.Count(o.File, ".") == 2: // a file's error would repeat it
		return idToken{},
			fmt.Errorf("%w: the identity token was given itself, where everybody can read it: put it into a file or SIGSTORE_ID_TOKEN", ErrNoToken)
	case o.File != "":
		return o.fileToken()
	case o.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL") != "":
		return o.githubToken(ctx)
	case o.Getenv("SIGSTORE_ID_TOKEN") != "":
		return idToken{text: o.Getenv("SIGSTORE_ID_TOKEN")}, nil
	case o.Getenv("GITHUB_ACTIONS") == "true":
		return idToken{}, fmt.Errorf("%w: the workflow's job needs permissions: {id-token: write}", ErrNoToken)
	case o.Interactive:
		return o.browserToken(ctx)
	}
	return idToken{}, fmt.Errorf("%w: set SIGSTORE_ID_TOKEN, pass --identity-token FILE, or sign with a key pair: --key cosign.key",
		ErrNoToken)
}

func (o TokenOptions) fileToken() (idToken, error) {
	info, err := os.Stat(o.File)
	if err != nil {
		return idToken{}, fmt.Errorf("identity token: %w", err)
	}
	raw, err := os.ReadFile(o.File)
	if err != nil {
		return idToken{}, fmt.Errorf("identity token: %w", err)
	}
	return idToken{text: strings.TrimSpace(string(raw)), saved: info.ModTime()}, nil
}

// githubToken asks the Actions runner, as its documentation on OpenID Connect describes.
func (o TokenOptions) githubToken(ctx context.Context) (idToken, error) {
	u, err := url.Parse(o.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"))
	if err != nil {
		return idToken{}, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is no URL")
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return idToken{}, err
	}
	req.Header.Set("Authorization", "Bearer "+o.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	var answer struct{ Value string }
	at, err := call(o.HTTP, req, &answer)
	if err != nil {
		return idToken{}, fmt.Errorf("ask GitHub Actions for an identity token: %w", err)
	}
	if answer.Value == "" {
		return idToken{}, errors.New("GitHub Actions gave an empty identity token")
	}
	return idToken{text: answer.Value, clock: at}, nil
}

// browserToken lets a person log in. The login goes through a library that knows no context and no limit of time, so the provider is
// asked first whether it is there, and a login that is not wanted any more is left to itself.
func (o TokenOptions) browserToken(ctx context.Context) (idToken, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(o.Issuer, "/")+"/.well-known/openid-configuration", nil)
	if err != nil {
		return idToken{}, err
	}
	var found struct{ Issuer string }
	at, err := call(o.HTTP, req, &found)
	if err != nil {
		return idToken{}, fmt.Errorf("log in at %s: %w", o.Issuer, err)
	}
	type login struct {
		token *oauthflow.OIDCIDToken
		err   error
	}
	done := make(chan login, 1)
	getter := *oauthflow.DefaultIDTokenGetter
	getter.Output = o.Output
	if o.Log != nil {
		what := "the login in the browser at " + req.URL.Host
		o.Log.Debug("waiting", "waits", what)
		defer o.Log.Debug("waiting no more", "waited", what)
	}
	go func() {
		token, err := oauthflow.OIDConnect(o.Issuer, o.ClientID, "", "", &getter)
		done <- login{token, err}
	}()
	select {
	case <-ctx.Done():
		return idToken{}, context.Cause(ctx)
	case l := <-done:
		if l.err != nil {
			return idToken{}, fmt.Errorf("log in at %s: %w", o.Issuer, l.err)
		}
		return idToken{text: l.token.RawString, clock: at}, nil
	}
}

// claims are what a token says of itself.
type claims struct {
	Exp, Iat, Nbf float64 // seconds since 1970
	Aud           any     // one audience, or a list
}

func (t idToken) claims() (claims, []byte, error) {
	var c claims
	parts := strings.Split(t.text, ".")
	if len(parts) != 3 {
		return c, nil, errors.New("the identity token is no JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, nil, errors.New("the identity token is no JWT")
	}
	if json.Unmarshal(raw, &c) != nil {
		return c, nil, errors.New("the identity token's claims are no JSON")
	}
	return c, raw, nil
}

// subject reads what the holder of the key must sign to prove possession, and refuses a token that has expired: by the clock of who
// gave it, where that is known.
func (t idToken) subject(now time.Time) (string, error) {
	c, raw, err := t.claims()
	if err != nil {
		return "", err
	}
	if ends := time.Unix(int64(c.Exp), 0); c.Exp > 0 && now.Add(-t.clock.ahead()).After(ends) {
		return "", t.expired(ends, now)
	}
	s, err := oauthflow.SubjectFromUnverifiedToken(raw)
	if err != nil {
		return "", fmt.Errorf("identity token: %w", err)
	}
	return s, nil
}

func (t idToken) expired(ends, now time.Time) error {
	hint := "fetch a new one right before signing"
	if t.saved.After(ends) {
		hint = "its file was written after that: this machine's clock is likely wrong"
	}
	return fmt.Errorf("%w at %s, and this machine's clock says %s: %s", ErrTokenExpired, stamp(ends), stamp(now), hint)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// refused says what is wrong with a token that Fulcio did not take. Fulcio itself says only that something is.
func (t idToken) refused(err error) error {
	var answer *httpError
	c, _, unread := t.claims()
	if !errors.As(err, &answer) || answer.status/100 != 4 || unread != nil {
		return err
	}
	fulcio := answer.clock.there
	switch ends, begins := time.Unix(int64(c.Exp), 0), time.Unix(int64(max(c.Iat, c.Nbf)), 0); {
	case !c.isFor(audience):
		err = fmt.Errorf("%w: it is for %v, and Fulcio expects %s: %w", ErrAudience, c.Aud, audience, err)
	case !fulcio.IsZero() && c.Exp > 0 && fulcio.After(ends):
		err = fmt.Errorf("%w at %s, and Fulcio's clock says %s: %w", ErrTokenExpired, stamp(ends), stamp(fulcio), err)
	case !fulcio.IsZero() && begins.Sub(fulcio) > tooFar:
		err = fmt.Errorf("the identity token is valid from %s on, and Fulcio's clock says %s: the clocks of Fulcio and of who gave the token differ: %w", stamp(begins), stamp(fulcio), err)
	}
	if remark := answer.clock.remark("Fulcio's"); remark != "" {
		return fmt.Errorf("%w (%s)", err, remark)
	}
	return err
}

// isFor reports whether an audience is among the token's, or the token names none.
func (c claims) isFor(who string) bool {
	list, ok := c.Aud.([]any)
	if !ok {
		return c.Aud == nil || c.Aud == who
	}
	return slices.Contains(list, any(who))
}

// call sends a request and decodes a JSON answer of at most 1 MiB. The clock compares this machine's with the server's.
func call(client *http.Client, req *http.Request, answer any) (clock, error) {
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			return clock{}, ue.Err // the URL may have a secret in its query
		}
		return clock{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return clock{}, err
	}
	at := clock{here: time.Now()}
	at.there, _ = http.ParseTime(resp.Header.Get("Date")) // zero where there is none
	if resp.StatusCode/100 != 2 {
		return at, &httpError{resp.StatusCode, message(raw), at}
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return at, fmt.Errorf("the answer is no JSON: %w", err)
	}
	return at, nil
}

type httpError struct {
	status  int
	message string
	clock   clock
}

func (e *httpError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.status, e.message) }

// message is the "message" of a JSON error, or the start of any other text.
func message(raw []byte) string {
	var j struct{ Message string }
	if json.Unmarshal(raw, &j) == nil && j.Message != "" {
		return j.Message
	}
	return strings.TrimSpace(string(raw[:min(len(raw), 200)]))
}
