package main

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/terminal"
)

// completionTime is how long a shell waits for a registry before it offers nothing.
const completionTime = 3 * time.Second

// completing opens the workspace for the shell. It is nil where there is none; that is no error.
func (a *app) completing(cmd *cobra.Command) *release.Service {
	svc, err := a.serviceIn(cmd.Context(), a.global.directory, true, nil)
	if err != nil {
		return nil
	}
	return svc
}

// completeComponents offers the workspace's components to the shell, each once.
func (a *app) completeComponents(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	svc := a.completing(cmd)
	if svc == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(svc.Workspace.Components.Names(), func(n string) bool { return slices.Contains(args, n) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeThenVersions offers a component, and then its versions, newest first.
func (a *app) completeThenVersions(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	switch len(splitTarget(args)) {
	case 0:
		if strings.Contains(text, ":") {
			return a.completeTargets(cmd, args, text)
		}
		return a.completeComponents(cmd, args, text)
	case 1:
		return a.tagsOf(cmd, args[0]).Versions, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeThenTags offers a component, and then its versions and other tags.
func (a *app) completeThenTags(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.completeComponents(cmd, args, text)
	case 1, 2:
		tags := a.tagsOf(cmd, args[0])
		return append(tags.Versions, tags.Tags...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeTargets offers COMPONENT, and COMPONENT:TAG once there is a colon.
func (a *app) completeTargets(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	name, _, tagged := strings.Cut(text, ":")
	switch {
	case len(args) > 0:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case !tagged:
		names, directive := a.completeComponents(cmd, args, text)
		return names, directive | cobra.ShellCompDirectiveNoSpace
	}
	tags := a.tagsOf(cmd, name)
	var targets []string
	for _, t := range append(tags.Versions, tags.Tags...) {
		targets = append(targets, name+":"+t)
	}
	return targets, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeTargetThenTag offers COMPONENT, COMPONENT:TAG, or the tag as an argument of its own.
func (a *app) completeTargetThenTag(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(splitTarget(args)) == 1 {
		return a.completeThenTags(cmd, args, text)
	}
	return a.completeTargets(cmd, args, text)
}

// completeTargetThenFolder is for pull.
func (a *app) completeTargetThenFolder(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return a.completeTargets(cmd, args, text)
}

// tagsOf asks the registry, for a moment.
func (a *app) tagsOf(cmd *cobra.Command, name string) *release.ListResult {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	if svc := a.completing(cmd); svc != nil {
		if list, err := svc.List(ctx, release.ListRequest{Component: name}); err == nil {
			list.Tags = slices.DeleteFunc(list.Tags, func(t string) bool { return !tag.Legal(t) }) // a shell takes what it is offered
			return list
		}
	}
	return &release.ListResult{}
}

// completeVariants offers the variants of the component that is named already.
func (a *app) completeVariants(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	svc := a.completing(cmd)
	if svc == nil || len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := svc.Workspace.Components.Find(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	plain := slices.DeleteFunc(slices.Clone(c.Variants), func(v string) bool { return terminal.Printable(v) != v }) // folders have any name
	return plain, cobra.ShellCompDirectiveNoFileComp
}

// completeTenants offers the two kinds first, then components.
func (a *app) completeTenants(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"infra", "apps"}, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeComponents(cmd, args, text)
}

// completeChannels offers the channels of the workspace's components.
func (a *app) completeChannels(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	svc := a.completing(cmd)
	if svc == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range svc.Workspace.Components {
		for _, channel := range c.Channels {
			names = append(names, channel.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// completeClusters offers the clusters of the fleet that the checkout is.
func (a *app) completeClusters(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	fleet, err := migrate.OpenFleet(cmd.Context(), a.global.directory, a.process.AtEnd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, folder := range fleet.Clusters() {
		if name := path.Base(folder); !slices.Contains(args, name) && terminal.Printable(name) == name {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// offerChoices offers the values of flags that have only a few.
func offerChoices(root *cobra.Command) {
	values := map[string][]string{"log-level": {"debug", "info", "warn", "error"}, "log-format": {"text", "json"},
		"color": {"auto", "always", "never"}, "signature-format": {"bundle", "both"}, "kind": {"infra", "apps"},
		"signer": {"cluster", "component"}, "provider": flux.Providers()}
	everyCommand(root, func(cmd *cobra.Command) {
		for flag, list := range values {
			if cmd.LocalFlags().Lookup(flag) != nil {
				_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
			}
		}
	})
}
