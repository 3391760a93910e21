package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// What a registry may answer, for errors.Is. ErrUnauthorized is a missing or refused login, ErrForbidden a login
// without the right, ErrUnavailable a fault that did not pass within the retries, ErrNoRegistry an answer of another server, ErrImmutable a
// tag that the registry itself does not let change, ErrMissingBlob a manifest whose blobs are not all there. ErrSpeaksTLS is the answer to
// plain HTTP of a registry that uses TLS, ErrReadOnly that of a mirror to a write, ErrUploadAddress an upload that a reverse proxy sends to
// another place.
var (
	ErrNotFound     = errors.New("not found")
	ErrUnauthorized = errors.New("not logged in")
	ErrForbidden    = errors.New("forbidden")
	ErrUnavailable  = errors.New("registry unavailable")
	ErrNoRegistry   = errors.New("no registry answers")
	ErrImmutable    = errors.New("the registry does not let this tag change")
	ErrMissingBlob  = errors.New("a blob of the manifest is missing")

	ErrSpeaksTLS     = errors.New("the registry uses TLS, and the request was plain HTTP")
	ErrReadOnly      = errors.New("the registry is a read-only mirror")
	ErrUploadAddress = errors.New("the reverse proxy of the registry sends wrong upload addresses")
)

// Unanswered reports whether an error leaves it open what a registry has, as opposed to an answer that is damaged, too large or no.
func Unanswered(err error) bool {
	for _, open := range []error{ErrUnavailable, ErrNoRegistry, ErrUnauthorized, ErrForbidden, ErrInsecure, context.Canceled,
		context.DeadlineExceeded} {
		if errors.Is(err, open) {
			return true
		}
	}
	return false
}

// Answered reports whether the registry itself answered with an error: then it is done with the request.
func Answered(err error) bool { return status(err) != 0 }

// fault says which repository and reference an error is about and which of the sentinels it is.
func (r *Repository) fault(verb, tagOrDigest string, err error) error {
	where := r.name.String()
	switch {
	case tagOrDigest == "":
	case digest.Digest(tagOrDigest).Validate() == nil:
		where += "@" + tagOrDigest
	default:
		where += ":" + tagOrDigest
	}
	ref := r.remote.Reference
	err = r.client.logins.explain(ref.Host(), ref.Repository, classify(err))
	if errors.Is(err, ErrNotFound) {
		r.pulled.Store(true)
	}
	return fmt.Errorf("%s %s: %w", verb, where, r.advise(tagOrDigest, err))
}

func classify(err error) error {
	var late *TimeoutError
	if errors.As(err, &late) {
		return late // who, and not at which address
	}
	var page *PageError
	if errors.As(err, &page) {
		return page
	}
	var login *LoginError
	if errors.As(err, &login) {
		return login
	}
	var advice *AdviceError
	if errors.As(err, &advice) {
		return advice
	}
	err = redact(err)
	var sentinel error
	switch code := status(err); {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, ErrTooLarge), errors.Is(err, errListing), errors.Is(err, ErrInsecure), errors.Is(err, errDamaged):
		return err // the registry answers: trying later will not help
	case errors.Is(err, errdef.ErrNotFound):
		return ErrNotFound // oras-go repeats the reference
	case code == http.StatusNotFound:
		sentinel = ErrNotFound
	case errors.Is(err, auth.ErrBasicCredentialNotFound) || code == http.StatusUnauthorized:
		sentinel = ErrUnauthorized
	case code == http.StatusForbidden:
		sentinel = ErrForbidden
	case isCode(err, errcode.ErrorCodeManifestBlobUnknown) || isCode(err, errcode.ErrorCodeBlobUnknown):
		sentinel = ErrMissingBlob
	case transientStatus(code) || code == 0 && (passing(err) || isURLError(err)):
		sentinel = ErrUnavailable
	default:
		return err
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

// refusedAsImmutable recognises how registries say that a tag may not change: ECR (ImageTagAlreadyExistsException) and
// Harbor, Artifact Registry and ACR with 403, 409 or 412.
func refusedAsImmutable(err error) bool {
	switch status(err) {
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusBadRequest, http.StatusForbidden:
		return true
	}
	return false
}

func status(err error) int {
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) {
		return resp.StatusCode
	}
	return 0
}

func isCode(err error, code string) bool {
	var resp *errcode.ErrorResponse
	if !errors.As(err, &resp) {
		return false
	}
	for _, e := range resp.Errors {
		if e.Code == code {
			return true
		}
	}
	return false
}

func isURLError(err error) bool {
	var ue *url.Error
	return errors.As(err, &ue)
}

// redact drops the query of URLs in an error: upload sessions and redirects to storage carry their authority there. The error itself stays
// as it is: requests that wait for one token share it.
func redact(err error) error {
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) && resp.URL != nil {
		clean := *resp
		clean.URL = withoutQuery(resp.URL)
		if *clean.URL == *resp.URL {
			return err
		}
		return &redacted{strings.ReplaceAll(err.Error(), resp.Error(), clean.Error()), &clean, err}
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		if u, parseErr := url.Parse(ue.URL); parseErr == nil {
			return &url.Error{Op: ue.Op, URL: withoutQuery(u).String(), Err: ue.Err}
		}
	}
	return err
}

// redacted is an error whose text has no query of a URL.
type redacted struct {
	text  string
	clean *errcode.ErrorResponse
	err   error
}

func (r *redacted) Error() string { return r.text }

// Unwrap makes errors.As find the answer without the query first, and errors.Is what the error is.
func (r *redacted) Unwrap() []error { return []error{r.clean, r.err} }

func withoutQuery(u *url.URL) *url.URL {
	clean := *u
	clean.RawQuery, clean.User = "", nil
	return &clean
}
