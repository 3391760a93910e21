package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
