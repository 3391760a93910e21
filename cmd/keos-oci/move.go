package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/tag"
)

func (a *app) promoteCmd() *cobra.Command {
	cmd := a.moveCmd("promote", func(ctx context.Context, svc *release.Service, req release.MoveRequest) (*release.MoveResult, error) {
		return svc.Promote(ctx, req)
	})
	cmd.Use = "promote COMPONENT VERSION"
	cmd.Short = "Move latest-stable to a published version"
	cmd.Long = `Verifies the signature of the version against the policy of the channel, records the move in the journal and moves
the channel. promote
refuses a version that is older than the channel's: use rollback for that.

--from-file reads a file with one "COMPONENT VERSION" per line. All components are read, decided and verified before the first one moves.`
	cmd.Example = `  keos-oci promote frontend v1.2.3
  keos-oci promote frontend:v1.2.3 --dry-run
  keos-oci promote --from-file train.txt --reason "release 42"
  keos-oci promote frontend v1.2.3 --expect sha256:…   # unless it moved`
	return cmd
}

func (a *app) rollbackCmd() *cobra.Command {
	cmd := a.moveCmd("rollback", func(ctx context.Context, svc *release.Service, req release.MoveRequest) (*release.MoveResult, error) {
		return svc.Rollback(ctx, req)
	})
	cmd.Use = "rollback COMPONENT [VERSION]"
	cmd.Short = "Move latest-stable back to what it was before, or to a version"
	cmd.Long = `Without a version, the channel goes back to what the journal says it was before. A second rollback goes one step
further back. With a
version, the channel goes to that version. rollback verifies the signature of the target first. publish does not move the channel to the
left or skipped versions again; promote can.

With a version, an unreadable record, list or log does not stop the rollback. While signing is down, --unrecorded moves the channel
without a record. The next move records it.`
	cmd.Example = `  keos-oci rollback frontend --reason "500s since 02:50"
  keos-oci rollback frontend v1.2.2
  keos-oci rollback frontend --dry-run
  keos-oci rollback frontend v1.2.2 --unrecorded   # while signing is down`
	return cmd
}

// moveCmd is what promote and rollback share.
func (a *app) moveCmd(verb string, run func(context.Context, *release.Service, release.MoveRequest) (*release.MoveResult,
	error)) *cobra.Command {
	var req release.MoveRequest
	var file, expect string
	var yes bool
	var anchor anchorFlag
	var signing signFlags
	cmd := &cobra.Command{ValidArgsFunction: a.completeThenVersions}
	f := cmd.Flags()
	f.StringVar(&req.Channel, "channel", "", "channel to move (default the first one that follows versions)")
	f.StringVar(&req.Reason, "reason", "", "reason for the move; it goes into the journal")
	f.StringVar(&expect, "expect", "", "do nothing unless the channel points to this digest now")
	f.StringVar(&file, "from-file", "", "file with one COMPONENT VERSION per line; - is stdin")
	f.BoolVar(&req.DryRun, "dry-run", false, "print the plan and stop")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask before several components move; without a terminal nothing is asked")
	bindRequest(f, &req.Request, &req.Wait)
	if verb == "promote" {
		anchor.bind(f)
	} else {
		f.BoolVar(&req.Prereleases, "allow-prerelease", false, "allow a pre-release as the target")
		f.BoolVar(&req.Unrecorded, "unrecorded", false, "write no record, for example while signing is down; needs a version")
	}
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	signing.bindMover(f)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if n := len(splitTarget(args)); file == "" && n != 2 && (n != 1 || verb != "rollback") {
			return errUsage
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Items, err = a.moveItems(verb, args, file); err != nil {
			return err
		}
		if expect != "" {
			if req.Expect, err = digest.Parse(expect); err != nil {
				return fmt.Errorf("%w: --expect: %w", errUsage, err)
			}
		}
		if req.Unrecorded && slices.ContainsFunc(req.Items, func(i release.MoveItem) bool { return i.Version == nil }) {
			return fmt.Errorf("%w: --unrecorded needs a version to go to", errUsage)
		}
		if !yes && !req.DryRun {
			if err := a.confirmMoves(cmd.Context(), verb, req.Channel, req.Items); err != nil {
				return err
			}
		}
		if req.Anchor, err = anchor.open(); err != nil {
			return err
		}
		a.opener().OpenKey(signing.settings())
		req.Actor, req.RunURL = a.whoRuns()
		req.Request = requestOf(req.Request, req.RunURL)
		svc, names, err := a.serviceFor(cmd.Context(), &signing, itemNames(req.Items)...)
		if err != nil {
			return err
		}
		for i, name := range names {
			req.Items[i].Component = name
		}
		req.Sizes = a.reports()
		res, err := run(cmd.Context(), svc, req)
		if err != nil {
			return err
		}
		return errors.Join(a.finish(render.Move{MoveResult: res}, res.Err()), anchor.save(false))
	}
	return cmd
}

// bindRequest adds what the verbs share that move channels.
func bindRequest(f *pflag.FlagSet, request *string, wait *time.Duration) {
	defer under(f, headingJournal)()
	f.StringVar(request, "request", "",
		"name of this request: with the same name, a second run completes the first one (default the CI run, else random)")
	f.DurationVar(wait, "wait-for-move", 0, "how long to wait for an unfinished move of another command, for example 2m")
}

// requestOf is what names a command: what the user says, else the CI run without its attempt, else something that nobody else says.
func requestOf(given, runURL string) string {
	if given == "" {
		given, _, _ = strings.Cut(runURL, "/attempts/")
	}
	return cmp.Or(given, rand.Text())
}

func (a *app) cancelCmd() *cobra.Command {
	var req release.MoveRequest
	var now bool
	var signing signFlags
	cmd := &cobra.Command{
		Use:   "cancel COMPONENT…",
		Short: "Close moves that were never finished",
		Long: `A command that was killed may leave an unfinished move in the journal. Run the same command again to complete the move,
or close it with
cancel: a signed record says that the move is over. A move that may still be running is closed only with --now.`,
		Example: `  keos-oci cancel frontend
  keos-oci cancel frontend --now --reason "the job hangs"`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeComponents,
	}
	f := cmd.Flags()
	f.StringVar(&req.Channel, "channel", "", "channel (default the first one that follows versions)")
	f.StringVar(&req.Reason, "reason", "", "reason; it goes into the journal")
	f.BoolVar(&now, "now", false, "also close moves that may still be running")
	f.BoolVar(&req.DryRun, "dry-run", false, "print the plan and stop")
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	signing.bindMover(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Actor, req.RunURL = a.whoRuns()
		req.Request = requestOf("", "")
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
		if err != nil {
			return err
		}
		for _, name := range names {
			req.Items = append(req.Items, release.MoveItem{Component: name})
		}
		res, err := svc.Cancel(cmd.Context(), req, now)
		if err != nil {
			return err
		}
		return a.finish(render.Move{MoveResult: res}, res.Err())
	}
	return cmd
}

func itemNames(items []release.MoveItem) []string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = item.Component
	}
	return names
}

// moveItems reads what to move from the arguments or the file.
func (a *app) moveItems(verb string, args []string, file string) ([]release.MoveItem, error) {
	switch {
	case file != "" && len(args) > 0:
		return nil, fmt.Errorf("%w: either --from-file or arguments", errUsage)
	case file != "":
		return a.itemsFrom(verb, file)
	}
	item, err := moveItem(splitTarget(args))
	return []release.MoveItem{item}, err
}

// moveItem reads COMPONENT [VERSION].
func moveItem(fields []string) (item release.MoveItem, err error) {
	item.Component = fields[0]
	if len(fields) == 2 {
		item.Version, err = tag.ParseVersion(fields[1])
	}
	return item, err
}

func (a *app) itemsFrom(verb, file string) ([]release.MoveItem, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var items []release.MoveItem
	line := 0
	for sc := bufio.NewScanner(in); sc.Scan(); {
		line++
		text, _, _ := strings.Cut(sc.Text(), "#")
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0:
			continue
		case len(fields) == 2, len(fields) == 1 && verb == "rollback":
			item, err := moveItem(fields)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, line, err)
			}
			items = append(items, item)
		default:
			return nil, fmt.Errorf("%w: %s:%d: want COMPONENT VERSION", errUsage, file, line)
		}
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: %s names no component", errUsage, file)
	}
	return items, nil
}

// whoRuns is the actor and the run that the journal names: CI's, else the user at this machine.
func (a *app) whoRuns() (actor, runURL string) {
	if actor = a.getenv("GITHUB_ACTOR"); actor != "" {
		if id := a.getenv("GITHUB_RUN_ID"); id != "" {
			runURL = a.getenv("GITHUB_SERVER_URL") + "/" + a.getenv("GITHUB_REPOSITORY") + "/actions/runs/" + id
		}
		return actor, runURL
	}
	if a.getenv("GITLAB_CI") == "true" && a.getenv("GITLAB_USER_LOGIN") != "" {
		return a.getenv("GITLAB_USER_LOGIN"), a.getenv("CI_JOB_URL")
	}
	if u, err := user.Current(); err == nil {
		return u.Username, ""
	}
	return "", ""
}

func (a *app) statusCmd() *cobra.Command {
	var signing signFlags
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "status [COMPONENT…]",
		Short: "Show what each channel points to, since when and by whom",
		Long: `Shows for each component and channel: version, digest, age, who moved it and whether the journal agrees. An unfinished
move is "pending".
A move that another tool made is "moved outside". A missing record is a gap in the journal. If something cannot be read or checked, status
shows ? and exits with 1.`,
		Example: `  keos-oci status
  keos-oci status --exit-code   # exits with 3 if somebody should look
  keos-oci status frontend -o json`,
		ValidArgsFunction: a.completeComponents,
	}
	signing.bindVerifier(cmd.Flags())
	cmd.Flags().BoolVar(&exitCode, "exit-code", false,
		"exit with 3 if a channel is moved outside, pending or without a valid signature, or if its journal has invalid records or a gap")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
		if err != nil {
			return err
		}
		res, err := svc.Status(cmd.Context(), names)
		if err != nil {
			return err
		}
		failed := res.Err()
		if exitCode {
			failed = res.Odd()
		}
		return a.finish(render.Status{StatusResult: res}, failed)
	}
	return cmd
}

func (a *app) historyCmd() *cobra.Command {
	var signing signFlags
	var channel string
	var limit int
	cmd := &cobra.Command{
		Use:   "history COMPONENT",
		Short: "Show the journal of a channel: each move, when, by whom and why",
		Long:  `Shows the newest records of the journal of a channel. Each record is verified. Forged and unreadable records are reported.`,
		Example: `  keos-oci history frontend
  keos-oci history frontend --limit 100 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeComponents,
	}
	cmd.Flags().StringVar(&channel, "channel", "", "channel (default the first one that follows versions)")
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	cmd.Flags().IntVar(&limit, "limit", 20, "how many records to read, newest first")
	signing.bindVerifier(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 1 {
			return fmt.Errorf("%w: --limit %d: at least 1", errUsage, limit)
		}
		svc, names, err := a.serviceFor(cmd.Context(), &signing, args...)
		if err != nil {
			return err
		}
		res, err := svc.History(cmd.Context(), names[0], channel, limit)
		if err != nil {
			return err
		}
		return errors.Join(res.Err(), a.print(render.History{HistoryResult: res}))
	}
	return cmd
}
