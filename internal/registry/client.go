// Package registry speaks to OCI registries: one pool of connections, one login, as few requests as the distribution
// spec allows, faults retried within a budget. It does not know components, versions or signatures.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Scheme is HTTP or HTTPS, for requests to registries.
type Scheme string

// The schemes. ByHost is HTTPS but on this machine.
const (
	ByHost Scheme = ""
	HTTP   Scheme = "http"
	HTTPS  Scheme = "https"
)

// Options of a Client; the zero value is good for registries with TLS.
type Options struct {
	Scheme    Scheme
	CAFile    string // PEM certificates trusted beside the system's store
	UserAgent string
	ReadOnly  bool // ask token servers for pull only
	Retry     Retry
	Timeout   time.Duration // of one request to a registry or its token server, with its repetitions: 60 s by default, less than 0 is none
	Log       *slog.Logger  // gets a line about each long wait; nil logs nothing
}

func (o Options) orDefault() Options {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	o.Retry = o.Retry.orDefault()
	return o
}

// Client opens repositories. It is safe for concurrent use and is made once per run.
type Client struct {
	opts      Options
	base      *http.Transport // what all parts of the run connect with
	waits     *waits
	auth      *auth.Client
	logins    *keychain
	referrers capabilities
	unsorted  sync.Map // hosts whose lists of tags do not begin where they are asked to
}

// New makes a Client. It reads CAFile; logins are looked for at the first request that needs one.
func New(o Options) (*Client, error) {
	base, err := newTransport(o.CAFile)
	if err != nil {
		return nil, err
	}
	o = o.orDefault()
	c := &Client{opts: o, base: base, waits: newWaits(o.Log), logins: newKeychain()}
	c.auth = &auth.Client{Client: c.Part(Part{Limit: o.Timeout}), Cache: scopes{auth.NewCache(), c.logins}, Credential: c.logins.credential}
	if o.UserAgent != "" {
		c.auth.SetUserAgent(o.UserAgent)
	}
	return c, nil
}

// Part makes an HTTP client for a part of the run, without any login. It shares the client's connections, certificates and retries; the
// limit is the part's own.
func (c *Client) Part(p Part) *http.Client {
	chain := &guarding{&pages{next: &buffering{&viaProxy{c.base}}, part: p}}
	return &http.Client{Transport: &timed{next: &retrying{next: chain, policy: c.opts.Retry}, part: p, waits: c.waits}}
}

// newTransport makes what all parts of a run connect with. caFile may be "".
func newTransport(caFile string) (*http.Transport, error) {
	pool, err := certPool(caFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeaders,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
	}, nil
}

func certPool(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("registry CA: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("system certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("registry CA %s has no PEM certificate", caFile)
	}
	return pool, nil
}

// Open names a repository; nothing is requested yet.
func (c *Client) Open(repo name.Repository) *Repository {
	host := repo.RegistryStr()
	if host == name.DefaultRegistry {
		host = "docker.io" // under this name oras-go finds both the registry and docker's login for it
	}
	r := &Repository{client: c, name: repo, remote: &remote.Repository{
		Client:          c.auth,
		Reference:       registry.Reference{Registry: host, Repository: repo.RepositoryStr()},
		PlainHTTP:       c.plain(host),
		TagListMaxPages: maxPages, ReferrerListMaxPages: maxPages,
		MaxMetadataBytes: maxPage,
	}}
	// referrers.go lists and indexes referrers itself, in fewer requests; oras-go must not do it as well.
	_ = r.remote.SetReferrersCapability(true)
	return r
}

// plain reports whether requests to host[:port] go without TLS.
func (c *Client) plain(host string) bool {
	return c.opts.Scheme == HTTP || c.opts.Scheme == ByHost && Loopback(host)
}

// Loopback reports whether host[:port] is this machine.
func Loopback(host string) bool {
	host = hostname(host)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// hostname is host[:port] without the port and without an IPv6 address's brackets.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.Trim(host, "[]")
}

// scoped says which registry a request is for, and asks for all rights that a run needs with the first token, so that there is one
// token per repository.
func (c *Client) scoped(ctx context.Context, ref registry.Reference) context.Context {
	ctx = c.contacting(ctx, ref)
	if c.opts.ReadOnly {
		return auth.AppendRepositoryScope(ctx, ref, auth.ActionPull)
	}
	return auth.AppendRepositoryScope(ctx, ref, auth.ActionPull, auth.ActionPush)
}

// contacting says which registry, and which of its repositories, a request is for.
func (c *Client) contacting(ctx context.Context, ref registry.Reference) context.Context {
	return context.WithValue(ctx, contactKey{}, contact{ref.Host(), c.plain(ref.Registry), ref.Repository})
}
