package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type options struct {
	keosOCI string
	n       int
	reps    int
	delay   time.Duration
	big     int
	stack   string // binary of the Sigstore stack; "" leaves the keyless runs out
	crane   string // what promote is compared with; "" leaves the comparison out
	cosign  string // the same
	mono    int    // components of the monorepo that is published unchanged
}

const (
	inFlight        = "16" // components, for both tools
	helpRuns        = 10
	toolKeos        = "keos-oci"
	keyless         = "keos-oci, keyless"
	toolFloor       = "floor"
	toolCrane       = "crane"
	toolCraneCosign = "crane, cosign"
	toolSum         = "sha256sum"
)

// job is what a tool is measured at.
type job string

const (
	publishFirst     job = "publish-first"     // repositories that do not exist yet
	publishChanged   job = "publish-changed"   // every component differs from what this tool published last
	publishUnchanged job = "publish-unchanged" // a new commit that touches no component
	promoteOne       job = "promote-one"       // one component, verified
	promoteMany      job = "promote-many"      // all components, by one command where the tool has one
	status           job = "status"
	monorepo         job = "monorepo-unchanged" // a publish that finds nothing to do, beside reading the same files once
	monoCheck        job = "monorepo-check"     // every variant of it built and compared
	help             job = "--help"
)

// lab is all that is needed to measure: a registry behind the proxy, keys, and a clean environment.
type lab struct {
	dir           string // temporary, with everything below it
	keosOCI, self string
	env           []string
	address       string // the proxy's
	control       io.Writer
	counts        *bufio.Scanner
	sigstore      []string // flags of keyless signing; none without a Sigstore stack
}

// bench measures everything and takes down what it set up, also when ctx ends early.
func bench(ctx context.Context, o options) (_ []row, err error) {
	dir, err := os.MkdirTemp("", "keos-oci-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l := &lab{dir: dir}
	stop, err := l.start(ctx, o.keosOCI)
	defer stop()
	if err != nil {
		return nil, err
	}
	rows, err := l.sideBySide(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.stack != "" {
		stop, err := l.startStack(ctx, o.stack)
		if err != nil {
			return nil, fmt.Errorf("sigstore stack: %w", err)
		}
		defer stop()
	}
	promotions, err := l.promotions(ctx, o)
	if err != nil {
		return nil, err
	}
	rows = append(rows, promotions...)
	if o.big > 0 {
		big, err := l.big(ctx, o)
		if err != nil {
			return nil, err
		}
		rows = append(rows, big...)
	}
	if o.mono > 0 {
		mono, err := l.monorepo(ctx, o)
		if err != nil {
			return nil, err
		}
		rows = append(rows, mono...)
	}
	helps, err := l.help(ctx)
	return append(rows, helps), err
}

// sideBySide measures both tools at every job, in turns.
func (l *lab) sideBySide(ctx context.Context, o options) ([]row, error) {
	c, err := newCheckout(ctx, filepath.Join(l.dir, "checkout"), o.n, l.env)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, j := range []job{publishFirst, publishChanged, publishUnchanged} {
		for _, tool := range []string{toolKeos, toolFloor} {
			rows = append(rows, row{job: j, tool: tool, n: o.n, delay: o.delay})
		}
	}
	for rep := range o.reps {
		for pair := range slices.Chunk(rows, 2) {
			if err := c.next(ctx, pair[0].job); err != nil {
				return nil, err
			}
			for i := range pair {
				r := &pair[(rep+i)%2] // who goes first changes, too
				if err := l.publish(ctx, r, c, fmt.Sprintf("bench%d", rep)); err != nil {
					return nil, err
				}
			}
		}
	}
	return rows, nil
}

// startStack starts the Sigstore stack and makes keos-oci sign as a GitHub Actions job there.
func (l *lab) startStack(ctx context.Context, binary string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	dir := l.path("sigstack")
	cmd := l.command(ctx, binary, "-dir", dir)
	if err := errors.Join(os.Mkdir(dir, 0o755), cmd.Start()); err != nil {
		cancel()
		return nil, err
	}
	stop = func() {
		cancel()
		_ = cmd.Wait()
	}
	var raw []byte
	for range 300 {
		if raw, err = os.ReadFile(filepath.Join(dir, "env")); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		stop()
		return nil, err
	}
	env := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		env[name] = strings.Trim(value, "'")
	}
	config := l.path("keyless.yaml")
	if err := os.WriteFile(config,
		[]byte("apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nsigning: {identity: {issuer: \""+env["SIGSTORE_ISSUER"]+
			"\", subjectRegexp: .*}}\n"), 0o644); err != nil {
		stop()
		return nil, err
	}
	l.sigstore = []string{"--config", config, "--fulcio-url", env["SIGSTORE_FULCIO_URL"], "--rekor-url", env["SIGSTORE_REKOR_URL"],
		"--trusted-root", env["SIGSTORE_TRUSTED_ROOT"]}
	l.env = append(l.env, "ACTIONS_ID_TOKEN_REQUEST_URL="+env["ACTIONS_ID_TOKEN_REQUEST_URL"],
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN="+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	return stop, nil
}

// next makes the commit that a job is about.
func (c *checkout) next(ctx context.Context, j job) error {
	if j == publishUnchanged {
		return c.commit(ctx)
	}
	return c.change(ctx)
}

func (l *lab) help(ctx context.Context) (row, error) {
	r := row{job: help, tool: toolKeos}
	for range helpRuns {
		s, out, err := l.measure(ctx, 0, l.keosOCI, "--help")
		if err != nil {
			return r, err
		}
		if len(out) == 0 {
			return r, errors.New("keos-oci --help: no output")
		}
		r.runs = append(r.runs, s)
	}
	return r, nil
}

// publish runs the row's tool at the row's job, into repositories below prefix.
func (l *lab) publish(ctx context.Context, r *row, c *checkout, prefix string) error {
	var args []string
	switch r.tool {
	case toolKeos, keyless:
		args = append(l.keos(c, prefix+"/keos", "publish", "--ref", "refs/heads/main"), l.signing(r.tool)...)
	case toolFloor:
		commit, err := c.git(ctx, "rev-parse", "HEAD")
		if err != nil {
			return err
		}
		args = []string{l.self, "floor", "-C", c.dir, "-registry", l.address, "-prefix", prefix + "/floor", "-j", inFlight, "-commit", commit,
			"-key", l.path("floor.key")}
	}
	want := summary{Published: r.n}
	if r.job == publishUnchanged || r.job == monorepo {
		want = summary{Unchanged: r.n}
	}
	s, _, err := l.do(ctx, r.delay, want, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	r.add(s)
	return nil
}

// keos is a command line of keos-oci for the repositories below prefix.
func (l *lab) keos(c *checkout, prefix string, args ...string) []string {
	return append([]string{l.keosOCI, "-C", c.dir, "--registry", l.address + "/" + prefix, "--concurrency", inFlight, "--log-level", "error",
		"-o", "json"}, args...)
}

// signing is the flags that a tool signs with.
func (l *lab) signing(tool string) []string {
	if tool == keyless {
		return l.sigstore
	}
	return []string{"--key", l.path("keos.key")}
}

// do runs a command; it is an error if that does not say that it did what is wanted.
func (l *lab) do(ctx context.Context, delay time.Duration, want summary, args ...string) (s sample, got result, err error) {
	s, out, err := l.measure(ctx, delay, args...)
	if err != nil {
		return s, got, err
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return s, got, fmt.Errorf("read its summary: %w", err)
	}
	if got.Summary != want {
		return s, got, fmt.Errorf("it says %+v, want %+v", got.Summary, want)
	}
	return s, got, nil
}

// measure runs a command; it is an error if that fails.
func (l *lab) measure(ctx context.Context, delay time.Duration, args ...string) (s sample, stdout []byte, err error) {
	if _, err := l.count(delay); err != nil {
		return s, nil, err
	}
	// A file, since a pipe would have this process work while it measures.
	out, err := os.Create(l.path("stdout"))
	if err != nil {
		return s, nil, err
	}
	defer out.Close()
	var stderr bytes.Buffer
	cmd := l.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = out, &stderr
	start := time.Now()
	err = cmd.Run()
	s.wall = time.Since(start)
	if err != nil {
		return s, nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.peak = peak(cmd.ProcessState)
	if s.requests, err = l.count(0); err != nil {
		return s, nil, err
	}
	stdout, err = os.ReadFile(out.Name())
	return s, stdout, err
}
