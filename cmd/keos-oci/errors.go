package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/release"
	"github.com/stratio/keos-oci/internal/scaffold"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
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
		git.ErrNotCheckout, release.ErrRef, release.ErrFolder, trust.ErrNoPolicy, tag.ErrVersion, flux.ErrName, flux.ErrVariant, flux.ErrInput, scaffold.ErrLayout, scaffold.ErrInput, errUsage} {
		if errors.Is(err, usage) {
			return exitUsage
		}
	}
	for _, e := range single(err) {
		if !release.IsNo(e) && !errors.Is(e, flux.ErrTaken) && !errors.Is(e, scaffold.ErrLacks) {
			return exitFailed
		}
	}
	return exitNo
}

// errUsage is a command line that only a command itself can judge.
var errUsage = errors.New("usage")

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
	for _, e := range single(err) {
		for line := range strings.Lines(e.Error()) {
			fmt.Fprintln(a.err, a.paint(red, "error:"), printable(strings.TrimSuffix(line, "\n")))
		}
	}
	if h := hint(err); h != "" {
		fmt.Fprintln(a.err, a.paint(bold, "hint:"), h)
	}
}

func hint(err error) string {
	switch {
	case errors.Is(err, registry.ErrUnauthorized):
		return "log in with docker login, or check that the token may push to this repository"
	case errors.Is(err, registry.ErrForbidden):
		return "the login is accepted but may not do this: on GitHub the job needs permissions: {packages: write}"
	case errors.Is(err, registry.ErrUnavailable):
		return "nothing that was asked for is half done: run the same command again"
	case errors.Is(err, sign.ErrPassword):
		return "set COSIGN_PASSWORD"
	case errors.Is(err, context.DeadlineExceeded):
		return "give it more time with --timeout; running the same command again completes what is missing"
	}
	return ""
}
