// Package gittest serves Git repositories over HTTP, for tests of what is fetched from elsewhere.
package gittest

import (
	"io"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Repository is served by Git's own HTTP backend until the test ends.
type Repository struct {
	URL string // http://127.0.0.1:…/repo.git

	t   testing.TB
	dir string
}

// Serve makes an empty repository with the branch main. It skips the test where Git lacks its HTTP backend.
func Serve(t testing.TB) *Repository {
	t.Helper()
	r := &Repository{t: t, dir: filepath.Join(t.TempDir(), "repo.git")}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	backend := filepath.Join(r.git("--exec-path"), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		if os.Getenv("KEOS_OCI_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("needs git-http-backend:", err)
	}
	// Git, other than Go, would ask a proxy for this machine, too.
	t.Setenv("no_proxy", "127.0.0.1")
	server := httptest.NewServer(&cgi.Handler{Path: backend, Stderr: io.Discard, // kustomize asks for files first
		Env: append(environment(), "GIT_PROJECT_ROOT="+filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1")})
	t.Cleanup(server.Close)
	r.URL = server.URL + "/repo.git"
	return r
}

// Commit writes files, by path, and answers with the new commit.
func (r *Repository) Commit(files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		full := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git("add", "-A")
	r.git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "x")
	return r.git("rev-parse", "HEAD")
}

func (r *Repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), environment()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// environment keeps the settings of whoever runs the tests away. The backend distrusts folders of other owners, which those
// of a test are not.
func environment() []string {
	return []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}
}
