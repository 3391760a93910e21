package flux

import (
	"crypto/subtle"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// gitLandscape describes one of the landscapes in the testdata of internal/migrate, and what its clusters have from elsewhere.
type gitLandscape struct {
	name        string
	checkouts   []string // beside the fleet
	kustomize   []string // flags of kustomize-controller
	first       clusterFacts
	second      clusterFacts
	unused      []string          // folders of the fleet that no cluster applies
	entry       string            // folder in that of a cluster: it has the settings and gotk-sync.yaml
	own         string            // source of the fleet in gotk-sync.yaml
	settings    ref               // ConfigMap of the cluster
	namespaces  []string          // that are older than Flux
	logins      map[string]string // Secrets for the Git server, with the namespaces that get a copy
	keys        map[string]string // Secrets for SOPS, likewise
	decrypted   ref               // a Secret that SOPS encrypted
	entryKey    string            // of that Secret
	parents     []string          // Kustomizations that apply those that move
	app         ref               // Deployment of the component of the same name that gets new versions
	sources     int               // how many OCIRepositories a cluster gets
	inEmergency bool              // a cluster leaves the artifact of its fleet while the registry is down, and not by fleet --back
	branchStays bool              // cleanup leaves the variable of the branch
}

// clusterFacts says how many Kustomizations a cluster has, and how many of them move.
type clusterFacts struct {
	name                  string
	kustomizations, moves int
	secret                string // what SOPS encrypted
	keeps                 []ref  // GitRepositories that cleanup leaves
}

// gitLandscapes are those that TestMigrate moves. The first cluster follows the branch main, the second one production.
func gitLandscapes() []gitLandscape {
	keeps := []ref{{"GitRepository", "frontend", "apps"}} // image automation of staging needs it, and prod-eu shares its file
	return []gitLandscape{{
		name: "d1", checkouts: []string{"infra", "apps"}, kustomize: lockdown(),
		first:  clusterFacts{"staging", 10, 7, "password of staging", keeps},
		second: clusterFacts{"prod-eu", 9, 6, "password of production", keeps},
		unused: []string{"clusters/_TEMPLATE", "clusters/staging-2023"},
		entry:  "flux-system",
		own:    "flux-system", settings: ref{"ConfigMap", fluxNamespace, "flux-runtime-info"},
		namespaces: []string{"frontend"}, // the entry of staging has objects in it, and Flux applies all of an entry or nothing
		logins:     map[string]string{"flux-system": "", "git-login": "kyverno,monitoring,frontend,backend"},
		keys:       map[string]string{"sops-age": "backend"},
		decrypted:  ref{"Secret", "backend", "database"}, entryKey: "password",
		parents: []string{"infra", "apps"}, app: ref{"Deployment", "frontend", "frontend"}, sources: 5,
		branchStays: true,
	}, {
		name: "keos", checkouts: []string{"system-services", "apps"},
		first:  clusterFacts{"dev1", 12, 5, "bundle of dev1", []ref{{"GitRepository", "image-automation", "keos-apps"}}},
		second: clusterFacts{"pro1", 10, 4, "", nil},
		unused: []string{"clusters/_TEMPLATE", "clusters/dev0-old"},
		entry:  "default/flux-system",
		own:    "keos-fleet", settings: ref{"ConfigMap", fluxNamespace, "keos-runtime-info"},
		namespaces: []string{"keos-logging", "keos-portal"}, // the installer of a cluster makes them
		logins:     map[string]string{"flux-system": "", "git-writer": "image-automation"},
		keys:       map[string]string{"sops-gpg": "demo-apps"},
		decrypted:  ref{"Secret", "demo-apps", "bucket"}, entryKey: "bundle",
		inEmergency: true,
		parents:     []string{"system-services-components", "apps-components"}, app: ref{"Deployment", "demo-apps", "catalog"}, sources: 5,
	}}
}

func (l gitLandscape) dir() string {
	return filepath.Join("..", "..", "internal", "migrate", "testdata", l.name)
}

// gitServer serves repositories for reading, over TLS and with a login.
type gitServer struct {
	dir, url, ca, password string
}

func serveGit(t *testing.T) gitServer {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	g := gitServer{dir: t.TempDir(), password: "e2e"}
	repositories := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + g.dir, "GIT_HTTP_EXPORT_ALL=1"}}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); subtle.ConstantTimeCompare([]byte(password), []byte(g.password)) == 0 {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		repositories.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	g.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	return g
}

// serve makes a repository of this name, to which a checkout pushes.
func (g gitServer) serve(c *checkout, name string) {
	bare := filepath.Join(g.dir, filepath.FromSlash(name))
	c.git("init", "-q", "--bare", "-b", "main", bare)
	c.git("remote", "set-url", "origin", g.url+"/"+name)
	c.git("remote", "set-url", "--push", "origin", bare)
}

// login is a Secret by which Flux reads the repositories.
func (g gitServer) login(namespace, name string) string {
	const text = "apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\nstringData: {username: flux, password: %q, ca.crt: %q}\n"
	return fmt.Sprintf(text, name, namespace, g.password, g.ca)
}

// fill copies a part of the landscape into a checkout and pushes it: to main as it is, and to production with an older app.
func (m *migration) fill(t *testing.T, c *checkout, name string) {
	t.Helper()
	from := filepath.Join(m.dir(), name)
	err := fs.WalkDir(os.DirFS(from), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(from, file))
		if err == nil {
			c.write(file, m.here(string(raw)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: "+c.prefix+"\n"+
		"secrets: {allow: [{path: \"clusters/_TEMPLATE/**\", reason: placeholders}]}\n")
	c.prefix = ""
	m.git.serve(c, m.name+"/"+name+".git")
	c.commit()
	c.git("switch", "-q", "-c", "production")
	if c == m.apps {
		m.version("0.9.0")
		c.commit()
	}
	c.git("switch", "-q", "main")
	c.git("push", "-q", "origin", "main", "production")
}

var (
	longInterval  = regexp.MustCompile(`(?m)^( +)interval: (5|10)m$`)
	retryInterval = regexp.MustCompile(`retryInterval: \d+m`)
	imageVersion  = regexp.MustCompile(`(image: \S+:)\S+`)
)

// leafInterval is that of the Kustomizations of components.
const leafInterval = 30 * time.Second

// here is a file of the landscape with the address of the Git server, and with shorter intervals.
func (m *migration) here(text string) string {
	text = strings.ReplaceAll(text, "https://git.example.com", m.git.url)
	text = longInterval.ReplaceAllString(text, "${1}interval: "+leafInterval.String())
	return retryInterval.ReplaceAllString(text, "retryInterval: 2s")
}

// version changes the image of the app in the checkout.
func (m *migration) version(version string) {
	file := "components/" + m.app.name + "/base/" + m.app.name + ".yaml"
	m.apps.write(file, imageVersion.ReplaceAllString(m.apps.read(file), "${1}"+version))
}

// components are those of a checkout.
func components(t *testing.T, c *checkout) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.dir, "components"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
