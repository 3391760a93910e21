package doctor_test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/doctor"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/setup"
	"github.com/stratio/keos-oci/internal/sign"
)

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
	for _, want := range []string{"git", "config", "tls", "login", "clock", "referrers", "tags", "pull", "push", "key", "signer", "mover",
		"this run", "channel", "content"} {
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
	const uploads = " /v2/r/frontend/blobs/uploads/"
	for _, method := range []string{"POST", "DELETE"} {
		if c.registry.Count(method) != 1 || c.registry.Count(method+uploads) != 1 {
			t.Errorf("an upload is begun once and canceled once: %v", c.registry.Requests())
		}
	}
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
	server := httptest.NewUnstartedServer(c.registry)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it does not like that nobody trusts it
	server.StartTLS()
	t.Cleanup(server.Close)
	c.opener.Registry = "https://" + strings.TrimPrefix(server.URL, "https://") + "/r"
	res := c.finds("tls", doctor.Error, "is signed by an unknown authority", "--registry-ca")
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
	for off, want := range map[time.Duration]doctor.Status{10 * time.Second: doctor.OK, -2 * time.Minute: doctor.Warning,
		time.Hour: doctor.Error} {
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
		c.write("docker/config.json", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, c.registry.Host(),
			base64.StdEncoding.EncodeToString([]byte(login))))
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
