package sigstack

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// GitHubIssuer is the issuer of GitHub Actions ID tokens.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

// Claims describes the workflow run for which an ID token is minted.
type Claims struct {
	Repository string // org/repo
	Workflow   string // file name under .github/workflows
	Ref        string // refs/tags/frontend/v1.2.3
	SHA        string
	Event      string // push, workflow_dispatch...
	Audience   string // sigstore
	TTL        time.Duration
}

// SAN is the URI that Fulcio writes into the certificate for these claims.
func (c Claims) SAN() string {
	return fmt.Sprintf("https://github.com/%s/.github/workflows/%s@%s", c.Repository, c.Workflow, c.Ref)
}

func (c Claims) defaults() Claims {
	def := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	def(&c.Repository, "org/repo")
	def(&c.Workflow, "release.yaml")
	def(&c.Ref, "refs/tags/frontend/v1.2.3")
	def(&c.SHA, strings.Repeat("a1b2", 10))
	def(&c.Event, "push")
	def(&c.Audience, "sigstore")
	if c.TTL == 0 {
		c.TTL = 5 * time.Minute
	}
	return c
}

// Issuer is a GitHub-Actions-shaped OIDC issuer.
type Issuer struct {
	url    string
	key    *rsa.PrivateKey
	n      atomic.Int64
	Def    Claims // claims given to callers of the Actions token endpoint
	Bearer string // expected ACTIONS_ID_TOKEN_REQUEST_TOKEN
	Hits   atomic.Int64
}

func newIssuer(url string) (*Issuer, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return &Issuer{url: url, key: k, Bearer: "runner-token"}, nil
}

// Mint returns a signed ID token.
func (i *Issuer) Mint(c Claims) (string, error) {
	c = c.defaults()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: i.key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "sigstack"))
	if err != nil {
		return "", err
	}
	owner, _, _ := strings.Cut(c.Repository, "/")
	refType := "branch"
	if strings.HasPrefix(c.Ref, "refs/tags/") {
		refType = "tag"
	}
	wf := c.Repository + "/.github/workflows/" + c.Workflow + "@" + c.Ref
	now := time.Now()
	run := fmt.Sprint(100 + i.n.Add(1))
	return jwt.Signed(s).Claims(map[string]any{
		"iss": i.url, "aud": c.Audience, "jti": "sigstack-" + run,
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(c.TTL).Unix(),
		"sub": "repo:" + c.Repository + ":ref:" + c.Ref,
		"ref": c.Ref, "ref_type": refType, "ref_protected": "true", "sha": c.SHA,
		"repository": c.Repository, "repository_id": "1001", "repository_owner": owner, "repository_owner_id": "2002",
		"repository_visibility": "private", "run_id": run, "run_number": "1", "run_attempt": "1",
		"actor": "octocat", "actor_id": "3003", "workflow": "Release", "head_ref": "", "base_ref": "",
		"event_name": c.Event, "workflow_ref": wf, "workflow_sha": c.SHA, "job_workflow_ref": wf, "job_workflow_sha": c.SHA,
		"runner_environment": "github-hosted",
	}).Serialize()
}

func (i *Issuer) handler() http.Handler {
	mux := http.NewServeMux()
	js := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		js(w, map[string]any{
			"issuer": i.url, "jwks_uri": i.url + "/.well-known/jwks",
			"authorization_endpoint": i.url + "/auth", "token_endpoint": i.url + "/token",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /.well-known/jwks", func(w http.ResponseWriter, _ *http.Request) {
		js(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "sigstack", Algorithm: "RS256", Use: "sig"}}})
	})
	return mux
}

// actions imitates the runner's ID token endpoint (ACTIONS_ID_TOKEN_REQUEST_URL).
func (i *Issuer) actions() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_apis/token", func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Authorization"), "bearer "+i.Bearer) {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		i.Hits.Add(1)
		c := i.Def
		if a := r.URL.Query().Get("audience"); a != "" {
			c.Audience = a
		}
		// beyond what GitHub has: claims may be given in the URL, so that one stack serves many identities
		for k, p := range map[string]*string{"ref": &c.Ref, "repository": &c.Repository, "workflow": &c.Workflow} {
			if v := r.URL.Query().Get(k); v != "" {
				*p = v
			}
		}
		if d, err := time.ParseDuration(r.URL.Query().Get("ttl")); err == nil {
			c.TTL = d
		}
		t, err := i.Mint(c)
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"count": len(t), "value": t})
	})
	return mux
}
