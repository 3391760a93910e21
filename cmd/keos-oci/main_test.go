package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/trust"
)

// runMain makes the test binary behave as keos-oci, so that tests run the real command in a process of its own.
const runMain = "KEOS_OCI_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"keos-oci": main})
}

// sandbox is a Git checkout, a registry and an environment to run the command in.
type sandbox struct {
	t        testing.TB
	dir      string
	registry *registrytest.Proxy
	content  string // the registry's folder
	prefix   string // of the repositories
	env      []string
	byHand   bool // the test makes its Git tags itself
}

func newSandbox(t testing.TB) *sandbox {
	t.Helper()
	content := t.TempDir()
	s := &sandbox{t: t, dir: filepath.Join(t.TempDir(), "w"), registry: registrytest.NewIn(t, content), content: content, prefix: "r/apps"}
	home := t.TempDir()
	s.env = append(cleanEnv(), "HOME="+home, "DOCKER_CONFIG="+home, "COSIGN_PASSWORD=pw", "TMPDIR="+t.TempDir(), runMain+"=1",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.git("init", "-q", "-b", "main")
	return s
}

// cleanEnv drops what CI or a developer has set for keos-oci, cosign and Git.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		switch name, _, _ := strings.Cut(e, "="); {
		case strings.HasPrefix(name, "GITHUB_"), strings.HasPrefix(name, "ACTIONS_"), strings.HasPrefix(name, "COSIGN_"),
			strings.HasPrefix(name, "SIGSTORE_"), strings.HasPrefix(name, "GIT_"):
		default:
			env = append(env, e)
		}
	}
	return env
}

func (s *sandbox) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", s.dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	cmd.Env = append(cleanEnv(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *sandbox) write(file, content string) {
	s.t.Helper()
	full := filepath.Join(s.dir, file)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sandbox) commit(message string) string {
	s.t.Helper()
	s.git("add", "-A")
	s.git("commit", "-q", "--allow-empty", "-m", message)
	return s.git("rev-parse", "HEAD")
}

func writeFile(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// component writes a small app component whose content depends on value.
func (s *sandbox) component(name, value string) {
	s.t.Helper()
	dir := "components/" + name
	s.write(dir+"/base/kustomization.yaml", "resources: [config.yaml]\n")
	s.write(dir+"/base/config.yaml", fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {value: %q}\n", name, value))
	for _, env := range []string{"staging", "production"} {
		s.write(dir+"/"+env+"/kustomization.yaml", "resources: [../base]\n")
	}
}

// key makes a key pair and gives the path of the private key.
func (s *sandbox) key() string {
	s.t.Helper()
	prefix := filepath.Join(s.t.TempDir(), "cosign")
	if r := s.run("generate-key-pair", "--output-key-prefix", prefix); r.code != 0 {
		s.t.Fatal(r)
	}
	return prefix + ".key"
}

type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", r.code, r.stdout, r.stderr)
}

// command prepares keos-oci in the checkout, for the sandbox's registry and prefix.
func (s *sandbox) command(ctx context.Context, args ...string) *exec.Cmd {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.gitTag(args)
	cmd := exec.CommandContext(ctx, exe, append([]string{"--registry", s.registry.Host() + "/" + s.prefix}, args...)...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// gitTag makes HEAD what the Git tag of a release points to, as whoever releases does first.
func (s *sandbox) gitTag(args []string) {
	s.t.Helper()
	for i, arg := range args {
		if name, ok := strings.CutPrefix(arg, "refs/tags/"); ok && i > 0 && args[i-1] == "--ref" && !s.byHand {
			s.git("tag", "-f", name)
		}
	}
}

func (s *sandbox) run(args ...string) result {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd := s.command(s.t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// must runs the command and demands success.
func (s *sandbox) must(args ...string) result {
	s.t.Helper()
	r := s.run(args...)
	if r.code != 0 {
		s.t.Fatalf("keos-oci %v: %v", args, r)
	}
	return r
}

// stack is the keyless Sigstore stack, one per test binary, in a process of its own.
type stack struct {
	env   map[string]string
	stdin io.Closer // the stack ends when this closes, at the latest with the test process
}

var (
	startStack       = sync.OnceValues(func() (*stack, error) { return newStack() })
	startGitHubStack = sync.OnceValues(func() (*stack, error) { return newStack("-github") })
)

func newStack(args ...string) (*stack, error) {
	exe := os.Getenv("KEOS_OCI_SIGSTACK")
	if exe == "" {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "sigstack")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, append(args, "-stdin", "-dir", dir)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for range 600 {
		if env, err := readEnv(filepath.Join(dir, "env")); err == nil {
			return &stack{env, stdin}, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s did not start", exe)
}

func readEnv(file string) (map[string]string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for sc := bufio.NewScanner(bytes.NewReader(raw)); sc.Scan(); {
		name, value, ok := strings.Cut(strings.TrimPrefix(sc.Text(), "export "), "=")
		if ok {
			env[name] = strings.Trim(value, "'")
		}
	}
	return env, nil
}

// sigstore gives the stack, or skips where its binary was not built: make test builds it, go test alone does not.
func sigstore(t testing.TB) *stack { return started(t, startStack) }

// githubSigstore is a stack whose tokens and certificates bear the issuer of GitHub Actions itself.
func githubSigstore(t testing.TB) *stack { return started(t, startGitHubStack) }

func started(t testing.TB, start func() (*stack, error)) *stack {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	if s == nil {
		if os.Getenv("KEOS_OCI_TEST_ALL") != "" {
			t.Fatal("KEOS_OCI_SIGSTACK is not set")
		}
		t.Skip("needs the Sigstore stack: run make test, or set KEOS_OCI_SIGSTACK to the binary of e2e/cmd/sigstack")
	}
	return s
}

// keyless makes the sandbox run as a GitHub Actions job of this repository, workflow and ref.
func (s *sandbox) keyless(st *stack, workflow, ref string) {
	s.t.Helper()
	s.env = s.as(st, "repository=org/apps&workflow="+workflow+"&ref="+ref).env
	s.trusts(st)
}

// trusts says in the config whose signatures count, unless there is a config: workflows of org/apps on any ref. On GitHub itself
// nothing needs to be said.
func (s *sandbox) trusts(st *stack) {
	s.t.Helper()
	if _, err := os.Stat(filepath.Join(s.dir, "keos-oci.yaml")); err == nil || st.env["SIGSTORE_ISSUER"] == trust.GitHubIssuer {
		return
	}
	s.write("keos-oci.yaml",
		"apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning:\n  identity: {issuer: "+st.env["SIGSTORE_ISSUER"]+
			", subjectRegexp: 'https://github\\.com/org/apps/\\.github/workflows/.*'}\n")
}

// as gives a copy of the sandbox whose tokens are those of the identity that the query describes, for the stack's token
// endpoint (e2e/sigstack/issuer.go).
func (s *sandbox) as(st *stack, query string) *sandbox {
	c := *s
	c.env = append(slices.Clip(s.env), "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+st.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
		"ACTIONS_ID_TOKEN_REQUEST_URL="+st.env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&"+query)
	return &c
}

// flags point the command at the stack.
func (st *stack) flags() []string {
	return []string{"--fulcio-url", st.env["SIGSTORE_FULCIO_URL"], "--rekor-url", st.env["SIGSTORE_REKOR_URL"], "--trusted-root",
		st.env["SIGSTORE_TRUSTED_ROOT"]}
}

func isNotFound(err error) bool { return errors.Is(err, registry.ErrNotFound) }
