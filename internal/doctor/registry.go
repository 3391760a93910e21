package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/stratio/keos-oci/internal/registry"
)

// What is worth a word. A certificate of Fulcio is valid for 10 minutes.
const (
	endsSoon = 14 * 24 * time.Hour
	clockOff = 30 * time.Second
	clockBad = 5 * time.Minute
)

// hostState is what the registry shows of itself.
type hostState struct {
	probe registry.Probe
	err   error // why it does not answer
}

// repository is one that the registry can be asked with. All components are in one registry.
func (p *patient) repository() (name.Repository, bool) {
	if len(p.set) == 0 {
		return name.Repository{}, false
	}
	return p.set[0].Repository, true
}

// askHost asks the registry for its API. Several subjects wait for the answer, each with its own limit.
func (p *patient) askHost(ctx context.Context) *hostState {
	repo, ok := p.repository()
	if !ok {
		return &hostState{err: errors.New("there is no component to ask for")}
	}
	ctx, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	probe, err := p.Client.Probe(ctx, repo)
	return &hostState{probe, err}
}

// registry looks at the registry's host: TLS, login, clock, and how it lists signatures.
func (p *patient) registry(ctx context.Context) []Check {
	repo, ok := p.repository()
	if !ok {
		return nil
	}
	state := p.host()
	if state.err != nil {
		return []Check{unreachable(state)}
	}
	host := state.probe.Host
	list := []Check{p.tls(state.probe), p.login(ctx, repo, state.probe), p.clock(state.probe)}
	return append(list, p.referrers(ctx, host), immutability(repo))
}

// unreachable says why the registry does not answer. What may pass is no error.
func unreachable(state *hostState) Check {
	c := Check{"registry", state.probe.Host, Error, state.err.Error(), "correct the address, or what is in between: HTTPS_PROXY, NO_PROXY"}
	var advice *registry.AdviceError
	var certificate *tls.CertificateVerificationError
	var dns *net.DNSError
	if errors.As(state.err, &certificate) {
		c.Name, c.Do = "tls", "ask who runs the registry for another certificate"
	}
	switch {
	case errors.As(state.err, &advice):
		c.Message, c.Do = advice.Cause, advice.Do
	case c.Name == "tls":
	case errors.As(state.err, &dns) && dns.IsNotFound:
		c.Do = "correct the host name, or the name server of this machine"
	case errors.Is(state.err, registry.ErrNoRegistry):
	default:
		c.Status, c.Do = Unknown, "run it again; if it stays, look at what is in between: HTTPS_PROXY, NO_PROXY, VPN"
	}
	return c
}

func (p *patient) tls(probe registry.Probe) Check {
	c := Check{Name: "tls", Subject: probe.Host}
	left := probe.Ends.Sub(p.Now())
	switch {
	case probe.Plain && registry.Loopback(probe.Host):
		c.Status, c.Message = OK, "HTTP without TLS, on this machine"
	case probe.Plain:
		c.Status, c.Message = Warning, "HTTP without TLS: everybody in between can read the login and change what is read"
		c.Do = "give the registry a certificate, then leave out --plain-http and http://"
	case !probe.Ends.IsZero() && left < endsSoon:
		c.Status = Warning
		c.Message = fmt.Sprintf("the certificate ends in %d days, on %s", int(left.Hours()/24), probe.Ends.UTC().Format(time.DateOnly))
		c.Do = "renew it: clusters stop to follow when it has ended"
	default:
		c.Status, c.Message = OK, "the certificate is trusted and ends on "+probe.Ends.UTC().Format(time.DateOnly)
	}
	return c
}

// login looks whether there is a login for the host, where it comes from, and whether the registry takes it.
func (p *patient) login(ctx context.Context, repo name.Repository, probe registry.Probe) Check {
	c := Check{Name: "login", Subject: probe.Host}
	l, err := p.Client.Login(ctx, repo)
	var missing *registry.LoginError
	switch {
	case errors.As(err, &missing):
		c.Status, c.Message, c.Do = Error, missing.Error(), missing.Do
		return c
	case err != nil:
		c.Status, c.Message, c.Do = Error, err.Error(), "correct the file"
		return c
	case !l.Found() && !probe.Asks:
		c.Status, c.Message = OK, "the registry asks for no login"
		return c
	case !l.Found():
		c.Status, c.Message, c.Do = Error, "no login was found in Docker's config or in Podman's auth.json", registry.HowToLogIn(repo)
		if p.ReadOnly {
			c.Status, c.Message = Warning, c.Message+": only public artifacts can be read"
		}
		return c
	}
	from := "from " + l.From
	if l.User != "" {
		from = "of " + l.User + " " + from
	}
	switch err := p.Client.LogsIn(ctx, repo); {
	case errors.Is(err, registry.ErrUnauthorized), errors.Is(err, registry.ErrForbidden):
		c.Status, c.Message, c.Do = Error, "the login "+from+" is not accepted", registry.HowToLogIn(repo)
	case errors.Is(err, registry.ErrInsecure):
		c.Status, c.Message, c.Do = Error, err.Error(), "ask who runs the registry for a token server with TLS"
	case err != nil:
		c.Status, c.Message, c.Do = Unknown, err.Error(), "run it again"
	case !probe.Asks:
		c.Status, c.Message = OK, from+"; not tested: the registry asks for no login before something is read or written"
	default:
		c.Status, c.Message = OK, from+", accepted"
	}
	return c
}

// clock compares this machine's clock with the registry's.
func (p *patient) clock(probe registry.Probe) Check {
	c := Check{Name: "clock", Subject: probe.Host}
	if !probe.Timed {
		c.Status, c.Message, c.Do = Unknown, "the registry's answer has no time of its own", "compare this machine's clock with another one"
		return c
	}
	off, where := probe.Ahead.Abs().Round(time.Second), "ahead of"
	if probe.Ahead < 0 {
		where = "behind"
	}
	c.Message = fmt.Sprintf("this machine's clock is %s %s the registry's", off, where)
	const do = "set this machine's clock, by NTP for example; a signing certificate is valid for 10 minutes"
	switch {
	case off > clockBad:
		c.Status, c.Do = Error, do
	case off > clockOff:
		c.Status, c.Do = Warning, do
	default:
		c.Status, c.Message = OK, "within 30 s of the registry's"
	}
	return c
}

// referrers looks how the registry lists signatures. A repository that does not exist yet does not say.
func (p *patient) referrers(ctx context.Context, host string) Check {
	c := Check{Name: "referrers", Subject: host}
	for _, component := range p.set[:min(len(p.set), 5)] {
		has, known, err := p.Client.Open(component.Repository).HasReferrersAPI(ctx)
		switch {
		case err != nil:
			c.Status, c.Message, c.Do = Unknown, err.Error(), "see the checks above"
			return c
		case has:
			c.Status, c.Message = OK, "the registry has the referrers API"
			return c
		case known:
			c.Status, c.Message = OK, "no referrers API: signatures are listed under tags sha256-…, which must not be deleted or immutable"
			return c
		}
	}
	c.Status, c.Message = OK, "not tested: the repositories do not exist yet"
	return c
}

// immutability says what has to be exempt where a registry keeps tags from moving. Whether it does is seen only by writing.
func immutability(repo name.Repository) Check {
	const moving = "latest, latest-stable, release.* and sha256-*"
	c := Check{Name: "tags", Subject: repo.RegistryStr(), Status: OK}
	host := repo.RegistryStr()
	switch {
	case host == "ghcr.io":
		c.Message = "GHCR has no rule for immutable tags"
	case strings.Contains(host, ".dkr.ecr."):
		c.Message = "not tested: with tag immutability on ECR, exempt " + moving + " (IMMUTABLE_WITH_EXCLUSION)"
	case strings.HasSuffix(host, "-docker.pkg.dev"):
		c.Message = "not tested: leave immutable tags of this Artifact Registry repository off, because they have no exemptions"
	case strings.HasSuffix(host, ".azurecr.io"):
		c.Message = "not tested: lock versions at most, never " + moving
	default:
		c.Message = "not tested: a rule for immutable tags has to exempt " + moving
	}
	return c
}
