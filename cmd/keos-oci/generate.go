package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
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
	decryption string   // sops=SECRET
	signing    signFlags
}

func (a *app) generateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write the Flux objects that make clusters follow the tags",
		Long: `Prints the objects. With --dir, generate writes them into the checkout of the fleet. --check only compares, and exits
with 3 if a file
differs. Clusters verify signatures with the same policy as promote.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.generateInputsCmd(), a.generateResourceSetCmd(), a.generatePoliciesCmd(), a.generatePairsCmd(), a.generateClusterCmd())
	return cmd
}

// bindAccess is for what fetches from a registry and verifies.
func (g *generateFlags) bindAccess(f *pflag.FlagSet) {
	a := &g.access
	f.StringVar(&a.Registry, "cluster-registry", "",
		"HOST/PREFIX that clusters fetch from (default --registry); can contain ${VARIABLES} of the cluster's settings")
	f.StringVar(&a.PullSecret, "pull-secret", "",
		`Secret in flux-system with the login for the registry, or none (default "ghcr-auth" for ghcr.io, else none)`)
	f.StringVar(&a.ServiceAccount, "service-account", "", "ServiceAccount with the pull secrets or the cloud identity to use")
	f.StringVar(&a.Provider, "provider", "", "login with the identity of a cloud: "+enumerate(flux.Providers())+" (default generic)")
	f.StringVar(&a.CertSecret, "cert-secret", "", "Secret in flux-system with the certificate authority of the registry")
	f.BoolVar(&a.Insecure, "insecure", false, "clusters use HTTP without TLS for the registry")
	f.StringVar(&g.decryption, "decryption", "",
		"sops=SECRET: Secret in the namespace of the Flux objects with the key for files that SOPS encrypted; required if there are such files")
	f.StringVar(&g.trust.Key, "key-secret", "", "Secret in flux-system with the public key, if artifacts are signed with a key pair")
	f.StringVar(&g.trust.Root, "trusted-root-secret", "", "Secret in flux-system with the trusted_root.json of your own Sigstore")
	g.signing.bindPolicy(f)
	f.StringVar(&g.signing.Key, "key", "", "artifacts are signed with this key pair; clusters read the public key from the Secret of --key-secret")
	putUnder(f, headingRegistry, "cluster-registry", "pull-secret", "service-account", "provider", "cert-secret", "insecure")
	putUnder(f, headingSigning, "key-secret", "trusted-root-secret", "key")
}

// bindTenants is for what speaks of components.
func (g *generateFlags) bindTenants(f *pflag.FlagSet) {
	g.bindAccess(f)
	f.StringArrayVar(&g.workspaces, "workspace", nil, "checkout with components; can be repeated (default -C)")
	f.StringVar(&g.interval, "interval", "", "how often clusters check the tag (default 5m)")
	f.StringArrayVar(&g.pins, "pin", nil,
		`COMPONENT=PIN: pin a component to a version, a range such as ">=1.2.0 <2.0.0", a digest or a channel; COMPONENT=none removes the pin`)
	f.StringArrayVar(&g.dependsOn, "component-depends-on", nil, "COMPONENT=OTHER: the component waits until the other one is ready")
	f.StringArrayVar(&g.literal, "no-substitute", nil, "COMPONENT whose ${VARIABLES} are not replaced")
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
	fill(&g.decryption, c.Decryption)
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
	services := map[string]*release.Service{}
	for _, dir := range dirs {
		svc, err := a.serviceIn(ctx, dir, false, nil)
		if err != nil {
			return nil, fmt.Errorf("workspace %s: %w", dir, err)
		}
		g.defaults(svc.Workspace)
		for _, c := range svc.Workspace.Components {
			if !slices.Contains(kinds, c.Kind) || !wanted(c, names, svc.Workspace.Components) {
				continue
			}
			f, err := g.one(ctx, svc, c)
			if err != nil {
				return nil, err
			}
			found = append(found, f)
			if services[c.Name] == nil { // as flags of a name speak of the first
				services[c.Name] = svc
			}
		}
		if len(dirs) == 1 {
			if _, err := svc.Workspace.Components.Select(names...); err != nil {
				return nil, err
			}
		}
	}
	chosen, err := g.choose(found, names, kinds)
	if err != nil {
		return nil, err
	}
	for _, f := range chosen {
		if err := g.checkPin(ctx, services[f.Component.Name], f); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// wanted reports whether a component is one of those named. Without names it is each one, but for a fleet beside components of
// other kinds: the environment of those selects nothing of a fleet.
func wanted(c component.Component, names []string, all component.Set) bool {
	if len(names) > 0 {
		return slices.Contains(names, c.Name)
	}
	return c.Kind != component.Fleet || !slices.ContainsFunc(all, func(o component.Component) bool { return o.Kind != component.Fleet })
}

// clustersOf lists the folders of a fleet's clusters, relative to the root of its artifact.
func clustersOf(files []git.File, c component.Component) []string {
	var folders []string
	for _, f := range files {
		inner, ok := strings.CutPrefix(f.Path, path.Join(c.Root, "clusters")+"/")
		name, _, isFolder := strings.Cut(inner, "/")
		if ok && isFolder && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".") {
			folders = append(folders, path.Join("clusters", name))
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// pinTimeout bounds how long a registry is asked about a pin: generate works without one.
const pinTimeout = 10 * time.Second

// checkPin refuses a version or digest that the registry does not have: clusters would wait for it. A range or a channel may
// be there later.
func (g *generateFlags) checkPin(ctx context.Context, svc *release.Service, f flux.Follow) error {
	pin := cmp.Or(f.Pin.Digest, f.Pin.Semver, f.Pin.Tag)
	if pin == "" {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, pinTimeout)
	defer cancel()
	c := f.Component
	var err error
	if f.Pin.Semver != "" {
		var versions []string
		versions, err = svc.PublishedIn(asking, c, pin)
		if err == nil && len(versions) == 0 {
			g.output.notes = append(g.output.notes, fmt.Sprintf("%s has no version in %s: clusters wait until one is published", c.Repository, pin))
		}
	} else {
		err = svc.Published(asking, c, pin)
	}
	_, notVersion := tag.ParseVersion(f.Pin.Tag)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, release.ErrPin) && (f.Pin.Digest != "" || notVersion == nil):
		return fmt.Errorf("--pin %s=%s: %w", c.Name, pin, err)
	case errors.Is(err, release.ErrPin):
		g.output.notes = append(g.output.notes, fmt.Sprintf("%s has no tag %s: clusters wait until it is there", c.Repository, pin))
	case err != nil:
		g.output.notes = append(g.output.notes, fmt.Sprintf("it is not known whether %s has %s: %v", c.Repository, pin, err))
	}
	return nil
}

// one is a component with the policies of its channels.
func (g *generateFlags) one(ctx context.Context, svc *release.Service, c component.Component) (flux.Follow, error) {
	f := flux.Follow{Component: c, Policies: flux.Policies{}, YML: usesYML(svc.Files)}
	if c.Kind == component.Fleet {
		f.Clusters, f.EncryptedIn = clustersOf(svc.Files, c), svc.EncryptedIn
	} else {
		needs, err := svc.Needs(ctx, c)
		if err != nil {
			return f, fmt.Errorf("component %s: %w", c.Name, err)
		}
		f.Encrypted, f.Uses = needs.Encrypted, needs.Uses
	}
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
	f.Versions = func(version string) (sign.Policy, error) { return g.policy(ctx, svc, c, version) }
	return f, nil
}

// usesYML says whether workflows of a checkout end in .yml.
func usesYML(files []git.File) bool {
	return slices.ContainsFunc(files, func(f git.File) bool {
		return path.Dir(f.Path) == ".github/workflows" && path.Ext(f.Path) == ".yml"
	})
}

// policy is what promote checks of a tag. Of a key pair the file's name is enough: clusters read the public key from a Secret, and
// opening the private key would ask for a password. Where a key and an identity count, --key-secret chooses the key.
func (g *generateFlags) policy(ctx context.Context, svc *release.Service, c component.Component, t string) (sign.Policy, error) {
	key := g.signing.Key
	fill(&key, c.Signing.Key)
	if len(c.Signing.Keys) > 0 {
		fill(&key, c.Signing.Keys[0])
	}
	named := slices.ContainsFunc(c.Channels, func(ch component.Channel) bool { return len(ch.Identities) > 0 })
	if asked := g.signing.Expected; asked.IsZero() && key != "" && (!named || g.trust.Key != "" || g.signing.Key != "") {
		return sign.Policy{Key: key}, nil
	}
	svc.Gate.FromFlags = g.signing.Expected
	return svc.ClusterPolicy(ctx, c, t)
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
		if err := f.PinTo(pin); err != nil {
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

// key is the Secret that --decryption names, empty where it is not given.
func (g *generateFlags) key() (string, error) {
	if g.decryption == "" {
		return "", nil
	}
	return flux.ParseDecryption(g.decryption)
}

func keyValue(flag, text string) (string, string, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" || value == "" {
		return "", "", fmt.Errorf("%w: --%s %q: want NAME=VALUE", errUsage, flag, text)
	}
	return key, value, nil
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
