package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/registry/registrytest"
	"github.com/stratio/keos-oci/internal/tag"
)

// soon is how long the end may take on a machine that does other things as well; the command itself takes a second at most.
const soon = 2 * time.Second

// phase is what a command waits for when Ctrl-C is typed.
type phase struct {
	verb    []string
	keyless bool
	prepare func(t *testing.T, h *nightHouse, s *sandbox) (reached func(*ptyRun) bool, flags []string)
}

// asked waits until a server is asked, which then hangs.
func asked(what string) func(*testing.T, *nightHouse, *sandbox) (func(*ptyRun) bool, []string) {
	return func(t *testing.T, h *nightHouse, s *sandbox) (func(*ptyRun) bool, []string) {
		came := make(chan struct{}, 100)
		hang := func(w http.ResponseWriter, r *http.Request) { came <- struct{}{}; hangs(w, r) }
		reached := func(*ptyRun) bool { return len(came) > 0 }
		switch what {
		case "Fulcio":
			return reached, fulcio(hang)(t, h, s)
		case "Rekor":
			return reached, rekor(hang)(t, h, s)
		case "OIDC":
			s.env = append(s.env, "ACTIONS_ID_TOKEN_REQUEST_URL="+server(t, hang)+"?x=y")
			return reached, h.st.flags()
		case "TUF":
			return reached, tuf(func(t *testing.T) string { return server(t, hang) })(t, h, s)
		case "browser":
			s.env = without(without(s.env, "ACTIONS_ID_TOKEN_REQUEST_URL"), "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
			var issuer string
			issuer = server(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w,
					`{"issuer":%q,"authorization_endpoint":"%[1]s/auth","token_endpoint":"%[1]s/token","jwks_uri":"%[1]s/keys","code_challenge_methods_supported":["S256"]}`, issuer)
			})
			return func(term *ptyRun) bool { return term.showed(issuer + "/auth?") }, append(h.st.flags(), "--oidc-issuer", issuer)
		}
		return reached, only(what, hang)(t, h, s)
	}
}

// prompted waits for the prompt for the password.
func prompted(_ *testing.T, _ *nightHouse, s *sandbox) (func(*ptyRun) bool, []string) {
	s.env = without(s.env, "COSIGN_PASSWORD")
	return func(term *ptyRun) bool { return term.showed("Password of the private key: ") }, nil
}

// inGit waits until git is run, which then takes long. It hears of no signal.
func inGit(t *testing.T, _ *nightHouse, s *sandbox) (func(*ptyRun) bool, []string) {
	t.Helper()
	dir, real := t.TempDir(), mustFind(t, "git")
	mark := filepath.Join(dir, "mark")
	script := fmt.Sprintf("#!/bin/sh\ntrap '' INT TERM\nfor a; do case $a in ls-files|ls-tree|status) : > %s; sleep 4;; esac; done\nexec %s \"$@\"\n", mark, real)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	s.env = append(s.env, "PATH="+dir+":"+os.Getenv("PATH"))
	return func(*ptyRun) bool { _, err := os.Stat(mark); return err == nil }, nil
}

func mustFind(t *testing.T, program string) string {
	t.Helper()
	file, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func phases() map[string]phase {
	return map[string]phase{
		"publish at git":               {[]string{"publish", "frontend", "--key", "KEY"}, false, inGit},
		"publish at the password":      {[]string{"publish", "frontend", "--key", "KEY"}, false, prompted},
		"publish at the list of tags":  {[]string{"publish", "frontend", "--key", "KEY"}, false, asked("/tags/list")},
		"publish at the upload":        {[]string{"publish", "frontend", "--key", "KEY"}, false, asked("/blobs/uploads/")},
		"publish at the identity":      {[]string{"publish", "frontend"}, true, asked("OIDC")},
		"publish at the browser":       {[]string{"publish", "frontend"}, true, asked("browser")},
		"publish at the certificate":   {[]string{"publish", "frontend"}, true, asked("Fulcio")},
		"publish at the log":           {[]string{"publish", "frontend"}, true, asked("Rekor")},
		"publish at the trusted root":  {[]string{"publish", "frontend"}, true, asked("TUF")},
		"promote at the password":      {[]string{"promote", "frontend", "v1.2.0", "--key", "KEY"}, false, prompted},
		"promote at the registry":      {[]string{"promote", "frontend", "v1.2.0", "--key", "KEY"}, false, asked("/manifests/v1.2.0")},
		"promote at the certificate":   {[]string{"promote", "frontend", "v1.1.0"}, true, asked("Fulcio")},
		"rollback at git":              {[]string{"rollback", "frontend", "--key", "KEY"}, false, inGit},
		"rollback at the password":     {[]string{"rollback", "frontend", "--key", "KEY"}, false, prompted},
		"rollback at the list of tags": {[]string{"rollback", "frontend", "--key", "KEY"}, false, asked("/tags/list")},
		"rollback at the log":          {[]string{"rollback", "frontend"}, true, asked("Rekor")},
		"verify at the registry":       {[]string{"verify", "frontend:v1.0.0", "--key", "PUB"}, false, asked("/manifests/v1.0.0")},
		"verify at the trusted root":   {[]string{"verify", "frontend:v1.0.0"}, true, asked("TUF")},
		"history at the registry":      {[]string{"history", "frontend", "--key", "PUB"}, false, asked("/tags/list")},
		"status at the registry":       {[]string{"status", "--key", "PUB"}, false, asked("/manifests/latest")},
		"list at the registry":         {[]string{"list", "frontend"}, false, asked("/tags/list")},
		"diff at the registry":         {[]string{"diff", "frontend", "v1.0.0", "v1.1.0"}, false, asked("/manifests/v1.0.0")},
		"pull at the registry":         {[]string{"pull", "frontend:v1.0.0", "out", "--key", "PUB"}, false, asked("/blobs/")},
		"check at git":                 {[]string{"check"}, false, inGit},
		"generate-key-pair":            {[]string{"generate-key-pair"}, false, prompted},
		"cancel at the list of tags":   {[]string{"cancel", "frontend", "--key", "KEY"}, false, asked("/tags/list")},
	}
}

// TestInterrupt: Ctrl-C ends each verb within a second, whatever it waits for, and leaves nothing behind.
func TestInterrupt(t *testing.T) {
	h := newNightHouse(t)
	t.Run("moves", h.moves)
	t.Run("terminated", h.terminated)
	files := strings.NewReplacer("KEY", h.key, "PUB", h.pub)
	for name, p := range phases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, args := h.copied(t, p.keyless), []string(nil)
			for _, a := range p.verb {
				args = append(args, files.Replace(a))
			}
			reached, flags := p.prepare(t, h, s)
			term := s.typed(t, append(args, flags...)...)
			term.until(t, name, func() bool { return reached(term) })
			time.Sleep(50 * time.Millisecond)
			term.types(t, ctrlC)
			if code := term.end(t, soon); code != exitFailed || !term.showed("interrupted") || term.showed("--timeout") {
				t.Error(term)
			}
			if !term.echoes(t) {
				t.Error("the terminal does not show what is typed any more")
			}
			if left, err := os.ReadDir(variable(s.env, "TMPDIR")); err != nil || len(left) > 0 {
				t.Error("left behind:", left, err)
			}
		})
	}
}

// copied is one of the sandboxes with a checkout and folders of its own.
func (h *nightHouse) copied(t *testing.T, keyless bool) *sandbox {
	t.Helper()
	s := *h.keyed
	if keyless {
		s = *h.keyless
	}
	from := s.dir
	s.t, s.dir = t, filepath.Join(t.TempDir(), "w")
	if err := os.CopyFS(s.dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env[:len(s.env):len(s.env)], "HOME="+t.TempDir(), "TMPDIR="+t.TempDir(), "XDG_CACHE_HOME=")
	return &s
}

// moves: Ctrl-C while the channel is being moved waits for what was begun, and the result says what is true. The second
// one ends at once.
func (h *nightHouse) moves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  registrytest.Fault
		second bool
		within time.Duration
		code   int
		want   string
	}{
		"slow":              {registrytest.None, false, 5 * time.Second, exitDone, "moved"},
		"cut":               {registrytest.BlockAfter, true, soon, 128 + int(syscall.SIGINT), "is being finished"},
		"without an answer": {registrytest.Block, false, 17 * time.Second, exitFailed, "cannot tell whether the channel was moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := h.keyed.copyOf(t)
			came := make(chan struct{}, 100)
			s.registry.FaultAt(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/latest-stable") {
					came <- struct{}{}
					if c.fault == registrytest.None {
						time.Sleep(2 * time.Second)
					}
					return c.fault
				}
				return registrytest.None
			})
			term := s.typed(t, "rollback", "frontend", "--key", h.key)
			term.until(t, "the channel", func() bool { return len(came) > 0 })
			term.types(t, ctrlC)
			if c.second {
				term.until(t, "the notice", func() bool { return term.showed("is being finished") })
				term.types(t, ctrlC)
			}
			if code := term.end(t, c.within); code != c.code || !term.showed(c.want) || !term.showed("the move that was begun is being finished") {
				t.Error(term)
			}
			s.registry.FaultAt(nil)
			if c.code == exitDone {
				s.at(t, "v1.1.0")
				if h := s.journal(t, h.pub); h.Standing != tag.Settled {
					t.Errorf("%+v", h)
				}
			}
		})
	}
}

// terminated: SIGTERM is what CI systems send. It reaches the command alone, and not the programs that it started.
func (h *nightHouse) terminated(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, *nightHouse, *sandbox) (func(*ptyRun) bool, []string){
		"git": inGit, "the registry": asked("/tags/list"), "the password": prompted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := h.copied(t, false)
			reached, _ := prepare(t, h, s)
			term := s.typed(t, "rollback", "frontend", "--key", h.key)
			term.until(t, name, func() bool { return reached(term) })
			time.Sleep(50 * time.Millisecond)
			_ = term.cmd.Process.Signal(syscall.SIGTERM)
			if code := term.end(t, soon); code != exitFailed || !term.showed("interrupted by SIGTERM") {
				t.Error(term)
			}
		})
	}
}
