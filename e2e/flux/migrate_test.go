package flux

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// TestMigrate moves a landscape of D1 from Git to artifacts on real Flux, and back. The cluster staging follows the branch main, then
// latest; prod-eu follows the branch production, then latest-stable. Through all of it no object is replaced or pruned.
func TestMigrate(t *testing.T) {
	tools := findTools(t)
	runtime.LockOSThread() // as in TestFlux
	w := newWorld(t, tools)
	m := newMigration(t, w)
	for _, s := range m.sites {
		s.bootstrap(t, m.fleet)
	}
	m.settle(t)
	before := m.uids(t)

	m.prepare(t)
	m.sourcesVerified(t)
	m.same(t, "prepare", before)
	for i, s := range m.sites {
		m.migrate("switch", s.name, "--key", m.public, "--channel", "production=latest-stable")
		m.push(t, m.fleet)
		m.settle(t)
		m.same(t, "switch of "+s.name, before)
		for j, other := range m.sites {
			other.follows(t, map[bool]string{true: "OCIRepository", false: "GitRepository"}[j <= i])
		}
	}
	m.deliver(t)
	m.same(t, "a publish, a release and a rollback", before)

	for _, s := range m.sites {
		m.migrate("switch", s.name, "--back", "--key", m.public, "--channel", "production=latest-stable")
	}
	m.push(t, m.fleet)
	m.settle(t)
	for _, s := range m.sites {
		s.follows(t, "GitRepository")
	}
	m.same(t, "going back", before)
	m.app("three")
	m.push(t, m.apps)
	m.settle(t)
	m.values(t, "three", "one")
	m.same(t, "a commit", before)
	for _, s := range m.sites {
		s.watch.stop(t)
	}
}

// migration is a landscape that moves.
type migration struct {
	w                  *world
	fleet, infra, apps *checkout
	server             string // of Git
	bare               string // folder with the repositories that it serves
	private, public    string // files with the key pair
	sites              []*site
}

// site is a cluster of the landscape.
type site struct {
	*cluster
	name  string
	watch *watch
}

// newMigration makes the checkouts, pushes them to a Git server, and publishes the components: main as latest, and production as
// latest-stable.
func newMigration(t *testing.T, w *world) *migration {
	t.Helper()
	m := &migration{w: w, bare: t.TempDir()}
	m.server = serveGit(t, m.bare)
	for _, c := range []struct {
		name string
		to   **checkout
	}{{"fleet", &m.fleet}, {"infra", &m.infra}, {"apps", &m.apps}} {
		*c.to = w.checkout(t, "org/"+c.name, "migrate")
		m.fill(t, *c.to, c.name)
	}
	m.private = m.fleet.key("migrate")
	m.public = strings.TrimSuffix(m.private, ".key") + ".pub"
	m.publish(m.infra)
	m.publish(m.infra, "admission", "monitoring", "--version", "v1.0.0")
	m.publish(m.apps)
	m.publish(m.apps, "backend", "frontend", "preview", "--version", "v1.0.0")
	second := newCluster(t, w.tools, t.TempDir())
	m.sites = []*site{{cluster: w.cluster, name: "staging"}, {cluster: second, name: "prod-eu"}}
	return m
}

// serveGit serves the repositories of a folder for reading.
func serveGit(t *testing.T, dir string) (url string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	server := httptest.NewServer(&cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}})
	t.Cleanup(server.Close)
	return server.URL
}

// fill copies a part of the landscape into a checkout and pushes it to both branches.
func (m *migration) fill(t *testing.T, c *checkout, name string) {
	t.Helper()
	from := filepath.Join("..", "..", "internal", "migrate", "testdata", "d1", name)
	err := fs.WalkDir(os.DirFS(from), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || unknownHere(file) {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(from, file))
		if err == nil {
			c.write(file, m.simplify(string(raw)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: "+c.prefix+"\n")
	c.prefix = ""
	c.git("init", "-q", "--bare", "-b", "main", filepath.Join(m.bare, name+".git"))
	c.git("remote", "set-url", "origin", m.server+"/"+name+".git")
	c.git("remote", "set-url", "--push", "origin", filepath.Join(m.bare, name+".git"))
	c.commit()
	c.git("branch", "production")
	c.git("push", "-q", "origin", "main", "production")
}

// unknownHere is what a cluster without image automation, and without the key of SOPS, cannot have.
func unknownHere(file string) bool {
	return strings.HasSuffix(file, "image-automation.yaml") || strings.HasSuffix(file, "/secret.yaml")
}

var deployment = regexp.MustCompile(`apiVersion: apps/v1\nkind: Deployment\n(metadata:\n  name: \S+\n  namespace: \S+\n)(?s:spec:.*)`)

// simplify makes a file of the landscape fit for a cluster without nodes, whose Git server is on loopback and wants no login.
func (m *migration) simplify(text string) string {
	text = deployment.ReplaceAllString(text, "apiVersion: v1\nkind: ConfigMap\n${1}data:\n  value: one\n  replicas: \"1\"\n")
	return strings.NewReplacer(
		"https://git.example.com/d1", m.server,
		"  secretRef:\n    name: git-login\n", "", "  secretRef:\n    name: flux-system\n", "",
		"  decryption:\n    provider: sops\n    secretRef:\n      name: sops-age\n", "", "  - secret.yaml\n", "",
		"kind: Deployment", "kind: ConfigMap", "path: /spec/replicas\n        value: 2", "path: /data/replicas\n        value: \"2\"",
		"retryInterval: 2m", "retryInterval: 2s", "interval: 10m", "interval: "+leafInterval.String(),
	).Replace(text)
}

// leafInterval is that of the Kustomizations of components.
const leafInterval = 30 * time.Second

// bootstrap lets a cluster follow its folder of the fleet, and copies its settings into other namespaces as an operator does.
func (s *site) bootstrap(t *testing.T, fleet *checkout) {
	t.Helper()
	s.apply(t, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: flux, namespace: flux-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: flux-of-the-fleet}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: flux, namespace: flux-system}]
`)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			s.copySettings(ctx, t)
			time.Sleep(200 * time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	s.apply(t, fleet.read("clusters/"+s.name+"/flux-system/gotk-sync.yaml"))
}

// copySettings copies the cluster's settings into the namespaces that their annotation names, those that are there.
func (s *site) copySettings(ctx context.Context, t *testing.T) {
	settings, err := s.get(t, ref{"ConfigMap", fluxNamespace, "flux-runtime-info"})
	if err != nil {
		return
	}
	for namespace := range strings.SplitSeq(settings.GetAnnotations()["replicator.v1.mittwald.de/replicate-to"], ",") {
		copied := ref{"ConfigMap", namespace, settings.GetName()}.object()
		copied.Object["data"] = settings.Object["data"]
		if _, err := s.get(t, ref{kind: "Namespace", name: namespace}); err == nil && ctx.Err() == nil {
			_ = s.applyObject(t, copied)
		}
	}
}

// publish publishes with the key.
func (m *migration) publish(c *checkout, args ...string) {
	c.t.Helper()
	c.run(branchJob(), append([]string{"publish", "--key", m.private, "--signature-format", "both"}, args...)...)
}

// migrate runs one of the phases in the fleet's checkout.
func (m *migration) migrate(args ...string) (stdout string) {
	m.fleet.t.Helper()
	return m.fleet.run(branchJob(), append([]string{"migrate", "--workspace", m.apps.dir, "--workspace", m.infra.dir}, args...)...)
}

// push commits what was changed and pushes it, and lets Flux see it.
func (m *migration) push(t *testing.T, c *checkout) {
	t.Helper()
	c.commit()
	c.git("push", "-q", "origin", "main", "production")
	name := filepath.Base(c.repository)
	if c == m.fleet {
		name = fluxNamespace
	}
	m.look(t, "GitRepository", name)
}

// look asks Flux to look at all sources of this kind and name.
func (m *migration) look(t *testing.T, kind, name string) {
	t.Helper()
	for _, s := range m.sites {
		for _, object := range s.list(t, kind) {
			if object.GetName() == name {
				s.reconciled(t, ref{kind, object.GetNamespace(), name}, ready())
			}
		}
	}
}

// list gives all objects of a kind.
func (s *site) list(t *testing.T, kind string) []unstructured.Unstructured {
	t.Helper()
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(ref{kind: kind}.object().GroupVersionKind())
	if err := s.List(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	return found.Items
}

// settle waits until each Kustomization of each cluster has applied what its source has.
func (m *migration) settle(t *testing.T) {
	t.Helper()
	for _, s := range m.sites {
		began := time.Now()
		if err := poll(patience, func() error { return s.settled(t) }); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		t.Logf("%s: settled after %s", s.name, time.Since(began).Round(100*time.Millisecond))
	}
}

func (s *site) settled(t *testing.T) error {
	revisions := map[string]string{}
	for _, kind := range []string{"GitRepository", "OCIRepository"} {
		for _, object := range s.list(t, kind) {
			if err := ready()(&object); err != nil {
				return fmt.Errorf("%s %s/%s: %w", kind, object.GetNamespace(), object.GetName(), err)
			}
			revisions[kind+" "+object.GetNamespace()+"/"+object.GetName()] = text(&object, "status", "artifact", "revision")
		}
	}
	all := s.list(t, "Kustomization")
	for _, object := range all {
		from := text(&object, "spec", "sourceRef", "kind") + " " + object.GetNamespace() + "/" + text(&object, "spec", "sourceRef", "name")
		err := ready()(&object)
		if got := text(&object, "status", "lastAppliedRevision"); err == nil && (got == "" || got != revisions[from]) {
			err = fmt.Errorf("%q is applied, and %s has %q", got, from, revisions[from])
		}
		if err != nil {
			return fmt.Errorf("Kustomization %s/%s: %w", object.GetNamespace(), object.GetName(), err)
		}
	}
	if want := map[string]int{"staging": 10, "prod-eu": 9}[s.name]; len(all) != want {
		return fmt.Errorf("%d Kustomizations, want %d", len(all), want)
	}
	return nil
}

// prepare plans, makes the Secrets that the plan asks for, and prepares. From here on it is watched that nothing is unready for long.
func (m *migration) prepare(t *testing.T) {
	t.Helper()
	var plan struct {
		Clusters []struct {
			Name    string
			Moves   []struct{ Equal string }
			Secrets []struct{ Namespace string }
		}
	}
	flags := []string{"--key", m.public, "--channel", "production=latest-stable", "staging", "prod-eu"}
	if err := json.Unmarshal([]byte(m.migrate(append([]string{"plan", "-o", "json"}, flags...)...)), &plan); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(m.public)
	if err != nil || len(plan.Clusters) != len(m.sites) {
		t.Fatalf("%v: %+v", err, plan)
	}
	for i, s := range m.sites {
		if len(plan.Clusters[i].Moves) == 0 || len(plan.Clusters[i].Secrets) == 0 || plan.Clusters[i].Name != s.name {
			t.Fatalf("%+v", plan.Clusters[i])
		}
		for _, n := range plan.Clusters[i].Secrets {
			s.apply(t, secret(n.Namespace, "cosign-key", "cosign.pub", string(key)))
		}
		s.watch = s.watchReady(t)
	}
	// First staging alone: prod-eu shares the files, and goes on as before.
	prepare := append([]string{"prepare", "--key-secret", "cosign-key", "--insecure"}, flags[:4]...)
	m.migrate(append(prepare, "staging")...)
	m.push(t, m.fleet)
	m.settle(t)
	if n := len(m.sites[1].list(t, "OCIRepository")); n > 0 {
		t.Errorf("prod-eu has %d OCIRepositories before it is prepared", n)
	}
	m.migrate(append(prepare, "staging", "prod-eu")...)
	m.push(t, m.fleet)
	m.settle(t)
	// Flux builds the folders of a commit in any order: one that it built before the settings came has no sources yet.
	for _, s := range m.sites {
		s.reconciled(t, kustomization(fluxNamespace, "infra"), ready())
		s.reconciled(t, kustomization(fluxNamespace, "apps"), ready())
	}
	m.settle(t)
}

// sourcesVerified waits until each component has a source that has verified its artifact.
func (m *migration) sourcesVerified(t *testing.T) {
	t.Helper()
	for _, s := range m.sites {
		sources := map[string]string{"kyverno": "admission", "monitoring": "monitoring", "backend": "backend", "frontend": "frontend"}
		for namespace, component := range sources {
			s.eventually(t, source(namespace, component), all(checks{ready(), condition("SourceVerified", "True")}))
		}
	}
}

// follows demands that all Kustomizations of components take their files from this kind of source.
func (s *site) follows(t *testing.T, kind string) {
	t.Helper()
	for _, object := range s.list(t, "Kustomization") {
		if got := text(&object, "spec", "sourceRef", "kind"); got != kind && object.GetNamespace() != fluxNamespace {
			t.Errorf("%s: Kustomization %s/%s follows %s, want %s", s.name, object.GetNamespace(), object.GetName(), got, kind)
		}
	}
}

// app changes the frontend on the branch main.
func (m *migration) app(value string) {
	const file = "components/frontend/base/frontend.yaml"
	m.apps.write(file, regexp.MustCompile(`value: \S+`).ReplaceAllString(m.apps.read(file), "value: "+value))
}

// deliver publishes a change, which staging gets; a release, which prod-eu gets; and a rollback of it.
func (m *migration) deliver(t *testing.T) {
	t.Helper()
	m.values(t, "one", "one")
	m.app("two")
	m.push(t, m.apps)
	m.settle(t)
	m.values(t, "one", "one") // a branch reaches nobody any more
	m.publish(m.apps)
	m.look(t, "OCIRepository", "frontend")
	m.values(t, "two", "one")
	m.publish(m.apps, "frontend", "--version", "v1.1.0")
	m.look(t, "OCIRepository", "frontend")
	m.values(t, "two", "two")
	m.apps.run(moveJob(), "rollback", "frontend", "--reason", "e2e", "--key", m.private, "--signature-format", "both")
	m.look(t, "OCIRepository", "frontend")
	m.values(t, "two", "one")
	m.settle(t)
}

// values waits until the frontends of the clusters have these values.
func (m *migration) values(t *testing.T, want ...string) {
	t.Helper()
	for i, s := range m.sites {
		s.eventually(t, ref{"ConfigMap", "frontend", "frontend"}, value(want[i]))
	}
}

// uids are those of all objects of all clusters.
func (m *migration) uids(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, s := range m.sites {
		maps.Copy(found, s.uids(t))
	}
	return found
}

func (s *site) uids(t *testing.T) map[string]string {
	t.Helper()
	kinds, err := discovery.NewDiscoveryClientForConfigOrDie(s.config(admin)).ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	skipped := []string{"Event", "Endpoints"} // the first come and go, and the API server warns of each look at the second
	for _, group := range kinds {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range group.APIResources {
			if !slices.Contains(kind.Verbs, "list") || !slices.Contains(kind.Verbs, "delete") || slices.Contains(skipped, kind.Kind) {
				continue
			}
			objects := &unstructured.UnstructuredList{}
			objects.SetGroupVersionKind(version.WithKind(kind.Kind))
			if err := s.List(t.Context(), objects); err != nil {
				t.Fatal(err)
			}
			for _, o := range objects.Items {
				found[s.name+": "+kind.Kind+"."+version.Group+" "+o.GetNamespace()+"/"+o.GetName()] = string(o.GetUID())
			}
		}
	}
	return found
}

// same demands that all objects are there as they were: none replaced, none pruned, and none added but what a migration adds.
func (m *migration) same(t *testing.T, after string, before map[string]string) {
	t.Helper()
	now := m.uids(t)
	for object, uid := range before {
		if now[object] != uid {
			t.Errorf("after %s: %s had the UID %s and has %s", after, object, uid, cmp.Or(now[object], "none"))
		}
	}
	for object := range now {
		_, old := before[object]
		if !old && !strings.Contains(object, ": OCIRepository.") && !strings.Contains(object, ": Secret. ") {
			t.Errorf("after %s: %s is new", after, object)
		}
	}
}

// watch is about how long Kustomizations are not ready.
type watch struct {
	site    *site
	cancel  context.CancelFunc
	work    sync.WaitGroup
	since   map[string]time.Time // when one stopped being ready
	longest map[string]time.Duration
	said    map[string]string // by it, last
}

// watchReady looks at all Kustomizations ten times a second.
func (s *site) watchReady(t *testing.T) *watch {
	o := &watch{site: s, since: map[string]time.Time{}, longest: map[string]time.Duration{}, said: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	o.cancel = cancel
	o.work.Go(func() {
		for ctx.Err() == nil {
			objects := &unstructured.UnstructuredList{}
			objects.SetGroupVersionKind(ref{kind: "Kustomization"}.object().GroupVersionKind())
			if s.List(ctx, objects) == nil {
				o.read(objects.Items)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); o.work.Wait() })
	return o
}

func (o *watch) read(objects []unstructured.Unstructured) {
	for _, object := range objects {
		name, got := object.GetNamespace()+"/"+object.GetName(), conditions(&object)["Ready"]
		if got.status == "True" {
			delete(o.since, name)
			continue
		}
		if o.since[name].IsZero() {
			o.since[name] = time.Now()
		}
		if gap := time.Since(o.since[name]); gap > o.longest[name] {
			o.longest[name], o.said[name] = gap, got.reason+": "+got.message
		}
	}
}

// stop ends it, and demands that none was unready for longer than the interval.
func (o *watch) stop(t *testing.T) {
	t.Helper()
	o.cancel()
	o.work.Wait()
	for name, gap := range o.longest {
		t.Logf("%s: Kustomization %s was not ready for at most %s: %s", o.site.name, name, gap.Round(100*time.Millisecond), o.said[name])
		if gap > leafInterval {
			t.Errorf("%s: Kustomization %s was not ready for %s: %s", o.site.name, name, gap, o.said[name])
		}
	}
}
