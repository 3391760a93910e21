package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/setup"
)

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
		req.Actor, req.RunURL = setup.WhoRuns(a.getenv)
		req.Request = setup.RequestOf(req.Request, req.RunURL)
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
	case file == "-":
		return release.ReadMoveItems(a.in, file, verb == "rollback")
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return release.ReadMoveItems(f, file, verb == "rollback")
	}
	item, err := release.ParseMoveItem(splitTarget(args))
	return []release.MoveItem{item}, err
}
