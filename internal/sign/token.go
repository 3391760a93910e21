package sign

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/oauthflow"
)

// ErrNoToken reports that no source of an ID token is at hand, ErrTokenExpired a token that is too old to be used.
var (
	ErrNoToken      = errors.New("no identity token")
	ErrTokenExpired = errors.New("the identity token has expired")
)

// TokenOptions says where ID tokens for keyless signing come from. The first that applies wins: File, GitHub Actions,
// SIGSTORE_ID_TOKEN, the browser.
type TokenOptions struct {
	HTTP        *http.Client
	Getenv      func(string) string
	File        string // a file that holds the token
	Issuer      string // OIDC issuer of the interactive flow
	ClientID    string // of the interactive flow
	Interactive bool   // a person is at a terminal
}

const audience = "sigstore"

// token fetches an ID token. Its text is a secret: errors never hold it.
func (o TokenOptions) token(ctx context.Context) (string, error) {
	switch {
	case strings.HasPrefix(o.File, "eyJ") && strings.Count(o.File, ".") == 2: // a file's error would repeat it
		return "", fmt.Errorf("%w: the identity token was given itself, where everybody can read it: put it into a file or SIGSTORE_ID_TOKEN", ErrNoToken)
	case o.File != "":
		raw, err := os.ReadFile(o.File)
		if err != nil {
			return "", fmt.Errorf("identity token: %w", err)
		}
		return strings.TrimSpace(string(raw)), nil
	case o.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL") != "":
		return o.githubToken(ctx)
	case o.Getenv("SIGSTORE_ID_TOKEN") != "":
		return o.Getenv("SIGSTORE_ID_TOKEN"), nil
	case o.Getenv("GITHUB_ACTIONS") == "true":
		return "", fmt.Errorf("%w: the workflow's job needs permissions: {id-token: write}", ErrNoToken)
	case o.Interactive:
		t, err := oauthflow.OIDConnect(o.Issuer, o.ClientID, "", "", oauthflow.DefaultIDTokenGetter)
		if err != nil {
			return "", fmt.Errorf("log in at %s: %w", o.Issuer, err)
		}
		return t.RawString, nil
	}
	return "", fmt.Errorf("%w: set SIGSTORE_ID_TOKEN, pass --identity-token FILE, or sign with a key pair: --key cosign.key", ErrNoToken)
}

// githubToken asks the Actions runner, as its documentation on OpenID Connect describes.
func (o TokenOptions) githubToken(ctx context.Context) (string, error) {
	u, err := url.Parse(o.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"))
	if err != nil {
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is no URL")
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+o.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	var answer struct{ Value string }
	if err := call(o.HTTP, req, &answer); err != nil {
		return "", fmt.Errorf("ask GitHub Actions for an identity token: %w", err)
	}
	if answer.Value == "" {
		return "", errors.New("GitHub Actions gave an empty identity token")
	}
	return answer.Value, nil
}

// subject reads what the holder of the key must sign to prove possession, and refuses a token that has expired.
func subject(token string, now time.Time) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the identity token is no JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("the identity token is no JWT")
	}
	var claims struct{ Exp float64 }
	if err := json.Unmarshal(raw, &claims); err != nil {
		return "", errors.New("the identity token's claims are no JSON")
	}
	if exp := time.Unix(int64(claims.Exp), 0); claims.Exp > 0 && now.After(exp) {
		return "", fmt.Errorf("%w at %s: fetch a new one right before signing", ErrTokenExpired, exp.UTC().Format(time.RFC3339))
	}
	s, err := oauthflow.SubjectFromUnverifiedToken(raw)
	if err != nil {
		return "", fmt.Errorf("identity token: %w", err)
	}
	return s, nil
}

// call sends a request and decodes a JSON answer of at most 1 MiB.
func call(client *http.Client, req *http.Request, answer any) error {
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			return ue.Err // the URL may carry a secret in its query
		}
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return &httpError{resp.StatusCode, message(raw)}
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	return nil
}

type httpError struct {
	status  int
	message string
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
