package registry

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// AdviceError is a failure with a known cause. Its text has the cause and what to do next.
type AdviceError struct {
	Cause string
	Do    string // what to do next; "" where the cause says it
	kind  error  // one of the sentinels of this package, or nil
	err   error  // what the registry or the network reported, or nil
}

// Error is the cause and the advice, with the original error in parentheses.
func (e *AdviceError) Error() string {
	text := e.Cause
	if e.Do != "" {
		text += ": " + e.Do
	}
	if e.err != nil {
		text += fmt.Sprintf(" (%v)", e.err)
	}
	return text
}

// Unwrap makes errors.Is and errors.As find the kind and the original error.
func (e *AdviceError) Unwrap() []error {
	var list []error
	for _, err := range []error{e.kind, e.err} {
		if err != nil {
			list = append(list, err)
		}
	}
	return list
}

// advise adds a known cause to an error, and returns other errors as they are. ref is the tag or digest of the request, or "".
func (r *Repository) advise(ref string, err error) error {
	host := r.name.RegistryStr()
	if cause, do := certificateAdvice(host, err); cause != "" {
		return &AdviceError{cause, do, ErrUnavailable, err}
	}
	var sentinel error
	for _, kind := range []error{ErrUnauthorized, ErrForbidden} {
		if errors.Is(err, kind) {
			sentinel = kind
		}
	}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return &AdviceError{host + " does not use TLS", "pass --plain-http", ErrUnavailable, err}
	case isUploadAddress(err):
		return &AdviceError{"the reverse proxy of " + host + " sends wrong upload addresses",
			"it must pass the header Host with its port, and X-Forwarded-Proto", ErrUploadAddress, err}
	case status(err) == http.StatusMethodNotAllowed && isWrite(err):
		return &AdviceError{host + " is a read-only mirror", "publish to its origin", ErrReadOnly, err}
	case sentinel != nil && isWrite(err) && r.loggedIn() && (errors.Is(sentinel, ErrUnauthorized) || !isTag(ref)):
		return &AdviceError{r.pushAdvice(), "", sentinel, err}
	}
	return err
}

// certificateAdvice explains why the certificate of a host is refused, and what to do; "" for other errors.
func certificateAdvice(host string, err error) (cause, do string) {
	var authority x509.UnknownAuthorityError
	var other x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return fmt.Sprintf("the certificate of %s is signed by an unknown authority", host), "pass --registry-ca FILE"
	case errors.As(err, &other):
		return fmt.Sprintf("the certificate of %s is for another host", host), "use a host of the certificate, or replace the certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s is expired or not valid yet", host), "renew it, or correct the clock of this machine"
	}
	return "", ""
}

// isUploadAddress recognises oras-go's refusal to send a blob to the address that a registry gave for it. The error has no type.
func isUploadAddress(err error) bool {
	text := err.Error()
	return strings.Contains(text, "blob upload Location") &&
		(strings.Contains(text, "is on a different host than the registry") || strings.Contains(text, "downgrades scheme"))
}

// isWrite reports whether a registry answered with an error to a request that writes.
func isWrite(err error) bool {
	var resp *errcode.ErrorResponse
	if !errors.As(err, &resp) {
		return false
	}
	return resp.Method == http.MethodPost || resp.Method == http.MethodPut || resp.Method == http.MethodPatch
}

// isTag reports whether ref is a tag. A 403 for a tag may also mean that the tag is immutable.
func isTag(ref string) bool { return ref != "" && digest.Digest(ref).Validate() != nil }

// loggedIn reports whether docker's config has a login for the registry.
func (r *Repository) loggedIn() bool {
	// The refused request has read the login already: it is kept.
	ref := r.remote.Reference
	login, err := r.client.logins.find(context.Background(), ref.Host(), ref.Repository)
	return err == nil && login.Found()
}

// pushAdvice explains why a login is refused for a write. Reads that worked before show that the login may pull.
func (r *Repository) pushAdvice() string {
	if r.pulled.Load() {
		return "the login may pull but not push to " + r.name.String()
	}
	return "the login may not push to " + r.name.String()
}

// plainToTLS recognises what web servers answer to plain HTTP on a port for TLS. The answer to HEAD has no text, so the same is asked with
// GET. The body of resp can still be read afterwards.
func (t *pages) plainToTLS(req *http.Request, resp *http.Response) error {
	if req.URL.Scheme != "http" || !isRegistry(req) {
		return nil
	}
	answer := resp
	if req.Method == http.MethodHead {
		again, err := t.next.RoundTrip(getOf(req, req.URL.Path))
		if err != nil {
			return err
		}
		defer again.Body.Close()
		answer = again
	}
	start, err := io.ReadAll(io.LimitReader(answer.Body, maxPlainAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if answer == resp {
		resp.Body = readCloser{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	}
	for _, text := range []string{
		"HTTP request to an HTTPS server",       // Go: net/http, Traefik, Caddy
		"plain HTTP request was sent to HTTPS",  // nginx
		"speaking plain HTTP to an SSL-enabled", // Apache
	} {
		if strings.Contains(string(start), text) {
			return &AdviceError{fmt.Sprintf("%s uses TLS, and the request was plain HTTP", req.URL.Host), "use https:// or --plain-http=false",
				errors.Join(ErrNoRegistry, ErrSpeaksTLS), nil}
		}
	}
	return nil
}

// maxPlainAnswer is how much of an answer in plain HTTP is read: the pages that web servers send have a few hundred bytes.
const maxPlainAnswer = 4 << 10

type readCloser struct {
	io.Reader
	io.Closer
}
