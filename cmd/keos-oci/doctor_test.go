package main

import (
	"strings"
	"testing"
)

// TestDoctorKeyless: a job of CI learns that Sigstore answers, as whom it signs, and what it may move.
func TestDoctorKeyless(t *testing.T) {
	s := newSandbox(t)
	st := sigstore(t)
	s.component("frontend", "x")
	s.keyless(st, "publish.yaml", "refs/heads/main")
	s.commit("one")
	s.must(append([]string{"publish", "--ref", "refs/heads/main"}, st.flags()...)...)
	s.registry.Reset()
	r := s.run(append([]string{"doctor"}, st.flags()...)...)
	for _, want := range []string{"Fulcio: " + st.env["SIGSTORE_FULCIO_URL"] + " answers", "Rekor: " + st.env["SIGSTORE_REKOR_URL"] +
		" answers",
		"OIDC: from GitHub Actions", ": loaded", "identity: https://github.com/org/apps/.github/workflows/publish.yaml@refs/heads/main",
		"frontend latest, frontend latest-stable: may move it", "frontend latest: clusters accept what it points to"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if r.code != 0 || s.registry.Count("PUT ") > 0 {
		t.Error(r, s.registry.Requests())
	}
}
