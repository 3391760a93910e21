package trust

import (
	"errors"
	"strings"
	"sync"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
)

// Journal is the records of a channel of c.
func (g *Gate) Journal(c component.Component, ch component.Channel) *journal.Journal {
	return g.journal(c, ch, func() (sign.Policies, error) { return g.Movers(c, ch) })
}

func (g *Gate) journal(c component.Component, ch component.Channel, movers func() (sign.Policies, error)) *journal.Journal {
	return journal.Open(journal.Options{Repo: g.repository(c.Repository), Names: g.names(c), Component: c.Name, Channel: ch.Name,
		Verifier: g.Verifier, Movers: sync.OnceValues(movers), Signer: g.signer, Now: g.Now})
}

// releases is the records of versions. Whoever may move the channel or sign the version may write them.
func (g *Gate) releases(c component.Component, version string) *journal.Journal {
	ch := component.Channel{Name: "latest-stable", From: component.FromVersion}
	if list := c.Channels.From(component.FromVersion); len(list) > 0 {
		ch = list[0]
	}
	return g.journal(c, ch, func() (sign.Policies, error) {
		unasked := *g.Rules
		unasked.FromFlags = sign.Policy{}
		signers, err := unasked.Artifacts(c, version, "")
		if err != nil && !errors.Is(err, ErrNoPolicy) {
			return nil, err
		}
		movers, other := g.Movers(c, ch)
		if other != nil && (err != nil || !errors.Is(other, ErrNoPolicy)) {
			return nil, other
		}
		return append(signers, movers...), nil
	})
}

// names is what records call the repository: without the host, so that a mirror's copy of a journal stays valid; at another path the config
// says where it was copied from. Where the path
// is that of the Git repository, it had other names when that had.
func (g *Gate) names(c component.Component) []string {
	now := c.Repository.RepositoryStr()
	list := []string{now}
	_, path := g.home()
	if rest, same := strings.CutPrefix(now, strings.ToLower(path)); same && path != "" {
		for _, f := range g.Formerly {
			list = append(list, strings.ToLower(f.Repository)+rest)
		}
	}
	if rest, under := strings.CutPrefix(now, g.Prefix); under && g.Prefix != "" {
		for _, origin := range g.Mirrors {
			list = append(list, origin+rest)
		}
	}
	return list
}
