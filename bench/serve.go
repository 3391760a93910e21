package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// peak is the largest resident size of an exited process, and of those it started and waited for. Linux counts in the
// size of the process that forked it, this one; it stays far smaller than what it measures, and could at worst make a
// peak look too high.
func peak(state *os.ProcessState) int64 {
	size := state.SysUsage().(*syscall.Rusage).Maxrss
	if runtime.GOOS == "darwin" {
		return size
	}
	return size * 1024
}

// count sets the delay of requests from now on and answers with their number since it was called last.
func (l *lab) count(delay time.Duration) (int, error) {
	if _, err := fmt.Fprintln(l.control, delay); err != nil {
		return 0, fmt.Errorf("proxy: %w", err)
	}
	if !l.counts.Scan() {
		return 0, errors.Join(errors.New("proxy: it is gone"), l.counts.Err())
	}
	return strconv.Atoi(l.counts.Text())
}

// start starts the registry and the proxy and makes the keys. stop ends whatever was started, and is
// never nil.
func (l *lab) start(ctx context.Context, keosOCI string) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range slices.Backward(stops) {
			s()
		}
	}
	if l.self, err = os.Executable(); err != nil {
		return stop, err
	}
	if keosOCI, err = exec.LookPath(keosOCI); err != nil {
		return stop, err
	}
	if l.keosOCI, err = filepath.Abs(keosOCI); err != nil {
		return stop, err
	}
	// Nothing of the user's or the CI's settings: no credentials, no Git configuration, no GITHUB_OUTPUT.
	l.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "TMPDIR=" + l.dir, "COSIGN_PASSWORD=bench"}
	if out, err := l.command(ctx, l.keosOCI, "generate-key-pair", "--output-key-prefix", l.path("keos")).CombinedOutput(); err != nil {
		return stop, fmt.Errorf("keos-oci generate-key-pair: %w\n%s", err, out)
	}
	if err := writeKey(l.path("floor.key")); err != nil {
		return stop, err
	}
	registry, err := l.serve(ctx, l.keosOCI, "registry", "serve", "--listen", "127.0.0.1:0", "--dir", l.path("registry"))
	if err != nil {
		return stop, fmt.Errorf("registry: %w", err)
	}
	stops = append(stops, registry.stop)
	proxy, err := l.serve(ctx, l.self, "proxy", "-to", registry.address)
	if err != nil {
		return stop, fmt.Errorf("proxy: %w", err)
	}
	stops = append(stops, proxy.stop)
	l.address, l.control, l.counts = proxy.address, proxy.stdin, proxy.stdout
	return stop, nil
}

// server is a process that serves until it is stopped.
type server struct {
	address string
	stdin   io.WriteCloser
	stdout  *bufio.Scanner
	stop    func()
}

// serve starts a server that prints its address on its first line.
func (l *lab) serve(ctx context.Context, args ...string) (*server, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := l.command(ctx, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	s := &server{stdin: stdin, stdout: bufio.NewScanner(stdout)}
	s.stop = func() {
		stdin.Close()
		cancel()
		_ = cmd.Wait() // it is stopped: its exit code does not matter
	}
	if !s.stdout.Scan() {
		s.stop()
		return nil, errors.New("it did not print its address")
	}
	s.address = s.stdout.Text()
	return s, nil
}

// command interrupts its process when ctx ends, and kills it if that does not help.
func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = l.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func writeKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600)
}
