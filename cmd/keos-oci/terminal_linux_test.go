package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
)

// person sits at a terminal of 80 columns, with a checkout, a registry and no password in the environment.
type person struct {
	*sandbox
	t     *testing.T
	guide *screens
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{newSandbox(t), t, readScreens(t)}
	for _, name := range []string{"COSIGN_PASSWORD", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PAGER", "KEOS_OCI_PAGER", "LESS"} {
		p.env = without(p.env, name)
	}
	p.env = append(p.env, "TERM=xterm-256color", "GITHUB_ACTOR=ana")
	p.write("keos-oci.yaml", "apiVersion: keos-oci.stratio.com/v1alpha1\nkind: Workspace\nregistry: http://"+p.registry.Host()+"/shop\n"+
		"signing: {key: cosign.pub}\n")
	return p
}

// version commits new content of the three components.
func (p *person) version(value string) {
	for _, name := range []string{"backend", "frontend", "search"} {
		p.component(name, value)
	}
	p.commit(value)
}

func (p *person) runs(args ...string) *exec.Cmd {
	p.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(p.t.Context(), exe, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

func (p *person) starts(args ...string) *ptyRun {
	p.t.Helper()
	return atTerminal(p.t, p.runs(args...))
}

// ends demands an exit code of a command in time, and a terminal that is as it was.
func (p *person) ends(run *ptyRun, code int) {
	p.t.Helper()
	if got := run.end(p.t, 20*time.Second); got != code {
		p.t.Errorf("want exit %d: %v", code, run)
	}
	if !run.echoes(p.t) {
		p.t.Errorf("the terminal does not show what is typed any more: %v", run)
	}
}

func (p *person) sees(run *ptyRun, text string) {
	p.t.Helper()
	run.until(p.t, text, func() bool { return run.sees(text) })
}

// TestTerminal runs what a person does at a terminal. docs/guides/terminal.md has what the person sees.
func TestTerminal(t *testing.T) {
	p := newPerson(t)
	p.version("1")
	p.keys()
	p.password()
	p.version("2")
	p.waits()
	p.env = append(p.env, "COSIGN_PASSWORD=secret")
	out, err := p.runs("publish", "backend", "frontend", "search", "--version", "v1.1.0", "--key", "cosign.key").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.question()
	p.colours()
	p.pager()
	p.pagerIsStopped()
	p.guide.save()
}

// keys: a new password is typed twice.
func (p *person) keys() {
	p.t.Helper()
	run := p.starts("generate-key-pair")
	p.sees(run, "Password of the private key:")
	run.types(p.t, "secret\n")
	p.sees(run, "Repeat the password:")
	run.types(p.t, "secrte\n")
	p.ends(run, exitFailed)
	if _, err := os.Stat(filepath.Join(p.dir, "cosign.key")); err == nil || !run.sees("the two passwords differ") {
		p.t.Error(run)
	}
	run = p.starts("generate-key-pair")
	p.sees(run, "Password of the private key:")
	run.types(p.t, "secret\n")
	p.sees(run, "Repeat the password:")
	run.types(p.t, "secret\n")
	p.ends(run, exitDone)
	if run.showed("secret\r") {
		p.t.Errorf("the password is on the screen: %v", run)
	}
	p.guide.shows("keys", "keos-oci generate-key-pair", run)
	p.commit("the public key")
}

// password: nothing is written over the prompt, and nothing of the bar stays.
func (p *person) password() {
	p.t.Helper()
	p.registry.Delay(100 * time.Millisecond)
	defer p.registry.Delay(0)
	run := p.starts("publish", "backend", "frontend", "search", "--version", "v1.0.0", "--key", "cosign.key")
	p.sees(run, "Password of the private key:")
	time.Sleep(1200 * time.Millisecond)
	if !strings.HasSuffix(run.lines(), "\nPassword of the private key:\n") && run.lines() != "Password of the private key:\n" {
		p.t.Errorf("over the prompt: %q", run.lines())
	}
	run.types(p.t, "secret\n")
	run.until(p.t, "the bar", func() bool { return run.showed("] ") && run.showed(" / 3  ") })
	p.ends(run, exitDone)
	if run.sees(" / 3") {
		p.t.Errorf("the bar stays: %v", run)
	}
	p.guide.shows("publish", "keos-oci publish backend frontend search --version v1.0.0 --key cosign.key", run)
}

// waits: a registry that does not answer is on the status line, and Ctrl-C ends the wait at once, with one line.
func (p *person) waits() {
	p.t.Helper()
	p.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
		if strings.Contains(r.URL.Path, "/search/blobs/uploads/") {
			return registrytest.Block
		}
		return registrytest.None
	})
	defer p.registry.FaultAt(nil)
	env := p.env
	p.env = append(env[:len(env):len(env)], "COSIGN_PASSWORD=secret")
	defer func() { p.env = env }()
	run := p.starts("publish", "backend", "frontend", "search", "--version", "v1.1.0", "--key", "cosign.key")
	p.sees(run, "waiting for the registry "+p.registry.Host())
	p.guide.shows("waits", "keos-oci publish backend frontend search --version v1.1.0 --key cosign.key", run)
	run.types(p.t, ctrlC)
	if code := run.end(p.t, soon); code != exitFailed || run.sees("waiting for") {
		p.t.Error(run)
	}
	p.guide.shows("interrupted", "keos-oci publish backend frontend search --version v1.1.0 --key cosign.key", run)
}

// question: several components move after a yes alone, and nobody is asked where nobody can answer.
func (p *person) question() {
	p.t.Helper()
	p.write("train.txt", "frontend v1.0.0\nbackend v1.0.0\n")
	back := []string{"rollback", "--from-file", "train.txt", "--key", "cosign.key"}
	for _, answer := range []string{"n\n", "\n", "\x04"} {
		requests := p.registry.Count("")
		run := p.starts(back...)
		p.sees(run, "[y/N]")
		run.types(p.t, answer)
		p.ends(run, exitFailed)
		if !run.sees("nothing was changed") || p.registry.Count("") != requests {
			p.t.Error(run)
		}
		if answer == "n\n" {
			p.guide.shows("question", "keos-oci rollback --from-file train.txt --key cosign.key", run)
		}
	}
	run := p.starts(back...)
	p.sees(run, "[y/N]")
	run.types(p.t, ctrlC)
	if code := run.end(p.t, soon); code != exitFailed || !run.sees("interrupted") {
		p.t.Error(run)
	}
	run = p.starts(back...)
	p.sees(run, "[y/N]")
	run.types(p.t, "y\n")
	p.ends(run, exitDone)
	if !run.sees("2 moved") {
		p.t.Error(run)
	}
	p.write("train.txt", "frontend v1.1.0\nbackend v1.1.0\n")
	forth := []string{"promote", "--from-file", "train.txt", "--key", "cosign.key"}
	run = p.starts(append(forth, "--yes")...)
	p.ends(run, exitDone)
	if run.showed("[y/N]") || !run.sees("2 moved") {
		p.t.Error(run)
	}
	var out bytes.Buffer
	cmd := p.runs(back...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || strings.Contains(out.String(), "[y/N]") {
		p.t.Errorf("without a terminal: %v\n%s", err, out.String())
	}
}

var colourCode = regexp.MustCompile(`\x1b\[[0-9;]+m`)

// colours: each stream is judged by itself, and tables fit into 80 columns.
func (p *person) colours() {
	p.t.Helper()
	run := p.starts("verify", "frontend:v1.0.0", "--key", "cosign.pub")
	p.ends(run, exitDone)
	if !run.coloured("accepted") {
		p.t.Errorf("no colours: %v", run)
	}
	run = p.starts("verify", "frontend:v1.0.0", "--key", "cosign.pub", "--color", "never")
	p.ends(run, exitDone)
	if run.coloured("accepted") {
		p.t.Errorf("colours: %v", run)
	}
	cmd := p.runs("verify", "frontend:v1.0.0", "--key", "cosign.pub", "--color", "always")
	if out, err := cmd.Output(); err != nil || !colourCode.Match(out) {
		p.t.Errorf("no colours in a file: %v %q", err, out)
	}
	redirected := p.runs("verify", "frontend:nosuch", "--key", "cosign.pub")
	file, err := os.Create(filepath.Join(p.t.TempDir(), "out"))
	p.check(err)
	redirected.Stdout = file
	run = atTerminal(p.t, redirected)
	p.ends(run, exitFailed)
	if !run.coloured("error:") {
		p.t.Errorf("the errors on the terminal have no colours: %v", run)
	}
	run = p.starts("status")
	p.ends(run, exitDone)
	if lines := strings.Count(run.lines(), "\n"); lines != 7 {
		p.t.Errorf("%d lines, and the head and two channels of three components are 7: %v", lines, run)
	}
	p.guide.shows("status", "keos-oci status", run)
}

// script writes a pager that shows one screen and waits for Enter. It ignores Ctrl-C, as less does.
func (p *person) script() {
	file := filepath.Join(p.t.TempDir(), "pager")
	text := "#!/bin/sh\ntrap '' INT\nhead -n 18\nprintf -- '-- more --'\nread answer </dev/tty\necho\n"
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil { //nolint:gosec // a program
		p.t.Fatal(err)
	}
	p.env = append(p.env, "KEOS_OCI_PAGER="+file)
}

// pager: a text longer than the screen goes to the pager, which has Ctrl-C and the time that it takes.
func (p *person) pager() {
	p.t.Helper()
	var long strings.Builder
	for range 40 {
		long.WriteString("# a line\n")
	}
	p.write("components/frontend/base/more.yaml", long.String())
	p.git("add", "-A")
	diff := []string{"diff", "frontend", "v1.1.0", "--timeout", "3s"}
	plain := p.starts(append(diff, "-o", "json")...)
	p.ends(plain, exitDone)
	p.script()
	started := time.Now()
	run := p.starts(diff...)
	p.sees(run, "-- more --")
	p.guide.shows("pager", "keos-oci diff frontend v1.1.0", run)
	run.types(p.t, ctrlC)
	for time.Since(started) < 3200*time.Millisecond {
		time.Sleep(50 * time.Millisecond)
	}
	select {
	case <-run.ended:
		p.t.Fatalf("Ctrl-C or --timeout ended the command under its pager: %v", run)
	default:
	}
	run.types(p.t, "\n")
	p.ends(run, exitDone)
	if run.sees("interrupted") || run.sees("--timeout") {
		p.t.Error(run)
	}
	for _, pager := range []string{"", "cat", "/nosuch/pager --option"} {
		p.env = append(p.env, "KEOS_OCI_PAGER="+pager)
		run = p.starts(diff...)
		p.ends(run, exitDone)
		if run.sees("-- more --") || strings.Count(run.lines(), "+# a line") != 40 {
			p.t.Errorf("pager %q: %v", pager, run)
		}
	}
	if _, err := exec.LookPath("less"); err == nil {
		p.env = without(p.env, "KEOS_OCI_PAGER")
		run = p.starts(diff...)
		run.until(p.t, "less", func() bool { return run.showed("\n:") })
		run.types(p.t, ctrlC)
		time.Sleep(300 * time.Millisecond) // less forgets what is typed at the same time
		run.types(p.t, "q")
		p.ends(run, exitDone)
	}
}

// pagerIsStopped: SIGTERM ends the command and its pager, and gives the terminal back.
func (p *person) pagerIsStopped() {
	p.t.Helper()
	p.script()
	run := p.starts("diff", "frontend", "v1.1.0")
	p.sees(run, "-- more --")
	_ = run.cmd.Process.Signal(syscall.SIGTERM)
	if code := run.end(p.t, soon); code != exitFailed || !run.sees("interrupted by SIGTERM") {
		p.t.Error(run)
	}
}
