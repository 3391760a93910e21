package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/process"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/scaffold"
	"github.com/stratio/keos-oci/internal/terminal"
)

// The exit codes, which are part of the contract.
const (
	exitDone   = exit.Done
	exitFailed = exit.Failed
	exitUsage  = exit.Usage
	exitNo     = exit.No
)

// errUsage is a command line that only a command itself can judge.
var errUsage = exit.ErrUsage

// faults is the table of all errors: those of the verbs, and those that only commands know.
func faults() exit.Table {
	var over process.Overtime
	var by process.Interruption
	return slices.Concat(exit.Table{
		{Is: func(err error) bool { return errors.As(err, &over) },
			Hint: "give it more time with --timeout; running the same command again completes what is missing"},
		{Is: func(err error) bool { return errors.As(err, &by) }, Said: true},
		{Err: cluster.ErrConfig, Code: "kubeconfig", Exit: exit.Usage,
			Hint: "see what kubectl knows: kubectl config get-contexts; another file: --kubeconfig FILE"},
		{Err: cluster.ErrForbidden, Code: "cluster-forbidden", Exit: exit.Failed,
			Hint: "add the rule to a ClusterRole of this user, or bind the ClusterRole view, " +
				"which has it where Flux was installed with its defaults"},
		{Err: cluster.ErrLogin, Code: "cluster-login", Exit: exit.Failed, Hint: "try the same login: kubectl get kustomizations -A"},
		{Err: cluster.ErrUnreachable, Code: "cluster-unreachable", Exit: exit.Failed,
			Hint: "look at the address in the kubeconfig, and at what is in between: VPN, HTTPS_PROXY, NO_PROXY; then run the same command again"},
	}, release.Faults(), exit.Table{
		{Err: flux.ErrName, Code: "name", Exit: exit.Usage},
		{Err: flux.ErrVariant, Code: "no-variant", Exit: exit.Usage},
		{Err: flux.ErrInput, Code: "input", Exit: exit.Usage},
		{Err: fileset.ErrTaken, Code: "taken", Exit: exit.No},
		{Err: fileset.ErrDiffers, Code: "differs", Exit: exit.No},
		{Err: scaffold.ErrLayout, Code: "layout", Exit: exit.Usage},
		{Err: scaffold.ErrInput, Code: "input", Exit: exit.Usage},
		{Err: scaffold.ErrLacks, Code: "lacks", Exit: exit.No},
		{Err: migrate.ErrNoEntry, Code: "no-entry", Exit: exit.Usage},
		{Err: migrate.ErrNoOwner, Code: "no-owner", Exit: exit.Usage},
		{Err: migrate.ErrStops, Code: "stops", Exit: exit.No},
		{Err: migrate.ErrIncomplete, Code: "incomplete", Exit: exit.No},
	})
}

// known is what is known of one error. Before a command's own code runs, every error is one of usage.
func (a *app) known(err error) exit.Found {
	f := faults().Find(err)
	if !a.started {
		f.Code, f.Exit = exit.CodeUsage, exitUsage
	}
	return f
}

// exitCode: bad usage outweighs all, and any failure outweighs a "no", since the failure may hide another answer.
func (a *app) exitCode(err error) int {
	code := exitNo
	for _, e := range single(err) {
		switch a.known(e).Exit {
		case exitUsage:
			return exitUsage
		case exitFailed:
			code = exitFailed
		}
	}
	return code
}

// single gives the errors of a result one by one, each of one component, or the only one there is.
func single(err error) []error {
	var failures release.Failures
	if errors.As(err, &failures) {
		return failures
	}
	return []error{err}
}

// explain writes the error to stderr, with what to do about it where that is known. Each line begins with the word error: a
// registry's answer must not pass for output of ours or for a command to the CI system.
func (a *app) explain(err error) {
	errs := a.interrupted(single(err))
	if early := a.early(err); early != nil {
		errs = append(slices.Clip(errs), early)
	}
	a.say(errs...)
}

// interrupted puts one short error in the place of all that say only where the signal met the command.
func (a *app) interrupted(errs []error) []error {
	var by process.Interruption
	cause := a.process.Cause()
	if !errors.As(cause, &by) {
		return errs
	}
	left := slices.DeleteFunc(slices.Clone(errs), func(err error) bool {
		return a.known(err).Code == "canceled" && !release.InDoubt(err) && strings.HasSuffix(err.Error(), cause.Error())
	})
	if len(left) < len(errs) {
		left = append(left, cause)
	}
	return left
}

// early is the signal or the --timeout that ended the command, nil where that is not why it failed, or is said already.
func (a *app) early(err error) error {
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if cause := a.process.Cause(); ended && cause != nil && !strings.Contains(err.Error(), cause.Error()) {
		return cause
	}
	return nil
}

// say writes errors to stderr. The first line of each ends with its code in brackets. Findings have the name of their rule instead.
func (a *app) say(errs ...error) {
	p := a.page(a.err)
	for _, e := range errs {
		code := a.bracketed(e)
		for line := range strings.Lines(e.Error()) {
			p.Say("%s %s%s\n", p.Paint(terminal.Red, "error:"), strings.TrimSuffix(line, "\n"), code)
			code = ""
		}
	}
	if h := a.hint(errs); h != "" {
		p.Say("%s %s\n", p.Paint(terminal.Bold, "hint:"), h)
	}
}

// bracketed is the code of an error as it follows the message, "" where it says nothing more.
func (a *app) bracketed(err error) string {
	code := a.known(err).Code
	if code == exit.CodeFailed || code == exit.CodeUsage || errors.Is(err, release.ErrRefused) {
		return ""
	}
	return " [" + code + "]"
}

// hint is what to do about errors, of the kind that comes first in the table.
func (a *app) hint(errs []error) string { return a.known(errors.Join(errs...)).Hint }

// failure is an error in the place of a result.
type failure struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	} `json:"error"`
}

// answerInJSON writes an error to stdout where a program reads it, and the command has written no result there.
func (a *app) answerInJSON(err error) error {
	var out failure
	f := a.known(single(err)[0])
	out.Error.Code, out.Error.Message, out.Error.Hint = f.Code, err.Error(), f.Hint
	return render.JSON(a.out, out)
}

// wantsJSON reports whether a command line asks for JSON, even one that cannot be parsed.
func wantsJSON(args []string) bool {
	output := ""
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case arg == "--":
			return output == "json"
		case (arg == "-o" || arg == "--output") && i+1 < len(args):
			output = args[i+1]
		case joined && (name == "-o" || name == "--output"):
			output = value
		case strings.HasPrefix(arg, "-o") && !joined:
			output = strings.TrimPrefix(arg, "-o")
		}
	}
	return output == "json"
}
