package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// pageWidth is the width of flags in docs/cli.
const pageWidth = 100

// docsCmd writes what a release and the documentation say of each command; make docs and make man run it.
func (a *app) docsCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "docs DIR",
		Short:   "Write the command reference as Markdown, man pages or completion scripts",
		Example: "  keos-oci docs docs/cli\n  keos-oci docs --format man man",
		Args:    cobra.ExactArgs(1),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, dir := cmd.Root(), args[0]
			write, known := map[string]func(*cobra.Command, string) error{"markdown": writePages, "man": writeMan,
				"completions": writeCompletions}[format]
			if !known {
				return fmt.Errorf("%w: --format %s is unknown; use markdown, man or completions", errUsage, format)
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return write(root, dir)
		},
	}
	cmd.Flags().StringVar(&format, "format", "markdown", "markdown, man or completions")
	return cmd
}

// writePages writes a Markdown page for each command, with the sections of its help.
func writePages(root *cobra.Command, dir string) (err error) {
	everyCommand(root, func(cmd *cobra.Command) {
		if err == nil && hasPage(cmd) {
			err = os.WriteFile(filepath.Join(dir, pageOf(cmd)), markdownPage(cmd), 0o644)
		}
	})
	return err
}

func hasPage(cmd *cobra.Command) bool {
	return cmd.IsAvailableCommand() || cmd.Name() == topicFlags || cmd.Name() == "help"
}

func pageOf(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".md"
}

func markdownPage(cmd *cobra.Command) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "## %s\n\n%s\n\n", cmd.CommandPath(), escapeAngles(cmd.Short))
	if cmd.Long != "" {
		fmt.Fprintf(&text, "### Synopsis\n\n%s\n\n", escapeAngles(cmd.Long))
	}
	for _, s := range sections(cmd, pageWidth) {
		fmt.Fprintf(&text, "### %s\n\n", s.title)
		for _, c := range s.commands {
			fmt.Fprintf(&text, "* [%s](%s): %s\n", c.CommandPath(), pageOf(c), escapeAngles(c.Short))
		}
		if s.commands == nil {
			fmt.Fprintf(&text, "```\n%s\n```\n", strings.TrimRight(s.body, "\n"))
		}
		text.WriteString("\n")
	}
	if cmd.Name() != topicFlags {
		fmt.Fprintf(&text, "More global flags: [%s %s](%[1]s_%[2]s.md)\n", cmd.Root().Name(), topicFlags)
	}
	if cmd.HasParent() {
		fmt.Fprintf(&text, "\nSee also: [%s](%s)\n", cmd.Parent().CommandPath(), pageOf(cmd.Parent()))
	}
	return text.Bytes()
}

// escapeAngles keeps Markdown from taking <name> for HTML.
func escapeAngles(text string) string { return strings.ReplaceAll(text, "<", `\<`) }

// writeMan writes a man page for each command. SOURCE_DATE_EPOCH is their date.
func writeMan(root *cobra.Command, dir string) error {
	root.DisableAutoGenTag = true
	everyCommand(root, func(cmd *cobra.Command) {
		cmd.Short, cmd.Long = escapeAngles(cmd.Short), escapeAngles(cmd.Long)
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) { flag.Usage = escapeAngles(flag.Usage) })
	})
	header := &doc.GenManHeader{Section: "1", Source: "keos-oci", Manual: "keos-oci"}
	return doc.GenManTree(root, header, dir)
}

// writeCompletions writes the scripts of all shells, under the names by which the shells find them.
func writeCompletions(root *cobra.Command, dir string) error {
	for name, generate := range map[string]func(string) error{
		"keos-oci.bash": func(file string) error { return root.GenBashCompletionFileV2(file, true) },
		"_keos-oci":     root.GenZshCompletionFile,
		"keos-oci.fish": func(file string) error { return root.GenFishCompletionFile(file, true) },
		"keos-oci.ps1":  root.GenPowerShellCompletionFileWithDesc,
	} {
		if err := generate(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
