package flux

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs beside the tests until they end.
type process struct {
	name   string
	output string // file with its stdout and stderr
	cmd    *exec.Cmd
	stdin  io.Closer // stays open: sigstack ends when it closes
	done   chan struct{}
}

// start runs a program in dir. It is stopped when the test ends, and shows its last lines when the test has failed.
func start(t *testing.T, dir string, env []string, exe string, args ...string) *process {
	t.Helper()
	name := filepath.Base(exe)
	p := &process{name: name, output: filepath.Join(dir, name+".log"), cmd: exec.Command(exe, args...), done: make(chan struct{})}
	out, err := os.Create(p.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = dir, append(cleanEnv(), env...), out, out, withParent()
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what %s complained about last:\n%s", name, p.complaints(20))
		}
		p.stop()
	})
	return p
}

// stop asks, and insists after a while.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// waitFor polls until the program is ready, and fails when it ends or takes too long.
func (p *process) waitFor(t *testing.T, ready func() error) {
	t.Helper()
	err := poll(90*time.Second, func() error {
		select {
		case <-p.done:
			t.Fatalf("%s has ended", p.name)
		default:
		}
		return ready()
	})
	if err != nil {
		t.Fatalf("%s is not ready: %v", p.name, err)
	}
}

// said is all that the program has written.
func (p *process) said(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(p.output)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// complaints are the last lines above the level of information, in the formats of Flux and of Kubernetes.
func (p *process) complaints(lines int) string {
	raw, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	var all []string
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, `"level":"info"`) && !strings.HasPrefix(line, "I") {
			all = append(all, line)
		}
	}
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// poll calls try until it succeeds, and gives its last error when the time is over.
func poll(timeout time.Duration, try func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// cleanEnv drops what a developer or CI has set for the programs, proxies among it: everything is on loopback.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasSuffix(strings.ToLower(name), "_proxy") &&
			!hasPrefix(name, "GITHUB_", "ACTIONS_", "COSIGN_", "SIGSTORE_", "GIT_", "KUBE", "OTEL_") {
			env = append(env, e)
		}
	}
	return env
}

func hasPrefix(s string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// freeAddresses finds n free ports. They are taken all at once, so that they differ.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var found []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		found = append(found, l.Addr().String())
	}
	return found
}

func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", address, err))
	}
	return p
}
