package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/component"
)

// explainUsage makes mistakes on the command line errors of one line, with what was meant or how the command is used.
func explainUsage(root *cobra.Command) {
	root.DisableSuggestions = true // ours are on the same line
	root.SetFlagErrorFunc(flagError)
	everyCommand(root, func(cmd *cobra.Command) {
		if cmd == root || cmd.Name() == "help" { // whose errors are good already
			return
		}
		check := cmd.Args
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check == nil || check(cmd, args) == nil {
				return nil
			}
			return argumentError(cmd, args)
		}
	})
}

// everyCommand visits a command and all below it.
func everyCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		everyCommand(c, visit)
	}
}

// commandError words the error of cobra for a command that the root does not have.
func commandError(root *cobra.Command, err error) error {
	var name string
	if _, scan := fmt.Sscanf(err.Error(), "unknown command %q for", &name); scan != nil {
		return err
	}
	return unknownCommand(root, name)
}

func unknownCommand(parent *cobra.Command, name string) error {
	var known []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	of := ""
	if parent.HasParent() {
		of = " of " + commandName(parent)
	}
	return fmt.Errorf("unknown command %q%s; %s", name, of, meant(name, known, "see "+parent.CommandPath()+" --help", ""))
}

// meant asks for the nearest of the names that are known. Where none is near, it gives the advice.
func meant(name string, known []string, advice, dashes string) string {
	near := component.Nearest(name, known)
	if len(near) == 0 {
		return advice
	}
	return "did you mean " + dashes + strings.Join(near, " or "+dashes) + "?"
}

// flagError words the errors of pflag.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasAvailableSubCommands() && cmd.HasParent() && len(args) > 0 {
		return unknownCommand(cmd, args[0]) // the flag is one of the command that was meant
	}
	var absent *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var wrong *pflag.InvalidValueError
	help := "see " + cmd.CommandPath() + " --help"
	switch {
	case errors.As(err, &absent) && absent.GetSpecifiedShortnames() != "":
		return fmt.Errorf("unknown flag -%s%s; %s", absent.GetSpecifiedName(), ofCommand(cmd), help)
	case errors.As(err, &absent):
		name := absent.GetSpecifiedName()
		return fmt.Errorf("unknown flag --%s%s; %s", name, ofCommand(cmd), meant(name, flagNames(cmd), help, "--"))
	case errors.As(err, &bare):
		return fmt.Errorf("--%s needs a value; %s", bare.GetFlag().Name, help)
	case errors.As(err, &wrong):
		return fmt.Errorf("--%s %s: want %s", wrong.GetFlag().Name, wrong.GetValue(), valuesOf(wrong.GetFlag()))
	}
	return err
}

// valuesOf says what values a flag takes.
func valuesOf(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "int":
		return "a number such as 4"
	case "duration":
		return "a time such as 90s or 5m"
	case "bool":
		return "true or false"
	}
	return flag.Value.Type()
}

func ofCommand(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	return " of " + commandName(cmd)
}

// commandName is a command without the name of the program.
func commandName(cmd *cobra.Command) string {
	_, name, _ := strings.Cut(cmd.CommandPath(), " ")
	return name
}

func flagNames(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			names = append(names, flag.Name)
		}
	})
	return names
}

// argumentError says what is missing or too much, and how the command is used.
func argumentError(cmd *cobra.Command, args []string) error {
	if cmd.HasAvailableSubCommands() {
		return unknownCommand(cmd, args[0])
	}
	var required []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if !strings.HasPrefix(word, "[") {
			required = append(required, word)
		}
	}
	if len(args) < len(required) {
		return fmt.Errorf("%s needs %s; %s", commandName(cmd), strings.Join(required[len(args):], " and "), usageOf(cmd))
	}
	return fmt.Errorf("%s does not take %q; %s", commandName(cmd), args[len(args)-1], usageOf(cmd))
}

// usageOf is how a command is used, without its flags.
func usageOf(cmd *cobra.Command) string {
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	return strings.TrimSpace("usage: " + cmd.CommandPath() + " " + arguments)
}

// missingFlags demands the flags that a command needs.
func missingFlags(cmd *cobra.Command) error {
	var missing []string
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if len(flag.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !flag.Changed {
			missing = append(missing, "--"+flag.Name)
		}
	})
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s needs %s; %s", commandName(cmd), strings.Join(missing, " and "), usageOf(cmd))
}
