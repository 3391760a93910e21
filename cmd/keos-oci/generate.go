package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stratio/keos-oci/internal/fileset"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/render"
)

func (a *app) generateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write the Flux objects that make clusters follow the tags",
		Long: `Prints the objects. With --dir, generate writes them into the checkout of the fleet. --check only compares, and exits with 3 if a file
differs. Clusters verify signatures with the same policy as promote.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.generateInputsCmd(), a.generateResourceSetCmd(), a.generatePoliciesCmd(), a.generatePairsCmd(), a.generateClusterCmd())
	return cmd
}

// bindAccess is for what fetches from a registry and verifies.
func bindAccess(f *pflag.FlagSet, r *flux.Request, signing *signFlags) {
	a := &r.Access
	f.StringVar(&a.Registry, "cluster-registry", "",
		"HOST/PREFIX that clusters fetch from (default --registry); can contain ${VARIABLES} of the cluster's settings")
	f.StringVar(&a.PullSecret, "pull-secret", "",
		`Secret in flux-system with the login for the registry, or none (default "ghcr-auth" for ghcr.io, else none)`)
	f.StringVar(&a.ServiceAccount, "service-account", "", "ServiceAccount with the pull secrets or the cloud identity to use")
	f.StringVar(&a.Provider, "provider", "", "login with the identity of a cloud: "+enumerate(flux.Providers())+" (default generic)")
	f.StringVar(&a.CertSecret, "cert-secret", "", "Secret in flux-system with the certificate authority of the registry")
	f.BoolVar(&a.Insecure, "insecure", false, "clusters use HTTP without TLS for the registry")
	f.StringVar(&r.Decryption, "decryption", "",
		"sops=SECRET: Secret in the namespace of the Flux objects with the key for files that SOPS encrypted; required if there are such files")
	f.StringVar(&r.Trust.Key, "key-secret", "", "Secret in flux-system with the public key, if artifacts are signed with a key pair")
	f.StringVar(&r.Trust.Root, "trusted-root-secret", "", "Secret in flux-system with the trusted_root.json of your own Sigstore")
	signing.bindPolicy(f)
	f.StringVar(&signing.Key, "key", "",
		"artifacts are signed with this key pair; clusters read the public key from the Secret of --key-secret")
	putUnder(f, headingRegistry, "cluster-registry", "pull-secret", "service-account", "provider", "cert-secret", "insecure")
	putUnder(f, headingSigning, "key-secret", "trusted-root-secret", "key")
}

// bindTenants adds the flags of commands about components.
func bindTenants(f *pflag.FlagSet, r *flux.Request, signing *signFlags) {
	bindAccess(f, r, signing)
	f.StringArrayVar(&r.Workspaces, "workspace", nil, "checkout with components; can be repeated (default -C)")
	f.StringVar(&r.Interval, "interval", "", "how often clusters check the tag (default 5m)")
	f.StringArrayVar(&r.Pins, "pin", nil,
		`COMPONENT=PIN: pin a component to a version, a range such as ">=1.2.0 <2.0.0", a digest or a channel; COMPONENT=none removes the pin`)
	f.StringArrayVar(&r.DependsOn, "component-depends-on", nil, "COMPONENT=OTHER: the component waits until the other one is ready")
	f.StringArrayVar(&r.Literal, "no-substitute", nil, "COMPONENT whose ${VARIABLES} are not replaced")
}

// bindOutput is for what writes files.
func bindOutput(f *pflag.FlagSet, o *fileset.Request, dir string) {
	f.StringVar(&o.Dir, "dir", "", dir+" (default: print)")
	f.BoolVar(&o.Check, "check", false, "with --dir: change nothing; exit with 3 if a file differs")
	f.BoolVar(&o.Overwrite, "overwrite", false, "with --dir: also replace files that a person wrote or edited")
	f.BoolVar(&o.Golden, "golden", false,
		"with --dir: files without the line # keos-oci: …, equal to a reference; only --overwrite changes one that differs")
}

func bindTenantsFolder(f *pflag.FlagSet, folder *string) {
	f.StringVar(folder, "tenants-folder", "", `folder at the top of the fleet that generated clusters apply (default "tenants")`)
}

// generator is a request of package flux.
type generator interface {
	Generate(context.Context) (*fileset.Result, error)
}

// generate adds to a request what the global flags and those of signing say, asks for files, and prints their status.
func (a *app) generate(ctx context.Context, of generator, r *flux.Request, signing *signFlags) error {
	r.Key, r.Asked = signing.Key, signing.Expected
	r.Directory, r.OneWorkspace = a.global.directory, a.global.registry != "" || a.global.config != ""
	r.Open = a.openForClusters
	res, err := of.Generate(ctx)
	if res == nil {
		return err
	}
	return a.finish(render.Generate{Result: res}, err)
}

// openForClusters opens a checkout whose components clusters follow.
func (a *app) openForClusters(ctx context.Context, dir string, with flux.OpenOptions) (flux.Workspace, error) {
	o := a.opener()
	if with.Plain {
		o.Registry, o.Config = "", ""
	}
	session, err := o.Service(ctx, dir, with.NewFleet, nil)
	if err != nil {
		return nil, err
	}
	return a.opened(session, nil)
}
