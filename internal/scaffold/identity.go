package scaffold

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
)

const gitlabCom = "gitlab.com"

// signing is who signs on GitLab. GitHub needs no config: by default the workflows sign.
type signing struct {
	Issuer  string
	Branch  string // subject of pipelines of the main branch
	Own     bool   // an instance that the public Fulcio does not know
	Release string // regular expression of who signs releases, where there is one component only

	project string // its address
}

// signing makes the identities of the Git remote's project. Fulcio puts GitLab's claim ci_config_ref_uri into certificates:
// https://<host>/<project>//<config file>@<ref>.
func (p *proposer) signing() (*signing, error) {
	host, project, err := p.remote()
	if err != nil {
		return nil, err
	}
	if host == "github.com" || host == "ssh.github.com" {
		return nil, fmt.Errorf("%w: the Git remote is on %s, and workflows are asked for GitLab", ErrInput, host)
	}
	address := "https://" + host + "/" + project
	return &signing{Issuer: "https://" + host, Own: host != gitlabCom, project: address,
		Branch: address + "//" + gitlabFile + "@refs/heads/" + p.ask.Branch}, nil
}

// release is the regular expression of the signer of a component's releases. One for all components would let the
// signature of one pass for another's.
func (s *signing) release(c component.Component) string {
	tag := escape(c.GitTagOf("\x00"))
	return escape(s.project+"//"+gitlabFile+"@refs/tags/") + strings.Replace(tag, "\x00", version, 1)
}

// version is the regular expression of a version without its v, as publish takes it.
const version = `[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.-]+)?`

// escape makes a regular expression that matches text alone. It uses no backslashes, which do not survive in a cluster's
// settings (decision 11).
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune(`.+*?()|[]{}$`, r) {
			b.WriteString("[" + string(r) + "]")
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// sign says in the config who signs what.
func (c *config) sign(who *signing, set component.Set) {
	c.Signing = who
	if len(set) == 1 {
		who.Release = who.release(set[0])
		return
	}
	for _, one := range set {
		c.entryOf(one).Release = who.release(one)
	}
}

// entryOf returns the entry of a component. It adds one for a component that was only discovered.
func (c *config) entryOf(one component.Component) *entry {
	i := slices.IndexFunc(c.Components, func(e *entry) bool { return e.Name == one.Name || e.Name == "" && e.Key == one.Name })
	if i < 0 {
		c.Components = append(c.Components, &entry{Key: one.Name})
		i = len(c.Components) - 1
	}
	return c.Components[i]
}

// nobodySigns reports whether a channel can accept no pipeline's signature: no signer is set, or the channel follows
// versions and expects a branch, although versions are signed on tags.
func nobodySigns(ch component.Channel) bool {
	return !slices.ContainsFunc(ch.Identities, func(i component.Identity) bool {
		return i.Issuer != "" && (ch.From != component.FromVersion || !strings.Contains(i.Subject, "@refs/heads/"))
	})
}

// signedOnGitLab checks that an existing config file says who signs. Otherwise the channel of releases would accept nobody.
func (p *proposer) signedOnGitLab(ws *component.Workspace) error {
	if ws.Config.Signing.Key != "" {
		return nil
	}
	var without component.Set
	for _, c := range ws.Components {
		if slices.ContainsFunc(c.Channels, nobodySigns) {
			without = append(without, c)
		}
	}
	if len(without) == 0 {
		return nil
	}
	who, err := p.signing()
	if err != nil {
		return err
	}
	var c config
	c.sign(who, ws.Components)
	lines, err := fillIn("keos-oci.yaml", c)
	if err != nil {
		return err
	}
	_, lines, _ = cutHeader(lines)
	p.found.Notes = append(p.found.Notes, "add to keos-oci.yaml:\n"+string(lines))
	return fmt.Errorf("%w: keos-oci.yaml is there and does not say who signs %s on GitLab: add the lines shown to it, or let "+
		"--overwrite write another", ErrLacks, strings.Join(without.Names(), ", "))
}
