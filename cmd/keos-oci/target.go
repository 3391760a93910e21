package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// splitTarget makes two arguments of a first one such as COMPONENT:TAG or COMPONENT@DIGEST. A colon before the last slash is part of
// the registry's address.
func splitTarget(args []string) []string {
	if len(args) == 0 {
		return args
	}
	name := args[0][strings.LastIndex(args[0], "/")+1:]
	at := strings.IndexAny(name, ":@")
	if at < 0 {
		return args
	}
	at += len(args[0]) - len(name)
	return slices.Concat([]string{args[0][:at], args[0][at+1:]}, args[1:])
}

// joinTarget makes one argument of COMPONENT and a tag or digest, if the two are given apart.
func joinTarget(args []string) string {
	switch {
	case len(args) == 1:
		return args[0]
	case strings.Contains(args[1], ":"):
		return args[0] + "@" + args[1]
	}
	return args[0] + ":" + args[1]
}

// splitFirst checks the number of arguments after a first one such as COMPONENT:TAG is split.
func splitFirst(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return check(cmd, splitTarget(args)) }
}

// oneTarget demands COMPONENT, with or without a tag or digest, and then as many other arguments.
func oneTarget(others int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.RangeArgs(1+others, 2+others)(cmd, args); err != nil {
			return err
		}
		return cobra.MaximumNArgs(2+others)(cmd, splitTarget(args))
	}
}
