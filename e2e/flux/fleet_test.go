package flux

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fleetComponent is the component that keos-oci finds in a fleet.
const fleetComponent = "fleet"

// again switches both clusters once more, after they went back.
func (m *migration) again(t *testing.T) {
	t.Helper()
	m.publish(m.apps, m.app.name)
	for _, s := range m.sites {
		m.migrate(slices.Concat([]string{"switch", s.name}, m.flags())...)
	}
	m.push(t, m.fleet)
	m.look(t, "OCIRepository", "/"+m.app.name)
	m.settle(t)
	m.status(t, m.sites[0].whole("switched"), m.sites[1].whole("switched"))
	m.same(t, "switching again")
}

// fleets lets both clusters follow the artifact of their fleet. The registry is down while the first one gets its second source.
func (m *migration) fleets(t *testing.T) {
	t.Helper()
	first, second := m.sites[0], m.sites[1]
	m.addSource(t, first)
	m.outage(t, first)
	m.watchEntry(t, first)
	second.fleetFrom(t, m.source("GitRepository"))
	m.onlyPublished(t)

	m.addSource(t, second)
	m.fleet.commit()
	m.publish(m.fleet)
	m.pushFleet(t)
	m.switchEntry(t, second)
}

// addSource does the first step: a second source of the fleet. Nothing is committed yet.
func (m *migration) addSource(t *testing.T, s *site) {
	t.Helper()
	s.apply(t, secret(fluxNamespace, "cosign-key", "cosign.pub", m.publicKey(t)))
	m.fleetSays(t, s, 0, "when OCIRepository flux-system/fleet is Ready", access()...)
	m.within(t, s, m.butWayBack(s))
}

// outage: while the registry is down the second source cannot become Ready, the second step refuses, and the cluster goes on from Git.
func (m *migration) outage(t *testing.T, s *site) {
	t.Helper()
	m.fleet.commit()
	m.fleetSays(t, s, 3, "publish the fleet: keos-oci publish fleet", access()...)
	m.publish(m.fleet)
	m.fleetSays(t, s, 2, "nobody looked whether OCIRepository flux-system/fleet is Ready", access()...)
	m.fleetSays(t, s, 3, "OCIRepository flux-system/fleet is not ready: it is not in the cluster", m.looking(t, s)...)
	m.registry.down.Store(true)
	m.pushCommits(t, m.fleet)
	s.eventually(t, source(fluxNamespace, fleetComponent), condition("Ready", "False"))
	m.fleetSays(t, s, 3, "fleet:latest cannot be used", m.looking(t, s)...)
	m.setValue("one")
	m.push(t, m.fleet)
	m.values(t, "one", "one")
	m.fleet.git("diff", "--exit-code")

	m.registry.down.Store(false)
	s.reconciled(t, source(fluxNamespace, fleetComponent), ready(), condition("SourceVerified", "True"))
	m.fleetSays(t, s, 3, "fleet:latest differs from the checkout", m.looking(t, s)...) // it lacks the last commit
	m.publish(m.fleet)
	m.lookAtFleet(t)
	m.same(t, "an outage of the registry")
}

// watchEntry does the second step as switchEntry does, and looks at all that is said on the way.
func (m *migration) watchEntry(t *testing.T, s *site) {
	t.Helper()
	m.commitEntry(t, s)
	m.fleetSays(t, s, 3, "fleet:latest differs from the checkout", access()...)
	m.publish(m.fleet)
	m.fleetSays(t, s, 0, "nothing to do", access()...)
	m.fleetSays(t, s, 3, "push the commit", m.looking(t, s)...)
	m.pushEntry(t, s)
}

// switchEntry does the second step: the commit is published, and then pushed.
func (m *migration) switchEntry(t *testing.T, s *site) {
	t.Helper()
	m.commitEntry(t, s)
	m.publish(m.fleet)
	m.pushEntry(t, s)
}

// commitEntry commits that the entry follows the artifact.
func (m *migration) commitEntry(t *testing.T, s *site) {
	t.Helper()
	m.fleetSays(t, s, 0, "publish that commit", m.looking(t, s)...)
	m.within(t, s, m.butWayBack(s))
	m.fleet.commit()
	s.moved = strings.TrimSpace(m.fleet.git("rev-parse", "HEAD"))
}

// pushEntry lets the cluster have the commit.
func (m *migration) pushEntry(t *testing.T, s *site) {
	t.Helper()
	m.pushFleet(t)
	s.fleetFrom(t, m.source("OCIRepository"))
	m.fleetSays(t, s, 0, "nothing to do", m.looking(t, s)...)
	m.same(t, "fleet "+s.name)
}

// onlyPublished: the first cluster takes no commit that is not published, and the second one takes each.
func (m *migration) onlyPublished(t *testing.T) {
	t.Helper()
	m.setValue("two")
	m.push(t, m.fleet)
	m.settle(t)
	m.values(t, "one", "two")
	m.publish(m.fleet)
	m.lookAtFleet(t)
	m.values(t, "two", "two")
}

// leaveFleet goes the way back of the landscape.
func (m *migration) leaveFleet(t *testing.T) {
	t.Helper()
	if m.inEmergency {
		m.emergency(t)
	} else {
		m.fleetBack(t)
	}
}

// fleetBack lets the second cluster follow Git again, and then the artifact.
func (m *migration) fleetBack(t *testing.T) {
	t.Helper()
	first, second := m.sites[0], m.sites[1]
	m.fleetSays(t, second, 0, "commit and push it", "--back")
	m.push(t, m.fleet)
	m.publish(m.fleet)
	m.lookAtFleet(t)
	second.fleetFrom(t, m.source("GitRepository"))
	first.fleetFrom(t, m.source("OCIRepository"))
	m.same(t, "fleet --back of "+second.name)
	m.switchEntry(t, second)
}

// emergency: the registry is down, and the first cluster follows Git again: by a revert in Git, and by its entry, which is applied by hand
// as it was. The second cluster stays as it is. When the registry is back, the first one follows the artifact again.
func (m *migration) emergency(t *testing.T) {
	t.Helper()
	first := m.sites[0]
	kept := m.fleet.read(m.wayBack(first))
	m.registry.down.Store(true)
	// Not the sources of components: Kustomizations with wait would wait for them until the registry is back.
	first.reconciled(t, m.source("OCIRepository"), condition("Ready", "False"))
	m.fleet.git("revert", "--no-edit", first.moved)
	m.pushCommits(t, m.fleet)
	entry := m.fleet.read("clusters/" + first.name + "/" + m.entry + "/gotk-sync.yaml")
	if _, wayBack, _ := strings.Cut(kept, "\n"); wayBack != entry {
		t.Errorf("the revert gives\n%s\nand the way back was\n%s", entry, wayBack)
	}
	first.apply(t, entry)
	m.setValue("three")
	m.push(t, m.fleet)
	m.values(t, "three", "two")
	first.fleetFrom(t, m.source("GitRepository"))
	m.same(t, "the emergency way back")

	m.registry.down.Store(false)
	m.publish(m.fleet)
	m.look(t, "OCIRepository", "")
	m.settle(t)
	m.values(t, "three", "three")
	m.switchEntry(t, first)
}

// fleetSays runs migrate fleet for a cluster and demands an exit code and what is said.
func (m *migration) fleetSays(t *testing.T, s *site, code int, says string, flags ...string) {
	t.Helper()
	args := m.command(slices.Concat([]string{"fleet", s.name, "--workspace", m.fleet.dir}, m.flags(), flags)...)
	m.says(t, code, says, args)
}

// says runs keos-oci in the fleet's checkout and demands an exit code and what is said.
func (m *migration) says(t *testing.T, code int, says string, args []string) {
	t.Helper()
	cmd, out, errs := m.fleet.command(branchJob(), args)
	err := cmd.Run()
	if text := out.String() + errs.String(); cmd.ProcessState.ExitCode() != code || !strings.Contains(text, says) {
		t.Fatalf("keos-oci %s: %v, want exit code %d and %q\n%s", strings.Join(args, " "), err, code, says, text)
	}
}

// access is how the clusters reach and verify artifacts. They look at them when they are asked, so that none does during an outage.
func access() []string {
	return []string{"--key-secret", "cosign-key", "--insecure", "--interval", "1h"}
}

// looking lets keos-oci look at a cluster.
func (m *migration) looking(t *testing.T, s *site) []string {
	return append(access(), "--kubeconfig", s.kubeconfig(t, admin), "--context", "e2e")
}

// changed are the files that are changed or new in the fleet's checkout.
func (m *migration) changed() []string {
	m.fleet.git("add", "-A")
	return strings.Fields(m.fleet.git("diff", "--cached", "--name-only"))
}

// butWayBack are the files that are changed, but for the one with the way back.
func (m *migration) butWayBack(s *site) []string {
	return slices.DeleteFunc(m.changed(), func(file string) bool { return file == m.wayBack(s) })
}

func (m *migration) wayBack(s *site) string { return "way-back/" + s.name + ".yaml" }

// source is what the entry of a cluster follows.
func (m *migration) source(kind string) ref { return ref{kind, fluxNamespace, m.own} }

// pushFleet pushes what is committed and published, and lets the clusters have it.
func (m *migration) pushFleet(t *testing.T) {
	t.Helper()
	m.pushCommits(t, m.fleet)
	m.lookAtFleet(t)
}

// lookAtFleet lets Flux see what was published.
func (m *migration) lookAtFleet(t *testing.T) {
	t.Helper()
	m.look(t, "OCIRepository", "/"+fleetComponent)
	m.settle(t)
}

// fleetFrom waits until all Kustomizations that are not of components take their files from this source, and nothing else does.
func (s *site) fleetFrom(t *testing.T, want ref) {
	t.Helper()
	for _, object := range s.list(t, "Kustomization") {
		k := kustomization(object.GetNamespace(), object.GetName())
		if slices.Contains(s.moving, k) {
			continue
		}
		s.eventually(t, k, all(checks{ready(), func(object *unstructured.Unstructured) error {
			if got := sourceOf(object); got != want {
				return fmt.Errorf("it follows %s, want %s", got, want)
			}
			return nil
		}}))
	}
}

// valueKey is an entry of the settings by which the tests see which commit of the fleet a cluster has.
const valueKey = "E2E"

var settingsData = regexp.MustCompile(`(?m)^data:\n(  ` + valueKey + `: .*\n)?`)

// setValue changes the settings of all clusters in the checkout.
func (m *migration) setValue(value string) {
	for _, s := range m.sites {
		file := m.settingsFile(s)
		m.fleet.write(file, settingsData.ReplaceAllString(m.fleet.read(file), "data:\n  "+valueKey+": "+value+"\n"))
	}
}

func (m *migration) settingsFile(s *site) string {
	return "clusters/" + s.name + "/" + m.entry + "/runtime-info.yaml"
}

// values waits until the clusters have these values of the fleet.
func (m *migration) values(t *testing.T, want ...string) {
	t.Helper()
	for i, s := range m.sites {
		s.eventually(t, m.settings, data(valueKey, want[i]))
	}
}
