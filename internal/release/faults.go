package release

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/pack"
	"github.com/stratio/keos-oci/internal/registry"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
	"github.com/stratio/keos-oci/internal/trust"
)

// Problem is an error in a result. Code is one of a small, stable set of words for programs; Message is for people.
type Problem struct {
	Code     string            `json:"code"`
	Message  string            `json:"message"`
	Findings []finding.Finding `json:"findings,omitempty"`
}

func problem(err error) *Problem {
	p := &Problem{Code: code(err), Message: err.Error()}
	var refused *RefusedError
	if errors.As(err, &refused) {
		p.Findings = refused.Findings
	}
	return p
}

// code is the stable word for an error.
func code(err error) string { return Faults().Find(err).Code }

const (
	codeRefused = "refused"

	hintVerify  = "see each rule with its answer: keos-oci verify COMPONENT:TAG --explain"
	hintBetween = "look at the address, and at what is in between: HTTP_PROXY, HTTPS_PROXY, NO_PROXY"
	hintAgain   = "run the same command again; it does not repeat what is done already"
	hintMissing = "running the same command again completes what is missing"
)

// Faults is the errors of the verbs, the more special ones first.
func Faults() exit.Table {
	table := exit.Table{
		{Err: ErrRefused, Code: codeRefused, Exit: exit.Failed},
		{Err: pack.ErrSymlink, Code: codeRefused, Exit: exit.Failed},
		{Err: pack.ErrSubmodule, Code: codeRefused, Exit: exit.Failed},
		{Err: pack.ErrFilter, Code: codeRefused, Exit: exit.Failed},
		{Err: pack.ErrName, Code: codeRefused, Exit: exit.Failed},
		{Err: pack.ErrTooLarge, Code: codeRefused, Exit: exit.Failed},
		{Err: pack.ErrEmpty, Code: codeRefused, Exit: exit.Failed},
		{Err: tag.ErrImmutable, Code: "immutable", Exit: exit.No},
		{Err: registry.ErrImmutable, Code: "immutable", Exit: exit.No,
			Hint: "exempt latest, latest-stable, release.* and sha256-* from the registry's rule for immutable tags"},
		{Err: ErrOlder, Code: "backwards", Exit: exit.No},
		{Err: tag.ErrBackwards, Code: "backwards", Exit: exit.No},
		{Err: tag.ErrPrerelease, Code: "prerelease", Exit: exit.No},
		{Err: tag.ErrConflict, Code: "conflict", Exit: exit.No},
		{Err: ErrExpect, Code: "conflict", Exit: exit.No, Hint: "see who moved the channel: keos-oci history COMPONENT"},
		{Err: tag.ErrNoPrevious, Code: "no-previous", Exit: exit.No},
		{Err: ErrDiffers, Code: "differs", Exit: exit.No},
		{Err: sign.ErrUnsigned, Code: "unsigned", Exit: exit.No, Hint: hintVerify},
		{Err: sign.ErrWrongIdentity, Code: "identity", Exit: exit.No},
		{Err: trust.ErrForeign, Code: "foreign", Exit: exit.No, Hint: hintVerify},
		{Err: trust.ErrRelabelled, Code: "relabelled", Exit: exit.No, Hint: hintVerify},
		{Err: trust.ErrUnbound, Code: "unbound", Exit: exit.No},
		{Err: trust.ErrNoPolicy, Code: "no-policy", Exit: exit.Usage},
		{Err: sign.ErrCannotCheck, Code: "cannot-tell", Exit: exit.Failed},
		{Err: errCannotTell, Code: "cannot-tell", Exit: exit.Failed},
		{Err: tag.ErrDoubt, Code: "journal", Exit: exit.No},
		{Err: ErrOdd, Code: "odd", Exit: exit.No},
		{Err: registry.ErrBusy, Code: "busy", Exit: exit.Failed, Hint: "run the same command again when the other jobs are done"},
		{Err: sign.ErrNoToken, Code: "no-token", Exit: exit.Failed},
		{Err: sign.ErrTokenExpired, Code: "token-expired", Exit: exit.Failed},
		{Err: sign.ErrAudience, Code: "token-audience", Exit: exit.Failed,
			Hint: "ask the identity provider for a token with the audience sigstore"},
		{Err: sign.ErrTUF, Code: "cannot-tell", Exit: exit.Failed,
			Hint: "open the way to TUF, or name a file that has the trusted root: --trusted-root FILE"},
		{Err: sign.ErrPassword, Code: "password", Exit: exit.Failed, Hint: "set COSIGN_PASSWORD"},
	}
	return append(append(table, registryFaults()...), usageFaults()...)
}

// registryFaults is the errors of requests.
func registryFaults() exit.Table {
	return exit.Table{
		{Is: late(true), Code: "unavailable", Exit: exit.Failed,
			Hint: "run the same command again; a slow registry needs a larger --registry-timeout"},
		{Is: late(false), Code: "unavailable", Exit: exit.Failed,
			Hint: "run the same command again; a slow Sigstore needs a larger --sigstore-timeout"},
		{Is: advised, Said: true},
		{Err: registry.ErrSpeaksTLS, Code: "unavailable", Exit: exit.Failed},
		{Err: registry.ErrNoRegistry, Code: "unavailable", Exit: exit.Failed, Hint: hintBetween},
		{Is: unknownAuthority, Hint: "name the file with the certificate of that authority: --registry-ca FILE"},
		{Is: func(err error) bool { return loginAdvice(err) != "" }, Advise: loginAdvice},
		{Err: registry.ErrUnauthorized, Code: "unauthorized", Exit: exit.Failed,
			Hint: "log in with keos-oci login; where that is done, the login may pull, but not push to this repository"},
		{Err: registry.ErrForbidden, Code: "forbidden", Exit: exit.Failed,
			Hint: "the login is accepted but may not do this: on GitHub the job needs permissions: {packages: write}"},
		{Err: registry.ErrReadOnly, Code: "read-only", Exit: exit.Failed},
		{Err: registry.ErrUploadAddress, Code: "upload-address", Exit: exit.Failed},
		{Err: registry.ErrUnavailable, Code: "unavailable", Exit: exit.Failed, Hint: hintAgain},
		{Err: tag.ErrPin, Code: "pin", Exit: exit.No},
		{Err: registry.ErrNotFound, Code: "not-found", Exit: exit.Failed},
		{Err: component.ErrUnknown, Code: "unknown", Exit: exit.Usage},
		{Err: tag.ErrVersion, Code: "version", Exit: exit.Usage},
		{Err: context.Canceled, Code: "canceled", Exit: exit.Failed, Hint: hintMissing},
		{Err: context.DeadlineExceeded, Code: "timeout", Exit: exit.Failed, Hint: hintMissing},
	}
}

// usageFaults is what keeps a verb from beginning.
func usageFaults() exit.Table {
	return exit.Table{
		{Err: component.ErrConfig, Code: "config", Exit: exit.Usage},
		{Err: component.ErrNoComponents, Code: "no-components", Exit: exit.Usage},
		{Err: component.ErrNotVersionTag, Code: "git-tag", Exit: exit.Usage},
		{Err: finding.ErrBaseline, Code: "baseline", Exit: exit.Usage},
		{Err: git.ErrNotCheckout, Code: "no-checkout", Exit: exit.Usage},
		{Err: ErrRef, Code: "ref", Exit: exit.Usage},
		{Err: ErrChannel, Code: "channel", Exit: exit.Usage},
		{Err: exit.ErrUsage, Code: exit.CodeUsage, Exit: exit.Usage},
		{Err: ErrFolder, Code: "folder", Exit: exit.Usage},
		{Err: sign.ErrKey, Code: "key", Exit: exit.Usage},
	}
}

// late recognises a request that took too long, to the registry or to Sigstore.
func late(ofRegistry bool) func(error) bool {
	return func(err error) bool {
		var late *registry.TimeoutError
		return errors.As(err, &late) && late.Registry == ofRegistry
	}
}

// advised recognises errors whose message says what to do.
func advised(err error) bool {
	var advice *registry.AdviceError
	return errors.As(err, &advice)
}

// loginAdvice is what to do about a login that the registry refused, "" for other errors.
func loginAdvice(err error) string {
	var login *registry.LoginError
	if errors.As(err, &login) {
		return login.Do
	}
	return ""
}

func unknownAuthority(err error) bool {
	var authority x509.UnknownAuthorityError
	return errors.As(err, &authority)
}

// Failures is what went wrong with several components, each error naming its own.
type Failures []error

func (f Failures) Error() string { return errors.Join(f...).Error() }

// Unwrap implements errors.Is and errors.As.
func (f Failures) Unwrap() []error { return f }

// orNil is f as an error, nil when nothing failed.
func (f Failures) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
