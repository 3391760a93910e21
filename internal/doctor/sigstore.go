package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/sign"
)

// sigstore looks at what signatures are made and checked with: the key, or Sigstore's services.
func (p *patient) sigstore(ctx context.Context) []Check {
	var list []Check
	if c, ok := p.key(ctx); ok {
		list = append(list, c)
	}
	if p.failed != nil {
		return list
	}
	if p.keyless() {
		list = append(list, p.root())
	}
	if p.signsKeyless() {
		list = append(list, p.services(ctx)...)
		list = append(list, p.token())
	}
	return list
}

// key looks at the file of a key pair, and opens it where the password is set.
func (p *patient) key(ctx context.Context) (Check, bool) {
	c := Check{Name: "key", Subject: p.Signing.Key, Status: OK}
	switch {
	case p.failed != nil && !errors.Is(p.failed, git.ErrNotCheckout) && !errors.Is(p.failed, component.ErrConfig):
		c.Status, c.Message, c.Do = Error, p.failed.Error(), "correct --key, or signing.key in keos-oci.yaml"
		return c, true
	case p.Signing.Key == "":
		return c, false
	case p.Signer == nil || !p.Signer.HasKey():
		c.Message = "a public key: it verifies, and signs nothing"
		return c, true
	case !p.Password && p.Opener.Interactive:
		c.Message = "a private key; not opened: the commands that sign ask for its password"
		return c, true
	case !p.Password:
		c.Status, c.Message, c.Do = Error, "COSIGN_PASSWORD is not set, and nobody can be asked for the password", "set COSIGN_PASSWORD"
		return c, true
	}
	who, err := p.Signer.Identity(ctx)
	if err != nil {
		c.Status, c.Message, c.Do = Error, err.Error(), "set COSIGN_PASSWORD to the password of this key"
		return c, true
	}
	c.Message = "opened with COSIGN_PASSWORD: " + who.String()
	return c, true
}

// keyless reports whether certificates are accepted on any channel.
func (p *patient) keyless() bool {
	for _, c := range p.set {
		for _, ch := range c.Channels {
			if list, err := p.Gate.Artifacts(c, ch.Name, ""); err == nil && list.Keyless() {
				return true
			}
		}
	}
	return false
}

// signsKeyless reports whether a run of this kind would ask for a certificate.
func (p *patient) signsKeyless() bool {
	return p.Signer != nil && !p.Signer.HasKey() && !p.ReadOnly && p.keyless()
}

// root looks at what certificates are checked against.
func (p *patient) root() Check {
	c := Check{Name: "trusted root", Subject: cmp.Or(p.Signing.Services.TrustedRoot, p.Signing.TUFMirror, "TUF of the public Sigstore")}
	err := p.Gate.Verifier.LoadRoot()
	notes := p.Gate.Verifier.Notes()
	switch {
	case errors.Is(err, sign.ErrTUF):
		c.Status, c.Message, c.Do = Unknown, err.Error(), "open the way to TUF, or name a file that has the trusted root: --trusted-root FILE"
	case err != nil:
		c.Status, c.Message, c.Do = Error, err.Error(), "correct --trusted-root, or signing.trustedRoot in keos-oci.yaml"
	case len(notes) > 0:
		c.Status, c.Message, c.Do = Warning, strings.Join(notes, "; "), "open the way to TUF: the copy counts for 30 days"
	default:
		c.Status, c.Message = OK, "loaded"
	}
	return c
}

// services looks whether Fulcio, Rekor and the timestamp authorities answer.
func (p *patient) services(ctx context.Context) []Check {
	reached, err := p.Signer.Reach(ctx)
	if err != nil {
		return []Check{{"sigstore", "services", Unknown, err.Error(), "see the check of the trusted root"}}
	}
	var list []Check
	for _, r := range reached {
		c := Check{Name: "sigstore", Subject: r.Name, Status: OK, Message: r.URL + " answers"}
		if r.Err != nil {
			c.Status, c.Message = Unknown, fmt.Sprintf("%s does not answer: %v", r.URL, r.Err)
			c.Do = "run it again; look at HTTPS_PROXY and NO_PROXY"
		}
		list = append(list, c)
	}
	return list
}

// token looks whether a run can have an identity.
func (p *patient) token() Check {
	c := Check{Name: "token", Subject: "OIDC"}
	from, err := p.Signer.TokenSource()
	inCI := p.Opener.Getenv("CI") != "" || p.Opener.Getenv("GITHUB_ACTIONS") != ""
	switch {
	case err == nil:
		c.Status, c.Message = OK, "from "+from
	case p.Opener.Interactive && !inCI:
		c.Status, c.Message = OK, "none in the environment: the commands that sign open a browser"
	case inCI:
		c.Status, c.Message, c.Do = Error, err.Error(), "give the job an identity token: on GitHub, permissions: {id-token: write}"
	default:
		c.Status, c.Message, c.Do = Warning, err.Error(), "nothing, unless you sign from here"
	}
	return c
}
