// Package setup joins what a verb needs: it opens the checkout with its config, makes the client of the registry, and says with what
// signatures are made and checked. It reads no flags: who calls it fills in an Opener.
package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/kustomize"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/trust"
)

// Opener has what all verbs are opened with. AtEnd, Log and Getenv are required; the zero value of the rest is the default.
type Opener struct {
	Directory string // a folder of the Git checkout
	Config    string // config file; "" is the one at the checkout's top, if there is one

	Registry   string // [http[s]://]HOST/PREFIX; "" is what the config says
	RegistryCA string // file with certificates to trust beside the system's
	PlainHTTP  *bool  // nil where nobody said
	Unnamed    bool   // the verb asks no registry, and need not know one

	Concurrency     int           // components in flight
	RegistryTimeout time.Duration // of one request; 0 is no limit
	SigstoreTimeout time.Duration // of one request to a part of Sigstore
	UserAgent       string

	Interactive bool                               // somebody can log in with a browser
	LoginOutput io.Writer                          // has what that person reads; nil is os.Stderr
	NewKey      func(file string) *sign.PrivateKey // a private key that is opened when it is needed
	Getenv      func(string) string                // of the process
	Now         func() time.Time                   // nil is the system's clock
	Log         *slog.Logger                       // progress and warnings
	Finishing   func(context.Context) (end func()) // see release.Service
	AtEnd       func(func())                       // keeps what is called when the run ends
}

// Session is a workspace that is ready for its verbs.
type Session struct {
	*release.Service
	Names []string  // of the components that were asked for, without their registry
	Rekor *sign.Log // the transparency log that the settings have the address of; nil for none

	Client *registry.Client // what the repositories are opened with
	Signer *sign.Signer     // nil where the verb signs nothing
}

// Service opens a checkout as it is. newFleet allows one without components: a fleet that has no cluster yet.
func (o *Opener) Service(ctx context.Context, dir string, newFleet bool, s *Signing) (*Session, error) {
	w, err := o.openIn(ctx, dir, newFleet)
	if err != nil {
		return nil, err
	}
	return o.serviceOf(ctx, w, s)
}

// ServiceFor is Service for verbs that need no checkout: a full repository name, or Registry where no checkout has components, is enough.
func (o *Opener) ServiceFor(ctx context.Context, s *Signing, names ...string) (*Session, error) {
	prefix, short, err := splitNames(names)
	if err != nil {
		return nil, err
	}
	w, err := o.openIn(ctx, o.Directory, false)
	absent := errors.Is(err, git.ErrNotCheckout) || errors.Is(err, component.ErrNoComponents)
	switch {
	case prefix == "" && absent && o.Registry != "" && len(names) > 0:
		prefix = o.Registry
	case prefix == "":
	case err == nil && w.workspace.Registry == prefix && w.workspace.Has(namesOf(short)...):
		prefix = "" // the checkout knows more of them
	}
	if prefix != "" {
		w = &opened{}
		w.workspace, err = component.Standalone(prefix, namesOf(short))
	}
	if err != nil {
		return nil, err
	}
	session, err := o.serviceOf(ctx, w, s)
	if err != nil {
		return nil, err
	}
	session.Names = short
	return session, nil
}

// namesOf takes tags and digests off.
func namesOf(targets []string) []string {
	names := make([]string, len(targets))
	for i, target := range targets {
		names[i], _, _ = strings.Cut(target, "@")
		names[i], _, _ = strings.Cut(names[i], ":")
	}
	return names
}

// splitNames takes the registry and prefix off full repository names.
func splitNames(names []string) (prefix string, short []string, err error) {
	for _, name := range names {
		at := strings.LastIndex(name, "/")
		if at < 0 {
			short = append(short, name)
			continue
		}
		if prefix != "" && prefix != name[:at] {
			return "", nil, fmt.Errorf("%w: %s and %s are in different places of the registry: use one command for each", exit.ErrUsage, prefix,
				name[:at])
		}
		prefix = name[:at]
		short = append(short, name[at+1:])
	}
	return prefix, short, nil
}

// serviceOf joins everything that a verb needs.
func (o *Opener) serviceOf(ctx context.Context, w *opened, s *Signing) (*Session, error) {
	client, err := o.client(w.workspace)
	if err != nil {
		return nil, err
	}
	svc, err := o.newService(ctx, w)
	if err != nil {
		return nil, err
	}
	session := &Session{Service: svc, Client: client}
	if svc.Gate, session.Signer, err = o.gate(ctx, w, client, s); err != nil {
		return nil, err
	}
	if s != nil && s.Services.RekorURL != "" { // the settings', or the config's by now
		session.Rekor = sign.NewLog(client.Part(registry.Part{Name: "Rekor", Limit: o.SigstoreTimeout}), s.Services.RekorURL)
	}
	return session, nil
}

// client is what speaks to the registry of a workspace.
func (o *Opener) client(workspace *component.Workspace) (*registry.Client, error) {
	scheme, err := o.scheme(workspace)
	if err != nil {
		return nil, err
	}
	return registry.New(registry.Options{Scheme: scheme, CAFile: o.RegistryCA, UserAgent: o.UserAgent, Timeout: cmp.Or(o.RegistryTimeout, -1),
		Log: o.Log})
}

// ForHost is a client for one registry, for verbs that ask no repository.
func (o *Opener) ForHost(host, scheme string) (*registry.Client, error) {
	return o.client(&component.Workspace{Registry: host, Scheme: scheme})
}

func (o *Opener) newService(ctx context.Context, w *opened) (*release.Service, error) {
	svc := &release.Service{
		Workspace: w.workspace, Checkout: w.checkout,
		Log:         o.Log,
		Concurrency: o.Concurrency,
		Now:         o.clock(),
		TempDir:     o.tempDir(),
		Finishing:   o.Finishing,
		Remotes:     &kustomize.Remotes{Log: o.Log},
	}
	if w.tree == nil {
		return svc, nil
	}
	var err error
	svc.FS, svc.Files, svc.Folder = w.tree, w.tree.Files, w.tree.Folder
	svc.Filters, err = w.tree.Filters(ctx)
	return svc, err
}

// gate is the judge of a workspace, and what it signs and verifies with. Without signing settings it only asks the config.
func (o *Opener) gate(ctx context.Context, w *opened, client *registry.Client, s *Signing) (*trust.Gate, *sign.Signer, error) {
	workspace := w.workspace
	_, prefix, _ := strings.Cut(workspace.Registry, "/")
	rules := &trust.Rules{Now: o.clock(), Formerly: workspace.Config.Formerly, Prefix: prefix, Mirrors: workspace.Config.Mirrors,
		Remote: sync.OnceValues(func() (string, error) { return remoteOf(ctx, w.checkout) })}
	if s == nil {
		services := sign.Services{TrustedRoot: workspace.Config.Signing.TrustedRoot, TUF: o.tuf(ctx, client, &Signing{})}
		rules.Verifier = sign.NewVerifier(sign.VerifierOptions{Services: services, NotFound: isNotFound, Unanswered: registry.Unanswered})
		return trust.New(rules, client, nil), nil, nil
	}
	signer, err := o.sigstore(ctx, rules, workspace, s, client)
	if err != nil {
		return nil, nil, err
	}
	return trust.New(rules, client, signer), signer, nil
}

func (o *Opener) clock() func() time.Time {
	if o.Now != nil {
		return o.Now
	}
	return time.Now
}

// remoteOf is the checkout's remote as artifacts write it, "" where there is none.
func remoteOf(ctx context.Context, checkout *git.Checkout) (string, error) {
	if checkout == nil {
		return "", nil
	}
	remote, err := checkout.RemoteURL(ctx)
	if errors.Is(err, git.ErrNoRemote) {
		return "", nil
	}
	return trust.Normalise(remote), err
}

// scheme is how the registry is spoken to: as PlainHTTP says, as the registry is written, or with TLS where a certificate of its
// authority is given.
func (o *Opener) scheme(workspace *component.Workspace) (registry.Scheme, error) {
	written := registry.Scheme(workspace.Scheme)
	if o.PlainHTTP == nil {
		if written == registry.ByHost && o.RegistryCA != "" {
			return registry.HTTPS, nil
		}
		return written, nil
	}
	asked := map[bool]registry.Scheme{true: registry.HTTP, false: registry.HTTPS}[*o.PlainHTTP]
	if written != registry.ByHost && written != asked {
		return "", fmt.Errorf("%w: --plain-http=%t contradicts the registry %s", exit.ErrUsage, *o.PlainHTTP, workspace.Address())
	}
	return asked, nil
}
