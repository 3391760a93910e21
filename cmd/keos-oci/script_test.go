package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stratio/keos-oci/internal/cluster/clustertest"
	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// TestScript runs the scenarios of testdata/script against the real command and a real registry.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Values["tb"] = env.T().(testing.TB)
			for _, e := range os.Environ() { // the scenarios are alike on a desk and in CI
				name, _, _ := strings.Cut(e, "=")
				if strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "ACTIONS_") {
					env.Setenv(name, "")
				}
			}
			env.Setenv("HOME", env.WorkDir)
			repos, err := filepath.Abs(filepath.Join("..", "..", "testdata", "repos"))
			if err != nil {
				return err
			}
			env.Setenv("REPOS", repos)
			env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, ".docker"))
			env.Setenv("COSIGN_PASSWORD", "pw")
			env.Setenv("HTTPS_PROXY", "http://proxy.invalid:1") // no registry answers but those of the scenario
			env.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
			for _, who := range []string{"AUTHOR", "COMMITTER"} {
				env.Setenv("GIT_"+who+"_NAME", "t")
				env.Setenv("GIT_"+who+"_EMAIL", "t@example.com")
				env.Setenv("GIT_"+who+"_DATE", "2026-01-02T03:04:05Z")
			}
			return nil
		},
		Cmds: scriptCommands(),
	})
}

// scriptCommands are the commands that scenarios have beside those of testscript. CONTRIBUTING lists them.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"registry": startRegistry,
		"cluster":  startCluster,
		"commit":   commitAll,
		"zeros":    writeZeros,
		"exits":    exits,
	}
}

// startRegistry VAR [MODE…]: starts an empty registry and puts host:port into VAR. Modes: readonly, login=user:password,
// down (nothing listens).
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: registry VAR [readonly|login=user:password|down]")
	}
	t := ts.Value("tb").(testing.TB)
	p := registrytest.New(t)
	for _, mode := range args[1:] {
		switch login, ok := strings.CutPrefix(mode, "login="); {
		case ok:
			p.RequireToken(login)
		case mode == "readonly":
			p.Forbid(true)
		case mode == "down":
			p.Close()
		default:
			ts.Fatalf("registry: unknown mode %s", mode)
		}
	}
	ts.Setenv(args[0], p.Host())
}

// startCluster VAR DIR: starts an API server and puts the name of its kubeconfig into VAR. What it has is in DIR, in files such as
// kustomizations.json, and may change.
func startCluster(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cluster VAR DIR")
	}
	_, kubeconfig := clustertest.Serve(ts.Value("tb").(testing.TB), &clustertest.Server{Dir: ts.MkAbs(args[1])})
	ts.Setenv(args[0], kubeconfig)
}

// commitAll [MESSAGE]: commits everything in the current folder, which becomes a Git checkout if need be.
func commitAll(ts *testscript.TestScript, neg bool, args []string) {
	if _, err := os.Stat(ts.MkAbs(".git")); err != nil {
		ts.Check(ts.Exec("git", "init", "-q", "-b", "main"))
	}
	ts.Check(ts.Exec("git", "add", "-A"))
	ts.Check(ts.Exec("git", "commit", "-q", "--allow-empty", "-m", strings.Join(append(args, "commit"), " ")))
}

// writeZeros FILE BYTES: a sparse file.
func writeZeros(ts *testscript.TestScript, neg bool, args []string) {
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	var size int64
	for _, c := range args[1] {
		size = size*10 + int64(c-'0')
	}
	ts.Check(f.Truncate(size))
	ts.Check(f.Close())
}

// exits CODE COMMAND…: runs the command and demands its exit code; stdout and stderr are kept for what follows.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}
