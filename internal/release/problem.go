package release

import (
	"context"
	"errors"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/finding"
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

const codeRefused = "refused"

func problem(err error) *Problem {
	p := &Problem{Code: Code(err), Message: err.Error()}
	var refused *RefusedError
	if errors.As(err, &refused) {
		p.Findings = refused.Findings
	}
	return p
}

// Code is the stable word for an error, "failed" for any that has none of its own.
func Code(err error) string {
	for _, known := range []struct {
		err  error
		code string
	}{
		{ErrRefused, codeRefused}, {pack.ErrSymlink, codeRefused}, {pack.ErrSubmodule, codeRefused}, {pack.ErrFilter, codeRefused}, {pack.ErrName,
			codeRefused}, {pack.ErrTooLarge, codeRefused}, {pack.ErrEmpty, codeRefused},
		{tag.ErrImmutable, "immutable"}, {registry.ErrImmutable, "immutable"}, {ErrOlder, "backwards"}, {tag.ErrBackwards,
			"backwards"}, {tag.ErrPrerelease, "prerelease"}, {tag.ErrConflict, "conflict"}, {ErrExpect, "conflict"},
		{tag.ErrNoPrevious, "no-previous"}, {ErrDiffers, "differs"},
		{sign.ErrUnsigned, "unsigned"}, {sign.ErrWrongIdentity, "identity"}, {trust.ErrForeign, "foreign"}, {trust.ErrRelabelled,
			"relabelled"}, {trust.ErrUnbound, "unbound"},
		{trust.ErrNoPolicy, "no-policy"}, {sign.ErrCannotCheck, "cannot-tell"}, {errCannotTell, "cannot-tell"}, {tag.ErrDoubt,
			"journal"}, {ErrOdd, "odd"}, {registry.ErrBusy, "busy"},
		{sign.ErrNoToken, "no-token"}, {sign.ErrTokenExpired, "token-expired"}, {sign.ErrAudience, "token-audience"}, {sign.ErrTUF,
			"cannot-tell"}, {sign.ErrPassword, "password"},
		{registry.ErrUnauthorized, "unauthorized"}, {registry.ErrForbidden, "forbidden"}, {registry.ErrUnavailable,
			"unavailable"}, {registry.ErrNoRegistry, "unavailable"},
		{ErrPin, "pin"}, {registry.ErrNotFound, "not-found"}, {component.ErrUnknown, "unknown"}, {tag.ErrVersion, "version"},
		{context.Canceled, "canceled"}, {context.DeadlineExceeded, "timeout"},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return "failed"
}

// IsNo says that an error is an answer and not a fault: the registry or a policy was asked and says no.
func IsNo(err error) bool {
	switch Code(err) {
	case "immutable", "backwards", "unsigned", "identity", "prerelease", "conflict", "no-previous", "differs", "foreign", "relabelled", "unbound", "journal", "odd", "pin":
		return true
	}
	return false
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
