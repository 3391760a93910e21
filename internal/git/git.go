// Package git answers what keos-oci asks about a Git checkout: where it is, which commit it is at, which files Git
// tracks, and what changed. It promises to change nothing in the checkout, to speak to no network, and to start
// nothing but git itself.
//
// It runs the git command, because that alone honours every format, config and index extension a checkout may have.
// Each process costs a few milliseconds, so a question takes one process wherever that is possible. What the paths mean
// is left to the packages above.
package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNotCheckout says that a folder is not in a Git checkout that can be read; the error's text says what to do.
var ErrNotCheckout = errors.New("not a git checkout")

// ErrUnknownRevision says that a revision names no commit of this checkout.
var ErrUnknownRevision = errors.New("unknown revision")

// Checkout is a Git work tree, or a bare repository. Its methods may be called at the same time from several goroutines.
type Checkout struct {
	top     string
	shallow bool
	bare    bool
}

// Open finds the checkout which dir belongs to. The error is ErrNotCheckout where there is none, where dir is in a
// bare repository, and where Git refuses to read one that another user owns.
func Open(ctx context.Context, dir string) (*Checkout, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: no such file or directory", dir, ErrNotCheckout)
	} else if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	// The path comes last, since it is the only answer that may hold a line break.
	out, err := run(ctx, dir, "rev-parse", "--is-shallow-repository", "--show-toplevel")
	if err != nil {
		return nil, openError(dir, err)
	}
	shallow, top, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
	if top == "" {
		return nil, fmt.Errorf("%s: %w: it is inside a .git folder", dir, ErrNotCheckout)
	}
	return &Checkout{top: filepath.Clean(top), shallow: shallow == "true"}, nil
}

// OpenBare is Open for whoever needs no work tree: dir may lie in a bare repository as well.
func OpenBare(ctx context.Context, dir string) (*Checkout, error) {
	c, err := Open(ctx, dir)
	if err == nil || !errors.Is(err, ErrNotCheckout) {
		return c, err
	}
	if dir, failed := filepath.Abs(dir); failed == nil {
		out, failed := run(ctx, dir, "rev-parse", "--is-bare-repository", "--is-shallow-repository", "--absolute-git-dir")
		bare, rest, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
		if failed == nil && bare == "true" {
			shallow, top, _ := strings.Cut(rest, "\n")
			return &Checkout{top: filepath.Clean(top), shallow: shallow == "true", bare: true}, nil
		}
	}
	return nil, err
}

// openError turns Git's refusal to open dir into one that says what to do.
func openError(dir string, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) {
		return fmt.Errorf("open checkout: %w", err)
	}
	switch {
	case strings.Contains(failed.stderr, "dubious ownership"):
		return fmt.Errorf("%s: %w that git trusts: another user owns it; if you trust its content, run "+
			"git config --global --add safe.directory %s", dir, ErrNotCheckout, owned(failed.stderr, dir))
	case strings.Contains(failed.stderr, "not a git repository"):
		return fmt.Errorf("%s: %w: run keos-oci inside a clone, or name one with --directory", dir, ErrNotCheckout)
	case strings.Contains(failed.stderr, "must be run in a work tree"):
		return fmt.Errorf("%s: %w but a bare repository: run keos-oci inside a clone with files", dir, ErrNotCheckout)
	}
	return fmt.Errorf("open checkout: %w", err)
}

// owned reads the folder Git complains about, which may be a parent of the one asked for.
func owned(stderr, dir string) string {
	_, rest, found := strings.Cut(stderr, "repository at '")
	if top, _, closed := strings.Cut(rest, "'"); found && closed {
		return top
	}
	return dir
}

// Top returns the absolute path of the checkout's top folder; of a bare repository, that of its Git folder.
func (c *Checkout) Top() string { return c.top }

// Bare reports whether there is no work tree.
func (c *Checkout) Bare() bool { return c.bare }

// Shallow reports whether the history was cut off, as CI does by default.
func (c *Checkout) Shallow() bool { return c.shallow }

// git runs git in the top folder of the checkout.
func (c *Checkout) git(ctx context.Context, args ...string) ([]byte, error) {
	return run(ctx, c.top, args...)
}

// commandError is a git command that ended with a failure.
type commandError struct {
	verb   string
	stderr string
	err    error
}

func (e *commandError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("git %s: %v", e.verb, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.verb, e.stderr)
}

func (e *commandError) Unwrap() error { return e.err }

// run starts git in dir and returns what it prints.
func run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	return runWith(ctx, dir, nil, nil, args...)
}

// runWith is run with an input, and with variables for git's environment.
func runWith(ctx context.Context, dir string, input []byte, variables []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append(safeConfig(), args...)...)
	cmd.Dir = dir
	cmd.Env = append(environment(os.Environ()), variables...)
	cmd.Stdin = bytes.NewReader(input)
	// A child that inherited the pipes must not keep us waiting once git was killed.
	cmd.WaitDelay = 5 * time.Second // machines of CI are busy
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	done := waiting(ctx, args[0])
	err := cmd.Run()
	done()
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("git %s: the git command is needed: %w", args[0], err)
	}
	return nil, &commandError{verb: args[0], stderr: strings.TrimSpace(stderr.String()), err: err}
}

// safeConfig is what keeps the config of a checkout that someone else wrote from running programs of theirs, and from
// changing the meaning of an answer. Clean filters stay on: without them every file that Git LFS keeps looks modified.
func safeConfig() []string {
	return []string{
		"--no-pager",
		"-c", "core.fsmonitor=false",
		"-c", "core.hooksPath=/dev/null",
		"-c", "diff.autoRefreshIndex=true",
		"-c", "log.showSignature=false",
	}
}

// environment is the caller's without what points Git at another repository or changes how it reads paths.
func environment(caller []string) []string {
	env := slices.DeleteFunc(slices.Clone(caller), func(entry string) bool {
		key, _, _ := strings.Cut(entry, "=")
		return slices.Contains(dropped(), key)
	})
	return append(env,
		"LC_ALL=C",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_LITERAL_PATHSPECS=1",
		// A partial clone fetches what it lacks on first use; an answer must not depend on the network.
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none",
	)
}

// dropped lists the variables of the caller that git must not see. Hooks of Git set the first of them.
func dropped() []string {
	return []string{
		"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE",
		"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE",
		"GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_PAGER", "GIT_ATTR_SOURCE",
		"GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
		"LC_ALL", "LANGUAGE", "GIT_OPTIONAL_LOCKS", "GIT_TERMINAL_PROMPT", "GIT_LITERAL_PATHSPECS",
		"GIT_NO_LAZY_FETCH", "GIT_ALLOW_PROTOCOL",
	}
}

// Confine changes this process's environment for the git that libraries start, as kustomize does to fetch remote bases. That
// one speaks to the network alone: of a repository on this disk it would take the content, and run a program of its choice.
// It asks nobody anything, and works on no repository that a hook of Git has named for its own programs.
func Confine() error {
	protocols := []string{"http", "https", "ssh"}
	if own, set := os.LookupEnv("GIT_ALLOW_PROTOCOL"); set { // which may be stricter
		protocols = slices.DeleteFunc(protocols, func(p string) bool { return !slices.Contains(strings.Split(own, ":"), p) })
	}
	var errs []error
	for _, name := range dropped() {
		if strings.HasPrefix(name, "GIT_") {
			errs = append(errs, os.Unsetenv(name))
		}
	}
	return errors.Join(append(errs, os.Setenv("GIT_ALLOW_PROTOCOL", cmp.Or(strings.Join(protocols, ":"), "none")),
		os.Setenv("GIT_TERMINAL_PROMPT", "0"))...)
}

// fields splits what git prints with -z.
func fields(out []byte) []string {
	if len(out) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}
