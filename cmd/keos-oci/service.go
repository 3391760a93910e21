package main

import (
	"context"
	"log/slog"

	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/setup"
	"github.com/stratio/keos-oci/internal/sign"
)

// service opens the checkout of -C and joins everything that a verb needs.
func (a *app) service(ctx context.Context, s *signFlags) (*release.Service, error) {
	return a.serviceIn(ctx, a.global.directory, false, s)
}

// serviceIn is service for any checkout. One in which nothing is found may be a fleet without any cluster yet.
func (a *app) serviceIn(ctx context.Context, dir string, newFleet bool, s *signFlags) (*release.Service, error) {
	session, err := a.opener().Service(ctx, dir, newFleet, s.settings())
	return a.opened(session, err)
}

// serviceFor is service for verbs that need no checkout, and returns what the components are called in it. A full repository name, or
// --registry where no checkout has components, is enough.
func (a *app) serviceFor(ctx context.Context, s *signFlags, names ...string) (*release.Service, []string, error) {
	session, err := a.opener().ServiceFor(ctx, s.settings(), names...)
	if err != nil {
		return nil, nil, err
	}
	svc, err := a.opened(session, nil)
	return svc, session.Names, err
}

// opened keeps what other parts of the command ask of the service that was opened last.
func (a *app) opened(session *setup.Session, err error) (*release.Service, error) {
	if err != nil {
		return nil, err
	}
	a.rekor = session.Rekor
	if session.Checkout != nil {
		a.top = session.Checkout.Top()
	}
	return session.Service, nil
}

// opener is what the global flags say.
func (a *app) opener() *setup.Opener {
	g := &a.global
	o := &setup.Opener{
		Directory: g.directory, Config: g.config, Registry: g.registry, RegistryCA: g.registryCA, Unnamed: a.unnamed,
		Concurrency: g.concurrency, RegistryTimeout: g.registryTimeout, SigstoreTimeout: g.sigstoreTimeout,
		UserAgent: "keos-oci/" + version(), Interactive: a.interactive(), LoginOutput: a.progress, NewKey: a.newKey, Getenv: a.getenv, Now: a.now,
		Log: slog.New(a.progress), Finishing: a.finishing, AtEnd: a.process.AtEnd,
	}
	if g.plainHTTPAsked {
		o.PlainHTTP = &g.plainHTTP
	}
	return o
}

// finishing is for a part of a move that is finished in spite of a signal. It warns when a signal comes.
func (a *app) finishing(ctx context.Context) (end func()) {
	return a.process.Finishing(ctx, func() {
		slog.New(a.progress).Warn("the move that was begun is being finished, which takes 15 s at most; Ctrl-C ends at once")
	})
}

// newKey is a private key that is opened when it is needed. Tests that run many commands open theirs once.
func (a *app) newKey(file string) *sign.PrivateKey {
	if a.keys != nil {
		return a.keys(file)
	}
	return sign.NewPrivateKey(file, a.password)
}
