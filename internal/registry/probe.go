package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Probe is what a registry's host shows of itself before anything is read.
type Probe struct {
	Host  string
	Plain bool      // spoken to without TLS
	Ends  time.Time // when its certificate ends; zero without TLS
	Asks  bool      // it wants a login
	Ahead time.Duration
	Timed bool // Ahead is known: how far this machine's clock is ahead of the registry's
}

// Probe asks a repository's registry for its API without a login, and answers with what that shows.
func (c *Client) Probe(ctx context.Context, repo name.Repository) (Probe, error) {
	r := c.Open(repo)
	host := r.remote.Reference.Host()
	p := Probe{Host: host, Plain: r.remote.PlainHTTP}
	began := time.Now()
	resp, err := c.get(ctx, r.remote.Reference, c.auth.Client.Do)
	if err != nil {
		return p, fmt.Errorf("ask %s: %w", host, r.advise("", classify(err)))
	}
	defer resp.Body.Close()
	if there, failed := http.ParseTime(resp.Header.Get("Date")); failed == nil && resp.Header.Get("Age") == "" {
		now := began.Add(time.Since(began) / 2)
		p.Ahead, p.Timed = now.Round(0).Sub(there), true
	}
	if resp.TLS != nil {
		for _, cert := range resp.TLS.PeerCertificates {
			if p.Ends.IsZero() || cert.NotAfter.Before(p.Ends) {
				p.Ends = cert.NotAfter
			}
		}
	}
	p.Asks = resp.StatusCode == http.StatusUnauthorized
	if !p.Asks && resp.StatusCode != http.StatusOK {
		return p, fmt.Errorf("ask %s: %w", host, classify(answerError(resp)))
	}
	return p, nil
}

// Login is the login that requests to a repository have.
func (c *Client) Login(ctx context.Context, repo name.Repository) (Login, error) {
	ref := c.Open(repo).remote.Reference
	return c.logins.find(ctx, ref.Host(), ref.Repository)
}

// LogsIn reports whether the registry takes the login that is found for a repository.
func (c *Client) LogsIn(ctx context.Context, repo name.Repository) error {
	ref := c.Open(repo).remote.Reference
	resp, err := c.get(ctx, ref, c.auth.Do)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		err = answerError(resp)
	}
	return fmt.Errorf("log in to %s: %w", ref.Host(), c.logins.explain(ref.Host(), ref.Repository, classify(err)))
}

// HowToLogIn is how a login for a repository's registry is got.
func HowToLogIn(repo name.Repository) string { return howToLogIn(repo.RegistryStr()) }

// get asks for the path /v2/.
func (c *Client) get(ctx context.Context, ref registry.Reference, do func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(c.contacting(ctx, ref), http.MethodGet, c.address(ref)+"/v2/", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	return do(req)
}

// address is where a registry is, with its scheme.
func (c *Client) address(ref registry.Reference) string {
	if c.plain(ref.Registry) {
		return "http://" + ref.Host()
	}
	return "https://" + ref.Host()
}

// answerError is an answer as oras-go's errors have it.
func answerError(resp *http.Response) error {
	return &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
}

// MayPush finds out whether the login may upload to the repository, and leaves nothing there: it begins an upload, sends nothing,
// and cancels it. canceled is false where the registry does not take that back: then the empty upload ends by itself.
func (r *Repository) MayPush(ctx context.Context) (canceled bool, err error) {
	ref := r.remote.Reference
	ctx = r.client.scoped(ctx, ref)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		fmt.Sprintf("%s/v2/%s/blobs/uploads/", r.client.address(ref), ref.Repository), http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := r.client.auth.Do(req)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		resp.Body.Close()
		err = answerError(resp)
	}
	if err != nil {
		return false, r.fault("upload to", "", err)
	}
	defer resp.Body.Close()
	place, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil || !r.isUpload(place) {
		return false, nil //nolint:nilerr // the right is there, and that was the question
	}
	again, err := http.NewRequestWithContext(ctx, http.MethodDelete, place.String(), nil)
	if err != nil {
		return false, nil //nolint:nilerr // likewise
	}
	end, err := r.client.auth.Do(again)
	if err != nil {
		return false, nil //nolint:nilerr // likewise
	}
	defer end.Body.Close()
	return end.StatusCode/100 == 2, nil
}

// isUpload reports whether an address is one of an upload to this repository. A registry that gives another one must not choose what the
// run deletes there with its logins.
func (r *Repository) isUpload(place *url.URL) bool {
	ref := r.remote.Reference
	session, ours := strings.CutPrefix(place.String(), fmt.Sprintf("%s/v2/%s/blobs/uploads/", r.client.address(ref), ref.Repository))
	return ours && session != ""
}

// HasReferrersAPI reports whether the registry lists what refers to a digest. known is false where it does not say, because it does
// not know the repository yet.
func (r *Repository) HasReferrersAPI(ctx context.Context) (has, known bool, err error) {
	found, err := r.probeReferrers(ctx, digest.FromString("nothing has this digest"))
	if err != nil {
		return false, false, r.fault("list referrers of", "", err)
	}
	return found.state == apiSupported, found.state != apiUnknown, nil
}
