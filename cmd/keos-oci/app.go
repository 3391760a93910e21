package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/process"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/terminal"
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
	answered bool      // a result was written to stdout
	unnamed  bool      // the command asks no registry, and need not know one
	rekor    *sign.Log // that audit searches; nil where none is named
	progress *terminal.Progress
	paged    bool        // a long text of the command is shown by the pager
	top      string      // of the checkout that was opened last
	process  process.Run // how the command ends
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
	color                                   string
}

// supervise runs one command line until it ends or a signal ends it, and gives the exit code.
func (a *app) supervise(args []string, signals <-chan os.Signal) int {
	code, why := a.process.Supervise(func(ctx context.Context) int { return a.run(ctx, args) }, signals)
	if why != nil {
		a.closeProgress()
		a.say(why)
		return exitFailed
	}
	return code
}

// run executes one command line and gives the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	defer a.process.End()
	a.process.Begin(ctx)
	cmd := a.root()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err != nil && !a.started {
		err = commandError(cmd, err)
	}
	defer a.process.Critical()() // what is left is to say how it ended
	a.closeProgress()
	if err == nil {
		return exitDone
	}
	a.explain(err)
	if wantsJSON(args) && !a.answered {
		_ = a.answerInJSON(err) // stderr has it
	}
	return a.exitCode(err)
}

func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keos-oci",
		Short: "Publish GitOps components as signed OCI artifacts and move the tags that clusters follow",
		Long: `keos-oci packs the fleet, infra and app components of a Git checkout as Flux OCI artifacts. Each component has its own repository
in the registry. keos-oci signs each artifact with Cosign, keyless or with a key pair. Version tags never change. The channels latest and
latest-stable move. Tags move last, so a cluster never gets an artifact that it cannot verify.`,
		Example: `  keos-oci components                # what this checkout would publish
  keos-oci check                     # what publish would refuse
  keos-oci publish                   # publish changes, sign them, move latest
  keos-oci verify frontend:v1.2.3    # who signed it, and may it have this tag
  keos-oci promote frontend v1.2.3   # move latest-stable to a version`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	cmd.SetOut(a.out)
	cmd.SetErr(a.err)
	cmd.SetIn(a.in)
	g, f := &a.global, cmd.PersistentFlags()
	f.StringVarP(&g.directory, "directory", "C", ".", "a folder in the Git checkout to use")
	f.StringVar(&g.config, "config", "", "config file (default keos-oci.yaml at the top of the checkout)")
	f.StringVar(&g.registry, "registry", "",
		"[http[s]://]HOST/PREFIX of the repositories (default from the config, else ghcr.io/<owner>/<repo>)")
	f.StringVar(&g.registryCA, "registry-ca", "", "file with PEM certificates to trust, in addition to the system's")
	f.BoolVar(&g.plainHTTP, "plain-http", false, "use HTTP without TLS (default on loopback, unless --registry-ca or https:// is given)")
	f.StringVarP(&g.output, "output", "o", "text", "text, json or yaml")
	f.IntVar(&g.concurrency, "concurrency", 16, "how many components are processed at the same time")
	f.DurationVar(&g.timeout, "timeout", 15*time.Minute, "limit for the whole command; 0 is no limit")
	f.DurationVar(&g.registryTimeout, "registry-timeout", time.Minute,
		"limit for one request to the registry with its retries; for a blob: limit without progress; 0 is no limit")
	f.DurationVar(&g.sigstoreTimeout, "sigstore-timeout", 30*time.Second,
		"limit for one request to Fulcio, Rekor or the identity provider; TUF has half of it in total; 0 is no limit")
	f.StringVar(&g.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&g.logFormat, "log-format", "text", "text or json")
	f.StringVar(&g.color, "color", string(terminal.ColourAuto), "colours: auto, always or never")
	f.StringVar(&g.report, "report", "", "append the result to this file as Markdown, for example for a comment on a pull request")
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.begin(cmd) }
	cmd.AddCommand(a.initCmd(), a.componentsCmd(), a.checkCmd(), a.publishCmd(), a.promoteCmd(), a.rollbackCmd(), a.cancelCmd(), a.statusCmd(),
		a.historyCmd(), a.auditCmd(), a.verifyCmd(), a.diffCmd(), a.pullCmd(), a.listCmd(), a.generateCmd(), a.migrateCmd(), a.registryCmd(), a.doctorCmd(), a.loginCmd(), a.logoutCmd(),
		a.generateKeyPairCmd(), a.versionCmd(), a.docsCmd())
	_ = cmd.RegisterFlagCompletionFunc("output", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return formatsOf(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	putUnder(f, headingRegistry, "registry-ca", "plain-http")
	putUnder(f, headingLimits, "concurrency", "timeout", "registry-timeout", "sigstore-timeout")
	putUnder(f, headingLogs, "log-level", "log-format", "color", "report")
	a.arrangeHelp(cmd)
	explainUsage(cmd)
	offerChoices(cmd)
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
	if err := errors.Join(missingFlags(cmd), cmd.ValidateFlagGroups()); err != nil { // which cobra would do only after this
		return err
	}
	if formats := formatsOf(cmd); !slices.Contains(formats, a.global.output) {
		return fmt.Errorf("--output %s is unknown; use %s", a.global.output, enumerate(formats))
	}
	if err := terminal.ColourMode(a.global.color).Check(); err != nil {
		return err
	}
	if a.global.concurrency < 1 {
		return fmt.Errorf("--concurrency is %d; use 1 or more", a.global.concurrency)
	}
	a.global.plainHTTPAsked = cmd.Flags().Changed("plain-http")
	if a.global.timeout > 0 {
		cmd.SetContext(a.process.Limit(cmd.Context(), a.global.timeout))
	}
	if err := a.openProgress(); err != nil {
		return err
	}
	cmd.SetContext(git.WithLog(cmd.Context(), slog.New(a.progress)))
	a.paged = pages(cmd)
	a.started = true
	return nil
}
