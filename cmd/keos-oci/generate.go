package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
)

// generateFlags are what the generate commands share.
type generateFlags struct {
	workspaces []string
	output     outputFlags
	access     flux.Access
	trust      flux.Trust
	interval   string
	pins       []string
	dependsOn  []string // COMPONENT=COMPONENT
	literal    []string // components that are not substituted
	health     []string // COMPONENT=APIVERSION/KIND/NAMESPACE/NAME
	signing    signFlags
}

func (a *app) generateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write the Flux objects with which clusters follow the tags",
		Long: `Prints the objects, or with --dir writes them into the fleet's checkout, where --check only compares (exit code 3 when a
file differs). The policy by which clusters verify signatures is the one that promote checks.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.generateInputsCmd(), a.generateResourceSetCmd(), a.generatePoliciesCmd(), a.generatePairsCmd(), a.generateClusterCmd())
	return cmd
}

// bindAccess is for what fetches from a registry and verifies.
func (g *generateFlags) bindAccess(f *pflag.FlagSet) {
	a := &g.access
	f.StringVar(&a.Registry, "cluster-registry", "", "HOST/PREFIX that clusters fetch from, where it is not --registry; may hold ${VARIABLES} of the cluster's settings")
	f.StringVar(&a.PullSecret, "pull-secret", "", `Secret in flux-system with the registry's login, or none (default "ghcr-auth" for ghcr.io, else none)`)
	f.StringVar(&a.ServiceAccount, "service-account", "", "ServiceAccount whose pull secrets or cloud identity are used")
	f.StringVar(&a.Provider, "provider", "", "cloud whose identity logs in: "+strings.Join(flux.Providers(), ", ")+" (default generic)")
	f.StringVar(&a.CertSecret, "cert-secret", "", "Secret in flux-system with the registry's certificate authority")
	f.BoolVar(&a.Insecure, "insecure", false, "clusters speak HTTP without TLS to the registry")
	f.StringVar(&g.trust.Key, "key-secret", "", "Secret in flux-system with the public key, for artifacts signed with a key pair")
	f.StringVar(&g.trust.Root, "trusted-root-secret", "", "Secret in flux-system with the trusted_root.json of your own Sigstore")
	g.signing.bindPolicy(f)
	f.StringVar(&g.signing.key, "key", "", "artifacts are signed with this key pair; which key it is stands in the Secret")
}

// bindTenants is for what speaks of components.
func (g *generateFlags) bindTenants(f *pflag.FlagSet) {
	g.bindAccess(f)
	f.StringArrayVar(&g.workspaces, "workspace", nil, "checkout with components; may be given several times (default -C)")
	f.StringVar(&g.interval, "interval", "", "how often clusters look at the tag (default 5m)")
	f.StringArrayVar(&g.pins, "pin", nil, `COMPONENT=PIN: hold it to a version, a range such as ">=1.2.0 <2.0.0", a digest or a channel; none lets it go`)
	f.StringArrayVar(&g.dependsOn, "component-depends-on", nil, "COMPONENT=OTHER: it waits until the other one is ready")
	f.StringArrayVar(&g.literal, "no-substitute", nil, "COMPONENT whose ${VARIABLES} are left alone")
}

// defaults takes from the config what no flag says.
func (g *generateFlags) defaults(ws *component.Workspace) {
	c := ws.Config.Generate
	fill(&g.access.Registry, c.ClusterRegistry)
	fill(&g.access.PullSecret, c.PullSecret)
	fill(&g.access.ServiceAccount, c.ServiceAccount)
	fill(&g.access.Provider, c.Provider)
	fill(&g.access.CertSecret, c.CertSecret)
	fill(&g.trust.Key, c.KeySecret)
	fill(&g.trust.Root, c.TrustedRootSecret)
	fill(&g.interval, c.Interval)
	g.access.Insecure = g.access.Insecure || c.Insecure
	cloud := g.access.Provider != "" && g.access.Provider != "generic"
	registry := g.access.Registry
	fill(&registry, ws.Registry)
	if g.access.PullSecret == "" && strings.HasPrefix(registry, "ghcr.io/") && !cloud {
		g.access.PullSecret = "ghcr-auth"
	}
	if g.access.PullSecret == "none" {
		g.access.PullSecret = ""
	}
}

// follow opens the workspaces and gives the components of these kinds, those named in the order of their names.
func (a *app) follow(ctx context.Context, g *generateFlags, names []string, kinds ...component.Kind) ([]flux.Follow, error) {
	dirs := g.workspaces
	if len(dirs) == 0 {
		dirs = []string{a.global.directory}
	}
	if len(dirs) > 1 && (a.global.registry != "" || a.global.config != "") {
		return nil, fmt.Errorf("%w: --registry and --config speak of one workspace, and --workspace names %d", errUsage, len(dirs))
	}
	var found []flux.Follow
	for _, dir := range dirs {
		svc, err := a.serviceIn(ctx, dir, false, nil)
		if err != nil {
			return nil, fmt.Errorf("workspace %s: %w", dir, err)
		}
		g.defaults(svc.Workspace)
		for _, c := range svc.Workspace.Components {
			if !slices.Contains(kinds, c.Kind) || len(names) > 0 && !slices.Contains(names, c.Name) {
				continue
			}
			f, err := g.one(ctx, svc, c)
			if err != nil {
				return nil, err
			}
			found = append(found, f)
		}
		if len(dirs) == 1 {
			if _, err := svc.Workspace.Components.Select(names...); err != nil {
				return nil, err
			}
		}
	}
	return g.choose(found, names, kinds)
}

// one is a component with the policies of its channels.
func (g *generateFlags) one(ctx context.Context, svc *release.Service, c component.Component) (flux.Follow, error) {
	f := flux.Follow{Component: c, Policies: flux.Policies{}}
	for _, channel := range c.Channels {
		policy, err := g.policy(ctx, svc, c, channel.Name)
		if err != nil {
			return f, fmt.Errorf("component %s: %w", c.Name, err)
		}
		f.Policies[channel.Name] = policy
		if _, ok := f.Policies[flux.AnyVersion]; !ok && channel.From == component.FromVersion {
			f.Policies[flux.AnyVersion] = policy
		}
	}
	return f, nil
}

// policy is what promote checks. A key pair is told by its file alone: clusters have it in a Secret, and opening the
// private one would take a password.
func (g *generateFlags) policy(ctx context.Context, svc *release.Service, c component.Component, channel string) (sign.Policy, error) {
	key := g.signing.key
	fill(&key, c.Signing.Key)
	if asked := g.signing.policy(); asked.IsZero() && key != "" {
		return sign.Policy{Key: key}, nil
	}
	var err error
	if svc.Verifier == nil {
		if svc.Verifier, err = sign.NewVerifier(sign.VerifierOptions{}, ""); err != nil {
			return sign.Policy{}, err
		}
	}
	return svc.ClusterPolicy(ctx, c, channel, g.signing.policy())
}

// choose puts the components into the order asked for and gives them what flags say of single ones.
func (g *generateFlags) choose(found []flux.Follow, names []string, kinds []component.Kind) ([]flux.Follow, error) {
	chosen := found
	var set component.Set
	for _, f := range found {
		set = append(set, f.Component)
	}
	if len(names) > 0 {
		chosen = nil
		for _, name := range names {
			i := slices.IndexFunc(found, func(f flux.Follow) bool { return f.Component.Name == name })
			if i < 0 {
				_, err := set.Find(name)
				return nil, fmt.Errorf("%w (of the kind %s)", err, enumerateKinds(kinds))
			}
			chosen = append(chosen, found[i])
		}
	}
	return chosen, g.apply(chosen, set)
}

func enumerateKinds(kinds []component.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, " or ")
}

// apply gives components their pins, dependencies and exceptions.
func (g *generateFlags) apply(chosen []flux.Follow, set component.Set) error {
	find := func(flag, name string) (*flux.Follow, error) {
		for i := range chosen {
			if chosen[i].Component.Name == name {
				return &chosen[i], nil
			}
		}
		_, err := set.Find(name)
		if err == nil {
			err = fmt.Errorf("%w: %s is not among the components asked for", errUsage, name)
		}
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	for _, text := range g.pins {
		name, pin, err := keyValue("pin", text)
		if err != nil {
			return err
		}
		f, err := find("pin", name)
		if err != nil {
			return err
		}
		if f.Pin, err = flux.ParsePin(f.Component, pin); err != nil {
			return err
		}
	}
	for _, text := range g.dependsOn {
		name, other, err := keyValue("component-depends-on", text)
		if err != nil {
			return err
		}
		f, err := find("component-depends-on", name)
		if err != nil {
			return err
		}
		f.DependsOn = append(f.DependsOn, other)
	}
	for _, text := range g.health {
		name, object, err := keyValue("health-check", text)
		if err != nil {
			return err
		}
		f, err := find("health-check", name)
		if err != nil {
			return err
		}
		h, err := flux.ParseHealth(object)
		if err != nil {
			return err
		}
		f.Health = append(f.Health, h)
	}
	for _, name := range g.literal {
		f, err := find("no-substitute", name)
		if err != nil {
			return err
		}
		f.NoSubstitute = true
	}
	return nil
}

func keyValue(flag, text string) (string, string, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" || value == "" {
		return "", "", fmt.Errorf("%w: --%s %q: want NAME=VALUE", errUsage, flag, text)
	}
	return key, value, nil
}

// tenantFlags are those of ResourceSets.
type tenantFlags struct {
	generateFlags
	environment string
	signer      string
}

func (t *tenantFlags) bind(f *pflag.FlagSet) {
	t.bindTenants(f)
	f.StringVar(&t.environment, "environment", "", "the environment, or the ${VARIABLE} of a cluster's settings that chooses it (default ${ENVIRONMENT})")
	f.StringVar(&t.signer, "signer", "", "what names the signer: cluster (its settings, for all components alike, as in D2) or component (the inputs, for each component and channel)\n(default cluster for workflows of one GitHub repository, else component)")
}

// tenants is what the flags say, for components of one kind.
func (t *tenantFlags) tenants(kind component.Kind, follow []flux.Follow) (flux.Tenants, error) {
	signer := flux.Signer(t.signer)
	if !slices.Contains([]flux.Signer{flux.SignerAuto, flux.SignerCluster, flux.SignerComponent}, signer) {
		return flux.Tenants{}, fmt.Errorf("%w: --signer %s is neither cluster nor component", errUsage, t.signer)
	}
	return flux.Tenants{Kind: kind, Follow: follow, Environment: t.environment, Interval: t.interval, Access: t.access, Trust: t.trust, Signer: signer}, nil
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
	var clusterPins, providers bool
	cmd := &cobra.Command{
		Use:   "resourceset infra|apps [COMPONENT…]",
		Short: "The ResourceSet that delivers all infra components, or all apps",
		Long: `The shape is that of the D2 reference architecture: a namespace for each component with the cluster's settings, the
registry's login, a ServiceAccount with its rights, an OCIRepository and Kustomizations, one for each phase. infra waits until
the ResourceSet policies is applied and apps until infra is, unless --depends-on says what else, or none.`,
		Example: `  keos-oci generate resourceset infra
  keos-oci -C apps generate resourceset apps --dir fleet
  keos-oci generate resourceset apps --workspace shop --workspace billing --signer component --dir fleet
  keos-oci generate resourceset apps --dir fleet --check`,
		Args: cobra.MinimumNArgs(1),
	}
	t.bind(cmd.Flags())
	t.output.bind(cmd.Flags(), "top folder of the fleet's checkout, in which tenants/<name>.yaml is written")
	f := cmd.Flags()
	f.StringArrayVar(&dependsOn, "depends-on", nil, "resourceset/NAME or kustomization/NAMESPACE/NAME that must be ready before, or none")
	f.BoolVar(&clusterPins, "cluster-pins", false, "let a cluster's settings pin components (generate cluster --pin)")
	f.BoolVar(&providers, "providers", false, "look tags up with a ResourceSetInputProvider for each component, and follow digests")
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
		if err := a.checkClusters(t.output.dir, follow, t.selects()); err != nil {
			return err
		}
		file, err := tenants.File()
		if err != nil {
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
	if fleet == "" {
		return flux.SelectedBy(follow, environment, nil)
	}
	clusters, err := knownClusters(fleet)
	if err != nil {
		return err
	}
	return flux.SelectedBy(follow, environment, clusters)
}

func knownClusters(fleet string) ([]flux.Known, error) {
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
		Short: "Add components to the inputs of a ResourceSet: how a component is onboarded",
		Long: `Prints the inputs of the components, or with --into adds those that are missing to a file with a ResourceSet. Only lines of
inputs change: comments, order and quoting stay. A new input takes the keys and values of its neighbours. What is there
already stays, but for a --pin and for keys that the resources need and the input lacks. The second time nothing changes.`,
		Example: `  keos-oci generate inputs
  keos-oci generate inputs checkout --into fleet/tenants/apps.yaml
  keos-oci generate inputs --into fleet/tenants/apps.yaml --check
  keos-oci generate inputs frontend --into fleet/tenants/apps.yaml --pin frontend=v1.2.3`,
		ValidArgsFunction: a.completeComponents,
	}
	t.bind(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&into, "into", "", "file with the ResourceSet to change")
	f.StringVar(&kind, "kind", "", "components of this kind: infra or apps (default the only one there is)")
	f.BoolVar(&prune, "prune", false, "remove inputs whose component is in none of the workspaces")
	f.BoolVar(&t.output.check, "check", false, "change nothing, and exit with 3 where the file would change")
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
			return flux.Edit{}, fmt.Errorf("%w: there are infra components and apps, which have ResourceSets of their own: choose with --kind", errUsage)
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
	o.dir = filepath.Dir(edit.File)
	return a.finishFiles(o, []flux.File{{Path: filepath.Base(edit.File), Content: change.Content}}, &change)
}

func (a *app) generatePoliciesCmd() *cobra.Command {
	var output outputFlags
	var workspaces, sources []string
	cmd := &cobra.Command{
		Use:   "policies",
		Short: "The admission policy that keeps tenants to known sources",
		Long: `A ValidatingAdmissionPolicy that denies Flux sources in the namespaces of apps unless their URL begins with one of the
allowed ones: by default the registries of the workspaces.`,
		Example: `  keos-oci generate policies --dir .
  keos-oci generate policies --allow-source oci://ghcr.io/stratio/ --allow-source oci://ghcr.io/stefanprodan/charts/`,
		Args: cobra.NoArgs,
	}
	output.bind(cmd.Flags(), "top folder of the fleet's checkout, in which tenants/policies.yaml is written")
	cmd.Flags().StringArrayVar(&workspaces, "workspace", nil, "checkout whose registry is allowed; may be given several times (default -C)")
	cmd.Flags().StringArrayVar(&sources, "allow-source", nil, "beginning of the URLs to allow, with a slash at the end, in place of the workspaces' registries")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(sources) == 0 {
			var err error
			if sources, err = a.registries(cmd.Context(), workspaces); err != nil {
				return err
			}
		}
		file, err := flux.Allowlist{Sources: sources}.File()
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

func (a *app) generatePairsCmd() *cobra.Command {
	var g generateFlags
	var p flux.Pairs
	var into string
	var substitute []string
	cmd := &cobra.Command{
		Use:   "ocirepository [COMPONENT…]",
		Short: "OCIRepository and Kustomization pairs, for clusters without Flux Operator",
		Long: `For each component an OCIRepository that follows a channel and verifies its signatures, and a Kustomization that applies the
environment's variant, or one for each phase. The content's ${VARIABLES} are left alone unless --substitute-from names the
ConfigMap that they come from, or --substitute gives their values.

With --into, only where the OCIRepositories in a file point and what they verify is changed: moving one cluster to another
version, and back, is one --pin.`,
		Example: `  keos-oci generate ocirepository frontend --channel latest-stable --environment production
  keos-oci generate ocirepository infrastructure --channel latest-stable --environment infrastructure \
      --pin infrastructure=v0.2.0 --into clusters/demo/infrastructure.yaml
  keos-oci generate ocirepository --channel latest --environment staging --dir clusters/staging`,
		ValidArgsFunction: a.completeComponents,
	}
	g.bindTenants(cmd.Flags())
	g.output.bind(cmd.Flags(), "folder in which <component>.yaml is written")
	f := cmd.Flags()
	f.StringVar(&p.Channel, "channel", "", "channel to follow (required)")
	f.StringVar(&p.Environment, "environment", "", "variant to apply (required)")
	f.StringVar(&p.Namespace, "namespace", "flux-system", "namespace of the Flux objects")
	f.StringVar(&p.TargetNamespace, "target-namespace", "", "namespace of what is delivered, where the content does not say")
	f.StringVar(&p.KustomizeAs, "kustomize-as", "", "ServiceAccount that applies the content")
	f.StringVar(&p.SubstituteFrom, "substitute-from", "", "ConfigMap with the values of the content's ${VARIABLES}")
	f.StringArrayVar(&substitute, "substitute", nil, "KEY=VALUE: the value of a ${KEY} in the content")
	f.StringArrayVar(&g.health, "health-check", nil, "COMPONENT=APIVERSION/KIND/NAMESPACE/NAME: an object that decides whether it is ready, in place of all that it delivers")
	f.BoolVar(&p.Redirect, "redirect-sources", false, "let Kustomizations within the content take the OCIRepository for their source, in place of the Git repository that they name")
	f.StringVar(&into, "into", "", "file whose OCIRepositories are changed, instead of writing whole objects")
	_ = cmd.MarkFlagRequired("channel")
	_ = cmd.MarkFlagRequired("environment")
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		follow, err := a.follow(cmd.Context(), &g, args, component.Infra, component.App)
		if err != nil {
			return err
		}
		if len(follow) == 0 {
			return fmt.Errorf("%w: no component of the kind infra or app", component.ErrNoComponents)
		}
		p.Follow, p.Access, p.Trust, p.Interval = follow, g.access, g.trust, g.interval
		if p.Substitute, err = settings("substitute", substitute); err != nil {
			return err
		}
		if into != "" {
			return a.repin(p, into, g.output)
		}
		files, err := p.Files()
		if err != nil {
			return err
		}
		return a.finishFiles(g.output, files, nil)
	}
	return cmd
}

// repin changes where the OCIRepositories in a file point.
func (a *app) repin(p flux.Pairs, file string, o outputFlags) error {
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	after, changed, err := p.Repin(file, before)
	if err != nil {
		return err
	}
	o.dir = filepath.Dir(file)
	return a.finishFiles(o, []flux.File{{Path: filepath.Base(file), Content: after}}, &flux.Change{Updated: changed})
}

// settings reads KEY=VALUE, of which the value may be empty.
func settings(flag string, texts []string) ([]flux.Setting, error) {
	var all []flux.Setting
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("%w: --%s %q: want KEY=VALUE", errUsage, flag, text)
		}
		all = append(all, flux.Setting{Key: key, Value: value})
	}
	return all, nil
}
