package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ErrInsecure reports a login that was not sent because others could have read it.
var ErrInsecure = errors.New("login not sent")

// contact is the registry that a request is for.
type contact struct {
	host       string
	plain      bool   // without TLS, because of a flag or because it is this machine
	repository string // "" for none
}

type contactKey struct{}

// guarding keeps logins within TLS. The registry chooses the token server for the login (WWW-Authenticate). Without
// TLS, an attacker in the network can choose it.
type guarding struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *guarding) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(contactKey{}).(contact)
	if !ok || !hasLogin(req) || c.mayHaveLogin(req.URL) {
		return t.next.RoundTrip(req)
	}
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, fmt.Errorf("%w: %s wants its login to go to http://%s, which is another host without TLS", ErrInsecure, c.host, req.URL.Host)
}

// hasLogin reports whether a request has a password or a token, in its header or in an OAuth2 form.
func hasLogin(req *http.Request) bool {
	return req.Header.Get("Authorization") != "" || strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// mayHaveLogin reports whether the login for c may be sent to u: with TLS, to this machine, or back to a registry that is
// used without TLS anyway.
func (c contact) mayHaveLogin(u *url.URL) bool {
	return u.Scheme == "https" || Loopback(u.Host) || c.plain && strings.EqualFold(u.Hostname(), hostname(c.host))
}
