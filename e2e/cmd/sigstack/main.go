// Command sigstack runs the in-process Sigstore stack until it gets SIGTERM or its stdin closes (-stdin).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stratio/keos-oci/e2e/sigstack"
)

func main() {
	var o sigstack.Options
	flag.StringVar(&o.Dir, "dir", "", "state folder (trusted_root.json, env...)")
	flag.DurationVar(&o.Sequencer, "sequencer", 0, "Trillian sequencing interval")
	flag.BoolVar(&o.GitHub, "github", false, "issue as https://token.actions.githubusercontent.com")
	flag.BoolVar(&o.TSA, "tsa", false, "run a timestamp authority")
	flag.BoolVar(&o.Verbose, "v", false, "log")
	flag.BoolVar(&o.WithoutCTLog, "no-ctlog", false, "no CT log, no SCT in certificates")
	flag.DurationVar(&o.FulcioDelay, "fulcio-delay", 0, "")
	flag.DurationVar(&o.RekorDelay, "rekor-delay", 0, "")
	flag.DurationVar(&o.RegistryDelay, "registry-delay", 0, "")
	flag.StringVar(&o.Claims.Ref, "ref", "", "git ref in the tokens")
	stdin := flag.Bool("stdin", false, "stop when stdin closes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := sigstack.Start(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sigstack:", err)
		os.Exit(1)
	}
	defer s.Stop()
	// control endpoint: GET /counts, POST /reset, GET /token?ref=...
	mux := http.NewServeMux()
	mux.HandleFunc("/counts", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(s.Counts(r.URL.Query().Has("detail")))
	})
	mux.HandleFunc("/reset", func(http.ResponseWriter, *http.Request) { s.ResetCounts() })
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		t, err := s.Issuer.Mint(sigstack.Claims{Repository: q.Get("repository"), Workflow: q.Get("workflow"), Ref: q.Get("ref")})
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		fmt.Fprint(w, t)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "sigstack:", err)
		return
	}
	go func() { _ = http.Serve(l, mux) }()
	env := append(s.Env(), "SIGSTACK_CONTROL=http://"+l.Addr().String(), "SIGSTORE_CT_URL="+s.CTURL)
	for i, e := range env {
		k, v, _ := strings.Cut(e, "=")
		env[i] = "export " + k + "='" + v + "'"
	}
	tmp := filepath.Join(s.Dir, ".env.tmp")
	_ = os.WriteFile(tmp, []byte(strings.Join(env, "\n")+"\n"), 0o644)
	_ = os.Rename(tmp, filepath.Join(s.Dir, "env"))
	fmt.Println("ready", s.Timing)
	if *stdin {
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); stop() }()
	}
	<-ctx.Done()
}
