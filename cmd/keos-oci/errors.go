package main

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/cluster"
	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/migrate"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/scaffold"
	"github.com/stratio/keos-oci/internal/setup"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/terminal"
	"github.com/stratio/keos-oci/internal/trust"
)

// Exit codes are part of the contract.
const (
	exitDone   = 0 // done, or nothing to do
	exitFailed = 1
	exitUsage  = 2 // usage or config
	exitNo     = 3 // the answer is no: unsigned, differs, immutable, backwards
)

// exitCode: any fault outweighs a "no", since the fault may hide another answer.
func (a *app) exitCode(err error) int {
	if !a.started {
		return exitUsage
	}
	for _, usage := range []error{component.ErrConfig, component.ErrNoComponents, component.ErrUnknown, component.ErrNotVersionTag,
		finding.ErrBaseline,
		git.ErrNotCheckout, release.ErrRef, release.ErrFolder, trust.ErrNoPolicy, tag.ErrVersion, flux.ErrName, flux.ErrVariant, flux.ErrInput, scaffold.ErrLayout, scaffold.ErrInput, sign.ErrKey, migrate.ErrNoEntry, migrate.ErrNoOwner,
		cluster.ErrConfig, errUsage} {
		if errors.Is(err, usage) {
			return exitUsage
		}
	}
	for _, e := range single(err) {
		if !release.IsNo(e) && !errors.Is(e, flux.ErrTaken) && !errors.Is(e, scaffold.ErrLacks) && !errors.Is(e, migrate.ErrStops) &&
			!errors.Is(e, migrate.ErrIncomplete) {
			return exitFailed
		}
	}
	return exitNo
}

// errUsage is a command line that only a command itself can judge.
var errUsage = setup.ErrUsage

// single gives the errors of a result one by one, each of one component, or the only one there is.
func single(err error) []error {
	var failures release.Failures
	if errors.As(err, &failures) {
		return failures
	}
	return []error{err}
}

// explain writes the error to stderr, with what to do about it where that is known. Each line bears the word error: a
// registry's answer must not pass for output of ours or for a command to the CI system.
func (a *app) explain(err error) {
	errs := single(err)
	if early := a.early(err); early != nil {
		errs = append(slices.Clip(errs), early)
	}
	a.say(errs...)
}

// early is the signal or the --timeout that ended the command, nil where that is not why it failed, or is said already.
func (a *app) early(err error) error {
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if !ended || a.cause == nil {
		return nil
	}
	if cause := a.cause(); cause != nil && !strings.Contains(err.Error(), cause.Error()) {
		return cause
	}
	return nil
}

func (a *app) say(errs ...error) {
	p := a.page(a.err)
	for _, e := range errs {
		for line := range strings.Lines(e.Error()) {
			p.Say("%s %s\n", p.Paint(terminal.Red, "error:"), strings.TrimSuffix(line, "\n"))
		}
	}
	if h := hint(errors.Join(errs...)); h != "" {
		p.Say("%s %s\n", p.Paint(terminal.Bold, "hint:"), h)
	}
}

func hint(err error) string {
	var late *registry.TimeoutError
	var login *registry.LoginError
	var advice *registry.AdviceError
	var over overtime
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &over):
		return "give it more time with --timeout; running the same command again completes what is missing"
	case errors.Is(err, cluster.ErrConfig):
		return "see what kubectl knows: kubectl config get-contexts; another file: --kubeconfig FILE"
	case errors.Is(err, cluster.ErrForbidden):
		return "add the rule to a ClusterRole of this user, or bind the ClusterRole view, which has it where Flux was installed with its defaults"
	case errors.Is(err, cluster.ErrLogin):
		return "try the same login: kubectl get kustomizations -A"
	case errors.Is(err, cluster.ErrUnreachable):
		return "look at the address in the kubeconfig, and at what is in between: VPN, HTTPS_PROXY, NO_PROXY; then run the same command again"
	case errors.Is(err, sign.ErrTUF):
		return "open the way to TUF, or name a file that has the trusted root: --trusted-root FILE"
	case errors.As(err, &late) && late.Registry:
		return "run the same command again; a slow registry needs a larger --registry-timeout"
	case errors.As(err, &late):
		return "run the same command again; a slow Sigstore needs a larger --sigstore-timeout"
	case errors.As(err, &advice):
		return "" // the error says what to do
	case errors.Is(err, registry.ErrNoRegistry):
		return "look at the address, and at what is in between: HTTP_PROXY, HTTPS_PROXY, NO_PROXY"
	case errors.As(err, &authority):
		return "name the file with the certificate of that authority: --registry-ca FILE"
	case errors.As(err, &login):
		return login.Do
	case errors.Is(err, registry.ErrUnauthorized):
		return "log in with keos-oci login, or check that the token may push to this repository"
	case errors.Is(err, registry.ErrForbidden):
		return "the login is accepted but may not do this: on GitHub the job needs permissions: {packages: write}"
	case errors.Is(err, registry.ErrUnavailable):
		return "nothing that was asked for is half done: run the same command again"
	case errors.Is(err, sign.ErrPassword):
		return "set COSIGN_PASSWORD"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "running the same command again completes what is missing"
	}
	return ""
}
