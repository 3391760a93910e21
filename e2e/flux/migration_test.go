package flux

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// migration is a landscape that moves.
type migration struct {
	gitLandscape
	w               *world
	git             gitServer
	registry        *outage
	fleet, apps     *checkout
	workspaces      []*checkout
	private, public string // files with the key pair
	sites           []*site
	before          map[string]string // UIDs by object
}

// newMigration makes the checkouts, pushes them to a Git server, and publishes the components: main as latest, and production as
// latest-stable.
func newMigration(t *testing.T, tools tools, l gitLandscape) *migration {
	t.Helper()
	w := newWorld(t, tools, l.kustomize...)
	m := &migration{gitLandscape: l, w: w, git: serveGit(t), registry: w.mayFail(t)}
	m.fleet = w.checkout(t, "org/fleet", l.name)
	m.fill(t, m.fleet, "fleet")
	m.private = m.fleet.key("migrate")
	m.public = strings.TrimSuffix(m.private, ".key") + ".pub"
	for _, name := range l.checkouts {
		c := w.checkout(t, "org/"+name, l.name)
		if name == "apps" {
			m.apps = c
		}
		m.fill(t, c, name)
		m.workspaces = append(m.workspaces, c)
		m.publish(c)
		// All of them: the second cluster deletes an optional Kustomization by its label, and still gets the source beside it.
		m.publish(c, append(components(t, c), "--commit", "origin/production", "--version", "v1.0.0")...)
	}
	second := newCluster(t, tools, t.TempDir(), l.kustomize...)
	m.sites = []*site{{cluster: w.cluster, clusterFacts: l.first}, {cluster: second, clusterFacts: l.second}}
	return m
}

// flags are those of all phases.
func (m *migration) flags() []string {
	return []string{"--key", m.public, "--channel", "production=latest-stable"}
}

// phase runs a phase in the fleet's checkout and gives the files that it changed. A check says that something is to be done before, and
// nothing after; the same command again changes nothing.
func (m *migration) phase(t *testing.T, args ...string) (changed []string) {
	t.Helper()
	check := m.command(append(slices.Clone(args), "--check")...)
	m.fleet.exits(3, branchJob(), check...)
	m.migrate(args...)
	once := m.fleet.git("diff")
	m.fleet.exits(0, branchJob(), check...)
	m.migrate(args...)
	if again := m.fleet.git("diff"); again != once {
		t.Errorf("%v, done again, changes\n%s", args, again)
	}
	return strings.Fields(m.fleet.git("diff", "--name-only"))
}

// untouched checks that files of clusters that nobody runs, and templates, are not changed.
func (m *migration) untouched(t *testing.T, changed []string) {
	t.Helper()
	for _, dir := range m.unused {
		if slices.ContainsFunc(changed, func(file string) bool { return strings.HasPrefix(file, dir+"/") }) {
			t.Errorf("files of %s are changed: %v", dir, changed)
		}
	}
}

// within checks that only files of one cluster are changed.
func (m *migration) within(t *testing.T, s *site, changed []string) {
	t.Helper()
	if slices.ContainsFunc(changed, func(file string) bool { return !strings.HasPrefix(file, "clusters/"+s.name+"/") }) {
		t.Errorf("files of others than %s are changed: %v", s.name, changed)
	}
}

// migrate runs keos-oci migrate in the fleet's checkout.
func (m *migration) migrate(args ...string) (stdout string) {
	m.fleet.t.Helper()
	return m.fleet.run(branchJob(), m.command(args...)...)
}

func (m *migration) command(args ...string) []string {
	command := []string{"migrate"}
	for _, c := range m.workspaces {
		command = append(command, "--workspace", c.dir)
	}
	return append(command, args...)
}

// publish publishes with the key.
func (m *migration) publish(c *checkout, args ...string) {
	c.t.Helper()
	c.run(branchJob(), append([]string{"publish", "--key", m.private, "--signature-format", "both"}, args...)...)
}

// status demands how far each cluster is, as "1 switched, 6 prepared". A cluster that nobody runs stays with Git.
func (m *migration) status(t *testing.T, want ...string) {
	t.Helper()
	var got struct {
		Kustomizations []struct{ Cluster, Kustomization, State string }
	}
	if err := json.Unmarshal([]byte(m.fleet.run(branchJob(), "migrate", "status", "-o", "json")), &got); err != nil {
		t.Fatal(err)
	}
	counts := map[string]map[string]int{}
	for _, k := range got.Kustomizations {
		if counts[k.Cluster] == nil {
			counts[k.Cluster] = map[string]int{}
		}
		counts[k.Cluster][k.State]++
	}
	for i, s := range m.sites {
		if is := counted(counts[s.name]); is != want[i] {
			t.Errorf("migrate status of %s: %s, want %s", s.name, is, want[i])
		}
		delete(counts, s.name)
	}
	if len(counts) != 1 {
		t.Errorf("migrate status has %v beside the clusters, want one that nobody runs", counts)
	}
	for cluster, states := range counts {
		if states["git"] == 0 || len(states) > 1 {
			t.Errorf("migrate status of %s: %v", cluster, states)
		}
	}
}

func counted(states map[string]int) string {
	var parts []string
	for _, state := range []string{"switched", "prepared", "git"} {
		if n := states[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return strings.Join(parts, ", ")
}

// whole says that all Kustomizations that move have this state.
func (s *site) whole(state string) string { return fmt.Sprintf("%d %s", s.moves, state) }

// push commits what was changed and pushes it, and lets Flux see it.
func (m *migration) push(t *testing.T, c *checkout) {
	t.Helper()
	c.commit()
	m.pushCommits(t, c)
}

// pushCommits pushes what is committed, and lets Flux see it.
func (m *migration) pushCommits(t *testing.T, c *checkout) {
	t.Helper()
	c.git("push", "-q", "origin", "main", "production")
	m.look(t, "GitRepository", strings.TrimPrefix(c.repository, "org")+".git")
}

// look asks Flux to look at all sources of this kind whose address ends like this. One that Flux prunes meanwhile needs no look.
func (m *migration) look(t *testing.T, kind, suffix string) {
	t.Helper()
	for _, s := range m.sites {
		for _, object := range s.list(t, kind) {
			if strings.HasSuffix(text(&object, "spec", "url"), suffix) {
				s.reconciledUnlessGone(t, ref{kind, object.GetNamespace(), object.GetName()}, ready())
			}
		}
	}
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

// images waits until the app has these versions in the clusters.
func (m *migration) images(t *testing.T, want ...string) {
	t.Helper()
	for i, s := range m.sites {
		s.eventually(t, m.app, image(want[i]))
	}
}

// image demands the version of a Deployment's image.
func image(version string) check {
	return func(object *unstructured.Unstructured) error {
		containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		for _, c := range containers {
			if got, _ := c.(map[string]any)["image"].(string); !strings.HasSuffix(got, ":"+version) {
				return fmt.Errorf("the image is %s, want the version %s", got, version)
			}
		}
		return nil
	}
}
