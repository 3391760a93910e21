package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/component"
)

// componentsResult is what `components -o json` prints.
type componentsResult struct {
	Registry   string           `json:"registry"`
	Components []componentEntry `json:"components"`
}

type componentEntry struct {
	Name       string         `json:"name"`
	Kind       component.Kind `json:"kind"`
	Dir        string         `json:"dir"`
	Root       string         `json:"root"`
	Paths      []string       `json:"paths"`
	Repository string         `json:"repository"`
	Variants   []string       `json:"variants"`
	Phases     []string       `json:"phases"`
	GitTag     string         `json:"gitTag"`
}

func (a *app) componentsCmd() *cobra.Command {
	var since, explain string
	var shards int
	cmd := &cobra.Command{
		Use:   "components",
		Short: "List what this checkout would publish",
		Example: `  keos-oci components
  keos-oci components --changed-since origin/main
  keos-oci components --explain frontend
  keos-oci components -o matrix --shards 4 >>"$GITHUB_OUTPUT"`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{annotationFormats: formatMatrix},
	}
	cmd.Flags().StringVar(&since, "changed-since", "", "only those with a file that differs from this Git revision")
	cmd.Flags().IntVar(&shards, "shards", 0, "with -o matrix: at most this many jobs, each with several components")
	cmd.Flags().StringVar(&explain, "explain", "", "tell of each file why it is in this component's artifact or out of it")
	cmd.MarkFlagsMutuallyExclusive("explain", "changed-since")
	cmd.MarkFlagsMutuallyExclusive("explain", "shards")
	_ = cmd.RegisterFlagCompletionFunc("explain", a.completeComponents)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if explain != "" && a.global.output == formatMatrix {
			return fmt.Errorf("%w: --explain prints text, json or yaml", errUsage)
		}
		a.unnamed = a.global.output != formatMatrix // whose jobs ask the registry
		svc, err := a.service(cmd.Context(), nil)
		if err != nil {
			return err
		}
		if explain != "" {
			res, err := svc.Explain(cmd.Context(), explain)
			if err != nil {
				return err
			}
			return a.print(res)
		}
		set := svc.Workspace.Components
		if since != "" {
			files, err := svc.Checkout.ChangedSince(cmd.Context(), since)
			if err != nil {
				return err
			}
			if set, err = svc.ChangedIn(cmd.Context(), set, files); err != nil {
				return err
			}
		}
		if a.global.output == formatMatrix {
			return a.printMatrix(set, shards)
		}
		return a.print(newComponentsResult(svc.Workspace, set))
	}
	return cmd
}

// newComponentsResult leaves the repositories out where it is not known where they are.
func newComponentsResult(w *component.Workspace, set component.Set) *componentsResult {
	res := &componentsResult{Components: make([]componentEntry, len(set))}
	for i, c := range set {
		res.Components[i] = componentEntry{c.Name, c.Kind, c.Dir, c.Root, c.Paths, c.Repository.String(), orEmpty(c.Variants), orEmpty(c.Phases),
			c.GitTag}
		if !w.Named() {
			res.Components[i].Repository = ""
		}
	}
	if w.Named() {
		res.Registry = w.Registry
	}
	return res
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// printMatrix prints GitHub's matrix on one line: a job per component, or per shard of them.
func (a *app) printMatrix(set component.Set, shards int) error {
	type job map[string]any
	include := []job{}
	if shards > 0 {
		for i, shard := range set.Shards(shards) {
			include = append(include, job{"shard": i, "components": shard.Names()})
		}
	} else {
		for _, c := range set {
			include = append(include, job{"component": c.Name, "kind": c.Kind, "dir": c.Dir, "repository": c.Repository.String()})
		}
	}
	raw, err := json.Marshal(map[string]any{"include": include})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, string(visibleJSON(raw)))
	return err
}
