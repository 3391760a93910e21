package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// section is a part of the help of a command. A list of commands has commands, any other part has a body.
type section struct {
	title, body string
	commands    []*cobra.Command
}

// usageText is the help of a command without its description.
func usageText(cmd *cobra.Command, width int) string {
	var text strings.Builder
	for _, s := range sections(cmd, width) {
		body := s.body
		if s.commands != nil {
			body = commandList(s.commands, width)
		}
		fmt.Fprintf(&text, "%s:\n%s\n\n", s.title, strings.TrimRight(body, "\n"))
	}
	return strings.TrimRight(text.String(), "\n") + "\n" + moreOf(cmd)
}

// moreOf says where to read on.
func moreOf(cmd *cobra.Command) string {
	if cmd.Name() == topicFlags {
		return ""
	}
	more := "\nMore global flags: keos-oci help flags\n"
	if cmd.HasAvailableSubCommands() {
		more += "More about a command: " + cmd.CommandPath() + " COMMAND --help\n"
	}
	return more
}

// topicFlags is the name of the topic that lists the global flags.
const topicFlags = "flags"

// sections are the parts of the help of a command, for terminals and for docs/cli.
func sections(cmd *cobra.Command, width int) []section {
	global := globalFlagsOf(cmd)
	if cmd.Name() == topicFlags {
		return append([]section{{title: "Global flags", body: usages(cmd, global, "", width)}}, headed(cmd, global, width)...)
	}
	var all []section
	switch {
	case cmd.HasAvailableSubCommands():
		all = append(all, section{title: "Usage", body: "  " + cmd.CommandPath() + " COMMAND [flags]"})
	case cmd.Runnable():
		all = append(all, section{title: "Usage", body: "  " + cmd.UseLine()})
	}
	if cmd.Example != "" {
		all = append(all, section{title: "Examples", body: cmd.Example})
	}
	all = append(all, commandSections(cmd)...)
	own := ownFlags(cmd)
	if body := usages(cmd, own, "", width); body != "" {
		all = append(all, section{title: "Flags", body: body})
	}
	all = append(all, headed(cmd, own, width)...)
	return append(all, section{title: "Global flags", body: usages(cmd, global, "", width)})
}

// commandSections lists the commands below a command, by their groups where they have any.
func commandSections(cmd *cobra.Command) []section {
	var all []section
	order := commandGroups()
	for _, group := range cmd.Groups() {
		i := slices.IndexFunc(order, func(g commandGroup) bool { return g.id == group.ID })
		var list []*cobra.Command
		for _, name := range order[i].commands {
			if j := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == name }); j >= 0 {
				list = append(list, cmd.Commands()[j])
			}
		}
		if len(list) > 0 {
			all = append(all, section{title: group.Title, commands: list})
		}
	}
	var rest []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.GroupID == "" && c.IsAvailableCommand() {
			rest = append(rest, c)
		}
	}
	if len(rest) > 0 {
		all = append(all, section{title: "Commands", commands: rest})
	}
	return all
}

// commandList is the names of commands with what they do.
func commandList(commands []*cobra.Command, width int) string {
	longest := 0
	for _, c := range commands {
		longest = max(longest, len(c.Name()))
	}
	var text strings.Builder
	for _, c := range commands {
		indent := strings.Repeat(" ", longest+5)
		short := strings.ReplaceAll(reflow(c.Short, width-len(indent)), "\n", "\n"+indent)
		fmt.Fprintf(&text, "  %-*s   %s\n", longest, c.Name(), short)
	}
	return text.String()
}

// globalFlagsOf are those that all commands have.
func globalFlagsOf(cmd *cobra.Command) []*pflag.Flag {
	return visibleFlags(cmd.Root().PersistentFlags())
}

// ownFlags are those of one command.
func ownFlags(cmd *cobra.Command) []*pflag.Flag {
	return slices.DeleteFunc(visibleFlags(cmd.LocalFlags()), func(flag *pflag.Flag) bool {
		return flag.Name == "help" || cmd.Root().PersistentFlags().Lookup(flag.Name) == flag
	})
}

func visibleFlags(set *pflag.FlagSet) []*pflag.Flag {
	var all []*pflag.Flag
	set.VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			all = append(all, flag)
		}
	})
	return all
}

// headed gives a section for each heading that flags have.
func headed(cmd *cobra.Command, flags []*pflag.Flag, width int) []section {
	var all []section
	for _, heading := range []string{headingJournal, headingSigning, headingRegistry, headingFlux, headingLimits, headingLogs} {
		if body := usages(cmd, flags, heading, width); body != "" {
			all = append(all, section{title: heading, body: body})
		}
	}
	return all
}

// usages describes the flags under a heading, "" for none. What a flag with a long name is for goes to the next line.
func usages(cmd *cobra.Command, flags []*pflag.Flag, heading string, width int) string {
	const most = 34 // columns for names
	var heads, bodies []string
	column := 0
	for _, flag := range flags {
		if headingOf(flag) != heading {
			continue
		}
		head, body := describe(cmd, flag)
		heads, bodies = append(heads, head), append(bodies, body)
		if len(head) <= most {
			column = max(column, len(head)+3)
		}
	}
	column = max(column, 16)
	indent := strings.Repeat(" ", column)
	var text strings.Builder
	for i, head := range heads {
		gap := strings.Repeat(" ", max(column-len(head), 0))
		if len(head) > most {
			gap = "\n" + indent
		}
		text.WriteString(head + gap + strings.ReplaceAll(reflow(bodies[i], width-column), "\n", "\n"+indent) + "\n")
	}
	return text.String()
}

// describe is a flag with the kind of its value, and what it is for, as pflag writes the two.
func describe(cmd *cobra.Command, flag *pflag.Flag) (head, body string) {
	shown := *flag
	if flag.Name == "output" && cmd.Runnable() {
		shown.Usage = enumerate(formatsOf(cmd))
	}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.AddFlag(&shown)
	line := strings.TrimRight(set.FlagUsages(), "\n")
	dashes := strings.Index(line, "--") // blanks come before the name as well
	head, body, _ = strings.Cut(line[dashes:], "   ")
	return line[:dashes] + head, strings.Join(strings.Fields(body), " ")
}

// enumerate is a list in a sentence: a, b or c.
func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// reflow breaks the lines of each paragraph anew. Indented lines stay as they are.
func reflow(text string, width int) string {
	var out []string
	line := ""
	flush := func() {
		if line != "" {
			out = append(out, line)
		}
		line = ""
	}
	for source := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(source) == "" || strings.HasPrefix(source, " ") {
			flush()
			out = append(out, strings.TrimRight(source, " "))
			continue
		}
		for word := range strings.FieldsSeq(source) {
			if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
				flush()
			}
			line = strings.TrimSpace(line + " " + word)
		}
	}
	flush()
	return strings.Join(out, "\n")
}
