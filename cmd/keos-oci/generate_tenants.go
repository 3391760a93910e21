package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/flux"
)

// tenantFlags are those of ResourceSets.
type tenantFlags struct {
	generateFlags
	environment string
	signer      string
}

func (t *tenantFlags) bind(f *pflag.FlagSet) {
	t.bindTenants(f)
	f.StringVar(&t.environment, "environment", "",
		"environment, or the ${VARIABLE} of a cluster's settings with the environment (default ${ENVIRONMENT})")
	f.StringVar(&t.signer, "signer", "",
		"where the signer is written: cluster (once in the settings of the cluster, as in D2) or component (in the inputs, for each component and "+
			"channel); default cluster for workflows of one GitHub repository, else component")
}

// tenants is what the flags say, for components of one kind.
func (t *tenantFlags) tenants(kind component.Kind, follow []flux.Follow) (flux.Tenants, error) {
	signer := flux.Signer(t.signer)
	if !slices.Contains([]flux.Signer{flux.SignerAuto, flux.SignerCluster, flux.SignerComponent}, signer) {
		return flux.Tenants{}, fmt.Errorf("%w: --signer %s is neither cluster nor component", errUsage, t.signer)
	}
	key, err := t.key()
	return flux.Tenants{Kind: kind, Follow: follow, Environment: t.environment, Interval: t.interval, Access: t.access, Trust: t.trust,
		Signer:     signer,
		Decryption: key}, err
}

func (t *tenantFlags) selects() string {
	if t.environment == "" {
		return "${ENVIRONMENT}"
	}
	return t.environment
}

func (a *app) generateResourceSetCmd() *cobra.Command {
	var t tenantFlags
	var dependsOn []string
	var folder string
	var clusterPins, providers bool
	cmd := &cobra.Command{
		Use:   "resourceset infra|apps [COMPONENT…]",
		Short: "Write the ResourceSet that delivers all infra components or all apps",
		Long: `The ResourceSet has the shape of the D2 reference architecture. Each component gets a namespace with the settings of the
cluster, the
login for the registry, a ServiceAccount with its rights, an OCIRepository, and one Kustomization for each phase. infra waits for the
ResourceSet policies, and apps wait for infra; --depends-on changes this.

Generated clusters apply everything in tenants/. If --dir has other files there, nothing is written (exit code 3).`,
		Example: `  keos-oci generate resourceset infra
  keos-oci -C apps generate resourceset apps --dir fleet
  keos-oci generate resourceset apps --workspace shop --workspace billing \
      --signer component --dir fleet
  keos-oci generate resourceset apps --dir fleet --check`,
		Args: cobra.MinimumNArgs(1),
	}
	t.bind(cmd.Flags())
	t.output.bind(cmd.Flags(), "top folder of the fleet's checkout, for tenants/<name>.yaml")
	f := cmd.Flags()
	f.StringArrayVar(&dependsOn, "depends-on", nil, "resourceset/NAME or kustomization/NAMESPACE/NAME that must be ready first, or none")
	f.BoolVar(&clusterPins, "cluster-pins", false, "allow the settings of a cluster to pin components (see generate cluster --pin)")
	bindTenantsFolder(f, &folder)
	f.BoolVar(&providers, "providers", false, "use a ResourceSetInputProvider for each component to look up tags, and follow digests")
	cmd.ValidArgsFunction = a.completeTenants
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind, err := tenantsKind(args[0])
		if err != nil {
			return err
		}
		follow, err := a.follow(cmd.Context(), &t.generateFlags, args[1:], kind)
		if err != nil {
			return err
		}
		tenants, err := t.tenants(kind, follow)
		if err != nil {
			return err
		}
		tenants.DependsOn, tenants.ClusterPins, tenants.Providers = after(kind, dependsOn), clusterPins, providers
		tenants.Folder = folder
		clusters, err := knownClusters(t.output.dir)
		if err != nil {
			return err
		}
		if err := flux.SelectedBy(follow, t.selects(), clusters); err != nil {
			return err
		}
		t.output.notes = append(t.output.notes, tenants.Notes(clusters)...)
		file, err := tenants.File()
		if err != nil {
			return err
		}
		if err := t.output.checkTenants(folder); err != nil {
			return err
		}
		return a.finishFiles(t.output, []flux.File{file}, nil)
	}
	return cmd
}

// after is what tenants of a kind wait for: in D2, policies come before infra and infra before apps.
func after(kind component.Kind, asked []string) []string {
	switch {
	case len(asked) == 1 && asked[0] == "none":
		return nil
	case len(asked) > 0:
		return asked
	case kind == component.Infra:
		return []string{"resourceset/policies"}
	}
	return []string{"resourceset/infra"}
}

func tenantsKind(arg string) (component.Kind, error) {
	switch arg {
	case "infra":
		return component.Infra, nil
	case "apps", "app":
		return component.App, nil
	}
	return "", fmt.Errorf("%w: %q: want infra or apps", errUsage, arg)
}

// checkClusters demands that components have what the clusters select of the fleet that is written to.
func (a *app) checkClusters(fleet string, follow []flux.Follow, environment string) error {
	clusters, err := knownClusters(fleet)
	if err != nil {
		return err
	}
	return flux.SelectedBy(follow, environment, clusters)
}

// knownClusters lists those of a fleet, none where no fleet is named.
func knownClusters(fleet string) ([]flux.Known, error) {
	if fleet == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(fleet)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return flux.Clusters(root.FS())
}

func (a *app) generateInputsCmd() *cobra.Command {
	var t tenantFlags
	var into, kind string
	var prune bool
	cmd := &cobra.Command{
		Use:   "inputs [COMPONENT…]",
		Short: "Add components to the inputs of a ResourceSet",
		Long: `This is how a component gets into a fleet. inputs prints the inputs of the components, or adds the missing ones to the
file of --into.
Only lines of inputs change: comments, order and quoting stay. A new input has the keys and values of its neighbours. Existing inputs stay,
except for a --pin and for keys that the resources need and the input lacks. A second run changes nothing.`,
		Example: `  keos-oci generate inputs
  keos-oci generate inputs checkout --into fleet/tenants/apps.yaml
  keos-oci generate inputs --into fleet/tenants/apps.yaml --check
  keos-oci generate inputs frontend --pin frontend=v1.2.3 \
      --into fleet/tenants/apps.yaml`,
		ValidArgsFunction: a.completeComponents,
	}
	t.bind(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&into, "into", "", "file with the ResourceSet to edit")
	f.StringVar(&kind, "kind", "", "kind of the components: infra or apps (default the only kind of the workspaces)")
	f.BoolVar(&prune, "prune", false, "remove inputs of components that no workspace has")
	f.BoolVar(&t.output.check, "check", false, "change nothing; exit with 3 if the file would change")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if into == "" && (prune || t.output.check) {
			return fmt.Errorf("%w: --prune and --check go with --into FILE", errUsage)
		}
		if prune && len(args) > 0 {
			return fmt.Errorf("%w: --prune compares with all components: name none", errUsage)
		}
		edit, err := a.inputs(cmd.Context(), &t, args, kind)
		if err != nil {
			return err
		}
		if into == "" {
			if err := flux.SelectedBy(edit.Follow, t.selects(), nil); err != nil {
				return err
			}
			list, err := edit.InputList()
			if err != nil {
				return err
			}
			return a.finishFiles(t.output, []flux.File{{Content: list}}, nil)
		}
		edit.File, edit.Prune = into, prune
		return a.editInputs(edit, t.output)
	}
	return cmd
}

// inputs is the edit that the flags ask for, of components of one kind.
func (a *app) inputs(ctx context.Context, t *tenantFlags, names []string, kind string) (flux.Edit, error) {
	kinds := []component.Kind{component.Infra, component.App}
	if kind != "" {
		k, err := tenantsKind(kind)
		if err != nil {
			return flux.Edit{}, err
		}
		kinds = []component.Kind{k}
	}
	follow, err := a.follow(ctx, &t.generateFlags, names, kinds...)
	if err != nil {
		return flux.Edit{}, err
	}
	if len(follow) == 0 {
		return flux.Edit{}, fmt.Errorf("%w: no component of the kind %s", component.ErrNoComponents, enumerateKinds(kinds))
	}
	of := follow[0].Component.Kind
	for _, f := range follow {
		if f.Component.Kind != of {
			return flux.Edit{}, fmt.Errorf("%w: there are infra components and apps, which have ResourceSets of their own: choose with --kind",
				errUsage)
		}
	}
	tenants, err := t.tenants(of, follow)
	return flux.Edit{Tenants: tenants}, err
}

// editInputs changes the file, after all that may be wrong was looked at.
func (a *app) editInputs(edit flux.Edit, o outputFlags) error {
	before, err := os.ReadFile(edit.File)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	change, err := edit.Apply(before)
	if err != nil {
		return err
	}
	fleet := filepath.Dir(filepath.Dir(edit.File)) // of FLEET/tenants/apps.yaml
	for _, environment := range change.Environments {
		if err := a.checkClusters(fleet, edit.Follow, environment); err != nil {
			return err
		}
	}
	o.dir, o.edits = filepath.Dir(edit.File), true
	return a.finishFiles(o, []flux.File{{Path: filepath.Base(edit.File), Content: fileset.Edit(before, change.Content)}}, &change)
}

func (a *app) generatePoliciesCmd() *cobra.Command {
	var output outputFlags
	var folder string
	var workspaces, sources []string
	cmd := &cobra.Command{
		Use:   "policies",
		Short: "Write the admission policy that limits tenants to known sources",
		Long: `A ValidatingAdmissionPolicy for the namespaces of apps. It denies Flux sources with a URL that does not begin with an
allowed one. By
default the registries of the workspaces are allowed.`,
		Example: `  keos-oci generate policies --dir .
  keos-oci generate policies --allow-source oci://ghcr.io/stratio/ \
      --allow-source oci://ghcr.io/stefanprodan/charts/`,
		Args: cobra.NoArgs,
	}
	output.bind(cmd.Flags(), "top folder of the fleet's checkout, for tenants/policies.yaml")
	bindTenantsFolder(cmd.Flags(), &folder)
	cmd.Flags().StringArrayVar(&workspaces, "workspace", nil, "checkout whose registry is allowed; can be repeated (default -C)")
	cmd.Flags().StringArrayVar(&sources, "allow-source", nil,
		"beginning of allowed URLs, with a slash at the end, instead of the registries of the workspaces")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(sources) == 0 {
			var err error
			if sources, err = a.registries(cmd.Context(), workspaces); err != nil {
				return err
			}
		}
		file, err := flux.Allowlist{Sources: sources, Folder: folder}.File()
		if err != nil {
			return err
		}
		return a.finishFiles(output, []flux.File{file}, nil)
	}
	return cmd
}

// registries is where the workspaces' components are, as beginnings of URLs.
func (a *app) registries(ctx context.Context, dirs []string) ([]string, error) {
	if len(dirs) == 0 {
		dirs = []string{a.global.directory}
	}
	var sources []string
	for _, dir := range dirs {
		svc, err := a.serviceIn(ctx, dir, true, nil)
		if err != nil {
			return nil, fmt.Errorf("workspace %s: %w", dir, err)
		}
		source := "oci://" + cmp.Or(svc.Workspace.Config.Generate.ClusterRegistry, svc.Workspace.Registry) + "/"
		if !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources, nil
}
