package tag

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// ErrImmutable reports a version or commit tag that names another digest.
var ErrImmutable = errors.New("immutable")

// State is what the tags named when they were read; a tag that did not exist is absent.
type State map[string]digest.Digest

// Move makes a tag name another digest. From is "" for a new tag.
type Move struct {
	Tag  string        `json:"tag"`
	From digest.Digest `json:"from,omitempty"`
	To   digest.Digest `json:"to"`
}

// Plan is a list of moves in the order in which they are made: what never changes first, channels last, so that a
// channel never names content that its version does not.
type Plan []Move

// PlanImmutable plans an immutable tag: nothing when it names the digest already, ErrImmutable when it names another.
func (s State) PlanImmutable(tag string, to digest.Digest) (Plan, error) {
	switch from := s[tag]; from {
	case to:
		return nil, nil
	case "":
		return Plan{{Tag: tag, To: to}}, nil
	default:
		return nil, fmt.Errorf("%s is %w: it names %s and not %s; publish the change under a new version or commit", tag, ErrImmutable, from, to)
	}
}

// PlanChannel plans a channel: nothing when it names the digest already.
func (s State) PlanChannel(channel string, to digest.Digest) Plan {
	if s[channel] == to {
		return nil
	}
	return Plan{{Tag: channel, From: s[channel], To: to}}
}

// Tagger writes one tag.
type Tagger func(ctx context.Context, tag string) error

// Apply makes the moves in order and answers with those that were made, all of them unless there is an error.
func (p Plan) Apply(ctx context.Context, write Tagger) (Plan, error) {
	for i, m := range p {
		if err := write(ctx, m.Tag); err != nil {
			return p[:i], err
		}
	}
	return p, nil
}
