package sign

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/sign/tuftest"
)

// TestCopiesOfTUF: what TUF vouched for last is used while TUF is down, and only that.
func TestCopiesOfTUF(t *testing.T) {
	repository, cache := t.TempDir(), filepath.Join(t.TempDir(), "keos-oci", "tuf")
	root := tuftest.Repository(t, repository, map[string]string{trustedRoot: "the root", signingConfig: "the config"})
	server := httptest.NewServer(http.FileServer(http.Dir(repository)))
	t.Cleanup(server.Close)
	now, down := time.Now(), false
	var said []string
	ask := func(t *testing.T) (string, error) {
		t.Helper()
		t.Setenv("HOME", t.TempDir()) // TUF's client keeps its own state there
		said = nil
		tuf := NewTUF(TUFOptions{Mirror: server.URL, Root: root, Cache: cache, Now: func() time.Time { return now },
			Warn: func(s string) { said = append(said, s) },
			Get: func(url string) (*http.Response, error) {
				if down {
					return nil, errors.New("the line is cut")
				}
				return http.Get(url) //nolint:noctx,gosec // a test's
			}})
		raw, err := tuf.target(trustedRoot, "trusted root")
		if again, second := tuf.target(trustedRoot, "trusted root"); string(again) != string(raw) || (second == nil) != (err == nil) {
			t.Error("asked again:", string(again), second)
		}
		if len(tuf.Notes()) != len(said) {
			t.Error(tuf.Notes(), said)
		}
		return string(raw), err
	}
	down = true
	if _, err := ask(t); !errors.Is(err, ErrTUF) || !strings.Contains(err.Error(), "the line is cut") ||
		!strings.Contains(err.Error(), "no copy is kept yet") {
		t.Error("nothing was ever read:", err)
	}
	down = false
	if got, err := ask(t); got != "the root" || err != nil || len(said) != 0 {
		t.Fatal(got, err, said)
	}
	files, err := os.ReadDir(cache)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	file := filepath.Join(cache, files[0].Name())
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	down = true
	if got, err := ask(t); got != "the root" || err != nil || len(said) != 1 ||
		!strings.Contains(said[0],
			"the trusted root of "+now.UTC().Format(time.DateOnly)+" is used, because TUF cannot be reached: "+server.URL+"/2.root.json: the line is cut") {
		t.Error(got, err, said)
	}
	bad := map[string]struct {
		do   func()
		want string
	}{
		"damaged": {func() {
			_ = os.WriteFile(file, []byte(strings.Replace(string(good), `"Data":"`, `"Data":"AAAA`, 1)), 0o600)
		}, "is damaged"},
		"cut":                            {func() { _ = os.WriteFile(file, good[:len(good)/2], 0o600) }, "is damaged"},
		"empty":                          {func() { _ = os.WriteFile(file, nil, 0o600) }, "is damaged"},
		"a file that everybody writes":   {func() { _ = os.Chmod(file, 0o666) }, "everybody can write to " + file},
		"a folder that everybody writes": {func() { _ = os.Chmod(cache, 0o777) }, "everybody can write to " + cache},
		"old":                            {func() { now = now.Add(31 * 24 * time.Hour) }, "which is too long ago"},
	}
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			_ = os.WriteFile(file, good, 0o600)
			before := now
			c.do()
			if _, err := ask(t); !errors.Is(err, ErrTUF) || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "the line is cut") || len(said) != 0 {
				t.Error(err, said)
			}
			now = before
			_ = errors.Join(os.Chmod(file, 0o600), os.Chmod(cache, 0o700))
		})
	}
	// A copy says nothing about another first root, though the mirror has the same address.
	_ = os.WriteFile(file, good, 0o600)
	root = tuftest.Repository(t, t.TempDir(), nil)
	if _, err := ask(t); !errors.Is(err, ErrTUF) {
		t.Error("a copy of what another root vouched for:", err)
	}
}

// TestTUFIsVerified: what a mirror changes is not used, and is not kept.
func TestTUFIsVerified(t *testing.T) {
	repository, cache := t.TempDir(), t.TempDir()
	root := tuftest.Repository(t, repository, map[string]string{trustedRoot: "the root"})
	for _, changed := range []string{"targets", "timestamp.json", "1.snapshot.json"} {
		t.Run(changed, func(t *testing.T) {
			t.Setenv("HOME", t.TempDir())
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, changed) {
					_ = json.NewEncoder(w).Encode("changed")
					return
				}
				http.FileServer(http.Dir(repository)).ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			if raw, err := NewTUF(TUFOptions{Mirror: server.URL, Root: root, Cache: cache}).target(trustedRoot, "trusted root"); err == nil {
				t.Errorf("got %q", raw)
			}
			if files, err := os.ReadDir(cache); err != nil || len(files) != 0 {
				t.Error(files, err)
			}
		})
	}
}
