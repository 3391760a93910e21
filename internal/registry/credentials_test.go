package registry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// TestTokens: one token per repository and run although reads come before writes, and no secret in any error.
func TestTokens(t *testing.T) {
	const user, password = "bot", "s3cr3t-passw0rd"
	p := registrytest.New(t)
	p.RequireToken(user + ":" + password)
	dockerConfig(t, p.Host(), user, password)
	r := open(t, p.Host(), "a/b")
	if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if err := push(t.Context(), t, r, "layer"); err != nil {
		t.Fatal(err)
	}
	if n := p.Count("GET /token"); n != 1 {
		t.Errorf("%d token requests for one repository", n)
	}
	other := r.client.Open(mustRepo(t, p.Host()+"/c"))
	if err := push(t.Context(), t, other, "layer"); err != nil {
		t.Fatal(err)
	}
	if n := p.Count("GET /token"); n != 2 {
		t.Errorf("%d token requests for two repositories", n)
	}
	for _, wrong := range []string{"wrong-passw0rd", ""} {
		dockerConfig(t, p.Host(), user, wrong)
		_, _, err := open(t, p.Host(), "a/b").Manifest(t.Context(), "v1")
		if !errors.Is(err, ErrUnauthorized) {
			t.Errorf("password %q: %v", wrong, err)
		}
		if err != nil && wrong != "" && (strings.Contains(err.Error(), wrong) ||
			strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte(user+":"+wrong)))) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func dockerConfig(t testing.TB, host, user, password string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	auths := "{}"
	if password != "" {
		auths = fmt.Sprintf(`{%q:{"auth":%q}}`, host, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"auths":`+auths+`}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialHelperRunsOnce(t *testing.T) {
	const user, password = "bot", "from-the-helper"
	p := registrytest.New(t)
	p.RequireToken(user + ":" + password)
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncat >/dev/null\necho run >>%s/runs\necho '{\"ServerURL\":\"\",\"Username\":%q,\"Secret\":%q}'\n", dir,
		user, password)
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credsStore":"test"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	r := open(t, p.Host(), "a/b")
	for _, repo := range []*Repository{r, r.client.Open(mustRepo(t, p.Host()+"/c"))} {
		if err := push(t.Context(), t, repo, "layer"); err != nil {
			t.Fatal(err)
		}
	}
	if runs, err := os.ReadFile(filepath.Join(dir, "runs")); err != nil || string(runs) != "run\n" {
		t.Errorf("helper ran %q times, %v", runs, err)
	}
}
