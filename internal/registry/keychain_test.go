package registry

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// desk is a home folder without any login. Files are written into it.
func desk(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	for variable, value := range map[string]string{"HOME": home, "DOCKER_CONFIG": filepath.Join(home, "docker"), "REGISTRY_AUTH_FILE": "",
		"XDG_RUNTIME_DIR": filepath.Join(home, "run"), "XDG_CONFIG_HOME": "", "GOOGLE_APPLICATION_CREDENTIALS": ""} {
		t.Setenv(variable, value)
	}
	return home
}

// entries is a file with logins, of user:password by entry.
func entries(logins map[string]string) string {
	auths := map[string]map[string]string{}
	for key, login := range logins {
		auths[key] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	raw, _ := json.Marshal(map[string]any{"auths": auths})
	return string(raw)
}

func put(t *testing.T, file, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestKeychain: which login a repository gets.
func TestKeychain(t *testing.T) {
	for what, tc := range map[string]struct {
		docker, named, run, config map[string]string // files; nil is none
		host, repository, want     string            // user:password, "" for none
	}{
		"docker's config": {docker: map[string]string{"h": "d:1"}, run: map[string]string{"h": "p:1"}, host: "h", want: "d:1"},
		"podman, where docker has none": {docker: map[string]string{"other": "d:1"}, run: map[string]string{"h": "p:1"}, host: "h",
			want: "p:1"},
		"podman's second place": {config: map[string]string{"h": "p:2"}, host: "h", want: "p:2"},
		"podman's first place":  {run: map[string]string{"h": "p:1"}, config: map[string]string{"h": "p:2"}, host: "h", want: "p:1"},
		"a named file alone":    {named: map[string]string{"x": "n:1"}, run: map[string]string{"h": "p:1"}, host: "h"},
		"a named file":          {named: map[string]string{"h": "n:1"}, run: map[string]string{"h": "p:1"}, host: "h", want: "n:1"},
		"the longest path": {run: map[string]string{"h": "p:0", "h/org": "p:1", "h/org/apps": "p:2"}, host: "h", repository: "org/apps/web",
			want: "p:2"},
		"a path's folder":        {run: map[string]string{"h": "p:0", "h/org": "p:1"}, host: "h", repository: "org/x", want: "p:1"},
		"no part of a name":      {run: map[string]string{"h/org": "p:1"}, host: "h", repository: "organisation/x"},
		"a path is no host":      {run: map[string]string{"h/org": "p:1"}, host: "h", repository: "x"},
		"the host as a whole":    {run: map[string]string{"h": "p:0", "h/org": "p:1"}, host: "h", repository: "x", want: "p:0"},
		"an old entry":           {run: map[string]string{"https://h/v1/": "p:1"}, host: "h", want: "p:1"},
		"Docker Hub in podman":   {run: map[string]string{"docker.io": "p:1"}, host: "registry-1.docker.io", repository: "a/b", want: "p:1"},
		"Docker Hub in docker's": {docker: map[string]string{"https://index.docker.io/v1/": "d:1"}, host: "registry-1.docker.io", want: "d:1"},
		"nothing":                {host: "h"},
	} {
		t.Run(what, func(t *testing.T) {
			home := desk(t)
			for file, logins := range map[string]map[string]string{"docker/config.json": tc.docker, "named.json": tc.named,
				"run/containers/auth.json": tc.run, ".config/containers/auth.json": tc.config} {
				if logins != nil {
					put(t, filepath.Join(home, file), entries(logins))
				}
			}
			if tc.named != nil {
				t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(home, "named.json"))
			}
			l, err := newKeychain().find(t.Context(), tc.host, tc.repository)
			got := l.credential.Username + ":" + l.credential.Password
			if err != nil || l.Found() != (tc.want != "") || l.Found() && got != tc.want {
				t.Errorf("got %q (%v), want %q", got, err, tc.want)
			}
		})
	}
}

// TestScopedLogins: two paths of one host have logins of their own, and neither gets the other's, with basic and with token login.
func TestScopedLogins(t *testing.T) {
	p := registrytest.New(t)
	home := desk(t)
	put(t, filepath.Join(home, "run/containers/auth.json"), entries(map[string]string{p.Host() + "/one": "u:1", p.Host() + "/two": "u:2"}))
	for kind, require := range map[string]func(string){"token": p.RequireToken, "basic": p.RequireBasic} {
		t.Run(kind, func(t *testing.T) {
			require("u:2")
			defer require("")
			c, err := New(Options{Retry: Retry{Wait: time.Millisecond}})
			if err != nil {
				t.Fatal(err)
			}
			open := func(path string) *Repository {
				repo, _ := name.NewRepository(p.Host() + "/" + path)
				return c.Open(repo)
			}
			if _, err := open("two/a").Tags(t.Context()); err != nil {
				t.Errorf("two: %v", err)
			}
			_, err = open("one/a").Tags(t.Context())
			var refused *LoginError
			if !errors.As(err, &refused) || !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "the login of u from "+home) {
				t.Errorf("one: %v", err)
			}
			if _, err := open("two/b").Tags(t.Context()); err != nil {
				t.Errorf("two again: %v", err)
			}
		})
	}
}

// TestNoLogin: a registry that wants a login says how to get one.
func TestNoLogin(t *testing.T) {
	p := registrytest.New(t)
	desk(t)
	p.RequireToken("a:b")
	c, _ := New(Options{Retry: Retry{Wait: time.Millisecond}})
	repo, _ := name.NewRepository(p.Host() + "/a")
	_, err := c.Open(repo).Tags(t.Context())
	var missing *LoginError
	if !errors.As(err, &missing) || missing.Do != "log in: keos-oci login "+p.Host() ||
		!strings.Contains(err.Error(), "no login for "+p.Host()) {
		t.Errorf("got %v, %+v", err, missing)
	}
}

// TestHowToLogIn: clouds have programs of their own that give logins.
func TestHowToLogIn(t *testing.T) {
	for host, want := range map[string]string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":     "aws ecr get-login-password --region eu-west-1 | keos-oci login 123456789012.dkr",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn": "docker-credential-ecr-login",
		"europe-docker.pkg.dev":                            "gcloud auth configure-docker europe-docker.pkg.dev",
		"eu.gcr.io":                                        "gcloud auth configure-docker eu.gcr.io",
		"stratio.azurecr.io":                               "az acr login --name stratio;",
		"ghcr.io":                                          "log in: keos-oci login ghcr.io",
		"registry.example.com:5000":                        "log in: keos-oci login registry.example.com:5000",
		"evil.dkr.ecr.example.com":                         "log in: keos-oci login evil.dkr.ecr.example.com",
	} {
		if got := howToLogIn(host); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

// TestMissingHelper: a config that names a program which is not installed says which, where, and what to do.
func TestMissingHelper(t *testing.T) {
	for field, config := range map[string]string{"credsStore": `{"credsStore":"nosuch"}`,
		"credHelpers": `{"credHelpers":{"h.example":"nosuch"}}`} {
		home := desk(t)
		put(t, filepath.Join(home, "docker/config.json"), config)
		_, err := newKeychain().find(t.Context(), "h.example", "a")
		var missing *LoginError
		if !errors.As(err, &missing) {
			t.Fatalf("%s: %v", field, err)
		}
		for _, want := range []string{"docker-credential-nosuch", field, filepath.Join(home, "docker/config.json"), "h.example"} {
			if !strings.Contains(missing.Error()+missing.Do, want) {
				t.Errorf("%s: %q is missing in %q and %q", field, want, missing.Error(), missing.Do)
			}
		}
	}
}

// helper installs a credential helper that keeps one login in a file.
func helper(t *testing.T) (file string) {
	t.Helper()
	bin := t.TempDir()
	file = filepath.Join(bin, "kept")
	script := fmt.Sprintf("#!/bin/sh\ncase $1 in\nstore) cat >%s;;\n"+
		"get) cat %s 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; };;\nerase) rm %s;;\nesac\n", file, file, file)
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-fake"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return file
}

// TestLogIn: a login is checked, written where docker keeps it, found again, and removed.
func TestLogIn(t *testing.T) {
	for kind, require := range map[string]func(*registrytest.Proxy, string){"token": (*registrytest.Proxy).RequireToken,
		"basic": (*registrytest.Proxy).RequireBasic} {
		for _, keeps := range []string{"config", "helper"} {
			t.Run(kind+" "+keeps, func(t *testing.T) {
				p := registrytest.New(t)
				require(p, "u:s3cret")
				home := desk(t)
				config := filepath.Join(home, "docker/config.json")
				if keeps == "helper" {
					helper(t)
					put(t, config, `{"credsStore":"fake"}`)
				}
				c, err := New(Options{Retry: Retry{Wait: time.Millisecond}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.LogIn(t.Context(), p.Host(), "u", "wrong"); !errors.Is(err, ErrUnauthorized) || strings.Contains(err.Error(), "wrong") {
					t.Errorf("wrong password: %v", err)
				}
				stored, err := c.LogIn(t.Context(), p.Host(), "u", "s3cret")
				if err != nil || !stored.Asked || stored.File != config || (stored.Helper == "docker-credential-fake") != (keeps == "helper") {
					t.Fatalf("%+v, %v", stored, err)
				}
				raw, _ := os.ReadFile(config)
				if strings.Contains(string(raw), base64.StdEncoding.EncodeToString([]byte("u:s3cret"))) != (keeps == "config") {
					t.Errorf("config: %s", raw)
				}
				repo, _ := name.NewRepository(p.Host() + "/a")
				again, _ := New(Options{Retry: Retry{Wait: time.Millisecond}})
				if _, err := again.Open(repo).Tags(t.Context()); err != nil {
					t.Error(err)
				}
				if stored, err = c.LogOut(t.Context(), p.Host()); err != nil || !stored.Removed || stored.Left.Found() {
					t.Errorf("%+v, %v", stored, err)
				}
				if stored, err = c.LogOut(t.Context(), p.Host()); err != nil || stored.Removed {
					t.Errorf("again: %+v, %v", stored, err)
				}
			})
		}
	}
}

// TestGoogleLogin: registries of Google's cloud get the login of the machine.
func TestGoogleLogin(t *testing.T) {
	home := desk(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := x509.MarshalPKCS8PrivateKey(key)
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`)
	}))
	defer tokens.Close()
	account, _ := json.Marshal(map[string]string{"type": "service_account", "client_email": "a@example.com", "token_uri": tokens.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))})
	put(t, filepath.Join(home, "account.json"), string(account))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(home, "account.json"))
	l, err := newKeychain().find(t.Context(), "europe-docker.pkg.dev", "p/r/a")
	if err != nil || l.credential.Password != "t0ken" || !strings.Contains(l.From, "Google") {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := newKeychain().find(t.Context(), "registry.example.com", "a"); err != nil || l.Found() {
		t.Errorf("another host: %+v, %v", l, err)
	}
}

// TestMayPush: the right to push is found out with one POST and one DELETE, and no blob, manifest or tag is left.
func TestMayPush(t *testing.T) {
	dir := t.TempDir()
	p := registrytest.NewIn(t, dir)
	desk(t)
	c, _ := New(Options{Retry: Retry{Wait: time.Millisecond}})
	repo, _ := name.NewRepository(p.Host() + "/a")
	canceled, err := c.Open(repo).MayPush(t.Context())
	if err != nil || !canceled || len(p.Requests()) != 2 || p.Count("POST") != 1 || p.Count("DELETE") != 1 {
		t.Errorf("canceled %t, %v: %v", canceled, err, p.Requests())
	}
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.Contains(path, "/_uploads/") { // distribution removes what it counted there later
			t.Errorf("left: %s", path)
		}
		return err
	})
	p.Forbid(true)
	if _, err := c.Open(repo).MayPush(t.Context()); !errors.Is(err, ErrForbidden) {
		t.Errorf("forbidden: %v", err)
	}
	p.Forbid(false)
	p.RequireToken("a:b")
	if _, err := c.Open(repo).MayPush(t.Context()); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("unauthorized: %v", err)
	}
}

// TestMayPushDeletesNothingElse: a registry that names another address for the upload, on its host or on another one, does not make the run
// delete anything.
func TestMayPushDeletesNothingElse(t *testing.T) {
	desk(t)
	other := registrytest.New(t)
	for _, place := range []string{
		"http://" + other.Host() + "/v2/a/blobs/uploads/1", "http://" + other.Host() + "/v2/a/manifests/latest",
		"/v2/b/blobs/uploads/1", "/v2/a/manifests/latest", "/v2/a/blobs/uploads/../../manifests/latest", "//" + other.Host() + "/v2/a/x", "",
	} {
		deleted := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			deleted = deleted || r.Method == http.MethodDelete
			w.Header().Set("Location", place)
			w.WriteHeader(http.StatusAccepted)
		}))
		t.Cleanup(server.Close)
		c, _ := New(Options{})
		repo, _ := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/a")
		if canceled, err := c.Open(repo).MayPush(t.Context()); err != nil || canceled || deleted || other.Count("DELETE") > 0 {
			t.Errorf("%s: canceled %t, deleted %t, %v", place, canceled, deleted, err)
		}
	}
}
