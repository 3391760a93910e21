package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/terminal"
)

// Headings of flags in the help. Flags without a heading come first: they are those of every day.
const (
	headingJournal  = "Journal flags"
	headingSigning  = "Signing and Sigstore flags"
	headingRegistry = "Registry flags"
	headingFlux     = "Flux flags"
	headingLimits   = "Limits"
	headingLogs     = "Logs and reports"
)

// annotationHeading is the key under which a flag keeps its heading.
const annotationHeading = "heading"

// plainWidth is the width of the help where no terminal shows it.
const plainWidth = 80

// commandGroup is a heading of the program's help with its commands, in the order in which people need them.
type commandGroup struct {
	id, title string
	commands  []string
}

func commandGroups() []commandGroup {
	return []commandGroup{
		{"publish", "Publish", []string{"init", "components", "check", "publish"}},
		{"move", "Move channels", []string{"promote", "rollback", "cancel"}},
		{"look", "Look", []string{"status", "history", "list", "diff", "verify", "audit", "pull"}},
		{"clusters", "Clusters", []string{"generate", "migrate"}},
		{"keep", "Copy and clean up", []string{"copy", "bundle", "prune"}},
		{"other", "Other", []string{"login", "logout", "doctor", "registry", "generate-key-pair", "version", "completion", "help"}},
	}
}

// arrangeHelp gives the commands their groups, and all of them one form of help.
func (a *app) arrangeHelp(root *cobra.Command) {
	root.AddCommand(flagsTopic())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, group := range commandGroups() {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, c := range root.Commands() {
			if slices.Contains(group.commands, c.Name()) {
				c.GroupID = group.id
			}
		}
	}
	everyCommand(root, func(cmd *cobra.Command) {
		switch {
		case cmd.HasSubCommands() && cmd.HasParent() && !cmd.Runnable():
			cmd.Args, cmd.RunE = cobra.NoArgs, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case cmd.HasParent() && cmd.Parent().Name() == "completion":
			describeCompletion(cmd)
		case cmd.Name() == "help":
			describeHelp(cmd)
		}
	})
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		cmd.Print(usageText(cmd, a.width()))
		return nil
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		width := a.width()
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", reflow(strings.TrimSpace(cmp.Or(cmd.Long, cmd.Short)), width), usageText(cmd, width))
	})
}

// flagsTopic is what keos-oci help flags shows.
func flagsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "flags",
		Short: "The flags that all commands have",
		Long:  "All commands have these flags. They may come before or after the name of the command.",
	}
}

// describeHelp says more of cobra's own command.
func describeHelp(cmd *cobra.Command) {
	cmd.Use, cmd.Short = "help [COMMAND]", "Show how a command is used"
	cmd.Long = "Shows the help of a command or of a topic. COMMAND --help shows the same."
	cmd.Example = "  keos-oci help promote\n  keos-oci help migrate plan\n  keos-oci help flags"
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		found, rest, err := cmd.Root().Find(args)
		switch {
		case err != nil:
			return commandError(cmd.Root(), err)
		case found.HasSubCommands() && len(rest) > 0:
			return unknownCommand(found, rest[0])
		}
		return nil
	}
}

// describeCompletion adds to cobra's own command how its script is used.
func describeCompletion(cmd *cobra.Command) {
	cmd.Example = map[string]string{
		"bash":       "  source <(keos-oci completion bash)\n  keos-oci completion bash >/etc/bash_completion.d/keos-oci",
		"zsh":        "  source <(keos-oci completion zsh)\n  keos-oci completion zsh >\"${fpath[1]}/_keos-oci\"",
		"fish":       "  keos-oci completion fish | source\n  keos-oci completion fish >~/.config/fish/completions/keos-oci.fish",
		"powershell": "  keos-oci completion powershell | Out-String | Invoke-Expression\n  keos-oci completion powershell >keos-oci.ps1",
	}[cmd.Name()]
}

// under puts the flags that a function binds under a heading: defer under(f, heading)() is its first line.
func under(f *pflag.FlagSet, heading string) func() {
	before := map[*pflag.Flag]bool{}
	f.VisitAll(func(flag *pflag.Flag) { before[flag] = true })
	return func() {
		f.VisitAll(func(flag *pflag.Flag) {
			if !before[flag] && headingOf(flag) == "" {
				putUnder(f, heading, flag.Name)
			}
		})
	}
}

// putUnder puts single flags under a heading.
func putUnder(f *pflag.FlagSet, heading string, names ...string) {
	for _, name := range names {
		_ = f.SetAnnotation(name, annotationHeading, []string{heading})
	}
}

func headingOf(flag *pflag.Flag) string {
	if heading := flag.Annotations[annotationHeading]; len(heading) > 0 {
		return heading[0]
	}
	return ""
}

// width is how wide the help may be.
func (a *app) width() int {
	if terminal.IsTerminal(a.out) {
		columns, _ := terminal.Screen(a.out)
		return min(max(columns, 40), 100)
	}
	return plainWidth
}
