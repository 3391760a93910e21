package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// certified is what a policy may look at in a certificate.
type certified struct{ issuer, subject, trigger, repository, repositoryID, ref, config, signer string }

// TestIdentities: the stack's Fulcio certifies each kind of identity as the public one does. Tests of policies rely on it.
func TestIdentities(t *testing.T) {
	for mode, start := range map[string]func(testing.TB) *stack{"loopback issuer": sigstore, "GitHub's issuer": githubSigstore} {
		t.Run(mode, func(t *testing.T) { testIdentities(t, start(t)) })
	}
}

func testIdentities(t *testing.T, st *stack) {
	// config is the workflow that was started, signer the workflow that signs. The two differ when the first calls the second.
	github := func(trigger, repository, repositoryID, ref, config, signer string) certified {
		const forge = "https://github.com/"
		return certified{st.env["SIGSTORE_ISSUER"], forge + signer, trigger, forge + repository, repositoryID, ref, forge + config,
			forge + signer}
	}
	gitlab := func(trigger, project, projectID, ref string) certified {
		config := "https://gitlab.com/" + project + "//.gitlab-ci.yml@" + ref
		return certified{"https://gitlab.com", config, trigger, "https://gitlab.com/" + project, projectID, ref, config, config}
	}
	const (
		branch  = "refs/heads/main"
		publish = "repository=org/apps&workflow=publish.yaml&ref=refs/heads/main"
		onMain  = "org/apps/.github/workflows/publish.yaml@refs/heads/main"
		merge   = "org/apps/.github/workflows/publish.yaml@refs/pull/7/merge"
		release = "org/repo/.github/workflows/release.yaml@refs/tags/frontend/v1.2.3"
		evil    = "evil/apps/.github/workflows/publish.yaml@refs/heads/main"
	)
	for what, c := range map[string]struct {
		query string
		want  certified
	}{
		"defaults": {"", github("push", "org/repo", "1001", "refs/tags/frontend/v1.2.3", release, release)},
		"plain":    {publish, github("push", "org/apps", "1001", branch, onMain, onMain)},
		"pull request": {"repository=org/apps&workflow=publish.yaml&ref=refs/pull/7/merge&event=pull_request",
			github("pull_request", "org/apps", "1001", "refs/pull/7/merge", merge, merge)},
		"pull request with the rights of main": {publish + "&event=pull_request_target",
			github("pull_request_target", "org/apps", "1001", branch, onMain, onMain)},
		"another repository": {"repository=evil/apps&workflow=publish.yaml&ref=refs/heads/main",
			github("push", "evil/apps", "2524191664", branch, evil, evil)},
		"a repository that was deleted and made again": {publish + "&repositoryID=1002",
			github("push", "org/apps", "1002", branch, onMain, onMain)},
		"called reusable workflow": {publish + "&caller=evil/caller",
			github("push", "evil/caller", "2512238591", branch, "evil/caller/.github/workflows/caller.yaml@refs/heads/main", onMain)},
		"called from a tag": {publish + "&caller=org/other&callerRef=refs/tags/v1&repositoryID=7&event=workflow_dispatch",
			github("workflow_dispatch", "org/other", "7", "refs/tags/v1", "org/other/.github/workflows/caller.yaml@refs/tags/v1", onMain)},
		"email":         {"email=someone@example.com", certified{issuer: "https://accounts.example.com", subject: "someone@example.com"}},
		"GitLab branch": {"gitlab=group/project&ref=refs/heads/main", gitlab("push", "group/project", "3798190626", branch)},
		"GitLab tag": {"gitlab=group/sub/project&ref=refs/tags/v1.0.0&event=web&repositoryID=8",
			gitlab("web", "group/sub/project", "8", "refs/tags/v1.0.0")},
	} {
		t.Run(what, func(t *testing.T) {
			s := certify(t, st, c.query)
			got := certified{s.Issuer, s.SubjectAlternativeName, s.BuildTrigger, s.SourceRepositoryURI, s.SourceRepositoryIdentifier,
				s.SourceRepositoryRef, s.BuildConfigURI, s.BuildSignerURI}
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
	if st.env["SIGSTORE_EMAIL_ISSUER"] != "https://accounts.example.com" || st.env["SIGSTORE_GITLAB_ISSUER"] != "https://gitlab.com" {
		t.Errorf("issuers in the environment: %v", st.env)
	}
}

// certify fetches a token as the identity that the query describes, and reads the certificate that Fulcio gives for it. No
// command takes part: what publish refuses is no concern of the stack.
func certify(t *testing.T, st *stack, query string) certificate.Summary {
	t.Helper()
	var token struct{ Value string }
	ask(t, http.MethodGet, st.env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience=sigstore&"+query, st.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], nil, &token)
	parts := strings.Split(token.Value, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token.Value)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Sub, Email string }
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	subject := claims.Sub // what Fulcio wants signed by the key
	if claims.Email != "" {
		subject = claims.Email
	}
	keys, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	proof, _, err := keys.SignData(t.Context(), []byte(subject))
	if err != nil {
		t.Fatal(err)
	}
	public, err := keys.GetPublicKeyPem()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"credentials": map[string]string{"oidcIdentityToken": token.Value},
		"publicKeyRequest": map[string]any{
			"publicKey":         map[string]string{"algorithm": "ECDSA", "content": public},
			"proofOfPossession": base64.StdEncoding.EncodeToString(proof),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		SignedCertificateEmbeddedSct struct {
			Chain struct{ Certificates []string }
		}
	}
	ask(t, http.MethodPost, st.env["SIGSTORE_FULCIO_URL"]+"/api/v2/signingCert", "", body, &answer)
	chain := answer.SignedCertificateEmbeddedSct.Chain.Certificates
	if len(chain) == 0 {
		t.Fatal("no certificate")
	}
	block, _ := pem.Decode([]byte(chain[0]))
	if block == nil {
		t.Fatalf("no PEM: %s", chain[0])
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

// ask sends a request, with a bearer token if there is one, and reads the JSON answer.
func ask(t *testing.T, method, url, bearer string, body []byte, answer any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s: %s: %s", method, resp.Status, raw)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		t.Fatal(err)
	}
}
