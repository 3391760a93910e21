package flux

import (
	"slices"
	"strings"
	"testing"
)

// cleanup takes away what the clusters needed to follow Git. Of the GitRepositories those of image automation stay, with the variable of
// their branch, and all else goes on.
func (m *migration) cleanup(t *testing.T) {
	t.Helper()
	args := m.command(slices.Concat([]string{"cleanup", m.first.name, m.second.name, "--workspace", m.fleet.dir}, m.flags())...)
	m.says(t, 3, "files are to be changed", append(slices.Clone(args), "--check"))
	m.says(t, 0, "publish the fleet", args)
	m.untouched(t, m.changed())
	m.says(t, 0, "nothing to do", args)
	m.fleet.commit()
	m.publish(m.fleet)
	m.pushFleet(t)
	for _, s := range m.sites {
		m.cleaned(t, s)
	}
	m.same(t, "cleanup")

	m.setValue("four")
	m.version("4.0.0")
	m.apps.commit()
	m.fleet.commit()
	m.publish(m.fleet)
	m.publish(m.apps, m.app.name)
	m.look(t, "OCIRepository", "/"+m.app.name)
	m.lookAtFleet(t)
	m.values(t, "four", "four")
	m.images(t, "4.0.0", "0.9.0")
	m.same(t, "a publish without Git")
}

// cleaned demands which GitRepositories a cluster has, that all Kustomizations follow artifacts, and that no mark is left.
func (m *migration) cleaned(t *testing.T, s *site) {
	t.Helper()
	s.fleetFrom(t, m.source("OCIRepository"))
	s.follows(t, "OCIRepository")
	m.decrypts(t, s)
	var left []ref
	for _, o := range s.list(t, "GitRepository") {
		left = append(left, ref{"GitRepository", o.GetNamespace(), o.GetName()})
	}
	if !slices.Equal(left, s.keeps) {
		t.Errorf("%s has the GitRepositories %v after cleanup, want %v", s.name, left, s.keeps)
	}
	if _, err := s.get(t, source(fluxNamespace, fleetComponent)); err == nil {
		t.Errorf("%s has the second source of the fleet after cleanup", s.name)
	}
	for object := range m.before {
		if strings.HasPrefix(object, s.name+": GitRepository.") && !slices.ContainsFunc(s.keeps, isObject(object)) {
			delete(m.before, object)
		}
	}
	file := m.fleet.read(m.settingsFile(s))
	if has := strings.Contains(file, "GIT_BRANCH:"); has != m.branchStays {
		t.Errorf("the settings of %s after cleanup:\n%s", s.name, file)
	}
}

// isObject reports whether an object is this entry of the UIDs.
func isObject(object string) func(ref) bool {
	return func(r ref) bool { return strings.HasSuffix(object, " "+r.namespace+"/"+r.name) }
}
