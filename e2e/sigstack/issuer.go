package sigstack

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// GitHubIssuer is the issuer of GitHub Actions ID tokens, EmailIssuer that of persons, GitLabIssuer that of GitLab CI jobs.
const (
	GitHubIssuer = "https://token.actions.githubusercontent.com"
	EmailIssuer  = "https://accounts.example.com"
	GitLabIssuer = "https://gitlab.com"
)

// Claims describes who gets an ID token: a workflow run on GitHub, a GitLab CI job when GitLab is set, or a person when
// Email is set.
type Claims struct {
	Repository   string // org/repo
	Workflow     string // file name under .github/workflows
	Ref          string // refs/tags/frontend/v1.2.3
	SHA          string
	Event        string // push, workflow_dispatch...
	Caller       string // org/other: its run calls Workflow of Repository at Ref as a reusable workflow
	CallerRef    string // refs/heads/main
	RepositoryID string // of the repository that runs, or of the GitLab project
	Email        string // someone@example.com
	GitLab       string // group/project
	Audience     string // sigstore
	TTL          time.Duration
}

// SAN is the URI that Fulcio writes into the certificate for a workflow run.
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
	def(&c.CallerRef, "refs/heads/main")
	def(&c.Audience, "sigstore")
	if c.TTL == 0 {
		c.TTL = 5 * time.Minute
	}
	return c
}

// idOf is the number that a forge gives to a repository or an owner. Those that tests use by default have fixed ones.
func idOf(name string) string {
	switch name {
	case "org/apps", "org/repo":
		return "1001"
	case "org":
		return "2002"
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return fmt.Sprint(10000 + uint64(h.Sum32())) // no hash gives a fixed number
}

func refType(ref string) string {
	if strings.HasPrefix(ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

// provider is an OIDC issuer with a key of its own.
type provider struct {
	url string
	key *rsa.PrivateKey
}

func newProvider(url string) (*provider, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return &provider{url, k}, nil
}

// Issuer is a GitHub-Actions-shaped OIDC issuer. Its token endpoint also gives out tokens of two other issuers.
type Issuer struct {
	*provider
	email, gitlab *provider
	n             atomic.Int64
	Def           Claims // claims given to callers of the Actions token endpoint
	Bearer        string // expected ACTIONS_ID_TOKEN_REQUEST_TOKEN
	Hits          atomic.Int64
}

func newIssuer(url string) (*Issuer, error) {
	i := &Issuer{Bearer: "runner-token"}
	var err error
	if i.provider, err = newProvider(url); err != nil {
		return nil, err
	}
	if i.email, err = newProvider(EmailIssuer); err != nil {
		return nil, err
	}
	if i.gitlab, err = newProvider(GitLabIssuer); err != nil {
		return nil, err
	}
	return i, nil
}

// Mint returns a signed ID token.
func (i *Issuer) Mint(c Claims) (string, error) {
	c = c.defaults()
	run := fmt.Sprint(100 + i.n.Add(1))
	switch {
	case c.Email != "":
		return i.email.sign(c, run, c.person())
	case c.GitLab != "":
		return i.gitlab.sign(c, run, c.gitLabJob(run))
	}
	return i.provider.sign(c, run, c.workflowRun(run))
}

// sign adds the claims that every issuer sets.
func (p *provider) sign(c Claims, run string, claims map[string]any) (string, error) {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: p.key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "sigstack"))
	if err != nil {
		return "", err
	}
	now := time.Now()
	return jwt.Signed(s).Claims(claims).Claims(map[string]any{
		"iss": p.url, "aud": c.Audience, "jti": "sigstack-" + run,
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(c.TTL).Unix(),
	}).Serialize()
}

// workflowRun gives the claims of GitHub Actions. In a called reusable workflow all but job_workflow_* tell of the caller.
func (c Claims) workflowRun(run string) map[string]any {
	job := c.Repository + "/.github/workflows/" + c.Workflow + "@" + c.Ref
	repository, ref, sha, top := c.Repository, c.Ref, c.SHA, job
	if c.Caller != "" {
		repository, ref, sha = c.Caller, c.CallerRef, strings.Repeat("c3d4", 10)
		top = c.Caller + "/.github/workflows/caller.yaml@" + c.CallerRef
	}
	repositoryID := c.RepositoryID
	if repositoryID == "" {
		repositoryID = idOf(repository)
	}
	owner, _, _ := strings.Cut(repository, "/")
	sub := "repo:" + repository + ":ref:" + ref
	if c.Event == "pull_request" { // GitHub names no ref then
		sub = "repo:" + repository + ":pull_request"
	}
	return map[string]any{
		"sub": sub,
		"ref": ref, "ref_type": refType(ref), "ref_protected": "true", "sha": sha,
		"repository": repository, "repository_id": repositoryID, "repository_owner": owner, "repository_owner_id": idOf(owner),
		"repository_visibility": "private", "run_id": run, "run_number": "1", "run_attempt": "1",
		"actor": "octocat", "actor_id": "3003", "workflow": "Release", "head_ref": "", "base_ref": "",
		"event_name": c.Event, "workflow_ref": top, "workflow_sha": sha, "job_workflow_ref": job, "job_workflow_sha": c.SHA,
		"runner_environment": "github-hosted",
	}
}

// gitLabJob gives the claims of a GitLab CI job. Its ref is the short name, ref_path the full one.
func (c Claims) gitLabJob(run string) map[string]any {
	short := strings.TrimPrefix(strings.TrimPrefix(c.Ref, "refs/tags/"), "refs/heads/")
	namespace := c.GitLab[:max(strings.LastIndex(c.GitLab, "/"), 0)] // groups may nest
	projectID := c.RepositoryID
	if projectID == "" {
		projectID = idOf(c.GitLab)
	}
	return map[string]any{
		"sub": "project_path:" + c.GitLab + ":ref_type:" + refType(c.Ref) + ":ref:" + short,
		"ref": short, "ref_type": refType(c.Ref), "ref_path": c.Ref, "ref_protected": "true", "sha": c.SHA,
		"project_path": c.GitLab, "project_id": projectID, "namespace_path": namespace, "namespace_id": idOf(namespace),
		"project_visibility": "private", "pipeline_id": run, "job_id": run, "pipeline_source": c.Event,
		"user_id": "3003", "user_login": "octocat", "user_email": "octocat@example.com",
		"ci_config_ref_uri": "gitlab.com/" + c.GitLab + "//.gitlab-ci.yml@" + c.Ref, "ci_config_sha": c.SHA,
		"runner_id": 1, "runner_environment": "gitlab-hosted",
	}
}

func (c Claims) person() map[string]any {
	return map[string]any{"sub": idOf(c.Email), "email": c.Email, "email_verified": true}
}

func (p *provider) handler() http.Handler {
	mux := http.NewServeMux()
	js := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		js(w, map[string]any{
			"issuer": p.url, "jwks_uri": p.url + "/.well-known/jwks",
			"authorization_endpoint": p.url + "/auth", "token_endpoint": p.url + "/token",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /.well-known/jwks", func(w http.ResponseWriter, _ *http.Request) {
		js(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "sigstack", Algorithm: "RS256", Use: "sig"}}})
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
		for k, p := range map[string]*string{"ref": &c.Ref, "repository": &c.Repository, "workflow": &c.Workflow, "event": &c.Event,
			"caller": &c.Caller, "callerRef": &c.CallerRef, "repositoryID": &c.RepositoryID, "email": &c.Email, "gitlab": &c.GitLab} {
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
