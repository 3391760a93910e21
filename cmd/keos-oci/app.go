package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/sign"
)

// app is the process edge: streams, environment and global flags. Each run has its own.
type app struct {
	in       *os.File
	out, err io.Writer
	getenv   func(string) string
	keys     func(file string) *sign.PrivateKey // nil opens them with the password
	now      func() time.Time                   // nil is the system's clock
	global   globalFlags

	started  bool      // a command's own code runs: what fails before that is usage
	unnamed  bool      // the command asks no registry, and need not know one
	rekor    *sign.Log // that audit searches; nil where none is named
	progress *progress
	critical critical     // what a signal does not cut
	cause    func() error // why the command ends early, nil when it does not
	late     func(error)  // is called when --timeout is over; may be nil
	ending   sync.Mutex
	cleanup  []func()
	top      string // of the checkout that was opened last
}

type globalFlags struct {
	directory, config, registry, registryCA string
	output                                  string
	plainHTTP, plainHTTPAsked               bool
	concurrency                             int
	timeout                                 time.Duration
	registryTimeout, sigstoreTimeout        time.Duration
	logLevel, logFormat                     string
	report                                  string
}

// run executes one command line and gives the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	defer a.end()
	a.cause = func() error { return context.Cause(ctx) }
	cmd := a.root()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	defer a.critical.enter()() // what is left is to say how it ended
	a.closeProgress()
	if err == nil {
		return exitDone
	}
	a.explain(err)
	return a.exitCode(err)
}

func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keos-oci",
		Short: "Publish GitOps components as signed OCI artifacts and move the tags that clusters follow",
		Long: `keos-oci packages the fleet, infra and app components of a Git checkout as Flux OCI artifacts, one repository per
component, signs them with Cosign (keyless or with a key pair) and keeps immutable version tags and the channels latest
and latest-stable. Tags move last: a cluster never meets an artifact that it cannot verify.`,
		Example: `  keos-oci components                       what this checkout would publish
  keos-oci check                            everything publish would refuse, without a registry
  keos-oci publish                          publish what changed, sign it, move latest
  keos-oci publish --ref refs/tags/frontend/v1.2.3
  keos-oci verify frontend:v1.2.3`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	cmd.SetOut(a.out)
	cmd.SetErr(a.err)
	cmd.SetIn(a.in)
	g, f := &a.global, cmd.PersistentFlags()
	f.StringVarP(&g.directory, "directory", "C", ".", "a folder of the Git checkout to work on")
	f.StringVar(&g.config, "config", "", "config file (default keos-oci.yaml at the checkout's top, if there)")
	f.StringVar(&g.registry, "registry", "",
		"[http[s]://]HOST/PREFIX of the repositories (default from the config, else ghcr.io/<owner>/<repo>)")
	f.StringVar(&g.registryCA, "registry-ca", "", "file with PEM certificates to trust beside the system's")
	f.BoolVar(&g.plainHTTP, "plain-http", false, "speak HTTP without TLS (default on loopback, unless --registry-ca or https:// is given)")
	f.StringVarP(&g.output, "output", "o", "text", "text, json or yaml")
	f.IntVar(&g.concurrency, "concurrency", 16, "components in flight")
	f.DurationVar(&g.timeout, "timeout", 15*time.Minute, "for the whole command; 0 is no limit")
	f.DurationVar(&g.registryTimeout, "registry-timeout", time.Minute,
		"for one request to the registry, repetitions included; blobs: without progress; 0 is no limit")
	f.DurationVar(&g.sigstoreTimeout, "sigstore-timeout", 30*time.Second,
		"for one request to Fulcio, Rekor or the identity provider, and twice what TUF has in all; 0 is no limit")
	f.StringVar(&g.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&g.logFormat, "log-format", "text", "text or json")
	f.StringVar(&g.report, "report", "", "append the result to this file as Markdown, fit for a comment on a pull request")
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.begin(cmd) }
	cmd.AddCommand(a.initCmd(), a.componentsCmd(), a.checkCmd(), a.publishCmd(), a.promoteCmd(), a.rollbackCmd(), a.cancelCmd(), a.statusCmd(),
		a.historyCmd(), a.auditCmd(), a.verifyCmd(), a.diffCmd(), a.pullCmd(), a.listCmd(), a.generateCmd(), a.migrateCmd(), a.registryCmd(),
		a.generateKeyPairCmd(), a.versionCmd(), a.docsCmd())
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// version is the module's own, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// begin checks the global flags and applies the timeout.
func (a *app) begin(cmd *cobra.Command) error {
	if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil { // which cobra would do only after this
		return err
	}
	formats := append([]string{"text", "json", "yaml"}, extraFormats(cmd)...)
	if !slices.Contains(formats, a.global.output) {
		return fmt.Errorf("--output %s is none of %v", a.global.output, formats)
	}
	if a.global.concurrency < 1 {
		return fmt.Errorf("--concurrency %d: at least 1", a.global.concurrency)
	}
	a.global.plainHTTPAsked = cmd.Flags().Changed("plain-http")
	if a.global.timeout > 0 {
		cmd.SetContext(a.limit(cmd.Context()))
	}
	if err := a.openProgress(); err != nil {
		return err
	}
	a.started = true
	return nil
}
