package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/render"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/terminal"
)

// interactive reports whether a person can be asked something.
func (a *app) interactive() bool { return terminal.IsTerminal(a.in) && terminal.IsTerminal(a.err) }

// secret asks for a line that the terminal does not show. Nothing else is shown meanwhile.
func (a *app) secret(prompt string) ([]byte, error) {
	defer a.progress.Pause()()
	a.process.AtEnd(terminal.Keep(a.in)) // a signal may end the command while the terminal does not show what is typed
	return terminal.Secret(a.in, a.err, prompt, a.process.Ended(), a.process.Cause)
}

// line asks for a line that the terminal shows. Nothing else is shown meanwhile.
func (a *app) line(ctx context.Context, prompt string) (string, error) {
	defer a.progress.Pause()()
	return terminal.Line(ctx, a.in, a.err, prompt)
}

// errDeclined is the answer no to a question of ours.
var errDeclined = errors.New("not confirmed; nothing was changed. To move without the question: --yes")

// maxListed is how many components a question shows.
const maxListed = 20

// confirmMoves asks before several components move. Without a person at a terminal nothing is asked.
func (a *app) confirmMoves(ctx context.Context, verb, channel string, items []release.MoveItem) error {
	if len(items) < 2 || !a.interactive() {
		return nil
	}
	var list strings.Builder
	for i, item := range items {
		if i == maxListed && len(items) > maxListed+1 {
			fmt.Fprintf(&list, "  and %d more\n", len(items)-i)
			break
		}
		to := "the version before"
		if item.Version != nil {
			to = tag.Version(item.Version)
		}
		fmt.Fprintf(&list, "  %s to %s\n", terminal.Printable(item.Component), terminal.Printable(to))
	}
	if channel != "" {
		channel = terminal.Printable(channel) + " of "
	}
	defer a.progress.Pause()()
	ask := map[string]string{"promote": "Promote", "rollback": "Roll back"}[verb]
	question := fmt.Sprintf("%s moves %s%d components:\n%s%s all of them?", verb, channel, len(items), list.String(), ask)
	yes, err := terminal.Ask(ctx, a.in, a.err, question)
	if err == nil && !yes {
		err = errDeclined
	}
	return err
}

// pages reports whether a command prints texts that may be longer than a screen.
func pages(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "diff", "history", "status", "list", "components", "audit":
		return true
	}
	dryRun := cmd.Flags().Lookup("dry-run")
	return dryRun != nil && dryRun.Value.String() == "true"
}

// pager shows the text of a command that may be long, nil where the command has none or nobody looks.
func (a *app) pager() *terminal.Pager {
	out, ok := a.out.(*os.File)
	errs, _ := a.err.(*os.File)
	if !ok || !a.paged || a.global.output != "text" {
		return nil
	}
	pager := &terminal.Pager{In: a.in, Out: out, Err: errs, Getenv: a.getenv, Environ: os.Environ()}
	if !pager.Usable() {
		return nil
	}
	return pager
}

// browse shows a result's text in the pager if the text is longer than the screen.
func (a *app) browse(pager *terminal.Pager, r render.Result) error {
	var text strings.Builder
	if err := a.format(&text, r); err != nil {
		return err
	}
	return pager.Show(text.String(), a.process.Page)
}
