package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/sign/tuftest"
)

// nightHouse has two registries at three in the morning: in one everything is signed with a key, in the other keyless.
type nightHouse struct {
	keyed, keyless *sandbox
	key, pub       string
	strange        string // a public key that nobody signed with
	st             *stack
	tufRoot        string // of a TUF repository that has the stack's trusted root
	tufFiles       string
}

func newNightHouse(t *testing.T) *nightHouse {
	t.Helper()
	h := &nightHouse{st: sigstore(t), tufFiles: t.TempDir()}
	h.keyed, h.key, h.pub = night(t)
	h.strange = strings.TrimSuffix(h.keyed.key(), ".key") + ".pub"
	h.keyless = newSandbox(t)
	h.keyless.keyless(h.st, "release.yaml", "refs/heads/main")
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		h.keyless.component("frontend", version)
		h.keyless.commit(version)
		h.keyless.must(append([]string{"publish", "frontend", "--version", version}, h.st.flags()...)...)
	}
	h.keyless.component("frontend", "new")
	h.keyless.commit("new")
	h.keyed.component("frontend", "new")
	h.keyed.commit("new")
	h.tufRoot = tuftest.Repository(t, h.tufFiles, map[string]string{
		"trusted_root.json": mustRead(t, h.st.env["SIGSTORE_TRUSTED_ROOT"]), "signing_config.v0.2.json": mustRead(t,
			h.st.env["SIGSTORE_SIGNING_CONFIG"])})
	return h
}

// trustsSomebody makes the config name an identity, where artifacts are signed with a key.
func trustsSomebody(_ *testing.T, h *nightHouse, s *sandbox) []string {
	s.trusts(h.st)
	return []string{"--trusted-root", h.st.env["SIGSTORE_TRUSTED_ROOT"]}
}

// without leaves out a variable.
func without(env []string, name string) []string {
	var left []string
	for _, e := range env {
		if !strings.HasPrefix(e, name+"=") {
			left = append(left, e)
		}
	}
	return left
}

// token asks the stack for an identity token.
func (h *nightHouse) token(t *testing.T, query string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		h.st.env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&repository=org/apps&workflow=release.yaml&ref=refs/heads/main&"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.st.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Value string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Value
}

// TestCannotTell: what cannot be known is said to be so, with its cause and in time, and is never taken for an answer.
func TestCannotTell(t *testing.T) {
	h := newNightHouse(t)
	junk := filepath.Join(t.TempDir(), "junk")
	writeFile(t, junk, "junk")
	files := strings.NewReplacer("KEY", h.key, "PUB", h.pub, "STRANGE", h.strange, "JUNK", junk, "NONE",
		filepath.Join(t.TempDir(), "none.key"))
	t.Run("an outage of TUF", h.outage)
	for name, c := range situations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := h.keyed
			if c.keyless {
				base = h.keyless
			}
			s := *base
			s.t = t
			s.dir = filepath.Join(t.TempDir(), "w")
			if err := os.CopyFS(s.dir, os.DirFS(base.dir)); err != nil {
				t.Fatal(err)
			}
			s.env = append(s.env[:len(s.env):len(s.env)], "HOME="+t.TempDir(), "XDG_CACHE_HOME=")
			args := []string{"--registry-timeout", "1s", "--sigstore-timeout", "1s"}
			for _, a := range c.verb {
				args = append(args, files.Replace(a))
			}
			if c.breaks != nil {
				args = append(args, c.breaks(t, h, &s)...)
			}
			start := time.Now()
			r := s.run(args...)
			took := time.Since(start)
			c.judge(t, r, took, s.registry.Host())
		})
	}
}

func (c situation) judge(t *testing.T, r result, took time.Duration, host string) {
	t.Helper()
	code := c.code
	if code == 0 {
		code = exitFailed
	}
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	if took > giveUp {
		t.Errorf("it took %s, more than %s", took, giveUp)
	}
	said := r.stdout + r.stderr
	for _, want := range c.want {
		if want = strings.ReplaceAll(want, "{host}", host); !strings.Contains(said, want) {
			t.Errorf("%q is not said", want)
		}
	}
	for _, never := range []string{"unsigned", "invalid", "no previous version", "unrecorded", "--timeout", "s3cr3t", "eyJ", "panic"} {
		if strings.Contains(strings.ReplaceAll(said, "--unrecorded", ""), never) {
			t.Errorf("%q is said", never)
		}
	}
	if c.hint != "" && !strings.Contains(r.stderr, "hint: ") || !strings.Contains(r.stderr, c.hint) {
		t.Errorf("no hint %q", c.hint)
	}
	if t.Failed() {
		t.Log(r)
	}
}

// outage: the last good trusted root lets verification and rollback go on while TUF is down, and results say so.
func (h *nightHouse) outage(t *testing.T) {
	s := h.keyless.copyOf(t)
	s.env = append(s.env[:len(s.env):len(s.env)], "HOME="+t.TempDir(), "XDG_CACHE_HOME=")
	mirror := registrytest.NewProxy(t, http.FileServer(http.Dir(h.tufFiles)))
	flags := []string{"--tuf-mirror", mirror.URL, "--tuf-root", h.tufRoot, "--sigstore-timeout", "2s"}
	run := func(args ...string) result { return s.run(append(args, flags...)...) }
	if r := run("verify", "frontend:v1.0.0"); r.code != 0 || strings.Contains(r.stderr, "TUF") {
		t.Fatal(r)
	}
	if r := run("rollback", "frontend", "v1.0.0"); r.code != 0 { // the addresses of Fulcio and Rekor come from TUF, too
		t.Fatal(r)
	}
	mirror.FaultAt(func(int, *http.Request) registrytest.Fault { return registrytest.ResetBefore })
	address, err := url.Parse(mirror.URL)
	if err != nil {
		t.Fatal(err)
	}
	// What TUF's own client remembers is taken away, as after a day.
	if err := os.RemoveAll(filepath.Join(variable(s.env, "HOME"), ".sigstore")); err != nil {
		t.Fatal(err)
	}
	note := fmt.Sprintf("the trusted root of %s is used, because TUF cannot be reached: http://%s", time.Now().UTC().Format(time.DateOnly),
		address.Host)
	for _, args := range [][]string{{"verify", "frontend:v1.0.0"}, {"rollback", "frontend", "v1.1.0"}, {"history", "frontend"},
		{"status", "frontend"}} {
		r := run(args...)
		if r.code != 0 || !strings.Contains(r.stderr, note) {
			t.Errorf("%v: %v", args, r)
		}
		if args[0] == "verify" || args[0] == "rollback" {
			if r := run(append(args, "-o", "json")...); !strings.Contains(r.stdout, note) {
				t.Errorf("%v: the result does not say so: %v", args, r)
			}
		}
	}
}

// variable is the value of a variable; the last one counts.
func variable(env []string, name string) (value string) {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}
