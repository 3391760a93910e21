package doctor_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/doctor"
	"github.com/stratio/keos-oci/internal/registry/embedded"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/setup"
	"github.com/stratio/keos-oci/internal/sign"
)

// clinic is a checkout, a registry and a key pair, all as they should be.
type clinic struct {
	t        *testing.T
	home     string
	dir      string // of the checkout
	content  string // the registry's folder
	registry *registrytest.Proxy
	opener   *setup.Opener
	request  doctor.Request
}

func open(t *testing.T) *clinic {
	t.Helper()
	home, content := t.TempDir(), t.TempDir()
	for variable, value := range map[string]string{"HOME": home, "DOCKER_CONFIG": filepath.Join(home, "docker"), "REGISTRY_AUTH_FILE": "",
		"XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": "", "GIT_CONFIG_GLOBAL": "/dev/null", "COSIGN_PASSWORD": "pw"} {
		t.Setenv(variable, value)
	}
	c := &clinic{t: t, home: home, dir: filepath.Join(home, "w"), content: content, registry: registrytest.NewIn(t, content)}
	c.write("w/components/frontend/base/kustomization.yaml", "resources: []\n")
	c.git("init", "-q", "-b", "main")
	c.git("remote", "add", "origin", "https://git.example.com/org/apps.git")
	c.commit()
	private, public, err := sign.GenerateKey([]byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	c.write("cosign.key", string(private))
	c.write("cosign.pub", string(public))
	c.opener = &setup.Opener{Directory: c.dir, Registry: c.registry.Host() + "/r", Concurrency: 4, RegistryTimeout: 5 * time.Second,
		SigstoreTimeout: 5 * time.Second, Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler), AtEnd: t.Cleanup,
		NewKey: func(file string) *sign.PrivateKey {
			return sign.NewPrivateKey(file, func() ([]byte, error) { return []byte("pw"), nil })
		}}
	c.request = doctor.Request{Opener: c.opener, Password: true,
		Signing: &setup.Signing{Key: filepath.Join(home, "cosign.key"), Format: "bundle"}}
	return c
}

func (c *clinic) write(file, content string) {
	c.t.Helper()
	file = filepath.Join(c.home, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o600)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clinic) git(args ...string) {
	c.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", c.dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("git %v: %v: %s", args, err, out)
	}
}

func (c *clinic) commit() {
	c.t.Helper()
	c.git("add", "-A")
	c.git("commit", "-q", "--allow-empty", "-m", "x")
}

// behind has the registry answer through what a test puts in between.
func (c *clinic) behind(f func(http.ResponseWriter, *http.Request, http.Handler)) {
	c.t.Helper()
	handler, err := embedded.Handler(c.t.Context(), c.content)
	if err != nil {
		c.t.Fatal(err)
	}
	c.registry = registrytest.NewProxy(c.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, handler) }))
	c.opener.Registry = c.registry.Host() + "/r"
}

func (c *clinic) examine() *doctor.Result {
	c.t.Helper()
	res, err := doctor.Run(c.t.Context(), c.request)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// finds demands a check of this name and status, with both texts.
func (c *clinic) finds(name string, status doctor.Status, message, do string) *doctor.Result {
	c.t.Helper()
	res := c.examine()
	for _, check := range res.Checks {
		if check.Name == name && check.Status == status && strings.Contains(check.Message, message) && strings.Contains(check.Do, do) {
			return res
		}
	}
	c.t.Errorf("no check %s is %s with %q, to do %q: %s", name, status, message, do, show(res))
	return res
}

func show(res *doctor.Result) string {
	var b strings.Builder
	for _, c := range res.Checks {
		fmt.Fprintf(&b, "\n%s %s %s: %s; do: %s", c.Status, c.Name, c.Subject, c.Message, c.Do)
	}
	return b.String()
}

// publish publishes what the checkout has.
func (c *clinic) publish(ctx context.Context) {
	c.t.Helper()
	signing := *c.request.Signing
	req := release.PublishRequest{}
	session, err := c.opener.Publish(ctx, release.SourceRequest{Ref: release.Ref{Branch: "main"}}, &req, &signing)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := session.Publish(ctx, req)
	if err == nil {
		err = res.Err()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestHealthy: all is fine, every part is looked at, and nothing is written.
func TestHealthy(t *testing.T) {
	c := open(t)
	c.publish(t.Context())
	before := c.files()
	c.registry.Reset()
	res := c.examine()
	if res.Err() != nil || res.Summary.Errors+res.Summary.Unknown+res.Summary.Warnings > 0 {
		t.Error(show(res))
	}
	var names []string
	for _, check := range res.Checks {
		names = append(names, check.Name)
	}
	for _, want := range []string{"git", "config", "tls", "login", "clock", "referrers", "tags", "pull", "push", "key", "signer", "mover", "this run",
		"channel", "content"} {
		if !slices.Contains(names, want) {
			t.Errorf("nothing looks at %s: %v", want, names)
		}
	}
	if after := c.files(); !slices.Equal(before, after) {
		t.Errorf("the registry had %v, and has %v", before, after)
	}
	for _, method := range []string{"PUT ", "PATCH "} {
		if n := c.registry.Count(method); n > 0 {
			t.Errorf("%d requests are %s", n, method)
		}
	}
	if posts, deletes := c.registry.Count("POST /v2/r/frontend/blobs/uploads/"), c.registry.Count("DELETE /v2/r/frontend/blobs/uploads/"); posts != 1 ||
		deletes != 1 || c.registry.Count("POST") != 1 || c.registry.Count("DELETE") != 1 {
		t.Errorf("%d uploads are begun and %d canceled: %v", posts, deletes, c.registry.Requests())
	}
}

// files is what the registry has: blobs, manifests and tags, but not uploads that were begun.
func (c *clinic) files() []string {
	c.t.Helper()
	var list []string
	err := filepath.WalkDir(c.content, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.Contains(path, "/_uploads/") {
			list = append(list, strings.TrimPrefix(path, c.content))
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

func TestGit(t *testing.T) {
	t.Run("no checkout", func(t *testing.T) {
		c := open(t)
		c.opener.Directory, c.opener.Registry = t.TempDir(), ""
		res := c.finds("git", doctor.Error, "not a git checkout", "run it in a clone")
		if !errors.Is(res.Err(), release.ErrOdd) {
			t.Error(res.Err())
		}
	})
	t.Run("no checkout, and a full name", func(t *testing.T) {
		c := open(t)
		c.opener.Directory, c.request.Names = t.TempDir(), []string{c.opener.Registry + "/frontend"}
		c.opener.Registry = ""
		res := c.finds("git", doctor.Warning, "no checkout here", "")
		if res.Err() != nil {
			t.Error(show(res))
		}
	})
	t.Run("shallow", func(t *testing.T) {
		c := open(t)
		c.commit()
		shallow := filepath.Join(c.home, "shallow")
		c.git("clone", "-q", "--depth", "1", "file://"+c.dir, shallow)
		c.opener.Directory = shallow
		c.finds("git", doctor.Warning, "shallow", "fetch-depth: 0")
	})
	t.Run("dirty", func(t *testing.T) {
		c := open(t)
		c.write("w/new.txt", "x")
		c.finds("git", doctor.Warning, "0 files are changed and 1 are not in Git", "commit them")
	})
	t.Run("no remote", func(t *testing.T) {
		c := open(t)
		c.git("remote", "remove", "origin")
		c.finds("git", doctor.Warning, "no remote named origin", "git remote add")
	})
	t.Run("unknown branch", func(t *testing.T) {
		c := open(t)
		c.git("branch", "-m", "other")
		c.finds("git", doctor.Warning, "does not know the branch", "git fetch origin main")
	})
}

func TestConfig(t *testing.T) {
	c := open(t)
	c.write("w/keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistri: x\n")
	c.commit()
	res := c.finds("config", doctor.Error, "registri", "correct it")
	if !errors.Is(res.Err(), release.ErrOdd) {
		t.Error(res.Err())
	}
	c.request.Names = []string{"nosuch"}
	c.write("w/keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\n")
	c.commit()
	if _, err := doctor.Run(t.Context(), c.request); !errors.Is(err, component.ErrUnknown) {
		t.Error(err)
	}
}

// TestTLS: a registry whose certificate this machine does not trust, and then trusts but for few days.
func TestTLS(t *testing.T) {
	c := open(t)
	server := httptest.NewTLSServer(c.registry)
	t.Cleanup(server.Close)
	c.opener.Registry = "https://" + strings.TrimPrefix(server.URL, "https://") + "/r"
	res := c.finds("tls", doctor.Error, "an authority that this machine does not trust", "--registry-ca")
	if res.Summary.Errors != 1 || !errors.Is(res.Err(), release.ErrOdd) {
		t.Error(show(res))
	}
	c.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	c.opener.RegistryCA = filepath.Join(c.home, "ca.pem")
	if res := c.finds("tls", doctor.OK, "the certificate is trusted", ""); res.Err() != nil {
		t.Error(show(res))
	}
	c.opener.Now = func() time.Time { return server.Certificate().NotAfter.Add(-72*time.Hour - time.Minute) }
	c.finds("tls", doctor.Warning, "ends in 3 days", "renew")
}

// TestUnreachable: a registry that is down is no proof of anything.
func TestUnreachable(t *testing.T) {
	c := open(t)
	c.registry.Close()
	res := c.finds("registry", doctor.Unknown, "connection refused", "again")
	if res.Summary.Errors > 0 || !errors.Is(res.Err(), doctor.ErrUnknown) {
		t.Error(show(res))
	}
}

// TestSlow: a registry that never answers does not hold up the rest.
func TestSlow(t *testing.T) {
	c := open(t)
	c.registry.FaultAt(func(int, *http.Request) registrytest.Fault { return registrytest.Block })
	c.request.Limit = 2 * time.Second
	began := time.Now()
	res := c.finds("content", doctor.OK, "1 passed", "")
	if took := time.Since(began); took > 15*time.Second || res.Summary.Unknown == 0 || !errors.Is(res.Err(), doctor.ErrUnknown) {
		t.Errorf("%s: %s", took, show(res))
	}
}

// TestClock: the registry's clock is minutes away from this machine's.
func TestClock(t *testing.T) {
	for off, want := range map[time.Duration]doctor.Status{10 * time.Second: doctor.OK, -2 * time.Minute: doctor.Warning, time.Hour: doctor.Error} {
		c := open(t)
		c.behind(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			next.ServeHTTP(w, r)
		})
		c.finds("clock", want, "the registry's", "")
	}
}

func TestReferrers(t *testing.T) {
	c := open(t)
	c.finds("referrers", doctor.OK, "no referrers API", "")
	c.behind(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		fmt.Fprint(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	})
	c.finds("referrers", doctor.OK, "has the referrers API", "")
}

func TestLogin(t *testing.T) {
	logIn := func(c *clinic, login string) {
		c.write("docker/config.json", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, c.registry.Host(), base64.StdEncoding.EncodeToString([]byte(login))))
	}
	t.Run("none", func(t *testing.T) {
		c := open(t)
		c.registry.RequireToken("u:p")
		c.finds("login", doctor.Error, "no login was found", "keos-oci login "+c.registry.Host())
		c.finds("pull", doctor.Error, "401", "keos-oci login")
		c.request.ReadOnly = true
		c.finds("login", doctor.Warning, "only public artifacts", "keos-oci login")
	})
	t.Run("wrong", func(t *testing.T) {
		c := open(t)
		c.registry.RequireToken("u:p")
		logIn(c, "u:wrong")
		c.finds("login", doctor.Error, "of u from "+filepath.Join(c.home, "docker/config.json")+" is not accepted", "")
		c.finds("push", doctor.Error, "401", "log in again")
	})
	t.Run("right", func(t *testing.T) {
		c := open(t)
		c.registry.RequireToken("u:p")
		logIn(c, "u:p")
		if res := c.finds("login", doctor.OK, "accepted", ""); res.Err() != nil {
			t.Error(show(res))
		}
	})
	t.Run("missing helper", func(t *testing.T) {
		c := open(t)
		c.registry.RequireToken("u:p")
		c.write("docker/config.json", `{"credsStore":"nosuch"}`)
		c.finds("login", doctor.Error, "docker-credential-nosuch", "install docker-credential-nosuch")
	})
	t.Run("may not push", func(t *testing.T) {
		c := open(t)
		c.registry.Forbid(true)
		res := c.finds("push", doctor.Error, "may not write to this repository (403)", "packages: write")
		if !errors.Is(res.Err(), release.ErrOdd) {
			t.Error(res.Err())
		}
		c.request.ReadOnly = true
		c.registry.Reset()
		if res := c.examine(); res.Err() != nil || c.registry.Count("POST") > 0 {
			t.Errorf("%v %s", c.registry.Requests(), show(res))
		}
	})
	t.Run("no such repository", func(t *testing.T) {
		c := open(t)
		c.behind(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost {
				http.Error(w, `{"errors":[{"code":"NAME_UNKNOWN"}]}`, http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		})
		c.finds("push", doctor.Error, "does not exist", "create the repository")
	})
	t.Run("uploads are not canceled", func(t *testing.T) {
		c := open(t)
		c.behind(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodDelete {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			next.ServeHTTP(w, r)
		})
		c.finds("push", doctor.OK, "ends the empty one by itself", "")
	})
}

func TestKey(t *testing.T) {
	t.Run("no password", func(t *testing.T) {
		c := open(t)
		c.request.Password = false
		c.finds("key", doctor.Error, "COSIGN_PASSWORD is not set", "set COSIGN_PASSWORD")
	})
	t.Run("wrong password", func(t *testing.T) {
		c := open(t)
		c.opener.NewKey = func(file string) *sign.PrivateKey {
			return sign.NewPrivateKey(file, func() ([]byte, error) { return []byte("other"), nil })
		}
		c.finds("key", doctor.Error, "wrong password", "COSIGN_PASSWORD")
	})
	t.Run("no file", func(t *testing.T) {
		c := open(t)
		c.request.Signing.Key = filepath.Join(c.home, "nosuch.key")
		c.finds("key", doctor.Error, "nosuch.key", "--key")
		c.finds("pull", doctor.OK, "", "") // the rest is looked at all the same
	})
	t.Run("public", func(t *testing.T) {
		c := open(t)
		c.request.Signing.Key = filepath.Join(c.home, "cosign.pub")
		if res := c.finds("key", doctor.OK, "a public key", ""); res.Err() != nil {
			t.Error(show(res))
		}
	})
}

func TestPolicy(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		c := open(t)
		c.request.Signing.Key = ""
		c.finds("signer", doctor.Error, "no policy", "signing.identity")
	})
	t.Run("another key moves", func(t *testing.T) {
		c := open(t)
		_, public, err := sign.GenerateKey([]byte("pw"))
		if err != nil {
			t.Fatal(err)
		}
		c.write("w/other.pub", string(public))
		c.write("w/keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning: {keys: [other.pub]}\n")
		c.commit()
		c.finds("this run", doctor.Warning, "may not move it", "if another run or person moves this channel")
	})
}

// TestUnsigned: clusters refuse what the channel points to, because its signature is by a key that does not count.
func TestUnsigned(t *testing.T) {
	c := open(t)
	c.publish(t.Context())
	_, public, err := sign.GenerateKey([]byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	c.write("w/other.pub", string(public))
	c.write("w/keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning: {keys: [other.pub]}\n")
	c.commit()
	res := c.finds("channel", doctor.Error, "refused", "keos-oci verify frontend:latest --explain")
	if !errors.Is(res.Err(), release.ErrOdd) {
		t.Error(res.Err())
	}
}

func TestContent(t *testing.T) {
	c := open(t)
	c.write("w/components/frontend/base/kustomization.yaml", "resources: [nosuch.yaml]\n")
	c.commit()
	c.finds("content", doctor.Error, "1 refused", "keos-oci check")
}

// TestSigstore: a keyless run needs a trusted root and its services. Nothing listens here.
func TestSigstore(t *testing.T) {
	c := open(t)
	c.write("w/keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning:\n"+
		"  identity: {issuer: 'https://issuer.example', subject: me}\n")
	c.commit()
	c.request.Signing = &setup.Signing{Format: "bundle", Services: sign.Services{TrustedRoot: filepath.Join(c.home, "nosuch.json"),
		FulcioURL: "http://127.0.0.1:1", RekorURL: c.registry.URL}}
	c.opener.Getenv = func(name string) string { return map[string]string{"CI": "true", "GITHUB_ACTIONS": "true"}[name] }
	c.finds("trusted root", doctor.Error, "nosuch.json", "--trusted-root")
	c.finds("sigstore", doctor.Unknown, "http://127.0.0.1:1 does not answer", "")
	c.finds("sigstore", doctor.OK, c.registry.URL+" answers", "")
	c.finds("token", doctor.Error, "id-token: write", "")
}
