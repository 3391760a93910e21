package flux

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestMigrate moves landscapes from Git to artifacts on real Flux, and back, and again. In each the first cluster follows the branch main,
// then latest; the second one follows the branch production, then latest-stable. In the end both follow the artifact of their fleet.
// Through all of it no object is replaced, and none is pruned but sources of Git that nothing needs.
func TestMigrate(t *testing.T) {
	tools := findTools(t)
	for _, l := range gitLandscapes() {
		t.Run(l.name, func(t *testing.T) {
			runtime.LockOSThread() // as in TestFlux
			m := newMigration(t, tools, l)
			m.start(t)
			m.prepare(t)
			m.switchClusters(t)
			m.deliver(t)
			m.back(t)
			m.again(t)
			m.fleets(t)
			m.leaveFleet(t)
			m.cleanup(t)
			for _, s := range m.sites {
				s.watch.stop(t)
			}
		})
	}
}

// start lets the clusters follow Git, and remembers what they have then. From here on it is watched that nothing is unready for long.
func (m *migration) start(t *testing.T) {
	t.Helper()
	for _, s := range m.sites {
		m.bootstrap(t, s)
	}
	m.settle(t)
	for _, s := range m.sites {
		s.findMoving(t, m.git.url+"/"+m.name+"/fleet.git")
		s.follows(t, "GitRepository")
		m.decrypts(t, s)
		s.watch = s.watchReady(t)
	}
	m.images(t, "1.0.0", "0.9.0")
	m.status(t, m.sites[0].whole("git"), m.sites[1].whole("git"))
	m.before = m.uids(t)
}

// decrypts checks that the cluster has the Secret that SOPS encrypted, in plain text, where it applies it.
func (m *migration) decrypts(t *testing.T, s *site) {
	t.Helper()
	object, err := s.get(t, m.decrypted)
	if s.secret == "" {
		if err == nil {
			t.Errorf("%s has %s, which a patch by label takes away", s.name, m.decrypted)
		}
		return
	}
	if want := base64.StdEncoding.EncodeToString([]byte(s.secret)); err != nil || data(m.entryKey, want)(object) != nil {
		t.Errorf("%s: %s is not decrypted: %v", s.name, m.decrypted, err)
	}
}

// prepare plans, makes the Secrets that the plan asks for, and prepares: first one cluster alone, with which the other one shares files.
func (m *migration) prepare(t *testing.T) {
	t.Helper()
	first, second := m.sites[0], m.sites[1]
	m.secrets(t)
	command := slices.Concat([]string{"prepare"}, access(), m.flags())
	m.untouched(t, m.phase(t, append(command, first.name)...))
	m.push(t, m.fleet)
	m.settle(t)
	if n := len(second.list(t, "OCIRepository")); n > 0 {
		t.Errorf("%s has %d OCIRepositories before it is prepared", second.name, n)
	}
	m.status(t, first.whole("prepared"), second.whole("git"))
	m.untouched(t, m.phase(t, append(command, first.name, second.name)...))
	m.push(t, m.fleet)
	m.settle(t)
	for _, s := range m.sites {
		// Flux builds the folders of a commit in any order: one that it built before the settings came has no sources yet.
		for _, parent := range m.parents {
			s.reconciled(t, kustomization(fluxNamespace, parent), ready())
		}
	}
	m.settle(t)
	for _, s := range m.sites {
		m.sourcesVerified(t, s)
		s.follows(t, "GitRepository")
	}
	m.status(t, first.whole("prepared"), second.whole("prepared"))
	m.same(t, "prepare")
}

// secrets makes the Secrets that the plan asks for.
func (m *migration) secrets(t *testing.T) {
	t.Helper()
	var plan struct {
		Clusters []struct {
			Name    string
			Moves   []struct{ Equal string }
			Secrets []struct{ Namespace string }
		}
	}
	out := m.migrate(append(append([]string{"plan", "-o", "json"}, m.flags()...), m.first.name, m.second.name)...)
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Clusters) != len(m.sites) {
		t.Fatalf("%+v", plan)
	}
	for i, s := range m.sites {
		if c := plan.Clusters[i]; len(c.Moves) != s.moves || len(c.Secrets) == 0 || c.Name != s.name {
			t.Fatalf("%+v", c)
		}
		for _, n := range plan.Clusters[i].Secrets {
			s.apply(t, secret(n.Namespace, "cosign-key", "cosign.pub", m.publicKey(t)))
		}
	}
}

func (m *migration) publicKey(t *testing.T) string {
	t.Helper()
	key, err := os.ReadFile(m.public)
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

// sourcesVerified checks that each component has a source that has verified its artifact.
func (m *migration) sourcesVerified(t *testing.T, s *site) {
	t.Helper()
	all := s.list(t, "OCIRepository")
	for _, o := range all {
		if err := condition("SourceVerified", "True")(&o); err != nil {
			t.Errorf("%s: OCIRepository %s/%s: %v", s.name, o.GetNamespace(), o.GetName(), err)
		}
	}
	if len(all) != m.sources {
		t.Errorf("%s has %d OCIRepositories, want %d", s.name, len(all), m.sources)
	}
}

// switchClusters switches the first cluster in two steps, one component and then the rest, and the second one at once.
func (m *migration) switchClusters(t *testing.T) {
	t.Helper()
	first, second := m.sites[0], m.sites[1]
	m.switchOne(t, first, "--component", m.app.name)
	m.status(t, fmt.Sprintf("1 switched, %d prepared", first.moves-1), second.whole("prepared"))

	m.switchOne(t, first)
	m.status(t, first.whole("switched"), second.whole("prepared"))
	first.follows(t, "OCIRepository")
	second.follows(t, "GitRepository")

	m.switchOne(t, second)
	m.status(t, first.whole("switched"), second.whole("switched"))
	for _, s := range m.sites {
		s.follows(t, "OCIRepository")
		m.decrypts(t, s)
	}
}

// switchOne switches a cluster, by changes in its own files alone.
func (m *migration) switchOne(t *testing.T, s *site, flags ...string) {
	t.Helper()
	m.within(t, s, m.phase(t, slices.Concat([]string{"switch", s.name}, m.flags(), flags)...))
	m.push(t, m.fleet)
	m.settle(t)
	m.same(t, strings.Join(append([]string{"switch", s.name}, flags...), " "))
}

// deliver publishes a change, which the first cluster gets; a release, which the second one gets; and a rollback of it.
func (m *migration) deliver(t *testing.T) {
	t.Helper()
	m.images(t, "1.0.0", "0.9.0")
	m.version("2.0.0")
	m.push(t, m.apps)
	m.settle(t)
	m.images(t, "1.0.0", "0.9.0") // a branch reaches nobody any more
	m.publish(m.apps)
	m.look(t, "OCIRepository", "/"+m.app.name)
	m.images(t, "2.0.0", "0.9.0")
	m.publish(m.apps, m.app.name, "--version", "v1.1.0")
	m.look(t, "OCIRepository", "/"+m.app.name)
	m.images(t, "2.0.0", "2.0.0")
	m.settle(t) // a rollback before Flux knows the release's health leaves the wrong revision in the status for an interval
	m.apps.run(moveJob(), "rollback", m.app.name, "--reason", "e2e", "--key", m.private, "--signature-format", "both")
	m.look(t, "OCIRepository", "/"+m.app.name)
	m.images(t, "2.0.0", "0.9.0")
	m.settle(t)
	m.same(t, "a publish, a release and a rollback")
}

// back lets all clusters follow Git again, and delivers by a commit.
func (m *migration) back(t *testing.T) {
	t.Helper()
	for _, s := range m.sites {
		m.phase(t, append([]string{"switch", s.name, "--back"}, m.flags()...)...)
	}
	m.push(t, m.fleet)
	m.settle(t)
	for _, s := range m.sites {
		s.follows(t, "GitRepository")
		m.decrypts(t, s)
	}
	m.status(t, m.sites[0].whole("prepared"), m.sites[1].whole("prepared"))
	m.images(t, "2.0.0", "0.9.0")
	m.same(t, "going back")
	m.version("3.0.0")
	m.push(t, m.apps)
	m.settle(t)
	m.images(t, "3.0.0", "0.9.0")
	m.same(t, "a commit")
}
