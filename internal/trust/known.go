package trust

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/journal"
	"github.com/stratio/keos-oci/internal/sign"
	"github.com/stratio/keos-oci/internal/tag"
)

// maxKnown is how many records of a kind are looked at for one that the key at hand signed.
const maxKnown = 8

// otherKey is the answer about an artifact that only another key signed. If the key at hand has signed records of this
// component, it is the right one, and the artifact is a stranger's. Else nobody knows: it may be the wrong key.
func (g *Gate) otherKey(ctx context.Context, c component.Component, err error) error {
	if !errors.Is(err, sign.ErrOtherKey) || !g.known(ctx, c) {
		return err
	}
	return fmt.Errorf("%w: %s, which signed records of %s", sign.ErrWrongIdentity,
		strings.TrimPrefix(err.Error(), sign.ErrCannotCheck.Error()+": "), c.Name)
}

// known reports whether the key at hand has signed one of the newest records of a component. It is looked for once.
func (g *Gate) known(ctx context.Context, c component.Component) bool {
	g.mu.Lock()
	answer, asked := g.keys[c.Name]
	g.mu.Unlock()
	if asked {
		return answer
	}
	for _, ch := range c.Channels {
		answer = answer || ch.Journal && g.moved(ctx, g.Journal(c, ch), ch)
	}
	answer = answer || g.released(ctx, c)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keys[c.Name] = answer
	return answer
}

// moved looks among records of moves.
func (g *Gate) moved(ctx context.Context, l *journal.Journal, ch component.Channel) bool {
	tags, err := l.Tags(ctx)
	if err != nil {
		return false
	}
	records := tag.RecordTags(tags.Names, ch.Name)
	for _, name := range records[:min(len(records), maxKnown)] {
		if e, err := l.Entry(ctx, name, tags); err == nil && e.Err == nil {
			return true
		}
	}
	return false
}

// released looks among records of releases.
func (g *Gate) released(ctx context.Context, c component.Component) bool {
	tags, _, err := g.repository(c.Repository).TagsBetween(ctx, tag.ReleaseTag(""), "release/")
	if err != nil {
		return false
	}
	looked := 0
	for _, name := range tags {
		if !tag.IsReleaseTag(name) || looked == maxKnown {
			continue
		}
		looked++
		version := strings.TrimPrefix(name, tag.ReleaseTag(""))
		if _, err := g.releases(c, version).ReadRelease(ctx, version); err == nil {
			return true
		}
	}
	return false
}
